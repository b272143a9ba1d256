"""Compare routesig's OLMoE with Hugging Face's, layer by layer, and write docs/parity.md.

    python scripts/parity.py            # measure and write the page
    python scripts/parity.py --print    # measure and print it

tests/python/test_parity.py runs the same measurements and holds them to the bounds that the page states.
Shapes: L layers, T tokens, E experts, K = top_k, V vocabulary.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import platform
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

import routesig as rs

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "python" / "routesig" / "data" / "tiny-olmoe"

LOGIT_BOUND = 1e-4  # max |delta logit| in float32
MARGIN = 1e-5  # router logits of ranks k and k + 1 closer than this may swap
BF16_BOUND = 0.85  # share of expert sets that agree in bfloat16


@dataclass(frozen=True)
class Case:
    """A model and what is run through it. `config` is OlmoeConfig's; None is the shipped model."""

    name: str
    what: str
    config: dict[str, Any] | None
    lengths: tuple[int, ...] = (1, 3, 17, 40)
    new_tokens: int = 24


CASES = [
    Case(
        "grouped",
        "2 layers, 8 experts, top-2; 4 heads on 2 key/value heads, renormalised weights, biases in the attention, clipped "
        "q, k, v, tied head",
        {
            "vocab_size": 97,
            "hidden_size": 32,
            "intermediate_size": 8,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "num_experts": 8,
            "num_experts_per_tok": 2,
            "norm_topk_prob": True,
            "attention_bias": True,
            "clip_qkv": 0.7,
            "tie_word_embeddings": True,
            "max_position_embeddings": 128,
            "initializer_range": 0.1,
        },
    ),
    Case(
        "deep",
        "16 layers, 64 experts, top-8, width 96: the routing shape of OLMoE-1B-7B",
        {
            "vocab_size": 512,
            "hidden_size": 96,
            "intermediate_size": 8,
            "num_hidden_layers": 16,
            "num_attention_heads": 6,
            "num_experts": 64,
            "num_experts_per_tok": 8,
            "max_position_embeddings": 128,
            "initializer_range": 0.1,
        },
    ),
    Case(
        "middle",
        "4 layers, 64 experts, top-8, width 256, expert width 64",
        {
            "vocab_size": 512,
            "hidden_size": 256,
            "intermediate_size": 64,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_experts": 64,
            "num_experts_per_tok": 8,
            "max_position_embeddings": 128,
            "initializer_range": 0.05,
        },
    ),
    Case(
        "full width",
        "1 layer of OLMoE-1B-7B's width: 2048, 16 heads, 64 experts of width 1024, top-8; vocabulary cut to 512",
        {
            "vocab_size": 512,
            "hidden_size": 2048,
            "intermediate_size": 1024,
            "num_hidden_layers": 1,
            "num_attention_heads": 16,
            "num_experts": 64,
            "num_experts_per_tok": 8,
            "max_position_embeddings": 128,
        },
        lengths=(1, 9, 30),
        new_tokens=6,
    ),
    Case("shipped", "the model in the package, 16 of its prompts", None),
]


@dataclass
class Row:
    """One line of the table: what our way of running did against Hugging Face one prompt at a time."""

    case: str
    dtype: str
    mode: str
    delta_logit: float | None  # max over untouched tokens and the vocabulary; None where only ids come out
    delta_router: float  # max over untouched rows and experts
    rows: int = 0  # routing decisions: layers x tokens
    near: int = 0  # of these with a margin below MARGIN
    differing: int = 0  # of these with other experts
    touched: int = 0  # of these after a row with other experts: they have another past
    unexplained: int = 0  # untouched, with other experts and a margin of MARGIN or more
    worst_layer: float = 1.0  # share of equal sets in the layer with the fewest
    tokens: int = 0  # generated
    other_tokens: int = 0  # of these not Hugging Face's choice, though untouched

    @property
    def agreement(self) -> float:
        return 1.0 - self.differing / self.rows


@dataclass
class Reference:
    """What Hugging Face computed for one sequence: prefill alone, then token by token through its cache."""

    prompt: list[int]
    new_ids: list[int] = field(default_factory=list)
    logits: np.ndarray | None = None  # [T, V] of the prompt
    routers: np.ndarray | None = None  # [L, T + N - 1, E]


def build(case: Case, folder: Path, dtype: torch.dtype) -> Any:
    """Hugging Face's model of a case, read back from `folder`, where transformers saved it in `dtype`.

    Full width is always stored in bfloat16, to spare the disk, and computed in `dtype`. Read back, because `.to(dtype)`
    would round the rotary frequencies as well, which `from_pretrained` does not.
    """
    if case.config is not None:
        torch.manual_seed(0)
        config = transformers.OlmoeConfig(**case.config, eos_token_id=None, pad_token_id=None)
        drawn = transformers.OlmoeForCausalLM(config)
        with torch.no_grad():
            for name, parameter in drawn.named_parameters():
                if name.endswith(".bias"):  # transformers leaves them at 0
                    parameter.normal_(0.0, config.initializer_range)
        drawn.to(torch.bfloat16 if case.name == "full width" else dtype).save_pretrained(folder)
        del drawn
        gc.collect()
    source = SHIPPED if case.config is None else folder
    return transformers.OlmoeForCausalLM.from_pretrained(source, dtype=dtype).eval()


