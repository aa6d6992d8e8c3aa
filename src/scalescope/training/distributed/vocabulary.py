r"""Cross-entropy where ranks share the vocabulary, without gathering the logits.

Each rank has the logits :math:`y_v` of some tokens :math:`v`. Three numbers of a target travel: the maximum,
the sum of exponentials and the target's own logit (Shoeybi et al. 2019, https://arxiv.org/abs/1909.08053,
section 3). With :math:`m = \log \sum_v e^{y_v}` and the penalty :math:`z\,m^2`:

.. math:: \ell = m - y_t, \qquad \partial(\ell + z m^2)/\partial y_v = (1 + 2 z m)\,e^{y_v - m} - 1[v = t]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Replicate
from torch.distributed.tensor.placement_types import Placement

from scalescope.training.tasks.protocol import IGNORED


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedVocabulary:
    """Where the rows of head and embedding lie."""

    mesh: DeviceMesh
    """The ranks of tensor parallelism."""
    stream: Placement
    """How they share the stream."""
    vocabulary: int

    def losses(self, hidden: Tensor, weight: Tensor, targets: Tensor, *, z_loss: float = 0.0) -> Tensor:
        """Return the loss of every target, 0 where it does not count; the same on every rank of the mesh.

        Parameters
        ----------
        hidden
            This rank's part of what the head reads.
        weight
            The head, a `DTensor` of which each rank has some rows.
        targets
            All token numbers.
        z_loss
            Weight of the squared log-normaliser; it is in the gradient alone.
        """
        assert isinstance(weight, DTensor)
        shared = DTensor.from_local(hidden, self.mesh, [self.stream], run_check=False)
        whole = shared.redistribute(placements=[Replicate()]).to_local(grad_placements=[Partial()])
        logits = F.linear(whole, weight.to_local()).flatten(0, -2).float()
        first = -(-self.vocabulary // self.mesh.size()) * self.mesh.get_local_rank()
        losses: Tensor = _Losses.apply(  # type: ignore[no-untyped-call]
            logits, targets.flatten(), first, z_loss, self.mesh.get_group()
        )
        return losses


class _Losses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, first: int, z_loss: float, group: dist.ProcessGroup
    ) -> Tensor:
        counted = targets != IGNORED
        own = targets - first
        mine = counted & (own >= 0) & (own < logits.shape[-1])
        own = own.where(mine, 0)
        largest = _over(logits.amax(-1), group, dist.ReduceOp.MAX)
        exponentials = (logits - largest.unsqueeze(-1)).exp_()
        wanted = logits.gather(-1, own.unsqueeze(-1)).squeeze(-1) * mine
        total, wanted = _over(torch.stack((exponentials.sum(-1), wanted)), group, dist.ReduceOp.SUM)
        normaliser = total.log() + largest
        ctx.save_for_backward(exponentials, total, normaliser, own, mine, counted)
        ctx.z_loss = z_loss
        losses: Tensor = (normaliser - wanted) * counted
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        exponentials, total, normaliser, own, mine, counted = ctx.saved_tensors
        each = grad * counted
        steep = each * (1 + 2 * ctx.z_loss * normaliser) / total
        of_logits = exponentials * steep.unsqueeze(-1)
        of_logits.scatter_add_(-1, own.unsqueeze(-1), -(each * mine).unsqueeze(-1))
        return of_logits, None, None, None, None


def _over(value: Tensor, group: dist.ProcessGroup, how: Any) -> Tensor:
    dist.all_reduce(value, op=how, group=group)
    return value
