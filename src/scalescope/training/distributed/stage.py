"""What one rank computes: a network or a part of it, which ends in a loss where the head is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scalescope.training.blocks.cross_entropy import cross_entropy
from scalescope.training.distributed.vocabulary import SharedVocabulary
from scalescope.training.network import Network


class Stage(nn.Module):
    """A network, or consecutive layers of one, with the places of this rank's tokens."""

    positions: Tensor

    def __init__(
        self, network: Network, positions: Tensor, *, z_loss: float = 0.0, halves: bool = False
    ) -> None:
        super().__init__()
        self.network = network
        self.z_loss = z_loss
        self.halves = halves
        """Whether gradients of stream and weights are asked for one after the other, as zero-bubble does."""
        self.shared: SharedVocabulary | None = None
        """How ranks share the head, under tensor parallelism."""
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, inputs: Tensor, targets: Tensor | None = None, *, each: bool = False) -> Tensor:
        """Return the stream, or where the head is the losses of targets, nats.

        Parameters
        ----------
        inputs
            Tokens (sequences, time), or the stream of the stage before.
        targets
            Token numbers (sequences, time), used where the head is.
        each
            Whether to give the sum of every sequence, (sequences,), and not that of all, (1,).
        """
        hidden = self.network.stream(inputs, self.positions)
        head = self.network.head
        if head is None:
            return hidden
        assert targets is not None
        if self.shared is not None:
            losses = self.shared.losses(hidden, head.weight, targets, z_loss=self.z_loss)
        else:
            reduction = "none" if each or self.halves else "sum"  # the gradients of a sum are given once
            losses = cross_entropy(hidden, head.weight, targets, reduction=reduction, z_loss=self.z_loss)[0]
        return losses.view(len(targets), -1).sum(1) if each else torch.stack((losses.sum(),))
