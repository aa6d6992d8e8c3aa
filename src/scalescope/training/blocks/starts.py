"""How matrices begin.

Matrices that read the stream have unit spectral scale, and what writes into it starts at zero, so that every
width starts as the same function (Yang, Simon & Bernstein 2023, https://arxiv.org/abs/2310.17813).
"""

from __future__ import annotations

from torch import nn


def reads(rows: int, columns: int, *, bias: bool = False) -> nn.Linear:
    """Make a matrix from `rows` inputs to `columns` outputs that reads the stream."""
    matrix = nn.Linear(rows, columns, bias=bias)
    nn.init.normal_(matrix.weight, std=rows**-0.5)
    if bias:
        nn.init.zeros_(matrix.bias)
    return matrix


def writes(rows: int, columns: int, *, bias: bool = False) -> nn.Linear:
    """Make a matrix that writes into the stream; it begins at zero."""
    matrix = nn.Linear(rows, columns, bias=bias)
    nn.init.zeros_(matrix.weight)
    if bias:
        nn.init.zeros_(matrix.bias)
    return matrix
