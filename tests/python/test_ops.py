"""The router as PyTorch operators, against a stable sort and double precision in PyTorch."""

import math
import shutil
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="the operators need PyTorch")
ops = pytest.importorskip("routesig.ops", reason="this build has no LibTorch", exc_type=ImportError)

from router_oracle import route, rule_values, with_specials  # noqa: E402

import routesig as rs  # noqa: E402

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
RULES = (
    {},
    {"renormalize": True},
    {"scoring": "topk_softmax", "scale": 0.5},
    {"scoring": "sigmoid"},
    {"scoring": "sigmoid", "renormalize": True, "scale": 2.5, "bias": True},
    {"scoring": "sigmoid", "renormalize": True, "bias": True, "groups": 4, "kept_groups": 2},
)
NAMES = ("softmax", "renormalized", "topk_softmax", "sigmoid", "biased", "grouped")
rules = pytest.mark.parametrize("rule", RULES, ids=NAMES)


def filled(rule: dict, experts: int) -> dict:
    """A rule whose bias, where it has one, is a tensor."""
    bias = rule_values(experts, seed=9) if rule.get("bias") else None
    return {**rule, "bias": bias}


def recorded(logits, k, rule, dtype=torch.uint8):
    counts = torch.zeros(logits.shape[1], dtype=torch.int64)
    trace = torch.full((logits.shape[0], k), 77).to(dtype)
    return (*ops.topk_router_record(logits, k, counts=counts, trace=trace, **rule), counts, trace)


def expect_routed(logits, k, rule):
    weights, ids = ops.topk_router(logits, k, **rule)
    expected_weights, expected_ids = route(logits, k, **rule)
    assert (weights.dtype, ids.dtype) == (torch.float32, torch.int64)
    assert ids.tolist() == expected_ids.tolist()
    torch.testing.assert_close(weights, expected_weights, rtol=2e-6, atol=1e-30, equal_nan=True)


def test_worked_by_hand():
    logits = torch.tensor([[0.0, math.log(3.0), math.log(3.0), math.log(1.0)]])  # exp: 1, 3, 3, 1
    weights, ids = ops.topk_router(logits, 3)
    assert ids.tolist() == [[1, 2, 0]]  # ties go to the lower index
    torch.testing.assert_close(weights, torch.tensor([[3 / 8, 3 / 8, 1 / 8]]))
    weights, _ = ops.topk_router(logits, 3, renormalize=True, scale=7.0)
    torch.testing.assert_close(weights, torch.tensor([[3.0, 3.0, 1.0]]))


