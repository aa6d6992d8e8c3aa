"""Vertex minus minimum: what least-squares parabolas make of noise-free losses of a known surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.fitting.valleys import Bend, Valley
from scalescope.laws import Law
from scalescope.points import Array

_BEYOND = np.log(1e3)
"""How far outside its sizes the minimum of a budget is looked for."""
_GOLDEN = (np.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class VertexBias:
    """Vertex minus minimum at every budget on noise-free losses, shape (batch, n_budgets) each."""

    log_size: Array
    log_tokens: Array
    true_size: Array
    """ln N at the minimum of the surface along each budget."""
    true_tokens: Array
    variance: Array
    """Of the vertices, over the residual variance; the weights of the power law."""


def vertex_bias(law: Law, theta: Array, valleys: tuple[Valley, ...]) -> VertexBias:
    """Pass noise-free losses of a surface through the parabolas of a grid.

    Parameters
    ----------
    law
        In N and D.
    theta
        Coefficients, shape (batch, k), natural units.
    valleys
        The design of every budget.
    """
    parts = [_vertex_and_minimum(law, theta, valley) for valley in valleys]
    vertices, truths = [bend for bend, _ in parts], [truth for _, truth in parts]
    size, true_size = stack_bends(vertices, "log_size"), np.stack(truths, axis=1)
    true_tokens = np.stack([_tokens_at(v, u) for v, u in zip(valleys, truths, strict=True)], axis=1)
    slopes = np.array([_token_slope(valley) for valley in valleys])
    return VertexBias(
        log_size=size - true_size,
        log_tokens=slopes * (size - true_size),
        true_size=true_size,
        true_tokens=true_tokens,
        variance=stack_bends(vertices, "size_variance"),
    )


def stack_bends(bends: list[Bend], name: str) -> Array:
    """Put one field of the budgets' parabolas side by side, shape (batch, n_budgets)."""
    return np.stack([getattr(bend, name) for bend in bends], axis=1)


def _vertex_and_minimum(law: Law, theta: Array, valley: Valley) -> tuple[Bend, Array]:
    columns = theta.T[:, :, None]
    loss = law.value(columns, N=np.exp(valley.log_size), D=np.exp(valley.log_tokens))

    def along(log_size: Array) -> Array:
        at = {"N": np.exp(log_size), "D": np.exp(_tokens_at(valley, log_size))}
        return law.value(columns, **{name: value[:, None] for name, value in at.items()})[:, 0]

    ends = valley.log_size.min() - _BEYOND, valley.log_size.max() + _BEYOND
    low, high = (np.full(len(theta), end) for end in ends)
    for _ in range(60):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        lower_left = along(left) < along(right)
        low, high = np.where(lower_left, low, left), np.where(lower_left, right, high)
    return valley.bend(loss), (low + high) / 2


def _tokens_at(valley: Valley, log_size: Array) -> Array:
    """Return ln D on the budget's own relation to ln N."""
    off = log_size - valley.log_size.mean()
    return np.asarray(valley.log_tokens.mean() + _token_slope(valley) * off)


def _token_slope(valley: Valley) -> float:
    """Slope of ln D in ln N along a budget: -1 where the compute is 6 N D, and not far from it elsewhere."""
    centred = valley.log_size - valley.log_size.mean()
    return float(centred @ valley.log_tokens / (centred @ centred))
