"""A law seen along iso-FLOP lines: the loss of any size at any compute, the best size, and the way back.

Everything is computed for the fitted coefficients and for all resamples at once. Tables have one row for
the point estimate (row 0) and one for each resample after it, and one column for each place asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.result import Fit
from scalescope.laws import get_law
from scalescope.laws.optimum import optimal_size
from scalescope.points import Array, Estimate

# exp(-80) of the compute asked for: below this an equal-loss compute is not a compute any more.
_DEEPEST = 80.0
_HALVINGS = 14
_SECANTS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """A law with its coefficients, one column of `theta` a row of every table it returns."""

    law: str
    theta: Array
    """Shape (n_coefficients, n_rows)."""

    @classmethod
    def of_fit(cls, fit: Fit) -> Surface:
        """Put the fitted coefficients first and the resamples after them."""
        resamples = fit.resamples.reshape(-1, len(fit.coefficients))
        return cls(law=fit.law, theta=np.column_stack([fit.theta, resamples.T]))

    @classmethod
    def of_coefficients(cls, law: str, coefficients: Mapping[str, float]) -> Surface:
        """One row: a published set of coefficients."""
        values = [coefficients[name] for name in get_law(law).coefficients]
        return cls(law=law, theta=np.array(values)[:, None])

    def loss(self, N: Array, C: Array) -> Array:
        """Loss of size N at compute C; both of shape (n,) or (n_rows, n). D follows from C = 6 N D."""
        law = get_law(self.law)
        every = {"N": N, "D": C / (6 * N), "C": C}
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return law.value(self.theta[:, :, None], **{name: every[name] for name in law.variables})

    def optimum(self, C: Array) -> Array:
        """Size of lowest loss at compute C of shape (n,) or (n_rows, n)."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return optimal_size(self.law, self.theta[:, :, None], C)

    def best_loss(self, C: Array) -> Array:
        """Loss of the best size at compute C."""
        return self.loss(self.optimum(C), C)

    def equal_compute(self, loss: Array, C: Array) -> Array:
        """Compute at which the best size reaches `loss`, at most C: what a run at C could have cost.

        The best loss falls with compute under every law, so bisection in ln C brackets the answer; false
        position, on what is nearly a straight line by then, finishes. Zero where even a negligible compute
        would reach that loss.
        """
        high = np.broadcast_to(np.log(C), loss.shape)
        low = high - _DEEPEST
        over, under = self.best_loss(np.exp(low)) - loss, self.best_loss(np.exp(high)) - loss
        reachable = over > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            for step in range(_HALVINGS + _SECANTS):
                line = low + (high - low) * over / (over - under)
                middle = (low + high) / 2 if step < _HALVINGS else np.where(over > under, line, high)
                at = self.best_loss(np.exp(middle)) - loss
                low, over = np.where(at > 0, middle, low), np.where(at > 0, at, over)
                high, under = np.where(at > 0, high, middle), np.where(at > 0, under, at)
            # The end with the smaller error: false position leaves the other one standing.
            found = np.exp(np.where(np.abs(over) < np.abs(under), low, high))
        return np.where(np.isfinite(loss), np.where(reachable, found, 0.0), np.nan)


def estimate(rows: Array, level: float) -> Estimate:
    """Turn one column of a table (row 0 the value, the rest resamples) into an estimate.

    Resamples that gave no number are left out. Infinite ones count: they are the tail.
    """
    value, samples = float(rows[0]), rows[1:]
    samples = samples[~np.isnan(samples)]
    if np.isinf(samples).any():
        # Quantiles between a number and infinity are not defined: take samples as they are.
        low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
        return Estimate(value=value, low=min(float(low), value), high=max(float(high), value))
    return Estimate.from_samples(value, samples, level)


def require_optimum(law: str) -> None:
    """Refuse a law that says nothing about the best size at a given compute.

    Raises
    ------
    InputError
        If the law does not have size and one of tokens and compute as its variables.
    """
    form = get_law(law)
    if not form.is_surface:
        raise InputError(
            f"the law {law} relates {form.target} to {' and '.join(form.variables)} and has no best size",
            hint="Fit chinchilla, isoflop or kaplan for a plan.",
        )


def require_loss_of_run(law: str) -> None:
    """Refuse a law that needs more than size, tokens and compute to tell the loss of a run.

    Raises
    ------
    InputError
        If it predicts something else, or reads other variables too.
    """
    form = get_law(law)
    others = [f"{name} ({one.column})" for name, one in form.variables.items() if name not in ("N", "D", "C")]
    if form.target != "loss" or others:
        cause = f"predicts {form.target}" if form.target != "loss" else f"also reads {' and '.join(others)}"
        raise InputError(
            f"a forecast is of the loss at a size and tokens or compute, and the law {law} {cause}",
            hint="Fit a law of N and D such as chinchilla, or call predict of the fit with every variable.",
        )


def check_positive(value: float, what: str) -> float:
    """Return `value` if it is a positive number.

    Raises
    ------
    InputError
        If it is not.
    """
    if not (np.isfinite(value) and value > 0):
        raise InputError(
            f"{what} must be a positive number, got {value!r}", hint=f"Give {what} in base units."
        )
    return float(value)


def check_level(level: float | None, default: float) -> float:
    """Return the level of the intervals asked for, or the fit's own.

    Raises
    ------
    InputError
        If it is not between 0 and 1.
    """
    chosen = default if level is None else level
    if not 0 < chosen < 1:
        raise InputError(f"the level of an interval lies between 0 and 1, got {chosen!r}", hint="Try 0.9.")
    return chosen
