"""The router's kernel on a GPU against PyTorch's kernels, a latency and the memory; prints JSON lines of seconds.

Calls are captured in a CUDA graph and timed by events, so that what is measured is the device's time, not Python's.
Bandwidth is read as a ratio: the peer copies as many bytes as the router has to read and write.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

EXPERTS, TOP_K, ROUNDS, CALLS = 64, 8, 7, 50
LATENCY = 3e-6  # seconds, to reach up to 4,096 tokens
SMALL, LARGE = (1, 64, 512, 4096), (262_144, 1_048_576)
BYTES_A_ROW = EXPERTS * 2 + TOP_K * (4 + 8)  # bfloat16 logits in; float32 weights and int64 ids out


def seconds_a_call(torch: Any, call: Callable[[], Any]) -> Callable[[], float]:
    """Capture CALLS calls in one graph; what is returned replays it and says how long one call took."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        call()  # warms up outside the graph
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(CALLS):
            call()
    graph.replay()

    def measure() -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) * 1e-3 / CALLS

    return measure


def report(item: str, peer: str, ours: Callable[[], float], theirs: Callable[[], float], target: float | None) -> None:
    """Measure both in turns and print one line for bench/table.py."""
    seconds = [(ours(), theirs()) for _ in range(ROUNDS)]
    print(json.dumps({"item": item, "peer": peer, "seconds": seconds, "target": target}), flush=True)


def compare(torch: Any, ops: Any, tokens: int) -> None:
    """All comparisons for one number of tokens."""
    logits = torch.randn(tokens, EXPERTS, device="cuda").to(torch.bfloat16)
    counts = torch.zeros(EXPERTS, dtype=torch.int64, device="cuda")
    trace = torch.empty(tokens, TOP_K, dtype=torch.uint8, device="cuda")
    route = seconds_a_call(torch, lambda: ops.topk_router(logits, TOP_K))
    record = seconds_a_call(torch, lambda: ops.topk_router_record(logits, TOP_K, counts=counts, trace=trace))
    plain = seconds_a_call(torch, lambda: torch.topk(torch.softmax(logits, 1, dtype=torch.float32), TOP_K, dim=1))

    item = f"route {tokens:,} tokens on the GPU"
    report(item, "torch.softmax + torch.topk", route, plain, None)
    report(f"{item}, recording", "without recording", record, route, 1 / 1.08)
    if tokens in SMALL:
        report(item, f"{LATENCY * 1e6:.0f} us", route, lambda: LATENCY, 1.0)
    else:
        moved = torch.empty(2, tokens * BYTES_A_ROW // 2, dtype=torch.uint8, device="cuda")
        copy = seconds_a_call(torch, lambda: moved[0].copy_(moved[1]))
        report(item, f"copying its {BYTES_A_ROW} bytes per token", route, copy, 0.5)
        print(f"{item}: {tokens * BYTES_A_ROW / route() / 1e9:.0f} GB/s", file=sys.stderr)


def main() -> None:
    missing = ""
    try:
        import torch

        import routesig.ops as ops
        from routesig import _torch

        if not torch.cuda.is_available():
            missing = "no GPU"
        elif not _torch.has_cuda_kernel:
            missing = "this build has no CUDA kernel"
    except ImportError as problem:
        missing = str(problem)
    if missing:
        print(json.dumps({"skip": f"the router on a GPU: {missing}"}))
        return
    for tokens in (*SMALL, *LARGE):
        compare(torch, ops, tokens)


if __name__ == "__main__":
    sys.exit(main())
