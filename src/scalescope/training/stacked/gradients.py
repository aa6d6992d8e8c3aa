"""Loss and gradients of a `StackedTransformer` without autograd, the same function as its `forward`.

A graph of some hundred small operations costs more than the operations. Here the backward pass is spelled
out, line by line the mirror image of the forward pass, with gradients added where they belong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from scalescope.training.stacked.kernels import (
    attend,
    attend_back,
    cross_entropy,
    gate,
    gate_back,
    normalise,
    normalise_back,
    turn_heads,
    turn_heads_back,
)

CHUNK_TOKENS = 4096
"""Tokens that pass through the layers together; more are cut by sequences."""


class Parameters(NamedTuple):
    """Parameters of a `StackedTransformer`, or their gradients."""

    qkv: Tensor
    attention_out: Tensor
    gate_up: Tensor
    down: Tensor
    norms: Tensor
    embedding: Tensor
    head: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """What else the function needs."""

    turns: Tensor
    mask: Tensor
    n_heads: int
    n_kv_heads: int
    dtype: torch.dtype
    """Of matrix products."""
    z_loss: float = 0.0


class MeanLoss(torch.autograd.Function):
    """Mean cross-entropy; autograd only hands over the gradients that the forward pass made."""

    @staticmethod
    def forward(
        ctx: Any, tokens: Tensor, targets: Tensor, constants: Constants, *parameters: Tensor
    ) -> Tensor:
        """Return the loss, and keep the gradients of `parameters`, those of `Parameters` in order."""
        with torch.autocast(tokens.device.type, enabled=False):
            loss, ctx.grads = loss_and_gradients(Parameters(*parameters), tokens, targets, constants)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Hand the gradients over."""
        return None, None, None, *torch._foreach_mul(ctx.grads, grad)