@rules
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_agrees_with_a_stable_sort_on_ties_nan_and_infinities(rule, dtype):
    ties = 0
    for experts in (8, 64, 72, 1024) if rule.get("groups") else (1, 2, 7, 64, 65, 300, 1024):
        for k in sorted({1, min(2, experts), min(8, experts // rule.get("groups", 1)), min(32, experts)}):
            if rule.get("groups") and k > experts // 2:
                continue
            logits = with_specials(48, experts, dtype, seed=experts + k)
            expect_routed(logits, k, filled(rule, experts))
            top = torch.topk(logits[24:].float(), k, dim=1).values
            ties += int((top[:, 1:] == top[:, :-1]).sum())
    assert ties > 100  # else ties were not looked at


def test_rows_without_a_softmax_keep_distinct_ids_and_have_nan_weights():
    nan, inf = math.nan, math.inf
    logits = torch.tensor([[nan, -inf, 3.0, inf], [-inf] * 4, [nan] * 4, [1.0, -inf, -inf, -inf], [1.0, nan, 0.0, 2.0]])
    for scoring in ("softmax", "topk_softmax", "sigmoid"):
        weights, ids = ops.topk_router(logits, 4, scoring=scoring)
        assert ids.tolist() == [[3, 2, 1, 0], [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3], [3, 0, 2, 1]]
        assert weights.isnan().all(1).tolist() == [True, True, True, False, True]
        assert not weights[3].isnan().any()


def test_weights_that_sum_to_zero_are_shared_equally():
    weights, ids = ops.topk_router(torch.full((1, 4), -200.0), 2, scoring="sigmoid", renormalize=True)
    assert weights.tolist() == [[0.5, 0.5]]
    assert ids.tolist() == [[0, 1]]


@rules
def test_strides_do_not_matter(rule):
    rule, wide = filled(rule, 16), with_specials(40, 64, torch.float32, seed=3)
    for logits in (wide[:16].T, wide[:, 8:24], wide[::3, ::4], wide[:1, :16].expand(5, 16), wide[:, :16].flip(0)):
        weights, ids = ops.topk_router(logits, 3, **rule)
        expected_weights, expected_ids = ops.topk_router(logits.contiguous(), 3, **rule)
        assert torch.equal(ids, expected_ids)
        assert weights.numpy().tobytes() == expected_weights.numpy().tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_no_rows_give_no_rows(dtype):
    logits = torch.empty(0, 8, dtype=dtype)
    weights, ids, counts, trace = recorded(logits, 3, {})
    assert (weights.shape, ids.shape, trace.shape) == ((0, 3), (0, 3), (0, 3))
    assert counts.tolist() == [0] * 8


@rules
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16], ids=str)
def test_recording_adds_counts_and_writes_the_trace_and_changes_nothing(rule, dtype):
    rule, logits = filled(rule, 64), with_specials(50, 64, torch.float32, seed=5)
    weights, ids, counts, trace = recorded(logits, 8, rule, dtype)
    alone_weights, alone_ids = ops.topk_router(logits, 8, **rule)
    assert torch.equal(ids, alone_ids)
    assert weights.numpy().tobytes() == alone_weights.numpy().tobytes()
    assert torch.equal(trace.to(torch.int64), ids)
    assert torch.equal(counts, torch.bincount(ids.flatten(), minlength=64))


def test_counts_accumulate_over_calls_and_layers_share_one_buffer():
    counts, buffer = torch.zeros(2, 300, dtype=torch.int64), torch.zeros(2, 20, 4, dtype=torch.uint16)
    chosen = []
    for layer in (0, 1):
        for seed in (layer, layer + 2):
            logits = with_specials(20, 300, torch.bfloat16, seed=seed)
            _, ids = ops.topk_router_record(logits, 4, counts=counts[layer], trace=buffer[layer])
            chosen.append(ids)
    assert torch.equal(buffer.to(torch.int64), torch.stack([chosen[1], chosen[3]]))
    for layer in (0, 1):
        both = torch.cat(chosen[2 * layer : 2 * layer + 2]).flatten()
        assert torch.equal(counts[layer], torch.bincount(both, minlength=300))
    assert int(buffer.to(torch.int64).max()) > 255  # ids that a byte cannot hold


def test_counts_and_trace_may_have_strides():
    logits = with_specials(10, 8, torch.float32, seed=1)
    counts, trace = torch.zeros(8, 2, dtype=torch.int64), torch.full((2, 10, 3), 9, dtype=torch.uint8).permute(1, 2, 0)
    _, ids = ops.topk_router_record(logits, 3, counts=counts[:, 1], trace=trace[:, :, 0])
    assert torch.equal(trace[:, :, 0].to(torch.int64), ids)
    assert (trace[:, :, 1] == 9).all()
    assert torch.equal(counts[:, 1], torch.bincount(ids.flatten(), minlength=8))
    assert counts[:, 0].sum() == 0


@rules
def test_the_same_bytes_on_any_number_of_threads(rule):
    logits, results = with_specials(1000, 64, torch.float32, seed=2), []
    before = rs.num_threads()
    try:
        for threads in (1, 2, 3):
            rs.set_num_threads(threads)
            results.append([t.numpy().tobytes() for t in recorded(logits, 8, filled(rule, 64))])
    finally:
        rs.set_num_threads(before)
    assert results[0] == results[1] == results[2]


@rules
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_opcheck(rule, dtype):
    rule, logits = filled(rule, 16), with_specials(6, 16, dtype, seed=4, finite=True)
    k, keywords = 3, {key: value for key, value in rule.items() if key != "bias"}
    torch.library.opcheck(torch.ops.routesig.topk_router, (logits, k), rule)
    if rule["bias"] is None:
        torch.library.opcheck(torch.ops.routesig.topk_router, (logits.requires_grad_(), k), keywords)
    record = {"counts": torch.zeros(16, dtype=torch.int64), "trace": torch.zeros(6, 3, dtype=torch.uint16)}
    torch.library.opcheck(torch.ops.routesig.topk_router_record, (logits.detach(), k), {**rule, **record})


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_works_under_compile_as_one_graph(backend):
    if backend == "inductor" and shutil.which("g++") is None:
        pytest.skip("inductor needs g++")

    def layer(states, router, counts, trace):
        logits = torch.nn.functional.linear(states, router)
        weights, ids = torch.ops.routesig.topk_router_record(logits, 2, renormalize=True, counts=counts, trace=trace)
        again, _ = torch.ops.routesig.topk_router(logits * 2, 2)
        return weights * 2 + again, ids + 1

    generator = torch.Generator().manual_seed(1)
    states, router = torch.randn(5, 6, generator=generator), torch.randn(8, 6, generator=generator)
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    eager_memory = torch.zeros(8, dtype=torch.int64), torch.zeros(5, 2, dtype=torch.uint8)
    memory = torch.zeros(8, dtype=torch.int64), torch.zeros(5, 2, dtype=torch.uint8)
    for _ in range(2):
        expected, got = layer(states, router, *eager_memory), compiled(states, router, *memory)
        torch.testing.assert_close(got, expected)
    assert torch.equal(memory[0], eager_memory[0])
    assert torch.equal(memory[1], eager_memory[1])
    assert int(memory[0].sum()) == 2 * 5 * 2


def test_a_new_number_of_tokens_needs_no_new_graph():
    compiled = torch.compile(ops.topk_router, backend="aot_eager", fullgraph=True, dynamic=True)
    compiled(torch.randn(3, 8), 2)
    with torch.compiler.set_stance("fail_on_recompile"):
        logits = torch.randn(11, 8)
        assert torch.equal(compiled(logits, 2)[1], ops.topk_router(logits, 2)[1])


@rules
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_the_gradient_of_the_weights_is_that_of_plain_pytorch(rule, compiled):
    rule = filled(rule, 16)
    router = torch.compile(ops.topk_router, backend="aot_eager", fullgraph=True) if compiled else ops.topk_router
    logits = torch.randn(7, 16, generator=torch.Generator().manual_seed(3))
    target = torch.randn(7, 4, generator=torch.Generator().manual_seed(4))
    gradients = []
    for make, leaf in ((router, logits.clone()), (route, logits.double())):
        weights, ids = make(leaf.requires_grad_(), 4, **rule)
        assert not ids.requires_grad
        (weights * target).sum().backward()
        gradients.append(leaf.grad.float())
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)
    assert gradients[0].abs().max() > 1e-2


