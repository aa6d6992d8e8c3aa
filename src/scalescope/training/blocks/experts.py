"""A feed-forward of many experts, of which a token passes a few: route, dispatch, compute, combine.

Tokens are sorted by expert and no place is kept free, so nothing need be dropped (MegaBlocks, Gale et al.
2022, https://arxiv.org/abs/2211.15841). With a capacity an expert takes so many tokens of each sequence, the
earlier ones first whatever their choice's rank, so that no token depends on a later one. Each sequence counts
on its own: what is dropped does not depend on how a batch is split over ranks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from scalescope.cost import Activation, Shape
from scalescope.training.blocks.balance import LossScale, add_gradient
from scalescope.training.blocks.feed_forward import ACTIVATIONS, FeedForward, activation_of
from scalescope.training.blocks.grouped import grouped_product
from scalescope.training.blocks.routing import Router, Routing


class ExpertStack(nn.Module):
    """The matrices of all routed experts, (experts, outputs, inputs) each; they start as `starts` says."""

    def __init__(self, count: int, width: int, hidden: int, *, gated: bool, activation: Activation) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.gate = _stack(count, hidden, width) if gated else None
        self.up = _stack(count, hidden, width)
        self.down = nn.Parameter(torch.zeros(count, width, hidden))

    def forward(self, rows: Tensor, counts: Tensor) -> Tensor:
        """Pass rows, sorted by expert, each through its own; `counts` says how many an expert has."""
        hidden = grouped_product(rows, self.up, counts)
        if self.gate is None:
            hidden = self.activation(hidden)
        else:
            hidden = self.activation(grouped_product(rows, self.gate, counts)) * hidden
        return grouped_product(hidden, self.down, counts)


def _stack(count: int, outputs: int, inputs: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(count, outputs, inputs) * inputs**-0.5)


class Dispatch(NamedTuple):
    """Tokens sorted by expert."""

    tokens: Tensor
    """Number of the token in every row, (rows,)."""
    weights: Tensor
    """What the expert's output is multiplied by, (rows,)."""
    counts: Tensor
    """Rows of each expert, (experts,)."""
    chosen: Tensor
    """Choices that fell on each expert, (experts,); those beyond its rows are dropped."""


class ExpertFeedForward(nn.Module):
    """The feed-forward of a layer with experts."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        experts = shape.experts
        assert experts is not None
        self.settings = experts
        activation = activation_of(shape)
        self.router = Router(shape.width, experts)
        self.experts = ExpertStack(
            experts.count, shape.width, experts.width, gated=shape.gated, activation=activation
        )
        hidden = experts.shared * experts.width
        self.shared = (
            FeedForward(shape.width, hidden, gated=shape.gated, activation=activation) if hidden else None
        )
        self.scale = LossScale()
        """Of auxiliary losses; a network gives all its layers the same."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added to the stream, for the normed stream (batch, time, width)."""
        rows = x.flatten(0, 1)
        routing = self.router(rows)
        dispatch = self.dispatch(routing, sequences=len(x))
        if torch.is_grad_enabled():
            self.router.record(dispatch.chosen, dispatch.counts)
        out = self.combine(self.compute(rows[dispatch.tokens], dispatch.counts), dispatch, rows)
        if routing.auxiliary is not None:
            out = add_gradient(out, routing.auxiliary, self.scale)
        out = out.view_as(x)
        return out if self.shared is None else out + self.shared(x)

    def dispatch(self, routing: Routing, *, sequences: int) -> Dispatch:
        """Sort the choices of tokens by expert, and within one by sequence and time."""
        count, top_k = self.settings.count, self.settings.top_k
        experts = routing.experts.flatten()
        chosen = torch.bincount(experts, minlength=count)
        if self.settings.capacity is None:
            order, counts = experts.argsort(stable=True), chosen
        else:
            order, counts = self._within_capacity(experts, sequences)
        tokens = order.div(top_k, rounding_mode="floor")
        return Dispatch(tokens, routing.weights.flatten()[order], counts, chosen)

    def compute(self, rows: Tensor, counts: Tensor) -> Tensor:
        """Pass rows through their experts; ranks that share the experts replace this."""
        return self.experts(rows, counts)  # type: ignore[no-any-return]

    def combine(self, rows: Tensor, dispatch: Dispatch, like: Tensor) -> Tensor:
        """Add up the weighted outputs of each token."""
        weighted = rows * dispatch.weights.unsqueeze(-1).to(rows.dtype)
        to = dispatch.tokens.unsqueeze(-1).expand_as(weighted)
        # not by index_add, which keeps what it adds for the backward pass
        return torch.zeros_like(like, dtype=rows.dtype).scatter_add(0, to, weighted)

    def _within_capacity(self, experts: Tensor, sequences: int) -> tuple[Tensor, Tensor]:
        """Return what is left of the order and of the experts' rows when each takes so many of a sequence."""
        settings = self.settings
        each = len(experts) // sequences
        assert settings.capacity is not None
        most = math.ceil(settings.capacity * each / settings.count)
        place = torch.arange(len(experts), device=experts.device).div(each, rounding_mode="floor")
        cell = experts * sequences + place
        order = cell.argsort(stable=True)
        cells = torch.bincount(cell, minlength=settings.count * sequences)
        starts = cells.cumsum(0) - cells
        rank = torch.arange(len(experts), device=experts.device) - starts[cell[order]]
        counts = cells.clamp_max(most).view(settings.count, sequences).sum(1)
        return order[rank < most], counts
