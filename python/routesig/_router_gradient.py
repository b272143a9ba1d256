"""The gradient of a router's weights with respect to its logits; the choice itself has none."""

from typing import Any

import torch


def save_for_gradient(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep what `gradient` needs of one call."""
    logits, _, ctx.scoring, ctx.renormalize, _, _, _, ctx.scale = inputs
    ids = output[1]
    ctx.mark_non_differentiable(ids)
    ctx.save_for_backward(logits, ids)


def gradient(ctx: Any, of_weights: torch.Tensor, of_ids: None) -> tuple[torch.Tensor | None, ...]:
    """The loss by the logits [tokens, experts], in the dtype of the logits.

    A softmax p with the gradient g of its values passes on p (g - sum(g p)); over all experts, g is 0 for those not
    chosen. Renormalising a softmax over all is the softmax over the chosen.
    """
    logits, ids = ctx.saved_tensors
    wide = logits.float()
    g = of_weights * ctx.scale
    of_chosen = ctx.renormalize or ctx.scoring == "topk_softmax"
    if ctx.scoring == "sigmoid":
        scores = torch.sigmoid(wide.gather(1, ids))
        if of_chosen:
            total = scores.sum(1, keepdim=True)
            constant = total == 0  # 1 / k each, whatever the logits
            total = total.masked_fill(constant, 1)
            g = ((g - (g * scores).sum(1, keepdim=True) / total) / total).masked_fill(constant, 0)
        at_chosen = g * scores * (1 - scores)
    elif of_chosen:
        shares = torch.softmax(wide.gather(1, ids), 1)
        at_chosen = shares * (g - (g * shares).sum(1, keepdim=True))
    else:
        everyone = torch.softmax(wide, 1)
        shares = everyone.gather(1, ids)
        inner = (g * shares).sum(1, keepdim=True)
        return ((-everyone * inner).scatter_add(1, ids, g * shares).to(logits.dtype), *[None] * 7)
    return (torch.zeros_like(wide).scatter(1, ids, at_chosen).to(logits.dtype), *[None] * 7)
