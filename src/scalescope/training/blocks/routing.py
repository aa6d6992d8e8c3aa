"""Which experts a token is sent to, with what weight, and how evenly.

Top-k of the experts' scores: softmax (Shazeer et al. 2017, https://arxiv.org/abs/1701.06538; Switch;
Mixtral) or sigmoid (DeepSeek-V3, https://arxiv.org/abs/2412.19437). Without an auxiliary loss, a bias that
only the choice sees rises by a fixed step for experts with less than the even load and falls for the others
(Wang et al. 2024, https://arxiv.org/abs/2408.15664).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from scalescope.cost import Experts
from scalescope.training.blocks.balance import balance_loss, z_loss

START = 0.1
"""Spread of the logits of a new router over the unit spread of other matrices (Switch, section 2.4)."""


class Routing(NamedTuple):
    """Where the tokens of a micro-batch go."""

    experts: Tensor
    """Numbers of the chosen experts, the best first, (tokens, top_k)."""
    weights: Tensor
    """What their outputs are multiplied by, (tokens, top_k), in fp32."""
    auxiliary: Tensor | None
    """Auxiliary loss, or None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How evenly the experts of one layer are used."""

    layer: int
    shares: tuple[float, ...]
    """Of all choices, of each expert; they add up to 1."""
    dropped: float
    """Share of the choices that found their expert full."""

    @property
    def peak(self) -> float:
        """Load of the busiest expert over the mean; 1 is even."""
        return max(self.shares) * len(self.shares)


class Router(nn.Module):
    """Scores of experts, the choice among them, and the account of it."""

    bias: Tensor
    load: Tensor
    dropped: Tensor
    last: Tensor

    def __init__(self, width: int, experts: Experts) -> None:
        super().__init__()
        self.settings = experts
        self.scores = nn.Linear(width, experts.count, bias=False)
        nn.init.normal_(self.scores.weight, std=START * width**-0.5)
        # The bias is state and no parameter: no gradient moves it.
        self.register_buffer("bias", torch.zeros(experts.count), persistent=experts.balance == "bias")
        for name, size in (("load", experts.count), ("dropped", 1), ("last", experts.count + 1)):
            self.register_buffer(name, torch.zeros(size, dtype=torch.int64), persistent=False)

    def forward(self, rows: Tensor) -> Routing:
        """Route tokens, (tokens, width); always in fp32, since small differences decide."""
        settings = self.settings
        with torch.autocast(rows.device.type, enabled=False):
            logits: Tensor = _Precise.apply(rows, self.scores.weight)  # type: ignore[no-untyped-call]
        scores = logits.softmax(-1) if settings.scores == "softmax" else logits.sigmoid()
        wanted = scores + self.bias if settings.balance == "bias" else scores
        experts = wanted.detach().topk(settings.top_k, -1).indices
        weights = scores.gather(-1, experts)
        if settings.normalised and settings.top_k > 1:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        return Routing(experts, weights * settings.scale, self._auxiliary(logits, scores, experts))

    def count(self, experts: Tensor) -> Tensor:
        """Count the choices of each expert that the auxiliary loss sees.

        Ranks that share a batch replace this to add up theirs.
        """
        return torch.bincount(experts.flatten(), minlength=self.settings.count)

    def _auxiliary(self, logits: Tensor, scores: Tensor, experts: Tensor) -> Tensor | None:
        settings = self.settings
        if not torch.is_grad_enabled():
            return None
        parts = []
        if settings.balance == "aux-loss" and settings.rate:
            shares = scores / scores.sum(-1, keepdim=True)
            parts.append(settings.rate * balance_loss(shares, self.count(experts)))
        if settings.z_loss:
            parts.append(settings.z_loss * z_loss(logits))
        return torch.stack(parts).sum() if parts else None

    @torch.no_grad()
    def record(self, chosen: Tensor, taken: Tensor) -> None:
        """Add the choices of each expert, and those it took, to the account of this step.

        A layer that is recomputed counts twice, all its experts alike.
        """
        self.load += chosen
        self.dropped += (chosen - taken).sum()

    @torch.no_grad()
    def end_step(self, add_up: Callable[[Tensor], object] | None = None) -> None:
        """Move the bias by the load of the step, keep the account for `account`, and begin a new one."""
        self.last = torch.cat((self.load, self.dropped))
        if add_up is not None:
            add_up(self.last)
        if self.settings.balance == "bias":
            load = self.last[:-1].to(self.bias.dtype)
            self.bias += self.settings.rate * torch.sign(load.mean() - load)
        self.load.zero_()
        self.dropped.zero_()

    def account(self, layer: int) -> Load:
        """Return the load of the last step that ended, or of the one under way if none did."""
        last = self.last if bool(self.last.any()) else torch.cat((self.load, self.dropped))
        chosen = last[:-1].double() / max(1, int(last[:-1].sum()))
        dropped = int(last[-1]) / max(1, int(last[:-1].sum()))
        return Load(layer=layer, shares=tuple(chosen.tolist()), dropped=dropped)


class _Precise(torch.autograd.Function):
    """A linear map in at least fp32 that keeps what it reads as it came, not a second copy of all tokens."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weight)
        return nn.functional.linear(_precise(rows), _precise(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        rows, weight = ctx.saved_tensors
        of_rows, of_weight = grad @ _precise(weight), grad.mT @ _precise(rows)
        return of_rows.to(rows.dtype), of_weight.to(weight.dtype)


def _precise(value: Tensor) -> Tensor:
    return value.to(torch.promote_types(value.dtype, torch.float32))
