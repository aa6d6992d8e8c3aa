"""Which sequences of a batch, and which tokens of them, are a rank's."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from scalescope.training.distributed.context_parallel import own_tokens
from scalescope.training.distributed.mesh import Ranks
from scalescope.training.tasks.protocol import IGNORED, Batch


class Share:
    """Cuts batches for one rank.

    A batch that the ranks cannot cut evenly is filled up with sequences that nothing is asked of, so that all
    ranks make the same number of passes.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def of(self, batch: Batch) -> Batch:
        """Return this rank's part of a batch, on its device."""
        rows, layout = self.rows(len(batch)), self.ranks.layout
        more = self.padded(len(batch)) - len(batch)
        inputs = _fill(batch.inputs, more, 0)[rows]
        targets = _fill(batch.targets, more, IGNORED)[rows]
        if layout.cp > 1:
            own = own_tokens(inputs.shape[1], layout.cp, self.ranks.part)
            inputs, targets = inputs[:, own], targets[:, own]
        device = self.ranks.device
        return Batch(inputs.to(device), targets.to(device))

    def padded(self, sequences: int) -> int:
        """Return the sequences of all ranks with those that fill them up.

        A pipeline needs a pass for every stage; schedules that weave stages, a multiple of that.
        """
        layout = self.ranks.layout
        passes = -(-sequences // (layout.data_ranks * layout.micro_batch))
        woven = layout.schedule in ("interleaved", "zero-bubble")
        passes = -(-passes // layout.pp) * layout.pp if woven else max(passes, layout.pp)
        return passes * layout.data_ranks * layout.micro_batch

    def rows(self, sequences: int) -> slice:
        """Return which of them are this rank's."""
        each = self.padded(sequences) // self.ranks.layout.data_ranks
        return slice(self.ranks.replica * each, (self.ranks.replica + 1) * each)

    def passes(self, own: int) -> int:
        """Return the passes that a rank's sequences take."""
        return own // self.ranks.layout.micro_batch

    def of_pass(self, own: int) -> float:
        """Return the part of a batch's tokens that one pass of this rank has."""
        layout = self.ranks.layout
        return 1 / (self.passes(own) * layout.data_ranks * layout.cp)


def _fill(rows: Tensor, more: int, value: int) -> Tensor:
    return F.pad(rows, (0, 0) * (rows.ndim - 1) + (0, more), value=value) if more else rows
