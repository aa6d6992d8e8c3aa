"""Vertex minus minimum: what least-squares parabolas make of noise-free losses of a known surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.fitting.valleys import Bend, Valley
from scalescope.laws import Law
from scalescope.points import Array

_BEYOND = np.log(1e3)
"""How far outside its sizes the minimum of a budget is looked for."""
MOST_BENT = 4
"""Degree of the relation of tokens to size along a budget, at most."""
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
    tokens, true_tokens = (
        np.stack([_Tokens.of(valley).at(u) for valley, u in zip(valleys, at.T, strict=True)], axis=1)
        for at in (size, true_size)
    )
    return VertexBias(
        log_size=size - true_size,
        log_tokens=tokens - true_tokens,
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

    tokens = _Tokens.of(valley)

    def along(log_size: Array) -> Array:
        at = {"N": np.exp(log_size), "D": np.exp(tokens.at(log_size))}
        return law.value(columns, **{name: value[:, None] for name, value in at.items()})[:, 0]

    ends = valley.log_size.min() - _BEYOND, valley.log_size.max() + _BEYOND
    low, high = (np.full(len(theta), end) for end in ends)
    for _ in range(60):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        lower_left = along(left) < along(right)
        low, high = np.where(lower_left, low, left), np.where(lower_left, right, high)
    return valley.bend(loss), (low + high) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tokens:
    """ln D along a budget as a polynomial in ln N: a line where the compute is 6 N D, else a little bent."""

    middle: float
    half: float
    """Half the span of ln N; the polynomial goes on as a straight line beyond."""
    polynomial: Array
    """Highest power first, of (ln N - middle) / half."""

    @classmethod
    def of(cls, valley: Valley) -> _Tokens:
        """Take the lowest degree that predicts left-out runs as well as any."""
        low, high = float(valley.log_size.min()), float(valley.log_size.max())
        x = (valley.log_size - (low + high) / 2) / ((high - low) / 2)
        n_sizes = len(np.unique(np.round(x, 6)))
        degrees = range(1, max(2, min(MOST_BENT, n_sizes - 2) + 1))
        errors = [_left_out_error(x, valley.log_tokens, degree) for degree in degrees]
        good = next(at for at, error in enumerate(errors) if error <= 1.1 * min(errors) + 1e-9)
        polynomial = np.polyfit(x, valley.log_tokens, degrees[good])
        return cls(middle=(low + high) / 2, half=(high - low) / 2, polynomial=polynomial)

    def at(self, log_size: Array) -> Array:
        """Return ln D, the shape of `log_size`."""
        x = (log_size - self.middle) / self.half
        inside = np.clip(x, -1.0, 1.0)
        slope = np.polyval(np.polyder(self.polynomial), inside)
        return np.asarray(np.polyval(self.polynomial, inside) + slope * (x - inside))


def _left_out_error(x: Array, y: Array, degree: int) -> float:
    """Root mean square error of each run by the polynomial through the others."""
    basis = np.vander(x, degree + 1)
    hat = basis @ np.linalg.pinv(basis)
    return float(np.sqrt(np.mean(((y - hat @ y) / np.maximum(1 - np.diag(hat), 1e-9)) ** 2)))
