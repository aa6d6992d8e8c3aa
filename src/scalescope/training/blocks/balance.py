r"""Auxiliary losses of routers, in the gradient alone.

With :math:`f_i` the share of choices that fell on expert :math:`i` of :math:`E` and :math:`P_i` its mean
probability, the loss of Switch (Fedus et al. 2021, https://arxiv.org/abs/2101.03961) and the z-loss of ST-MoE
(Zoph et al. 2022, https://arxiv.org/abs/2202.08906) of router logits :math:`y` are

.. math:: \ell_\text{balance} = E \sum_i f_i P_i, \qquad \ell_z = \overline{(\log \sum_i e^{y_i})^2}

Both are means over the tokens of one micro-batch. `add_gradient` ties them to what an expert layer returns,
so that they arrive through any split of the model into stages and any recomputation, and the loss that is
reported stays the cross-entropy. They have the weight that the loss has in its backward pass: a `LossScale`
that is shared by a network and its expert layers says it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class LossScale:
    """What the mean loss of a micro-batch is multiplied by before its backward pass, by whomever.

    `follow` finds it out by itself. Who computes the loss elsewhere sets `value`: the tokens of the
    micro-batch where losses are summed, 1 where they are averaged and gradients are divided afterwards.
    """

    def __init__(self) -> None:
        self.value: Tensor | float = 1.0

    def follow(self, loss: Tensor, terms: Tensor | int) -> Tensor:
        """Return the loss; its backward pass, which comes first, sets the scale.

        Parameters
        ----------
        loss
            A mean, a sum, or one loss a token.
        terms
            1 for a mean, the number of tokens for a sum, and for single losses which of them count.
        """
        return _Followed.apply(loss, self, terms) if loss.requires_grad else loss  # type: ignore[no-untyped-call]


class _Followed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Tensor, scale: LossScale, terms: Tensor | int) -> Tensor:
        ctx.scale, ctx.terms = scale, terms
        return loss.view_as(loss)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        ctx.scale.value = (grad.detach() * ctx.terms).sum()
        return grad, None, None


def add_gradient(x: Tensor, auxiliary: Tensor, scale: LossScale) -> Tensor:
    """Return `x`; in the backward pass the auxiliary loss is added to the loss, times the scale."""
    return _Added.apply(x, auxiliary, scale) if auxiliary.requires_grad else x  # type: ignore[no-untyped-call]


class _Added(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, auxiliary: Tensor, scale: LossScale) -> Tensor:
        ctx.scale, ctx.like = scale, auxiliary
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        return grad, torch.ones_like(ctx.like) * ctx.scale.value, None


def balance_loss(probabilities: Tensor, counts: Tensor) -> Tensor:
    """Return Switch's loss, 1 where the load is even.

    Parameters
    ----------
    probabilities
        Of every expert, (tokens, experts); a token's add up to 1.
    counts
        Choices that fell on each expert, (experts,).
    """
    share = counts / counts.sum().clamp_min(1)
    return len(counts) * torch.dot(share.to(probabilities.dtype), probabilities.mean(0))


def z_loss(logits: Tensor) -> Tensor:
    """Return the mean squared log-sum-exp of logits, (tokens, experts)."""
    return logits.logsumexp(-1).square().mean()
