r"""The fourth form of Alabdulmohsin et al. (2022): a power law between two levels.

.. math:: \frac{\varepsilon - \varepsilon_\infty}{(\varepsilon_0 - \varepsilon)^{\alpha}} = \beta\, x^{c}

It has no closed solution for :math:`\varepsilon`. With :math:`p = (\varepsilon - \varepsilon_\infty) /
(\varepsilon_0 - \varepsilon_\infty)` and :math:`s = \log p - \log(1 - p)` it reads :math:`g(s) = \log p -
\alpha \log(1 - p) = q`, where :math:`g` rises with a slope between 1 and :math:`\alpha` and bends to one
side only, so that Newton's method always arrives.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.lines import fit_lines, floors_below

STEPS = 60
"""Newton steps at most; a handful is usual."""


@register
class CurveM4(Law):
    """A power law that leaves one level and ends at another; solved by Newton's method."""

    name = "m4"
    title = "One curve, fourth form of Alabdulmohsin et al. 2022: between two levels"
    family = "curves"
    formula = "(eps - eps_inf)/(eps_0 - eps)^alpha = beta x^c"
    variables = named(x=Variable(column="x", low=1.0, high=1e4))
    coefficients = named(
        eps_inf=Coefficient(meaning="level far on where c is below zero", example=0.1, low=0.0),
        eps_0=Coefficient(
            meaning="level at the beginning where c is below zero", example=0.95, positive=True
        ),
        alpha=Coefficient(
            meaning="how slowly the first level is left", example=0.7, positive=True, low=1e-3, high=30.0
        ),
        beta=Coefficient(meaning="scale of the power law between them", example=6.0, positive=True),
        c=Coefficient(meaning="exponent of the power law between them", example=-0.5, low=-20.0, high=20.0),
    )
    target = "y"
    reference = "https://arxiv.org/abs/2209.06640, section 3"
    caveats = (
        "Its five coefficients need a curve that shows the first level.",
        "The first level must be above the second; other coefficients give no number.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted error, in its own unit; nan where the first level is not above the second."""
        floor, top, alpha, _, _ = theta
        return np.asarray(floor + (top - floor) * _share(_solve(theta, np.log(x["x"])), alpha)[0])

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first, by the implicit function theorem."""
        floor, top, alpha, beta, _ = theta
        log_x = np.log(x["x"])
        s = _solve(theta, log_x)
        share, rest, slope = _share(s, alpha)
        width = top - floor
        # What moves q, or g at fixed s, moves the share by p (1 - p) / g'(s).
        per_q = width * share * rest / slope
        per_width = per_q * (alpha - 1) / width + share
        by_alpha = per_q * (np.log(width) - _softplus(s))
        parts = (1 - per_width, per_width, by_alpha, per_q / beta, per_q * log_x)
        return np.stack(np.broadcast_arrays(*parts))

    def starts(self, target: Array, **x: Array) -> Array:
        """Both levels and the asymmetry on a grid; straight lines for the power law between them."""
        rows = product(floors_below(target, (0.0, 0.5, 0.9)), (1.01, 1.15, 2.0, 5.0), (0.4, 1.0, 2.0))
        floor, above, alpha = np.array(list(rows)).T
        top = above * max(float(target.max()), 1e-300)
        share = np.clip((target - floor[:, None]) / (top - floor)[:, None], 1e-3, 1 - 1e-3)
        q = np.log(share) - alpha[:, None] * np.log1p(-share) + ((1 - alpha) * np.log(top - floor))[:, None]
        line = fit_lines([np.ones_like(target), np.log(x["x"])], q, np.ones_like(q))
        scale = np.exp(np.clip(line[:, 0], -200, 200))
        return np.asarray(np.clip(np.column_stack([floor, top, alpha, scale, line[:, 1]]), *self.bounds()))


def _softplus(z: Array) -> Array:
    """log(1 + exp z) without overflow, for complex numbers too."""
    up = z.real > 0
    return np.asarray(np.where(up, z, 0) + np.log1p(np.exp(np.where(up, -z, z))))


def _share(s: Array, alpha: Array) -> tuple[Array, Array, Array]:
    """Return p, 1 - p and the slope of g at log-odds `s`."""
    share, rest = np.exp(-_softplus(-s)), np.exp(-_softplus(s))
    return share, rest, rest + alpha * share


def _solve(theta: Array, log_x: Array) -> Array:
    """Log-odds of the share where g(s) = q, of the broadcast shape."""
    floor, top, alpha, beta, c = theta
    q = np.log(beta) + c * log_x + (alpha - 1) * np.log(top - floor)
    alpha = np.broadcast_to(alpha, q.shape)
    s = np.where(q.real < 0, q, q / alpha).real
    for _ in range(STEPS):
        step = _newton(s, q.real, alpha.real)
        s = s - step
        if not (np.abs(step) > 1e-12 * (1 + np.abs(s))).any():
            break
    # One more step from the solution carries an imaginary part, or a last rounding, to first order.
    return np.asarray(s - _newton(s, q, alpha))


def _newton(s: Array, q: Array, alpha: Array) -> Array:
    return np.asarray((alpha * _softplus(s) - _softplus(-s) - q) / _share(s, alpha)[2])
