"""The model card: every figure in it is measured here, on the stored weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional

from .corpus import SEQUENCE, Genre
from .network import Shape, TinyOlmoe
from .prompts import GENRES
from .sources import PACKAGES
from .training import Recipe


@dataclass
class Measured:
    """On the held-out tokens, in windows of SEQUENCE."""

    losses: dict[str, float]  # nats a token, by genre
    tokens: dict[str, int]
    load: np.ndarray  # int64 [layers, experts]: selections

    @property
    def variation(self) -> np.ndarray:
        """Standard deviation over mean (ddof 0) of each layer's load."""
        return self.load.std(axis=1) / self.load.mean(axis=1)


@torch.no_grad()
def measure(model: TinyOlmoe, held_out: dict[str, np.ndarray]) -> Measured:
    shape = model.shape
    load = np.zeros((shape.layers, shape.experts), dtype=np.int64)
    losses, tokens = {}, {}
    for name, ids in held_out.items():
        total, count = 0.0, 0
        for at in range(0, len(ids), SEQUENCE):
            window = torch.from_numpy(ids[at : at + SEQUENCE].astype(np.int64))[None]
            states, routings = model(window)
            logits = model.lm_head(states)[0]
            total += functional.cross_entropy(logits[:-1], window[0, 1:], reduction="sum").item()
            count += window.shape[1] - 1
            for layer, routing in enumerate(routings):
                load[layer] += np.bincount(routing.selected.flatten().numpy(), minlength=shape.experts)
        losses[name], tokens[name] = total / count, len(ids)
    return Measured(losses, tokens, load)


def prompt_overlap(prompts: list[dict[str, str]], instructions: list[str]) -> tuple[int, int]:
    """How many prompts share their first three words with a training instruction, and how many prompts there are."""
    openings = {" ".join(text.lower().split()[:3]) for text in instructions}
    return sum(" ".join(prompt["text"].lower().split()[:3]) in openings for prompt in prompts), len(prompts)


def _source_table() -> str:
    rows = ["| package | version | licence | used for | SHA-256 of the file |", "|---|---|---|---|---|"]
    rows += [f"| {p.name} | {p.version} | {p.licence} | {p.provides} | `{p.sha256}` |" for p in PACKAGES]
    return "\n".join(rows)


def _genre_table(genres: dict[str, Genre], windows: list[np.ndarray], recipe: Recipe, measured: Measured) -> str:
    rows = [
        "| genre | instruction pairs | windows of pairs | windows of running text | passes over them "
        "| held-out loss (nats) | held-out perplexity |",
        "|---|---|---|---|---|---|---|",
    ]
    drawn = recipe.steps * recipe.micro_batches
    for at, name in enumerate(GENRES):
        pairs, passages = len(windows[2 * at]), len(windows[2 * at + 1])
        loss = measured.losses[name]
        rows.append(
            f"| {name} | {len(genres[name].pairs):,} | {pairs:,} | {passages:,} | {drawn / pairs:.2f} and "
            f"{drawn / passages:.2f} | {loss:.3f} | {np.exp(loss):.2f} |"
        )
    return "\n".join(rows)


def _load_table(measured: Measured) -> str:
    rows = [
        "| layer | load CV | busiest expert / mean | idlest expert / mean | unused experts |",
        "|---|---|---|---|---|",
    ]
    for layer, load in enumerate(measured.load):
        mean = load.mean()
        rows.append(
            f"| {layer} | {measured.variation[layer]:.3f} | {load.max() / mean:.2f} | {load.min() / mean:.2f} "
            f"| {int((load == 0).sum())} |"
        )
    return "\n".join(rows)


def write_card(
    folder: Path,
    shape: Shape,
    recipe: Recipe,
    genres: dict[str, Genre],
    windows: list[np.ndarray],
    measured: Measured,
    overlap: tuple[int, int],
) -> None:
    weights = folder / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    parameters = sum(parameter.numel() for parameter in TinyOlmoe(shape).parameters())
    step_tokens = recipe.micro_batches * 2 * len(GENRES) * SEQUENCE
    held_out = sum(measured.tokens.values())
    text = f"""---
license: other
library_name: transformers
pipeline_tag: text-generation
---
# tiny-olmoe: the small OLMoE that ships with routesig

A mixture-of-experts language model with OLMoE-1B-7B's routing on a narrow network, trained from nothing by
`scripts/train_tiny_olmoe.py`, which also wrote this page. It exists so that routing can be recorded and studied
offline, through the same code as any OLMoE checkpoint.

**What it is not.** It is no chat model and knows nothing: generated text has the form of its genre, not its
content. A solution looks like a solution and is usually wrong; greedy text repeats itself. Do not use it for answers,
and do not read its routing as evidence about large models.

## Shape
{shape.layers} layers, {shape.experts} experts per layer, top-{shape.top_k} (not renormalised), width {shape.hidden_size},
{shape.heads} heads of {shape.head_size}, expert width {shape.expert_width}, vocabulary {shape.vocab_size:,} (byte-level
BPE), untied head, QK-norm, no clipping, rotary embedding with theta {shape.rope_theta:,.0f}. {parameters:,} parameters.

Stored in bf16, {weights.stat().st_size:,} bytes, SHA-256 `{digest}`; compute in float32.
It was trained on sequences of {SEQUENCE} tokens. `max_position_embeddings` is {shape.context}: positions past
{SEQUENCE} work but were never trained.

## Text
{_source_table()}

Mathematics comes from templates of our own, with worked solutions. Every source is used both as running text and as
instruction -> answer pairs, with one newline between instruction and answer and `<|endoftext|>` after the answer.
Story answers are passages of the novels and have nothing to do with their instruction. `NOTICE` at the root of the
repository carries the notices that these licences ask for.

## Training
{recipe.steps:,} steps of {step_tokens:,} tokens ({recipe.steps * step_tokens:,} in all), seed {recipe.seed},
{recipe.workers} worker processes. AdamW, learning rate {recipe.learning_rate:g} after {recipe.warm_up} warm-up steps,
in the last {recipe.cool_down} steps falling linearly to {recipe.final_share:.0%} of it, betas {recipe.betas[0]}
and {recipe.betas[1]}, weight decay {recipe.weight_decay}, gradient norm clipped at {recipe.clip:g}; bf16 products with
float32 router, norms and attention.
For each layer a load-balancing loss of its own with weight {recipe.balance_weight} and a router z-loss with weight
{recipe.z_weight}. The four genres, and pairs and running text within each, have equal shares of every batch.

{_genre_table(genres, windows, recipe, measured)}

Losses are those of the stored bf16 weights computed in float32, on {held_out:,} tokens of files, passages, meanings and
problems that were never trained on (`tests/data/heldout_tokens.npz`: half pairs and half running text, taken in
windows of {SEQUENCE}).

## Load of the experts on the held-out tokens
CV is the standard deviation over the mean of the {shape.experts} selection counts of a layer. The largest is
{measured.variation.max():.3f}; unused experts in all layers: {int((measured.load == 0).sum())}.

{_load_table(measured)}

## The shipped prompts
The {overlap[1]} prompts of `prompts.jsonl` were written and frozen before training. None is word for word a training
instruction (the training script refuses to start otherwise), and {overlap[0]} of {overlap[1]} share their first three
words with one. While the recipe was being set up, their routing was looked at on intermediate checkpoints; no prompt
was changed for it.

## Licence
The weights derive from the texts above: Python's source (PSF licence), Jane Austen's novels (public domain) and
WordNet 3.0 (WordNet licence, whose notice must accompany copies: see `NOTICE`).
"""
    (folder / "README.md").write_text(text, "utf-8")
