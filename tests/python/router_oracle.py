"""The router's rules a second time: a stable sort and double precision in PyTorch, for the tests of the operators."""

import torch


def rule_values(experts: int, seed: int) -> torch.Tensor:
    """A bias [experts] of few distinct values, so that biased scores tie where logits do."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 5, (experts,), generator=generator) / 8


def with_specials(rows: int, experts: int, dtype: torch.dtype, seed: int, finite: bool = False) -> torch.Tensor:
    """Logits [rows, experts]: a half without equal values, then one with many; the last quarter with NaN, +-inf, -0.

    The tied values lie at 0.1 + i / 4 for i from 0: no two sigmoids of them add up to what two others do.
    """
    generator = torch.Generator().manual_seed(seed)
    spread = torch.stack([torch.randperm(experts, generator=generator) for _ in range(rows)]) / experts * 8 - 3
    logits = spread + 0.1
    half = rows // 2
    logits[half:] = 0.1 + torch.randint(0, 9, (rows - half, experts), generator=generator) / 4
    if not finite:
        specials = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0, -0.0])
        rest = logits[half + half // 2 :]
        which = torch.randint(0, 60, rest.shape, generator=generator)
        logits[half + half // 2 :] = torch.where(which < 5, specials[which.clamp(max=4)], rest)
        logits[-1] = -torch.inf
    return logits.to(dtype)


def descending(values: torch.Tensor) -> torch.Tensor:
    """Column order of every row: largest first, NaN last, equal values (-0 and 0 too) in index order."""
    missing = values.isnan()
    order = torch.argsort(values.masked_fill(missing, -torch.inf), dim=1, descending=True, stable=True)
    back = torch.argsort(missing.gather(1, order).to(torch.uint8), dim=1, stable=True)
    return order.gather(1, back)


def route(
    logits: torch.Tensor,
    k: int,
    scoring: str = "softmax",
    renormalize: bool = False,
    bias: torch.Tensor | None = None,
    groups: int = 1,
    kept_groups: int = 1,
    scale: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights float32 [rows, k] and ids int64 [rows, k]."""
    exact = logits.double()
    scores = logits.detach().float()
    if scoring == "sigmoid":
        scores = torch.sigmoid(scores) + (0 if bias is None else bias)
    candidates = descending(scores)
    if groups > 1:
        in_groups = scores.unflatten(1, (groups, -1))
        size = in_groups.shape[2]
        best = descending(in_groups.flatten(0, 1))[:, :2]
        of_group = in_groups.flatten(0, 1).gather(1, best).sum(1).view(-1, groups)
        kept = descending(of_group)[:, :kept_groups]
        allowed = torch.zeros_like(of_group, dtype=torch.bool).scatter_(1, kept, True).repeat_interleave(size, 1)
        first = torch.argsort((~allowed).gather(1, candidates).to(torch.uint8), dim=1, stable=True)
        candidates = candidates.gather(1, first)
    ids = candidates[:, :k]

    if scoring == "sigmoid":
        weights = torch.sigmoid(exact).gather(1, ids)
    elif scoring == "topk_softmax":
        weights = torch.softmax(exact.gather(1, ids), 1)
    else:
        weights = torch.softmax(exact, 1).gather(1, ids)
    if renormalize:
        weights = weights / weights.sum(1, keepdim=True)
    lost = logits.isnan().any(1) | (logits == torch.inf).any(1) | (logits == -torch.inf).all(1)
    weights = torch.where(lost.unsqueeze(1), torch.nan, weights) * scale
    return weights.float(), ids