@rules
def test_the_gradient_has_a_gradient(rule):
    rule, seconds = filled(rule, 16), []
    logits = torch.randn(5, 16, generator=torch.Generator().manual_seed(5))
    for make, leaf in ((ops.topk_router, logits.clone()), (route, logits.double())):
        weights, _ = make(leaf.requires_grad_(), 4, **rule)
        (first,) = torch.autograd.grad(weights.square().sum(), leaf, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), leaf)
        seconds.append(second.float())
    torch.testing.assert_close(seconds[0], seconds[1], rtol=1e-3, atol=1e-5)
    assert seconds[0].abs().max() > 1e-3


def test_the_gradient_has_the_dtype_of_the_logits_and_is_zero_where_weights_are_constant():
    logits = torch.full((1, 4), -200.0, dtype=torch.bfloat16, requires_grad=True)
    weights, _ = ops.topk_router(logits, 2, scoring="sigmoid", renormalize=True)
    (weights * torch.tensor([[1.0, 2.0]])).sum().backward()
    assert logits.grad.dtype == torch.bfloat16
    assert logits.grad.tolist() == [[0.0] * 4]


def test_recording_refuses_to_lose_a_gradient():
    logits = torch.randn(3, 8, requires_grad=True)
    with pytest.raises(ValueError, match=r"^topk_router_record: expected logits without a gradient, got some that"):
        recorded(logits, 2, {})
    with torch.no_grad():
        weights, ids, *_ = recorded(logits, 2, {})
    assert torch.equal(ids, ops.topk_router(logits, 2)[1])
    assert not weights.requires_grad


def test_the_rule_is_given_by_keyword():
    schema = torch.ops.routesig.topk_router.default._schema
    assert [argument.name for argument in schema.arguments if not argument.kwarg_only] == ["logits", "k"]
    with pytest.raises((TypeError, RuntimeError), match="positional"):
        torch.ops.routesig.topk_router(torch.zeros(2, 8), 2, "sigmoid")


def test_meta_tensors_have_shapes_and_errors():
    logits = torch.empty(5, 16, dtype=torch.bfloat16, device="meta")
    weights, ids = ops.topk_router(logits, 4)
    assert (weights.shape, weights.dtype, weights.device.type) == ((5, 4), torch.float32, "meta")
    assert (ids.shape, ids.dtype, ids.device.type) == ((5, 4), torch.int64, "meta")
    with pytest.raises(ValueError, match=r"^topk_router: expected k from 1 to 16 \(of 16 experts\), got 17$"):
        ops.topk_router(logits, 17)