def prompts_of(case: Case) -> list[list[int]]:
    if case.config is None:
        tokenizer = rs.load_model().tokenizer
        return [tokenizer.encode(prompt.text).ids for prompt in rs.load_prompts()[::5]]
    random = np.random.default_rng(1)
    return [random.integers(0, case.config["vocab_size"], length).tolist() for length in case.lengths]


@torch.inference_mode()
def reference(model: Any, prompt: list[int], new_tokens: int) -> Reference:
    """Greedy through Hugging Face's cache; ties to the lower id."""
    out = Reference(prompt)
    answer = model(torch.tensor([prompt]), output_router_logits=True, use_cache=True)
    out.logits = answer.logits[0].float().numpy()
    routers = [torch.stack(answer.router_logits).float().numpy()]  # [L, T, E]
    out.new_ids.append(int(out.logits[-1].argmax()))
    while len(out.new_ids) < new_tokens:
        answer = model(
            torch.tensor([out.new_ids[-1:]]),
            past_key_values=answer.past_key_values,
            output_router_logits=True,
            use_cache=True,
        )
        routers.append(torch.stack(answer.router_logits).float().numpy())
        out.new_ids.append(int(answer.logits[0, -1].float().numpy().argmax()))
    out.routers = np.concatenate(routers, axis=1)
    return out


def chosen(router_logits: np.ndarray, top_k: int) -> np.ndarray:
    """Expert sets as Hugging Face picks them, sorted: [L, T, K]."""
    probabilities = torch.from_numpy(router_logits).softmax(-1)
    return np.sort(probabilities.topk(top_k, dim=-1).indices.numpy(), axis=-1)


@dataclass
class Cut:
    """The first rows of a trace."""

    info: rs.RoutingInfo
    experts: np.ndarray  # [L, T, K]
    router_logits: np.ndarray  # [L, T, E]


def heard_of(differs: np.ndarray) -> np.ndarray:
    """Whether a row, or the logits after the last layer, heard of one that differs: [L + 1, T] of bool [L, T].

    A row hears of the layers below, at its own position and at those before it.
    """
    heard = np.zeros((len(differs) + 1, differs.shape[1]), dtype=bool)
    heard[1:] = np.logical_or.accumulate(np.logical_or.accumulate(differs, axis=0), axis=1)
    return heard


def same_experts(trace: rs.RoutingTrace | Cut, expected: Reference) -> np.ndarray:
    """Rows with Hugging Face's set of experts: bool [L, T]."""
    ours = np.sort(trace.experts, axis=-1)
    return (ours == chosen(expected.routers[:, : ours.shape[1]], ours.shape[2])).all(-1)


def compare_routing(row: Row, traces: Sequence[rs.RoutingTrace | Cut], references: list[Reference]) -> None:
    agree = []  # bool [L, T] of each trace
    for trace, expected in zip(traces, references, strict=True):
        top_k = trace.info.top_k
        routers = expected.routers[:, : trace.experts.shape[1]]
        same = same_experts(trace, expected)
        untouched = ~heard_of(~same)[:-1]
        delta = np.abs(trace.router_logits - routers).max(-1)
        row.delta_router = max(row.delta_router, float(delta[untouched].max()))
        ranked = np.sort(routers, axis=-1)[..., ::-1]
        margin = ranked[..., top_k - 1] - ranked[..., top_k]
        row.rows += same.size
        row.near += int((margin < MARGIN).sum())
        row.differing += int((~same).sum())
        row.touched += int((~untouched).sum())
        row.unexplained += int((~same & untouched & (margin >= MARGIN)).sum())
        agree.append(same)
    row.worst_layer = float(np.concatenate(agree, axis=1).mean(axis=1).min())


def recorder() -> rs.TraceRecorder:
    return rs.TraceRecorder(weights=False, router_logits=True)


def measure_forward(case: Case, dtype: str, model: rs.Model, references: list[Reference], batched: bool) -> Row:
    row = Row(case.name, dtype, f"prefill, {'one batch' if batched else 'one by one'}", 0.0, 0.0)
    prompts = [r.prompt for r in references]
    heard = recorder()
    if batched:
        logits = model.forward(prompts, recorder=heard)
    else:
        logits = [model.forward(prompt, recorder=heard) for prompt in prompts]
    for ours, trace, expected in zip(logits, heard.traces, references, strict=True):
        untouched = ~heard_of(~same_experts(trace, expected))[-1]
        row.delta_logit = max(row.delta_logit, float(np.abs(ours - expected.logits)[untouched].max(initial=0.0)))
    compare_routing(row, list(heard.traces), references)
    return row


