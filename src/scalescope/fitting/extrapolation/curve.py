"""One curve as the fits of its forms see it: logarithms, sorted, and gathered where there are many points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError
from scalescope.points import Array

FEWEST = 4
"""Points at distinct x without which nothing is fitted."""
MOST = 40
"""Points that a form is fitted to; more are averaged over equal steps of log x."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve in logarithms, with the end of its range as the origin of log x."""

    u: Array
    """log(x / end) of every point, rising to 0, shape (n,)."""
    v: Array
    """Logarithm of level / unit, shape (n,)."""
    end: float
    """Largest x."""
    unit: float
    """Level of a middling point."""
    shift: float
    """The level is y + shift, or, where there is a ceiling, ceiling + shift - y."""
    ceiling: float | None
    bins: tuple[Array, Array, Array]
    """log x, log level and number of points of each bin, shape (up to `MOST`,) each."""

    @property
    def span(self) -> float:
        """Range of log x."""
        return float(-self.u[0])

    @property
    def rises(self) -> bool:
        """Whether the level is higher at the end than at the beginning, over a quarter of the points each."""
        share = max(len(self.v) // 4, 1)
        return bool(self.v[-share:].mean() > self.v[:share].mean())

    def ordinate(self, v: Array) -> Array:
        """Turn logarithms of levels back into ordinates."""
        level = self.unit * np.exp(np.minimum(v, 600.0))
        return np.asarray(level - self.shift if self.ceiling is None else self.ceiling + self.shift - level)


def prepare(x: npt.ArrayLike, y: npt.ArrayLike, *, shift: float | None, ceiling: float | None) -> Curve:
    """Check a curve and take logarithms.

    Parameters
    ----------
    x, y
        The points in any order, x above zero; a repeated x is kept as it is.
    shift
        Added to every ordinate (or distance from the ceiling) before its logarithm is taken. Where None,
        nothing if all are above zero, else what lifts the lowest to the range of all.
    ceiling
        Highest ordinate that can be; the distance from it is then what is fitted.

    Raises
    ------
    InputError
        If a number is not finite, an x is not above zero, or too few x differ.
    """
    abscissa, ordinate = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    _check(abscissa, ordinate)
    order = np.argsort(abscissa, kind="stable")
    abscissa, ordinate = abscissa[order], ordinate[order]
    distance = ordinate if ceiling is None else ceiling - ordinate
    lift = _lift(distance) if shift is None else float(shift)
    if not (distance + lift > 0).all():
        at = int(np.argmin(distance))
        raise InputError(
            f"y = {ordinate[at]:g} at x = {abscissa[at]:g} has no logarithm with shift {lift:g}"
            + ("" if ceiling is None else f" under ceiling {ceiling:g}"),
            hint="Leave the shift out, or raise it or the ceiling.",
        )
    unit = float(np.median(distance + lift))
    u, v = np.log(abscissa / abscissa[-1]), np.log((distance + lift) / unit)
    end = float(abscissa[-1])
    return Curve(u=u, v=v, end=end, unit=unit, shift=lift, ceiling=ceiling, bins=_gather(u, v))


def _check(x: Array, y: Array) -> None:
    if len(x) != len(y):
        raise InputError(f"{len(x)} x but {len(y)} y", hint="Every point needs both.")
    bad = np.flatnonzero(~(np.isfinite(x) & np.isfinite(y) & (x > 0)))
    if bad.size:
        raise InputError(
            f"point {bad[0] + 1}: x = {x[bad[0]]:g}, y = {y[bad[0]]:g}",
            hint="Both must be finite and x above zero; leave such points out.",
        )
    if len(np.unique(x)) < FEWEST:
        raise InputError(
            f"a curve needs {FEWEST} points at distinct x, got {len(np.unique(x))}",
            hint="Measure the curve at more x.",
        )


def _lift(y: Array) -> float:
    """Return what makes the lowest of some ordinates as large as their range, where they are not positive."""
    low = float(y.min())
    return 0.0 if low > 0 else (float(np.ptp(y)) or 1.0) - low


def _gather(u: Array, v: Array) -> tuple[Array, Array, Array]:
    """Average over equal steps of log x where there are more than `MOST` points."""
    if len(u) <= MOST:
        return u, v, np.ones(len(u))
    at = np.minimum((MOST * (u - u[0]) / -u[0]).astype(np.int64), MOST - 1)
    count = np.bincount(at, minlength=MOST)
    used = count > 0
    mean_u, mean_v = (np.bincount(at, part, MOST)[used] / count[used] for part in (u, v))
    return mean_u, mean_v, count[used].astype(np.float64)
