"""Rotary positions (Su et al. 2021, https://arxiv.org/abs/2104.09864), the halves of a head as pairs."""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 10_000.0


def turns_of(positions: Tensor, head_size: int, *, base: float = BASE) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of every place and pair, (time, head_size / 2) each, in fp32."""
    pairs = torch.arange(0, head_size, 2, dtype=torch.float64, device=positions.device)
    angles = torch.outer(positions.double(), base ** -(pairs / head_size))
    return angles.cos().float(), angles.sin().float()


def turn(heads: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Turn heads of (batch, heads, time, head_size) by their places."""
    cosine, sine = (one.to(heads.dtype) for one in turns)
    first, second = heads.chunk(2, -1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1)