def measure_generate(case: Case, dtype: str, model: rs.Model, references: list[Reference], batched: bool) -> Row:
    """Where an id differs, what follows has another past: rows are compared up to the first such id.

    An id that differs after a row with other experts is that row's doing, and is not counted again.
    """
    row = Row(case.name, dtype, f"cached decoding, {'one batch' if batched else 'one by one'}", None, 0.0)
    options = {"max_new_tokens": case.new_tokens, "ignore_eos": True}
    prompts = [r.prompt for r in references]
    heard = recorder()
    if batched:
        answers = model.generate(prompts, recorder=heard, **options)
    else:
        answers = [model.generate(prompt, recorder=heard, **options) for prompt in prompts]
    cuts = []
    for answer, trace, expected in zip(answers, heard.traces, references, strict=True):
        same = [a == b for a, b in zip(answer, expected.new_ids, strict=True)]
        row.tokens += len(same)
        rows = len(expected.prompt) + (same.index(False) if False in same else len(same) - 1)
        cut = Cut(trace.info, trace.experts[:, :rows], trace.router_logits[:, :rows])
        if False in same and not heard_of(~same_experts(cut, expected))[-1, -1]:  # the logits that chose the first
            row.other_tokens += len(same) - same.index(False)
        cuts.append(cut)
    compare_routing(row, cuts, references)
    return row


@contextlib.contextmanager
def threads(case: Case) -> Iterator[None]:
    """One thread for small models: their products take microseconds, and waiting for a second thread costs more."""
    before = torch.get_num_threads()
    if case.config is None or case.config["hidden_size"] < 512:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure(case: Case, dtype: str) -> list[Row]:
    """All rows of a case in "float32" or "bfloat16"."""
    with tempfile.TemporaryDirectory(prefix="routesig-parity-") as scratch, threads(case):
        folder = Path(scratch)
        theirs = build(case, folder, getattr(torch, dtype))
        references = [reference(theirs, prompt, case.new_tokens) for prompt in prompts_of(case)]
        del theirs
        gc.collect()
        ours = rs.load_model(SHIPPED if case.config is None else folder, dtype=dtype, device="cpu")
        return [
            run(case, dtype, ours, references, batched)
            for run in (measure_forward, measure_generate)
            for batched in (False, True)
        ]


HEAD = """# Parity with Hugging Face

routesig's OLMoE against `OlmoeForCausalLM` of transformers {transformers} on PyTorch {torch}, on a CPU ({machine}).
Hugging Face runs every prompt alone and without padding: its forward pass, then its cache token by token, greedily.
Written by `python scripts/parity.py`; `tests/python/test_parity.py` measures the same and holds it to these bounds:

- float32: the experts of a row are the same set unless the router logits of ranks k and k + 1 lie within {margin:g} of
  each other. Such rows are counted, and what hears of one that went the other way (later layers, at its own and later
  positions) is counted as *touched*. Of everything else no logit differs by more than {logit_bound:g}.
- bfloat16: expert sets agree in at least {bf16_bound:.0%} of the rows. Both compute router logits in bfloat16 and the
  softmax in float32; sums are rounded in another order, and near ties are many.

| model | what it is |
|---|---|
{cases}

Weights are random but for the shipped model. *Rows* are routing decisions, tokens times layers; *near ties* are rows whose
margin is below {margin:g}, *other sets* rows with other experts, *outside the margin* those of them that are neither a near
tie nor touched. Differences of logits are over what is untouched. Decoding gives ids, not logits, so there the router's
logits are compared, over prompt and generated tokens, and the ids: *ids* counts those from the first that is not Hugging
Face's choice on; rows after such an id have another past and are left out.
"""


def table(rows: list[Row], dtype: str) -> str:
    lines = [
        f"## {dtype}\n",
        "| model | run | max \\|Δ logit\\| | max \\|Δ router logit\\| | rows | near ties | other sets | touched | "
        "outside the margin | agreement | lowest layer | ids |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in (r for r in rows if r.dtype == dtype):
        logit = "" if r.delta_logit is None else f"{r.delta_logit:.1e}"
        ids = f"{r.other_tokens} of {r.tokens}" if r.tokens else ""
        lines.append(
            f"| {r.case} | {r.mode} | {logit} | {r.delta_router:.1e} | {r.rows} | {r.near} | {r.differing} | {r.touched} | "
            f"{r.unexplained} | {r.agreement:.2%} | {r.worst_layer:.2%} | {ids} |"
        )
    return "\n".join(lines) + "\n"


def machine() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def page(rows: list[Row]) -> str:
    measured = {row.case for row in rows}
    head = HEAD.format(
        transformers=transformers.__version__,
        torch=torch.__version__.split("+")[0],
        machine=machine(),
        logit_bound=LOGIT_BOUND,
        margin=MARGIN,
        bf16_bound=BF16_BOUND,
        cases="\n".join(f"| {case.name} | {case.what} |" for case in CASES if case.name in measured),
    )
    return "\n".join([head, table(rows, "float32"), table(rows, "bfloat16")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for dtype in ("float32", "bfloat16"):
        for case in CASES:
            if case.config is None and not (SHIPPED / "model.safetensors").is_file():
                print(f"{case.name}: skipped, {SHIPPED.relative_to(ROOT)} has no weights")
                continue
            print(f"{case.name}, {dtype} ...", flush=True)
            rows += measure(case, dtype)
    if arguments.print:
        print(page(rows))
    else:
        (ROOT / "docs" / "parity.md").write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
