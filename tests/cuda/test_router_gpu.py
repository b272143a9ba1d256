"""The router's kernel on a GPU, through the operators. Skipped with one line where there is none."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))  # router_oracle.py

torch = pytest.importorskip("torch", reason="the operators need PyTorch")
ops = pytest.importorskip("routesig.ops", reason="this build has no LibTorch", exc_type=ImportError)

from router_oracle import route, rule_values, with_specials  # noqa: E402

import routesig as rs  # noqa: E402
from routesig import _torch  # noqa: E402

if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)
if not _torch.has_cuda_kernel:
    pytest.skip("this build has no CUDA kernel", allow_module_level=True)

GPU = "cuda"
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
EXPERTS = (1, 2, 7, 8, 16, 60, 64, 65, 72, 128, 129, 160, 256, 257, 384, 512, 513, 1024)
RULES = {
    "softmax": {},
    "renormalized": {"renormalize": True},
    "topk_softmax": {"scoring": "topk_softmax", "scale": 0.5},
    "sigmoid": {"scoring": "sigmoid"},
    "biased": {"scoring": "sigmoid", "renormalize": True, "scale": 2.5, "bias": True},
    "grouped": {"scoring": "sigmoid", "renormalize": True, "bias": True, "groups": 4, "kept_groups": 2},
}


def on_gpu(rule: dict) -> dict:
    return {name: value.to(GPU) if isinstance(value, torch.Tensor) else value for name, value in rule.items()}


def filled(rule: dict, experts: int) -> dict:
    return {**rule, "bias": rule_values(experts, seed=9) if rule.get("bias") else None}


def room(rule: dict, experts: int) -> int:
    """The largest k of a rule, 0 where it does not fit."""
    groups = rule.get("groups", 1)
    if experts % groups != 0 or (groups > 1 and experts // groups < 2):
        return 0
    return min(32, experts // groups * rule.get("kept_groups", 1))


def recorded(logits, k, rule, trace_type=torch.uint8):
    counts = torch.zeros(logits.shape[1], dtype=torch.int64, device=GPU)
    trace = torch.zeros(logits.shape[0], k, dtype=torch.uint8, device=GPU).to(trace_type)
    return (*ops.topk_router_record(logits, k, counts=counts, trace=trace, **rule), counts, trace)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_whole_grid_agrees_with_a_stable_sort(rule, dtype):
    shapes = 0
    for experts in EXPERTS:
        for k in sorted({1, 2, 3, 4, 6, 8, 9, 16, 17, 31, 32, experts} & set(range(room(rule, experts) + 1))):
            logits, full = with_specials(70, experts, dtype, seed=experts + k), filled(rule, experts)
            weights, ids = ops.topk_router(logits.to(GPU), k, **on_gpu(full))
            expected_weights, expected_ids = route(logits, k, **full)
            shape = f"{experts} experts, k {k}"
            assert torch.equal(ids.cpu(), expected_ids), shape
            assert (weights.dtype, weights.device.type, ids.dtype) == (torch.float32, "cuda", torch.int64)
            torch.testing.assert_close(weights.cpu(), expected_weights, rtol=2e-5, atol=1e-12, equal_nan=True)
            shapes += 1
    assert shapes > 30


@pytest.mark.parametrize("rows", [0, 1, 3, 31, 4096, 100_003])
def test_any_number_of_rows_and_every_row_alone(rows):
    logits = torch.randn(rows, 64, generator=torch.Generator().manual_seed(rows)).to(GPU, torch.bfloat16)
    weights, ids, counts, trace = recorded(logits, 8, {})
    assert torch.equal(trace.to(torch.int64), ids)
    assert torch.equal(counts, torch.bincount(ids.flatten(), minlength=64))
    for row in {0, rows // 2, rows - 1} & set(range(rows)):
        alone_weights, alone_ids = ops.topk_router(logits[row : row + 1], 8)
        assert torch.equal(alone_ids[0], ids[row])
        assert torch.equal(alone_weights[0], weights[row])  # the same bits, whatever else is in the batch


@pytest.mark.parametrize("trace_type", [torch.uint8, torch.uint16], ids=str)
def test_counts_accumulate_and_strided_records_are_written(trace_type):
    logits = with_specials(50, 64, torch.float32, seed=5).to(GPU)
    counts = torch.zeros(64, 2, dtype=torch.int64, device=GPU)
    trace = torch.full((50, 16), 99, dtype=torch.uint8, device=GPU).to(trace_type)
    for turn in (1, 2):
        _, ids = ops.topk_router_record(logits, 8, counts=counts[:, 1], trace=trace[:, 4:12])
        assert torch.equal(counts[:, 1], turn * torch.bincount(ids.flatten(), minlength=64))
    wide = trace.to(torch.int64)
    assert torch.equal(wide[:, 4:12], ids)
    assert (wide[:, :4] == 99).all()
    assert (wide[:, 12:] == 99).all()
    assert counts[:, 0].sum() == 0


def test_strides_do_not_matter():
    wide = with_specials(40, 256, torch.bfloat16, seed=3).to(GPU)
    for logits in (wide[:, :64], wide[:, 3:67], wide[::3, ::4], wide[:, :40].T, wide[:1, :64].expand(5, 64)):
        weights, ids = ops.topk_router(logits, 6)
        expected_weights, expected_ids = ops.topk_router(logits.contiguous(), 6)
        assert torch.equal(ids, expected_ids)
        assert torch.equal(weights.nan_to_num(-1), expected_weights.nan_to_num(-1))


def test_the_cpu_chooses_the_same_experts():
    for dtype in DTYPES:
        logits = with_specials(200, 128, dtype, seed=8)
        for rule in RULES.values():
            full = filled(rule, 128)
            weights, ids = ops.topk_router(logits.to(GPU), 8, **on_gpu(full))
            cpu_weights, cpu_ids = ops.topk_router(logits, 8, **full)
            assert torch.equal(ids.cpu(), cpu_ids)
            torch.testing.assert_close(weights.cpu(), cpu_weights, rtol=2e-5, atol=1e-12, equal_nan=True)


def test_agrees_with_softmax_and_topk_where_nothing_ties():
    logits = torch.randn(5000, 64, generator=torch.Generator().manual_seed(2)).to(GPU)
    expected_weights, expected_ids = torch.topk(torch.softmax(logits, 1), 8, dim=1)
    weights, ids = ops.topk_router(logits, 8)
    clear = (torch.sort(logits, 1).values.diff(dim=1) > 1e-5).all(1)  # rows that rounding cannot reorder
    assert clear.sum() > 4000
    assert torch.equal(ids[clear], expected_ids[clear])
    torch.testing.assert_close(weights[clear], expected_weights[clear], rtol=2e-5, atol=1e-12)


def test_recording_is_captured_in_a_graph_and_replayed():
    logits = torch.randn(300, 64, device=GPU)
    counts = torch.zeros(64, dtype=torch.int64, device=GPU)
    trace = torch.zeros(300, 8, dtype=torch.uint8, device=GPU)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # warms up
        ops.topk_router_record(logits, 8, counts=counts, trace=trace)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        weights, ids = ops.topk_router_record(logits, 8, counts=counts, trace=trace)
    counts.zero_()
    expected = torch.zeros_like(counts)
    for seed in range(3):
        logits.copy_(torch.randn(300, 64, generator=torch.Generator().manual_seed(seed)))
        graph.replay()
        eager_weights, eager_ids = ops.topk_router(logits, 8)
        assert torch.equal(ids, eager_ids)
        assert torch.equal(weights, eager_weights)
        assert torch.equal(trace.to(torch.int64), eager_ids)
        expected += torch.bincount(eager_ids.flatten(), minlength=64)
    assert torch.equal(counts, expected)


def test_it_runs_on_the_current_stream():
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        logits = torch.zeros(1000, 64, device=GPU)
        for _ in range(200):
            logits = logits + torch.eye(64, device=GPU)[5]  # on another stream the router would not wait for these
        weights, ids = ops.topk_router(logits, 1)
    side.synchronize()
    assert (ids == 5).all()
    torch.testing.assert_close(weights, torch.ones_like(weights))


@pytest.mark.parametrize("rule", [RULES["softmax"], RULES["grouped"]], ids=["softmax", "grouped"])
def test_opcheck(rule):
    rule, logits = on_gpu(filled(rule, 16)), torch.randn(6, 16, device=GPU)
    record = {
        "counts": torch.zeros(16, dtype=torch.int64, device=GPU),
        "trace": torch.zeros(6, 3, dtype=torch.uint8, device=GPU),
    }
    torch.library.opcheck(torch.ops.routesig.topk_router, (logits, 3), rule)
    torch.library.opcheck(torch.ops.routesig.topk_router_record, (logits, 3), {**rule, **record})


def test_records_on_another_device_are_refused():
    with pytest.raises(ValueError, match=r"^topk_router_record: expected counts and trace on cuda:0"):
        ops.topk_router_record(
            torch.zeros(2, 8, device=GPU),
            2,
            counts=torch.zeros(8, dtype=torch.int64),
            trace=torch.zeros(2, 2, dtype=torch.uint8, device=GPU),
        )


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.5)])
def test_the_model_routes_there_as_on_the_cpu(dtype, tolerance):
    prompts = [list(range(5, 40)), [7, 300, 12]]
    logits, traces = {}, {}
    for device in ("cpu", GPU):
        model, recorder = rs.load_model(device=device, dtype=dtype), rs.TraceRecorder()
        quiet = model.forward(prompts)
        logits[device] = model.forward(prompts, recorder=recorder)
        for a, b in zip(quiet, logits[device], strict=True):
            assert a.tobytes() == b.tobytes()  # recording changes no bit
        traces[device] = recorder.traces
    same = 0.0
    for i in range(len(prompts)):
        assert abs(logits["cpu"][i] - logits[GPU][i]).max() < tolerance
        cpu, gpu = (torch.from_numpy(traces[device][i].experts.astype("int64")) for device in ("cpu", GPU))
        same += float((cpu.sort(-1).values == gpu.sort(-1).values).float().mean()) / len(prompts)
    assert same > (0.999 if dtype == "float32" else 0.9)
