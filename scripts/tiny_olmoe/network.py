"""The network in a form that trains fast on a CPU: every expert is computed, unselected ones are weighted 0.

At this size (64 experts of width 8) one dense product of width 512 beats 64 small gathers, and the
result is the same: an expert that was not selected contributes exactly 0.

Shapes: B sequences of S tokens, D = hidden_size, E = experts, F = expert_width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """OLMoE-1B-7B's routing (16 layers, 64 experts, top-8) on a narrow network."""

    vocab_size: int = 4096
    hidden_size: int = 96
    layers: int = 16
    heads: int = 6
    experts: int = 64
    top_k: int = 8
    expert_width: int = 8
    context: int = 512
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    initializer_range: float = 0.02

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.heads


@dataclass
class Routing:
    """What the router of one layer decided, kept for the auxiliary losses and the load table."""

    logits: Tensor  # [B * S, E]
    probabilities: Tensor  # [B * S, E]
    selected: Tensor  # int64 [B * S, top_k], best first


class Rotary:
    """Rotary position embedding on the flat [B, S, D] layout, before heads are split.

    `turn` is a signed permutation, so the product with it is exact; it swaps the halves of each
    head as OLMoE pairs them and is faster here than slicing and concatenating.
    """

    def __init__(self, shape: Shape, length: int) -> None:
        half = shape.head_size // 2
        frequencies = 1.0 / shape.rope_theta ** (torch.arange(0, shape.head_size, 2).float() / shape.head_size)
        angles = torch.outer(torch.arange(length).float(), frequencies).repeat(1, 2 * shape.heads)
        self.cosine, self.sine = angles.cos(), angles.sin()  # [S, D]
        turn = torch.zeros(shape.head_size, shape.head_size)
        turn[torch.arange(half) + half, torch.arange(half)] = -1.0
        turn[torch.arange(half), torch.arange(half) + half] = 1.0
        self.turn = torch.block_diag(*[turn] * shape.heads)

    def __call__(self, states: Tensor) -> Tensor:
        return states * self.cosine + (states @ self.turn) * self.sine


class RmsNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, states: Tensor) -> Tensor:
        states = states.float()  # the mean of squares needs more than bf16's eight bits
        return states * torch.rsqrt(states.square().mean(-1, keepdim=True) + self.eps) * self.weight


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        size = shape.hidden_size
        self.shape = shape
        self.qkv_proj = nn.Linear(size, 3 * size, bias=False)  # rows: query, key, value
        self.o_proj = nn.Linear(size, size, bias=False)
        self.q_norm = RmsNorm(size, shape.rms_norm_eps)
        self.k_norm = RmsNorm(size, shape.rms_norm_eps)

    def forward(self, states: Tensor, rotary: Rotary) -> Tensor:
        batch, length, size = states.shape
        query, key, value = self.qkv_proj(states).float().chunk(3, dim=-1)
        query, key = rotary(self.q_norm(query)), rotary(self.k_norm(key))

        def split(flat: Tensor) -> Tensor:
            return flat.view(batch, length, self.shape.heads, self.shape.head_size).transpose(1, 2)

        with torch.autocast("cpu", enabled=False):  # the bf16 kernel's backward is 30 times slower at head size 16
            mixed = functional.scaled_dot_product_attention(split(query), split(key), split(value), is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, size))


class WeightedSwiGlu(torch.autograd.Function):
    """silu(gate) * up * weight with a backward that keeps only the three inputs."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, weight: Tensor) -> Tensor:  # each [tokens, E * F]
        ctx.save_for_backward(gate, up, weight)
        return functional.silu(gate).mul_(up).mul_(weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gate, up, weight = ctx.saved_tensors
        silu = functional.silu(gate)
        to_weight = (gradient * up).mul_(silu)
        to_up = (gradient * weight).mul_(silu)
        to_gate = torch.ops.aten.silu_backward((gradient * weight).mul_(up), gate)
        return to_gate, to_up, to_weight


class Experts(nn.Module):
    """All experts of a layer side by side: rows [e * F, (e + 1) * F) of `gate` and `up` are expert e."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.experts * shape.expert_width
        self.router = nn.Linear(shape.hidden_size, shape.experts, bias=False)
        self.gate = nn.Linear(shape.hidden_size, width, bias=False)
        self.up = nn.Linear(shape.hidden_size, width, bias=False)
        self.down = nn.Linear(width, shape.hidden_size, bias=False)

    def forward(self, states: Tensor) -> tuple[Tensor, Routing]:
        flat = states.reshape(-1, self.shape.hidden_size)
        with torch.autocast("cpu", enabled=False):  # a router in bf16 would flip near ties
            logits = functional.linear(flat.float(), self.router.weight)
            probabilities = torch.softmax(logits, dim=-1)
            chosen, selected = torch.topk(probabilities, self.shape.top_k, dim=-1)
            weights = torch.zeros_like(probabilities).scatter(1, selected, chosen)  # not renormalised, as in OLMoE
        # A product with 0/1 rows repeats each weight over its expert's width; broadcasting over 8 is slower.
        repeat = torch.eye(self.shape.experts).repeat_interleave(self.shape.expert_width, dim=1)
        inner = WeightedSwiGlu.apply(self.gate(flat), self.up(flat), weights @ repeat)
        return self.down(inner).view(states.shape), Routing(logits, probabilities, selected)


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = RmsNorm(shape.hidden_size, shape.rms_norm_eps)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RmsNorm(shape.hidden_size, shape.rms_norm_eps)
        self.mlp = Experts(shape)

    def forward(self, states: Tensor, rotary: Rotary) -> tuple[Tensor, Routing]:
        states = states + self.self_attn(self.input_layernorm(states), rotary)
        update, routing = self.mlp(self.post_attention_layernorm(states))
        return states + update, routing


class TinyOlmoe(nn.Module):
    """The whole model; `forward` stops before the head so that the loss can take the head in chunks."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = RmsNorm(shape.hidden_size, shape.rms_norm_eps)
        self.lm_head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=shape.initializer_range)

    def forward(self, token_ids: Tensor) -> tuple[Tensor, list[Routing]]:
        """Token ids [B, S] to final hidden states [B, S, D] and the routing of each layer."""
        states = self.embed_tokens(token_ids)
        rotary = Rotary(self.shape, token_ids.shape[1])
        routings = []
        for block in self.layers:
            states, routing = block(states, rotary)
            routings.append(routing)
        return self.norm(states), routings


def auxiliary_losses(routings: list[Routing], shape: Shape) -> tuple[Tensor, Tensor]:
    """Load-balancing loss (1 a layer when uniform) and router z-loss, each summed over layers.

    The balance is taken layer by layer: pooled over layers, an expert that is overloaded in one
    layer can hide behind its namesake that is idle in another, and experts die.
    """
    balance, z_loss = [], []
    for routing in routings:
        tokens = routing.selected.shape[0]
        load = torch.bincount(routing.selected.flatten(), minlength=shape.experts).float() / (tokens * shape.top_k)
        balance.append(shape.experts * (load * routing.probabilities.mean(0)).sum())
        z_loss.append(torch.logsumexp(routing.logits, dim=-1).square().mean())
    return torch.stack(balance).sum(), torch.stack(z_loss).sum()
