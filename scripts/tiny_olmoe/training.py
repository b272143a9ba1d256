"""The training loop: one single-threaded process a core, gradients summed through shared memory.

At this size the operators are too short to share between threads (waking one costs as much as the work);
two processes with half the batch each are more than half as fast again. Each sums the gradients in the same
order and takes the same optimizer step, so their weights stay equal bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.multiprocessing as multiprocessing
import torch.nn.functional as functional
from torch import Tensor

from .network import Shape, TinyOlmoe, auxiliary_losses
from .prompts import GENRES


@dataclass(frozen=True)
class Recipe:
    steps: int
    seed: int
    workers: int
    micro_batches: int = 4  # a step; each has one window of each genre and form, so genres are balanced
    learning_rate: float = 3e-3
    final_share: float = 0.05  # of the learning rate, at the end of the cool-down
    warm_up: int = 100
    cool_down: int = 700
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 1.0
    balance_weight: float = 0.02  # for each layer
    z_weight: float = 0.001  # for each layer
    checkpoint_every: int = 0

    def rate(self, step: int) -> float:
        """Linear warm-up, constant, linear cool-down: all but the end is the same for any number of steps."""
        warm = min(1.0, (step + 1) / self.warm_up)
        cool = min(1.0, (self.steps - step) / self.cool_down)
        return self.learning_rate * warm * (self.final_share + (1 - self.final_share) * cool)


def batches(windows: list[np.ndarray], recipe: Recipe) -> Iterator[np.ndarray]:
    """[micro_batches, 8, S + 1] a step: every array is walked in a shuffled order, again and again."""
    generator = np.random.default_rng(recipe.seed)
    orders = [np.empty(0, dtype=np.int64) for _ in windows]
    while True:
        columns = []
        for at, rows in enumerate(windows):
            if len(orders[at]) < recipe.micro_batches:
                orders[at] = np.concatenate((orders[at], generator.permutation(len(rows))))
            columns.append(rows[orders[at][: recipe.micro_batches]])
            orders[at] = orders[at][recipe.micro_batches :]
        yield np.stack(columns, axis=1).astype(np.int64)


def micro_step(model: TinyOlmoe, rows: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor, Tensor]:
    """Backward through one micro-batch [8, S + 1]; the loss of each row, the balance and the z-loss."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states, routings = model(rows[:, :-1])
        logits = model.lm_head(states).float()
    losses = functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="none")
    balance, z_loss = auxiliary_losses(routings, model.shape)
    total = losses.mean() + recipe.balance_weight * balance + recipe.z_weight * z_loss
    (total / recipe.micro_batches).backward()
    layers = model.shape.layers
    return losses.detach().view(rows.shape[0], -1).mean(1), balance.detach() / layers, z_loss.detach() / layers


def flat_gradients(model: TinyOlmoe) -> Tensor:
    """One tensor of which every parameter's gradient is a view: summed and clipped in one go."""
    flat = torch.zeros(sum(parameter.numel() for parameter in model.parameters()))
    at = 0
    for parameter in model.parameters():
        parameter.grad = flat[at : at + parameter.numel()].view_as(parameter)
        at += parameter.numel()
    return flat


def make_optimizer(model: TinyOlmoe, recipe: Recipe) -> torch.optim.AdamW:
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    scales = [parameter for parameter in model.parameters() if parameter.dim() == 1]  # norms are not decayed
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": scales, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=True)


class Progress:
    """One line every fifty steps: the loss of each genre and the auxiliary losses of this worker's share."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.losses: list[Tensor] = []
        self.started = time.monotonic()
        self.last, self.last_step = self.started, 0

    def add(self, losses: Tensor, balance: Tensor, z_loss: Tensor) -> None:
        self.losses.append(torch.cat((losses.view(len(GENRES), -1).mean(1), balance.view(1), z_loss.view(1))))

    def report(self, step: int, tokens: int) -> None:
        if step % 50 and step != self.recipe.steps:
            return
        means = torch.stack(self.losses).mean(0).tolist()
        now = time.monotonic()
        shown = " ".join(f"{name} {value:.3f}" for name, value in zip((*GENRES, "balance", "z"), means, strict=True))
        print(
            f"step {step}/{self.recipe.steps} {shown} {tokens * (step - self.last_step) / (now - self.last):.0f} tokens/s "
            f"{now - self.started:.0f} s",
            flush=True,
        )
        self.losses, self.last, self.last_step = [], now, step


def work(
    rank: int, shape: Shape, recipe: Recipe, windows: list[np.ndarray], shared: Tensor, barrier: Any, folder: Path
) -> None:
    """One worker: its micro-batches of every step. `shared` is [2, workers, parameters]."""
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    model = TinyOlmoe(shape)
    flat = flat_gradients(model)
    optimizer = make_optimizer(model, recipe)
    progress = Progress(recipe)
    stream = batches(windows, recipe)
    for step in range(1, recipe.steps + 1):
        batch = torch.from_numpy(next(stream))
        for rows in batch[rank :: recipe.workers]:
            progress.add(*micro_step(model, rows, recipe))
        mailbox = shared[step % 2]  # two in turn: a fast worker must not overwrite what a slow one still reads
        mailbox[rank].copy_(flat)
        barrier.wait()
        torch.sum(mailbox, 0, out=flat)
        flat.mul_(torch.clamp(recipe.clip / (flat.norm() + 1e-6), max=1.0))
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step - 1)
        optimizer.step()
        flat.zero_()
        if rank == 0:
            progress.report(step, batch[:, :, 1:].numel())
            if step == recipe.steps or (recipe.checkpoint_every and step % recipe.checkpoint_every == 0):
                torch.save(model.state_dict(), folder / f"step-{step}.pt")


def train(shape: Shape, recipe: Recipe, windows: list[np.ndarray], folder: Path) -> Path:
    """Train and return the file with the final fp32 weights."""
    if recipe.micro_batches % recipe.workers:
        raise SystemExit(f"training: --threads must divide {recipe.micro_batches}, got {recipe.workers}")
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    parameters = sum(parameter.numel() for parameter in TinyOlmoe(shape).parameters())
    shared = torch.zeros(2, recipe.workers, parameters).share_memory_()
    barrier = context.Barrier(recipe.workers)
    multiprocessing.spawn(work, (shape, recipe, windows, shared, barrier, folder), nprocs=recipe.workers)
    return folder / f"step-{recipe.steps}.pt"
