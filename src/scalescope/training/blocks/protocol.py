"""What every mixer is: one interface for attention, windows, hashing, retention, delta rule, state space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn

from scalescope.cost import Shape


class Mixes(Protocol):
    """A module that lets the tokens of a sequence see each other."""

    def __call__(self, x: Tensor, positions: Tensor) -> Tensor:
        """Mix tokens.

        Parameters
        ----------
        x
            Normed stream, (batch, time, width).
        positions
            Place of each token in its sequence, (time,); ascending, and 0 to time - 1 unless several ranks
            share one sequence.

        Returns
        -------
        Tensor
            What is added to the stream, (batch, time, width).
        """
        ...


Builder = Callable[[Shape], nn.Module]
"""Makes one layer's mixer; its parameters are drawn by the module itself."""
