r"""Cross-entropy of a linear head without the logits of all tokens at once.

The logits of a text are by far its largest tensor: tokens times vocabulary. Here a chunk of tokens at a time
goes through the head, and what the backward pass needs of it is computed on the spot, so that a chunk's
logits can be forgotten before the next one comes (the idea of Liger Kernel, Hsu et al. 2024,
https://arxiv.org/abs/2410.10989, and of cut cross-entropy, Wijmans et al. 2024,
https://arxiv.org/abs/2411.09009). With logits :math:`y`, :math:`p = \mathrm{softmax}(y)`,
:math:`m = \log \sum e^y` and the penalty :math:`z\,m^2` of PaLM (https://arxiv.org/abs/2204.02311):

.. math:: \ell = m - y_t, \qquad \partial(\ell + z m^2) / \partial y = (1 + 2 z m)\, p - 1_t
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import once_differentiable

from scalescope.cost.loss_memory import LOSS_CHUNK

IGNORED = -100
"""A target that does not count."""
CHUNK_NUMBERS = {"cpu": 2**22}
"""Logits of one chunk by device, about; `LOSS_CHUNK` elsewhere."""


def cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, reduction: str = "mean", z_loss: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Cross-entropy in nats of targets under the logits `hidden @ weight.mT`, which are never kept.

    Parameters
    ----------
    hidden
        What the head reads, (..., width).
    weight
        The head, (vocabulary, width).
    targets
        Token numbers, (...); those of -100 do not count.
    reduction
        `mean` over the targets that count (0 where none does), `sum`, or `none` for one loss a target, in the
        shape of a flat list, 0 where it does not count. The gradients of the first two are computed on the
        way forward and can be used once.
    z_loss
        Weight of the squared log-normaliser.

    Returns
    -------
    tuple
        The loss, without the penalty though its gradient has it, and the penalty, without a gradient.
    """
    options = _Options.of(hidden, weight, z_loss)
    rows, wanted = hidden.flatten(0, -2), targets.flatten()
    if reduction == "none":
        loss, squares = _Each.apply(rows, weight, wanted, options)  # type: ignore[no-untyped-call]
    else:
        counted = (wanted != IGNORED).sum().clamp_min(1) if reduction == "mean" else 1
        loss, squares = _Sum.apply(rows, weight, wanted, options, counted)  # type: ignore[no-untyped-call]
    return loss, squares * z_loss


