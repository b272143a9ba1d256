"""The router as PyTorch operators: scores, top k, weights, and the recording of what was chosen, in one call.

`import routesig.ops` registers `torch.ops.routesig.topk_router` and `torch.ops.routesig.topk_router_record`, which work
on the CPU and on CUDA, under `torch.compile`, in CUDA graphs and on meta tensors. The two functions of this module call
them.

>>> import torch
>>> import routesig.ops
>>> logits = torch.tensor([[0.1, 2.0, 2.0, -1.0]])
>>> weights, ids = torch.ops.routesig.topk_router(logits, 2, renormalize=True)
>>> ids.tolist(), weights.tolist()  # a tie goes to the lower index
([[1, 2]], [[0.5, 0.5]])
"""

from typing import Any

from routesig._model import torch_module

torch_module()  # registers the operators, or says in a sentence what is missing

import torch  # noqa: E402

__all__ = ["topk_router", "topk_router_record"]


def topk_router(
    logits: torch.Tensor,
    k: int,
    *,
    scoring: str = "softmax",
    renormalize: bool = False,
    bias: torch.Tensor | None = None,
    groups: int = 1,
    kept_groups: int = 1,
    scale: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k experts of every token and their weights: `torch.ops.routesig.topk_router`.

    Larger scores first, ties to the lower index; NaN lies below -inf, so the ids of a token are always distinct. A
    token whose logits hold a NaN or a +inf, or nothing but -inf, gets ids by that order and weights that are all NaN.
    On the CPU the result has the same bytes on any number of threads.

    Parameters
    ----------
    logits : float32, float16 or bfloat16 [tokens, experts]
        Any strides; 1 to 1,024 experts.
    k : int
        Experts per token, at most 32.
    scoring : {"softmax", "topk_softmax", "sigmoid"}
        The weight is the softmax over all experts, the softmax over the k chosen, or the expert's own sigmoid.
    renormalize : bool
        Divide the weights of a token by their sum; a sum of 0 gives 1 / k each.
    bias : float32 [experts], optional
        Sigmoid only: added to the scores that choose, not to the weights.
    groups, kept_groups : int
        Sigmoid only: the experts form `groups` runs of neighbours (at most 8), each scored by the sum of its two best;
        experts come from the `kept_groups` best.
    scale : float
        Times every weight, last.

    Returns
    -------
    weights : float32 [tokens, k]
        Best first, whatever the dtype of the logits. Differentiable in the logits, not in the bias.
    ids : int64 [tokens, k]
        0-based experts; no gradient passes through them.

    Raises
    ------
    ValueError
        Where an argument does not fit: shapes, dtypes, devices, k, groups. One sentence says what was expected.
    NotImplementedError
        For logits on a GPU where this copy was built without the CUDA kernel.

    References
    ----------
    Softmax over all: arXiv 2603.11114, equation 1. Over the chosen: Mixtral, arXiv 2401.04088. Sigmoid, bias and
    groups: DeepSeek-V3, arXiv 2412.19437, section 2.1.2.

    Examples
    --------
    >>> import torch
    >>> from routesig.ops import topk_router
    >>> weights, ids = topk_router(torch.tensor([[0.0, 3.0, 1.0, 2.0]]), 2, scoring="topk_softmax")
    >>> ids.tolist(), [round(w, 4) for w in weights[0].tolist()]  # e / (e + 1)
    ([[1, 3]], [0.7311, 0.2689])
    """
    result: tuple[torch.Tensor, torch.Tensor] = torch.ops.routesig.topk_router(
        logits,
        k,
        scoring=scoring,
        renormalize=renormalize,
        bias=bias,
        groups=groups,
        kept_groups=kept_groups,
        scale=scale,
    )
    return result


def topk_router_record(
    logits: torch.Tensor, k: int, *, counts: torch.Tensor, trace: torch.Tensor, **rule: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """`topk_router`, and what was chosen is written down in the same launch, without synchronisation.

    Parameters
    ----------
    logits : float32, float16 or bfloat16 [tokens, experts]
    k : int
    counts : int64 [experts]
        How often each expert was chosen is added to it: the counts of a routing signature.
    trace : uint8 (at most 256 experts) or uint16 [tokens, k]
        Receives the ids. One layer of a buffer [layers, tokens, k] fits, so that one copy brings a whole step home.
    **rule
        `scoring`, `renormalize`, `bias`, `groups`, `kept_groups` and `scale` of `topk_router`.

    Returns
    -------
    weights : float32 [tokens, k]
    ids : int64 [tokens, k]
        The same bytes as `topk_router` gives.

    Raises
    ------
    ValueError
        As `topk_router`; where `counts` or `trace` have another shape, dtype or device; for logits that require a
        gradient while gradients are on, since what is recorded has none.

    Examples
    --------
    >>> import torch
    >>> from routesig.ops import topk_router_record
    >>> counts, trace = torch.zeros(4, dtype=torch.int64), torch.empty(2, 1, dtype=torch.uint8)
    >>> logits = torch.tensor([[0.0, 3.0, 1.0, 2.0], [0.0, 1.0, 0.0, 0.0]])
    >>> weights, ids = topk_router_record(logits, 1, counts=counts, trace=trace)
    >>> counts.tolist(), trace.tolist()
    ([0, 2, 0, 0], [[1], [1]])
    """
    result: tuple[torch.Tensor, torch.Tensor] = torch.ops.routesig.topk_router_record(
        logits, k, counts=counts, trace=trace, **rule
    )
    return result
