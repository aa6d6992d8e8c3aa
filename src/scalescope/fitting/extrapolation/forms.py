r"""The forms that a curve is fitted with, in logarithms and batches.

The same formulas as in `scalescope.laws`, written for speed: the logarithm of the level and its derivatives
by coordinates that are of order one, as functions of :math:`u = \log(x / x_\mathrm{end})`. `natural` turns
the coordinates into the coefficients of the law.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from scalescope.laws import get_law
from scalescope.laws.lines import fit_lines
from scalescope.points import Array

Slopes = list[Array]
SHARES = np.array([1e-3, 0.3, 0.6, 0.9, 0.97])
"""Floors that are tried, as shares of the lowest level."""


class Form(ABC):
    """One form; stateless. `phi` has shape (batch, k) and u shape (batch or 1, n)."""

    name: ClassVar[str]
    """Of the law."""
    low: ClassVar[tuple[float, ...]]
    high: ClassVar[tuple[float, ...]]
    """Limits of the coordinates."""
    levels: ClassVar[tuple[int, ...]] = (0,)
    """Coordinates that are logarithms of levels."""

    @property
    def k(self) -> int:
        """Number of coordinates."""
        return len(self.low)

    @abstractmethod
    def curve(self, phi: Array, u: Array) -> tuple[Array, Slopes]:
        """Log level, shape (batch, n), and its derivative by each coordinate, k of that shape."""

    @abstractmethod
    def starts(self, u: Array, v: Array, weights: Array) -> Array:
        """Coordinates to start from, shape (n_starts, k)."""

    @abstractmethod
    def natural(self, phi: Array, end: float) -> Array:
        """Coefficients of the law at coordinates of shape (k,)."""

    def coefficients(self, phi: Array, *, end: float, unit: float) -> dict[str, float]:
        """Coefficients of the law by name, where u is log(x / end) and v the logarithm of level / unit."""
        raised = np.array(phi)
        raised[list(self.levels)] += np.log(unit)
        with np.errstate(over="ignore"):
            values = self.natural(raised, end).tolist()
        return dict(zip(get_law(self.name).coefficients, values, strict=True))


class Power(Form):
    """`power-law`: level at the end and exponent."""

    name = "power-law"
    low, high = (-99.0, -20.0), (99.0, 20.0)

    def curve(self, phi: Array, u: Array) -> tuple[Array, Slopes]:
        """See `Form.curve`."""
        level, b = phi.T[:, :, None]
        v = level + b * u
        one = np.ones_like(v)
        return v, [one, one * u]

    def starts(self, u: Array, v: Array, weights: Array) -> Array:
        """Return the straight line."""
        return fit_lines([np.ones_like(u), u], v[None], np.sqrt(weights)[None])

    def natural(self, phi: Array, end: float) -> Array:
        """See `Form.natural`."""
        return np.array([np.exp(phi[0] - phi[1] * np.log(end)), phi[1]])


class Floor(Form):
    """`power-law-offset` with a constant below and a positive scale."""

    name = "power-law-offset"
    low, high = (-99.0, -20.0, -30.0), (99.0, 20.0, 99.0)
    levels = (0, 2)

    def curve(self, phi: Array, u: Array) -> tuple[Array, Slopes]:
        """See `Form.curve`."""
        level, b, floor = phi.T[:, :, None]
        v = np.logaddexp(level + b * u, floor)
        share = np.exp(level + b * u - v)
        return v, [share, share * u, 1 - share]

    def starts(self, u: Array, v: Array, weights: Array) -> Array:
        """Floors on a grid; straight lines above them."""
        lowest = float(v.min())
        above = np.log1p(-SHARES[:, None] * np.exp(lowest - v))
        line = fit_lines([np.ones_like(u), u], v + above, np.sqrt(weights) * np.exp(above))
        return np.column_stack([line, lowest + np.log(SHARES)])

    def natural(self, phi: Array, end: float) -> Array:
        """See `Form.natural`."""
        return np.array([np.exp(phi[2]), np.exp(phi[0] - phi[1] * np.log(end)), phi[1]])


class Ceiling(Form):
    """`power-law-offset` that rises to its constant: level and log slope at the end, exponent."""

    name = "power-law-offset"
    low, high = (-99.0, 0.0, -20.0), (99.0, 20.0, -1e-3)

    def curve(self, phi: Array, u: Array) -> tuple[Array, Slopes]:
        """See `Form.curve`; nan where the level would not be above zero."""
        level, slope, b = phi.T[:, :, None]
        bend = np.expm1(b * u)
        inside = 1 + slope * bend / b
        by_b = slope * (u * (bend + 1) - bend / b) / b
        return level + np.log(inside), [np.ones_like(inside), bend / (b * inside), by_b / inside]

    def starts(self, u: Array, v: Array, weights: Array) -> Array:
        """Exponents on a grid; least squares of relative residuals for the rest."""
        b = np.array([-0.02, -0.1, -0.3, -0.7, -1.5])[:, None]
        bend = np.expm1(b * u) / b
        wanted, share = np.broadcast_to(np.exp(v - v[-1]), bend.shape), np.sqrt(weights) * np.exp(v[-1] - v)
        line = fit_lines([np.ones_like(u), bend], wanted, np.broadcast_to(share, bend.shape))
        level = np.maximum(line[:, 0], 1e-3)
        # The level must be above zero at the beginning already.
        steepest = 0.98 / np.maximum(-bend.min(axis=1), 1e-9)
        return np.column_stack([v[-1] + np.log(level), np.clip(line[:, 1] / level, 0, steepest), b[:, 0]])

    def natural(self, phi: Array, end: float) -> Array:
        """See `Form.natural`."""
        level, scale = np.exp(phi[0]), phi[1] / phi[2]
        return np.array([level * (1 - scale), level * scale * end ** -phi[2], phi[2]])


class Bend(Form):
    """`m3`: a power law up to a bend."""

    name = "m3"
    low, high = (-99.0, -20.0, -30.0), (99.0, 20.0, 30.0)

    def curve(self, phi: Array, u: Array) -> tuple[Array, Slopes]:
        """See `Form.curve`."""
        level, c, gamma = phi.T[:, :, None]
        inside = np.logaddexp(-u, gamma)
        return level - c * inside, [np.ones_like(inside), -inside, -c * np.exp(gamma - inside)]

    def starts(self, u: Array, v: Array, weights: Array) -> Array:
        """Bends on a grid over and beyond the data; straight lines for the rest."""
        gamma = -u[0] - np.array([-0.3, 0.2, 0.5, 0.8, 1.1, 1.5]) * np.ptp(u)
        inside = np.logaddexp(-u, gamma[:, None])
        both = (np.broadcast_to(part, inside.shape) for part in (v, np.sqrt(weights)))
        return np.column_stack([fit_lines([np.ones_like(u), -inside], *both), gamma])

    def natural(self, phi: Array, end: float) -> Array:
        """See `Form.natural`."""
        return np.array([np.exp(phi[0] - phi[1] * np.log(end)), np.exp(phi[2]) / end, phi[1]])


class Levels(Form):
    """`m4`: floor and width (logarithms), log alpha, and the power law between the levels."""

    name = "m4"
    low, high = (-30.0, -30.0, -3.0, -99.0, -20.0), (99.0, 99.0, 3.0, 99.0, 20.0)
    levels = (0, 1)

    def curve(self, phi: Array, u: Array) -> tuple[Array, Slopes]:
        """See `Form.curve`."""
        floor, width, log_alpha, q, c = phi.T[:, :, None]
        alpha = np.exp(log_alpha)
        s, past, share = _odds(q + c * u, alpha)
        log_part = width + s - past
        v = np.logaddexp(floor, log_part)
        part = np.exp(log_part - v)
        by_q = (1 - share) * part / (1 - share + alpha * share)
        return v, [1 - part, part, -alpha * past * by_q, by_q, by_q * u]

    def starts(self, u: Array, v: Array, weights: Array) -> Array:
        """Both levels and the asymmetry on a grid; straight lines for the power law between them."""
        share, above, log_alpha = _grid((1e-3, 0.5, 0.9), (1.01, 1.15, 2.0, 5.0), (-1.0, 0.0, 0.7))
        y, highest = np.exp(v - v.max()), float(v.max())
        floor = share[:, None] * y.min()
        width = above[:, None] - floor
        p = np.clip((y - floor) / width, 1e-3, 1 - 1e-3)
        q = np.log(p) - np.exp(log_alpha)[:, None] * np.log1p(-p)
        line = fit_lines([np.ones_like(u), u], q, np.broadcast_to(np.sqrt(weights), q.shape))
        return np.column_stack([highest + np.log(floor), highest + np.log(width), log_alpha, line])

    def natural(self, phi: Array, end: float) -> Array:
        """See `Form.natural`."""
        floor, width, log_alpha, q, c = phi
        alpha = np.exp(log_alpha)
        log_scale = q + (1 - alpha) * width - c * np.log(end)
        return np.array([np.exp(floor), np.exp(floor) + np.exp(width), alpha, np.exp(log_scale), c])


class Break(Form):
    """`broken` with one break: log floor and level, exponents, the break and the log of its width."""

    name = "broken"
    low, high = (-30.0, -99.0, -20.0, -20.0, -20.0, -4.0), (99.0, 99.0, 20.0, 20.0, 6.0, 3.0)
    levels = (0, 1)

    def curve(self, phi: Array, u: Array) -> tuple[Array, Slopes]:
        """See `Form.curve`."""
        floor, level, c0, c1, place, log_width = phi.T[:, :, None]
        width = np.exp(log_width)
        z = (u - place) / width
        bend, past = _softplus(z)
        log_part = level - c0 * u - c1 * width * bend
        v = np.logaddexp(floor, log_part)
        part = np.exp(log_part - v)
        scaled = c1 * part
        by_width = -width * (scaled * (bend - z * past))
        return v, [1 - part, part, -u * part, -width * bend * part, scaled * past, by_width]

    def starts(self, u: Array, v: Array, weights: Array) -> Array:
        """Floors, breaks and widths on a grid; straight lines for the level and the exponents."""
        share, at, log_width = _grid((1e-3, 0.5, 0.9), (0.1, 0.3, 0.5, 0.7, 0.9), (-2.0, -0.7, 0.5))
        lowest, place = float(v.min()), u[0] + at * np.ptp(u)
        above = np.log1p(-share[:, None] * np.exp(lowest - v))
        width = np.exp(log_width)[:, None]
        bend = width * _softplus((u - place[:, None]) / width)[0]
        line = fit_lines([np.ones_like(u), -u, -bend], v + above, np.sqrt(weights) * np.exp(above))
        return np.column_stack([lowest + np.log(share), line, place, log_width])

    def natural(self, phi: Array, end: float) -> Array:
        """See `Form.natural`."""
        floor, level, c0, c1, place, log_width = phi
        scale = np.exp(level + c0 * np.log(end))
        return np.array([np.exp(floor), scale, c0, c1, end * np.exp(place), np.exp(log_width)])


def forms_for(*, rises: bool) -> tuple[Form, ...]:
    """Return the forms that a curve is fitted with; few points are enough, as the way it ended holds them."""
    return Power(), Ceiling() if rises else Floor(), Bend(), Levels(), Break()


FORMS: dict[str, type[Form]] = {form.__name__: form for form in (Power, Floor, Ceiling, Bend, Levels, Break)}


def _grid(*axes: tuple[float, ...]) -> list[Array]:
    return [axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")]


def _softplus(z: Array) -> tuple[Array, Array]:
    """log(1 + exp z) and its derivative, from one exponential."""
    small = np.exp(-np.abs(z))
    positive = z > 0
    return np.maximum(z, 0) + np.log1p(small), np.where(positive, 1.0, small) / (1 + small)


def _odds(q: Array, alpha: Array) -> tuple[Array, Array, Array]:
    """Solve log p - alpha log(1 - p) = q; log-odds of p, -log(1 - p), p.  See `scalescope.laws.curve_m4`."""
    s = np.where(q < 0, q, q / alpha)
    for step in range(30):
        past, share = _softplus(s)
        change = ((alpha - 1) * past + s - q) / (1 - share + alpha * share)
        s = s - change
        # Newton's method squares the error: the step after this one is below 1e-10.
        if step > 1 and not (np.abs(change) > 1e-5).any():
            break
    past, share = _softplus(s)
    return s, past, share
