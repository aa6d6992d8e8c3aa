"""What follows from a fitted law, with intervals: the best size for a compute, or any function of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.result import Fit
from scalescope.laws import get_law
from scalescope.laws.optimum import FLOP_PER_PARAM_TOKEN, optimal_size
from scalescope.points import Array, Estimate, from_plain, to_plain

STEP = 0.5
"""Half the step in ln C over which the exponent is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """The best use of a training compute under one fitted law."""

    schema: ClassVar[str] = "scalescope.optimum/1"

    law: str
    compute: float
    """FLOP."""
    size: Estimate
    """N*, parameters as the fit counts them."""
    tokens: Estimate
    """D* = C / 6 N*."""
    tokens_per_param: Estimate
    """D*/N*."""
    loss: Estimate
    """Predicted loss there, nats per token; each resample at its own optimum."""
    exponent: Estimate
    """d ln N* / d ln C there; constant for a power law."""
    level: float
    reach: float
    """Compute over the largest fitted compute."""

    def summary(self) -> str:
        """Two lines for a terminal."""
        from scalescope.units import format_count, format_factor, format_flop, format_loss, format_significant

        return (
            f"best use of {format_flop(self.compute)}: N* {self.size.text(format_count)}, "
            f"D* {self.tokens.text(format_count)}, "
            f"D*/N* {self.tokens_per_param.text(lambda value: format_significant(value, 3))}\n"
            f"  loss {self.loss.text(format_loss)}, N* grows as C^"
            f"{self.exponent.text(lambda value: format_significant(value, 3))}; "
            f"{format_factor(self.reach)} the largest fitted compute"
        )

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one a quantity."""
        names = ("size", "tokens", "tokens_per_param", "loss", "exponent")
        rows = []
        for name in names:
            one: Estimate = getattr(self, name)
            rows.append(
                {
                    "law": self.law,
                    "compute": self.compute,
                    "quantity": name,
                    "value": one.value,
                    "low": one.low,
                    "high": one.high,
                    "level": self.level,
                }
            )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Optimum:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def optimum(fit: Fit, compute: float, *, level: float | None = None) -> Optimum:
    """Find the size and tokens of lowest predicted loss for a training compute, C = 6 N D.

    Parameters
    ----------
    fit
        Of a law that weighs size against data or compute.
    compute
        FLOP.
    level
        Of the intervals; that of the fit where not given.

    Raises
    ------
    InputError
        If the compute is not a positive number, or the law has no best size.
    """
    if not (np.isfinite(compute) and compute > 0):
        raise InputError(f"compute must be a positive number of FLOP, got {compute}", hint="Such as 1e21.")
    law = get_law(fit.law)
    C = np.array(float(compute))

    def size(theta: Array) -> Array:
        return optimal_size(fit.law, theta, C)

    def loss(theta: Array) -> Array:
        N = size(theta)
        x = {"N": N, "D": C / (FLOP_PER_PARAM_TOKEN * N), "C": C + 0 * N}
        return law.value(theta, **{letter: x[letter] for letter in law.variables})

    def exponent(theta: Array) -> Array:
        near, far = (optimal_size(fit.law, theta, C * np.exp(step)) for step in (-STEP, STEP))
        return np.asarray((np.log(far) - np.log(near)) / (2 * STEP))

    share = fit.level if level is None else level
    return Optimum(
        law=fit.law,
        compute=float(compute),
        size=derive(fit, size, level=share),
        tokens=derive(fit, lambda theta: C / (FLOP_PER_PARAM_TOKEN * size(theta)), level=share),
        tokens_per_param=derive(
            fit, lambda theta: C / (FLOP_PER_PARAM_TOKEN * size(theta) ** 2), level=share
        ),
        loss=derive(fit, loss, level=share),
        exponent=derive(fit, exponent, level=share),
        level=share,
        reach=float(compute) / fit.ranges["C"][1],
    )


def derive(fit: Fit, quantity: Callable[[Array], Array], *, level: float | None = None) -> Estimate:
    """Estimate any function of the coefficients from the resamples of a fit.

    Parameters
    ----------
    fit
        With resamples; without, the interval is nan.
    quantity
        Takes coefficients on the first axis, shape (k, batch), and returns shape (batch,).
    level
        Of the interval; that of the fit where not given.
    """
    every = np.concatenate([fit.theta[None], fit.resamples.reshape(-1, len(fit.theta))])
    with np.errstate(all="ignore"):
        values = np.asarray(quantity(every.T))
    return Estimate.from_samples(float(values[0]), values[1:], fit.level if level is None else level)