def cross_entropy_of_logits(
    logits: Tensor, targets: Tensor, *, reduction: str = "mean", z_loss: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return the same of logits that are there, (..., vocabulary), by autograd."""
    logits, wanted = logits.flatten(0, -2), targets.flatten()
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    loss = F.cross_entropy(logits, wanted, reduction="none")
    counted = wanted != IGNORED
    squares = z_loss * logits.logsumexp(-1).square() * counted if z_loss else torch.zeros_like(loss)
    if reduction != "none":
        count = counted.sum().clamp_min(1) if reduction == "mean" else 1
        loss, squares = loss.sum() / count, squares.sum() / count
    return loss + (squares - squares.detach()), squares.detach()


class _Options(NamedTuple):
    """What holds for every chunk."""

    size: int
    """Tokens of a chunk."""
    dtype: torch.dtype
    """Of the products."""
    z_loss: float

    @classmethod
    def of(cls, hidden: Tensor, weight: Tensor, z_loss: float) -> _Options:
        device = hidden.device.type
        numbers = max(CHUNK_NUMBERS.get(device, LOSS_CHUNK), hidden.numel())
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else weight.dtype
        return cls(max(1, numbers // len(weight)), dtype, z_loss)

    @property
    def wide(self) -> torch.dtype:
        """Of logits, losses and sums: at least single precision."""
        return torch.promote_types(self.dtype, torch.float32)


class _Chunk(NamedTuple):
    """Some tokens on their way through the head."""

    part: slice
    rows: Tensor
    head: Tensor
    exponentials: Tensor
    """Of the logits over the largest of their token; they stand where the logits did."""
    total: Tensor
    """Their sum, one a token."""
    normaliser: Tensor
    """Logarithm of the sum of exponentials of the logits themselves."""
    own: Tensor
    """The target's logit."""
    counted: Tensor
    wanted: Tensor
    """Targets, 0 where they do not count."""

    @property
    def losses(self) -> Tensor:
        return (self.normaliser - self.own) * self.counted

    @property
    def squares(self) -> Tensor:
        return self.normaliser.square() * self.counted

    def gradient(self, share: Tensor, z_loss: float) -> Tensor:
        """Return the gradient of the logits in their place; `share` multiplies that of each token."""
        shares = share * self.counted
        of_logits = self.exponentials
        of_logits *= (shares * (1 + 2 * z_loss * self.normaliser) / self.total).unsqueeze(-1)
        of_logits.scatter_add_(-1, self.wanted.unsqueeze(-1), -shares.unsqueeze(-1))
        return of_logits.to(self.rows.dtype)


def _chunks(hidden: Tensor, weight: Tensor, targets: Tensor, options: _Options) -> Iterator[_Chunk]:
    head = weight.to(options.dtype)
    for start in range(0, len(hidden), options.size):
        part = slice(start, start + options.size)
        rows = hidden[part].to(options.dtype)
        logits = (rows @ head.mT).to(options.wide)
        counted = targets[part] != IGNORED
        wanted = targets[part].where(counted, 0)
        own = logits.gather(-1, wanted.unsqueeze(-1)).squeeze(-1)
        largest = logits.amax(-1)
        exponentials = logits.sub_(largest.unsqueeze(-1)).exp_()
        total = exponentials.sum(-1)
        yield _Chunk(part, rows, head, exponentials, total, total.log() + largest, own, counted, wanted)
        del logits, exponentials  # before the next ones are made


class _Gradients:
    """Gradients of hidden and weight, summed chunk by chunk; None for one that nobody asks for."""

    def __init__(self, hidden: Tensor, weight: Tensor, options: _Options, wanted: tuple[bool, ...]) -> None:
        self.of_hidden = torch.empty_like(hidden, dtype=options.dtype) if wanted[0] else None
        self.of_weight = torch.zeros_like(weight, dtype=options.wide) if wanted[1] else None

    def add(self, chunk: _Chunk, of_logits: Tensor) -> None:
        if self.of_hidden is not None:
            torch.mm(of_logits, chunk.head, out=self.of_hidden[chunk.part])
        if self.of_weight is None:
            return
        if self.of_weight.dtype == of_logits.dtype:
            torch.addmm(self.of_weight, of_logits.mT, chunk.rows, out=self.of_weight)
        else:
            self.of_weight += of_logits.mT @ chunk.rows


class _Sum(torch.autograd.Function):
    """Sum of the losses over a count; gradients come on the way forward.

    They stay those of the sum until the factor of what comes after is known: in half precision those of a
    mean over many tokens would vanish before a loss scaler could save them.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, options: _Options, count: Tensor | int
    ) -> tuple[Tensor, Tensor]:
        wanted = ctx.needs_input_grad[:2]
        gradients = _Gradients(hidden, weight, options, wanted)
        loss = hidden.new_zeros((), dtype=options.wide)
        squares, one = torch.zeros_like(loss), torch.ones_like(loss)
        with torch.autocast(hidden.device.type, enabled=False):
            for chunk in _chunks(hidden, weight, targets, options):
                loss += chunk.losses.sum()
                squares += chunk.squares.sum()
                if any(wanted):
                    gradients.add(chunk, chunk.gradient(one, options.z_loss))
                del chunk  # before the next one is made
        ctx.kept = gradients, one / count, hidden.dtype, weight.dtype
        squares /= count
        ctx.mark_non_differentiable(squares)
        return loss / count, squares

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.kept is None:
            raise RuntimeError("the gradients of a fused cross-entropy are given away once")
        gradients, share, *types = ctx.kept
        ctx.kept = None
        of_hidden, of_weight = gradients.of_hidden, gradients.of_weight
        if of_hidden is not None:
            of_hidden = (of_hidden * (grad * share)).to(types[0])
        if of_weight is not None:
            of_weight = of_weight.mul_(grad * share).to(types[1])
        return of_hidden, of_weight, None, None, None


class _Each(torch.autograd.Function):
    """The loss of every token; the way back computes the logits once more."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, options: _Options
    ) -> tuple[Tensor, Tensor]:
        losses = hidden.new_empty(len(hidden), dtype=options.wide)
        squares = torch.empty_like(losses)
        with torch.autocast(hidden.device.type, enabled=False):
            for chunk in _chunks(hidden, weight, targets, options):
                losses[chunk.part], squares[chunk.part] = chunk.losses, chunk.squares
                del chunk
        ctx.save_for_backward(hidden, weight, targets)
        ctx.options = options
        ctx.mark_non_differentiable(squares)
        return losses, squares

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, targets = ctx.saved_tensors
        gradients = _Gradients(hidden, weight, ctx.options, (True, True))
        with torch.autocast(hidden.device.type, enabled=False):
            for chunk in _chunks(hidden, weight, targets, ctx.options):
                gradients.add(chunk, chunk.gradient(grad[chunk.part], ctx.options.z_loss))
                del chunk
        assert gradients.of_hidden is not None
        assert gradients.of_weight is not None
        return gradients.of_hidden.to(hidden.dtype), gradients.of_weight.to(weight.dtype), None, None