GOOD = {"counts": torch.zeros(8, dtype=torch.int64), "trace": torch.zeros(3, 2, dtype=torch.uint8)}
TWO_GROUPS = {"scoring": "sigmoid", "groups": 2}


@pytest.mark.parametrize(
    ("logits", "k", "rule", "problem"),
    [
        (torch.zeros(8), 2, {}, "topk_router: expected logits [tokens, experts], got 1 dimensions"),
        (torch.zeros(3, 8).double(), 2, {}, "topk_router: expected logits of float32, float16 or bfloat16, got Double"),
        (torch.zeros(3, 0), 1, {}, "topk_router: expected 1 to 1024 experts, got 0"),
        (torch.zeros(3, 1025), 1, {}, "topk_router: expected 1 to 1024 experts, got 1025"),
        (torch.zeros(3, 8), 0, {}, "topk_router: expected k from 1 to 8 (of 8 experts), got 0"),
        (torch.zeros(3, 64), 33, {}, "topk_router: expected k from 1 to 32 (of 64 experts), got 33"),
        (
            torch.zeros(3, 8),
            2,
            {"scoring": "tanh"},
            "topk_router: expected scoring to be one of softmax, topk_softmax, sigmoid, got tanh",
        ),
        (torch.zeros(3, 8), 2, {"scale": math.nan}, "router rule: expected a finite scale, got nan"),
        (
            torch.zeros(3, 8),
            2,
            {"groups": 2},
            "router rule: expected groups with sigmoid scoring only, got 2 groups",
        ),
        (
            torch.zeros(3, 9),
            2,
            TWO_GROUPS,
            "router rule: expected 2 equal groups of at least 2 experts, got 9 experts",
        ),
        (torch.zeros(3, 8), 5, TWO_GROUPS, "router rule: expected top_k of at most 4 (1 groups of 4), got 5"),
        (torch.zeros(3, 8), 2, {**TWO_GROUPS, "kept_groups": 3}, "router rule: expected to keep 1 to 2 groups, got 3"),
        (
            torch.zeros(3, 8),
            2,
            {"bias": torch.zeros(8)},
            "topk_router: expected a bias with sigmoid scoring only",
        ),
        (
            torch.zeros(3, 8),
            2,
            {"bias": torch.zeros(7), "scoring": "sigmoid"},
            "topk_router: expected a bias of shape [8] (one value an expert), got [7]",
        ),
        (
            torch.zeros(3, 8),
            2,
            {"bias": torch.zeros(8).half(), "scoring": "sigmoid"},
            "topk_router: expected a bias of float32, got Half",
        ),
        (
            torch.zeros(3, 8),
            2,
            {**GOOD, "counts": torch.zeros(7, dtype=torch.int64)},
            "topk_router_record: expected counts of int64 [8], got Long [7]",
        ),
        (
            torch.zeros(3, 8),
            2,
            {**GOOD, "trace": torch.zeros(3, 2, dtype=torch.int32)},
            "topk_router_record: expected a trace of uint8 or uint16, got Int",
        ),
        (
            torch.zeros(3, 8),
            2,
            {**GOOD, "trace": torch.zeros(4, 2, dtype=torch.uint8)},
            "topk_router_record: expected a trace of shape [3, 2], got [4, 2]",
        ),
        (
            torch.zeros(3, 300),
            2,
            {**GOOD, "counts": torch.zeros(300, dtype=torch.int64)},
            "topk_router_record: expected a trace of uint16 for 300 experts, got uint8 (it holds ids to 255)",
        ),
        (
            torch.zeros(3, 8),
            2,
            {**GOOD, "trace": torch.zeros(3, 2, dtype=torch.uint8, device="meta")},
            "topk_router_record: expected counts and trace on cpu (where the logits are), got cpu and meta",
        ),
    ],
)
def test_what_does_not_fit_gets_one_sentence(logits, k, rule, problem):
    call = ops.topk_router_record if "trace" in rule else ops.topk_router
    with pytest.raises(ValueError, match=r".+") as error:
        call(logits, k, **rule)
    assert str(error.value) == problem


def test_a_build_without_the_kernel_says_so_on_a_gpu():
    from routesig import _torch

    if _torch.has_cuda_kernel:
        pytest.skip("this build has the kernel")
    operator, gpu = torch.ops.routesig.topk_router.default, torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
    with pytest.raises(NotImplementedError, match=r"^topk_router: this build of routesig has no"):
        operator.redispatch(gpu, torch.empty(2, 8, device="meta"), 2)


def test_importing_the_operators_is_what_loads_torch():
    code = "import sys, routesig; print('torch' in sys.modules); import routesig.ops; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
