"""The shape of the objective about an optimum: how well-posed it is, and which coefficients move together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scalescope.fitting.objective import Objective
from scalescope.points import Array
from scalescope.units import format_significant

FAINT = 0.15
"""Part of a trade-off, against its largest, from which it is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOff:
    """A direction in which coefficients move together and the predictions hardly change."""

    changes: Mapping[str, float]
    """Coefficient to its change over one standard error along the direction: the logarithm of a factor for
    those fitted as logarithms, else the difference. Small parts are left out."""
    share: float
    """Of the variance of all scaled coordinates that lies along it."""
    text: str


def condition_of(jacobian: Array) -> float:
    """Condition number of a Jacobian (k, n) after scaling each coefficient's row to length one."""
    if not len(jacobian):
        return 1.0
    value = np.linalg.svd(_scaled(jacobian), compute_uv=False)
    return float(value[0] / value[-1]) if value[-1] > 1e-15 * value[0] else float("inf")


def projected(jacobian: Array, names: Sequence[str], linear: Sequence[str]) -> Array:
    """Rows of the non-linear coefficients, without what the linear ones can do in their place."""
    is_linear = np.array([name in linear for name in names], dtype=np.bool_)
    if not is_linear.any() or is_linear.all():
        return jacobian[~is_linear]
    basis, _ = np.linalg.qr(_scaled(jacobian[is_linear]).T)
    rest = jacobian[~is_linear]
    return np.asarray(rest - (rest @ basis) @ basis.T)


def find_trade_offs(
    objective: Objective, names: Sequence[str], covariance: Array, jacobian: Array, *, most: int = 2
) -> tuple[TradeOff, ...]:
    """Return the flattest directions, the flattest first.

    Parameters
    ----------
    objective
        What was minimised.
    names
        The free coefficients.
    covariance
        Of their fitted coordinates, shape (k, k).
    jacobian
        Weighted, of the same, shape (k, n).
    most
        How many, at most; only those that hold more than their even share of the variance.
    """
    k = len(names)
    if k < 2 or not np.isfinite(covariance).all():
        return ()
    length = np.sqrt((jacobian**2).sum(axis=1))
    value, vector = np.linalg.eigh(covariance * np.outer(length, length))
    total = float(value.sum())
    found = []
    for index in range(k - 1, max(k - 1 - most, -1), -1):
        if total <= 0 or value[index] < total / k:
            break
        step = np.sqrt(value[index]) * vector[:, index] / np.where(length > 0, length, 1.0)
        error = np.sqrt(np.diag(covariance))
        # Parts are compared by how much of the coefficient's own uncertainty lies along the direction.
        part = np.abs(step) / np.where(error > 0, error, np.inf)
        named = {
            name: float(move) for name, move, size in zip(names, step, part, strict=True) if size > FAINT
        }
        found.append(
            TradeOff(changes=named, share=float(value[index] / total), text=_words(objective, named))
        )
    return tuple(one for one in found if len(one.changes) > 1)


def _words(objective: Objective, changes: Mapping[str, float]) -> str:
    """Say a direction in words, the first coefficient rising."""
    turn = 1.0 if next(iter(changes.values())) >= 0 else -1.0
    parts = []
    for name, change in changes.items():
        move = turn * change
        if objective.law.coefficients[name].positive:
            parts.append(f"{name} x{format_significant(float(np.exp(min(move, 50.0))), 3)}")
        else:
            parts.append(f"{name} {'+' if move >= 0 else '-'}{format_significant(abs(move), 2)}")
    return f"Trade off, within one standard error: {', '.join(parts)}."


def _scaled(jacobian: Array) -> Array:
    length = np.sqrt((jacobian**2).sum(axis=1, keepdims=True))
    return np.asarray(jacobian / np.where(length > 0, length, 1.0))