def loss_and_gradients(
    parameters: Parameters, tokens: Tensor, targets: Tensor, constants: Constants
) -> tuple[Tensor, list[Tensor]]:
    """Mean loss of tokens and targets (batch, time), and the gradients in the order of `Parameters`."""
    batch, time = tokens.shape
    grads = Parameters(*(torch.zeros_like(each) for each in parameters))
    step = _Pass(parameters, grads, constants, time)
    total = tokens.new_zeros((), dtype=parameters.norms.dtype)
    chunk = max(1, CHUNK_TOKENS // time)
    for read, wanted in zip(torch.split(tokens, chunk), torch.split(targets, chunk), strict=True):
        total += step.run(read, wanted, 1 / (batch * time))
    return total / (batch * time), list(grads)


class _Layer:
    """Views of one layer's parameters or gradients."""

    def __init__(self, of: Parameters, index: int, dtype: torch.dtype) -> None:
        self.qkv = of.qkv[index].to(dtype)
        self.attention_out = of.attention_out[index].to(dtype)
        self.gate, self.up = of.gate_up[index].to(dtype)
        self.down = of.down[index].to(dtype)
        self.first_gain, self.second_gain = of.norms[2 * index], of.norms[2 * index + 1]


class _Pass:
    """Forward and backward through all layers; what the way back needs waits on a stack."""

    def __init__(self, weights: Parameters, grads: Parameters, constants: Constants, time: int) -> None:
        self.weights, self.grads, self.constants = weights, grads, constants
        self.turns = constants.turns[:, :, :time]
        self.mask = constants.mask.to(constants.dtype)
        self.head = weights.head.to(constants.dtype)
        n_layers = len(weights.qkv)
        self.layers = [
            (_Layer(weights, index, constants.dtype), _Layer(grads, index, grads.qkv.dtype))
            for index in range(n_layers)
        ]
        self.kept: list[tuple[Any, ...]] = []

    def run(self, tokens: Tensor, targets: Tensor, share: float) -> Tensor:
        """Return the summed loss; add `share` times its gradients."""
        batch, tokens, targets = len(tokens), tokens.flatten(), targets.flatten()
        x = torch.nn.functional.embedding(tokens, self.weights.embedding)
        for layer, _ in self.layers:
            x = self._feed_forward(self._attention(x, layer, batch), layer)
        loss, to_x = self._head(x, targets, share)
        for layer, grads in reversed(self.layers):
            self._feed_forward_back(to_x, layer, grads)
            self._attention_back(to_x, layer, grads, batch)
        self.grads.embedding.index_add_(0, tokens, to_x)
        return loss

    def _attention(self, x: Tensor, layer: _Layer, batch: int) -> Tensor:
        h, scale = self._norm(x, layer.first_gain)
        heads = turn_heads(torch.mm(h, layer.qkv), self.turns, batch)
        query, key, value = self._split(heads)
        out, weights = attend(query, key, value, self.mask)
        rows = out.view(-1, *heads.shape[1:]).permute(1, 2, 0, 3).reshape(len(x), -1)
        self.kept.append((x, scale, h, query, key, value, weights, rows))
        return _add_product(x, rows, layer.attention_out.mT)

    def _attention_back(self, to_x: Tensor, layer: _Layer, grads: _Layer, batch: int) -> None:
        x, scale, h, query, key, value, weights, rows = self.kept.pop()
        out = to_x.to(rows.dtype)
        _accumulate(grads.attention_out, out.mT, rows)
        of_rows = torch.mm(out, layer.attention_out)
        of_out = of_rows.view(batch, -1, self.constants.n_heads, query.shape[-1]).permute(2, 0, 1, 3)
        of_heads = query.new_empty(3 * len(query), *query.shape[1:])
        attend_back(of_out.reshape(query.shape), query, key, value, weights, out=of_heads.chunk(3))
        of_qkv = turn_heads_back(self._join(of_heads, batch), self.turns)
        _accumulate(grads.qkv, h.mT, of_qkv)
        of_h = torch.mm(of_qkv, layer.qkv.mT).to(x.dtype)
        normalise_back(of_h, x, layer.first_gain, scale, to_x=to_x, to_gain=grads.first_gain)

    def _feed_forward(self, x: Tensor, layer: _Layer) -> Tensor:
        h, scale = self._norm(x, layer.second_gain)
        opening, value = torch.mm(h, layer.gate), torch.mm(h, layer.up)
        rows, silu = gate(opening, value)
        self.kept.append((x, scale, h, opening, value, silu, rows))
        return _add_product(x, rows, layer.down.mT)

    def _feed_forward_back(self, to_x: Tensor, layer: _Layer, grads: _Layer) -> None:
        x, scale, h, opening, value, silu, rows = self.kept.pop()
        out = to_x.to(rows.dtype)
        _accumulate(grads.down, out.mT, rows)
        of_opening, of_value = gate_back(torch.mm(out, layer.down), opening, value, silu)
        _accumulate(grads.gate, h.mT, of_opening)
        _accumulate(grads.up, h.mT, of_value)
        of_h = torch.mm(of_opening, layer.gate.mT).addmm_(of_value, layer.up.mT).to(x.dtype)
        normalise_back(of_h, x, layer.second_gain, scale, to_x=to_x, to_gain=grads.second_gain)

    def _head(self, x: Tensor, targets: Tensor, share: float) -> tuple[Tensor, Tensor]:
        gain = self.weights.norms[-1]
        h, scale = self._norm(x, gain)
        loss, of_logits = cross_entropy(torch.mm(h, self.head.mT).to(x.dtype), targets, self.constants.z_loss)
        of_logits = of_logits.to(h.dtype)
        # The share goes to the narrow sides of the two products: fewer numbers than the logits.
        _accumulate(self.grads.head, of_logits.mT, h * share)
        of_h = torch.mm(of_logits, self.head).to(x.dtype).mul_(share)
        to_x = torch.zeros_like(x)
        normalise_back(of_h, x, gain, scale, to_x=to_x, to_gain=self.grads.norms[-1])
        return loss, to_x

    def _norm(self, x: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        h, scale = normalise(x, gain)
        return h.to(self.constants.dtype), scale

    def _split(self, heads: Tensor) -> Sequence[Tensor]:
        """Queries, keys and values as (heads * batch, time, size), shared keys and values repeated."""
        n, kv = self.constants.n_heads, self.constants.n_kv_heads
        query, key, value = torch.split(heads, [n, kv, kv])
        if n != kv:
            key, value = key.repeat_interleave(n // kv, 0), value.repeat_interleave(n // kv, 0)
        return query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1)

    def _join(self, parts: Tensor, batch: int) -> Tensor:
        """Undo `_split` for gradients: those of repeated keys and values are added."""
        n, kv = self.constants.n_heads, self.constants.n_kv_heads
        heads = torch.unflatten(parts, 0, (3 * n, batch))
        if n == kv:
            return heads
        shared = torch.unflatten(heads[n:], 0, (2 * kv, n // kv)).sum(1)
        return torch.cat((heads[:n], shared))


def _add_product(x: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return torch.addmm(x, left, right) if x.dtype == left.dtype else x + left @ right


def _accumulate(to: Tensor, left: Tensor, right: Tensor) -> None:
    if to.dtype == left.dtype:
        to.addmm_(left, right)
    else:
        to += left @ right
