"""How decays that depend on the token begin: Mamba-2's rates and steps (https://arxiv.org/abs/2405.21060).

A state keeps exp(-rate * step) of itself; rates are kept as logarithms, steps before their softplus.
"""

from __future__ import annotations

import math

import torch
from torch import nn

MOST_RATE = 16.0
STEPS = (0.001, 0.1)
LEAST_STEP = 1e-4


def start_rates(heads: int, *, least: float) -> nn.Parameter:
    """Draw the rate of each head evenly up to 16; its logarithm."""
    return nn.Parameter(torch.empty(heads).uniform_(least, MOST_RATE).log())


def start_steps(heads: int) -> nn.Parameter:
    """Draw the step of each head evenly by its logarithm; what softplus turns into it."""
    low, high = (math.log(step) for step in STEPS)
    step = torch.empty(heads).uniform_(low, high).exp().clamp(min=LEAST_STEP)
    return nn.Parameter(step + torch.log(-torch.expm1(-step)))
