"""Rotary positions (Su et al. 2021, https://arxiv.org/abs/2104.09864), the halves of a head as pairs."""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 10_000.0


def turns_of(
    positions: Tensor, head_size: int, *, base: float = BASE, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of every place and pair, (time, head_size / 2) each."""
    pairs = torch.arange(0, head_size, 2, dtype=torch.float64, device=positions.device)
    angles = torch.outer(positions.double(), base ** -(pairs / head_size))
    return angles.cos().float().to(dtype), angles.sin().float().to(dtype)


def turn(heads: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Turn heads of (batch, heads, time, head_size) by their places.

    They stay token after token in memory, as products made them and take what attention makes of them: it
    answers in the order of the queries, and another order would be kept as a second copy.
    """
    cosine, sine = (one.to(heads.dtype).unsqueeze(1) for one in turns)
    first, second = heads.transpose(1, 2).chunk(2, -1)
    turned = torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1)
    return turned.transpose(1, 2)
