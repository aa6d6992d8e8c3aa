r"""The objective of a fit, for many coefficient vectors at once.

.. math:: S(\theta) = \sum_i w_i\, \rho\!\left(\frac{t(L_i) - t(\hat L(\theta, x_i))}{s_i}\right)
          + \frac{\nu}{2} \sum_j \left(\frac{\phi_j - m_j}{\sigma_j}\right)^2

a sum over the runs, not a mean, as Hoffmann et al. (2022, https://arxiv.org/abs/2203.15556, section 3.3) and
those who repeated them print it. :math:`t` is the logarithm or nothing, :math:`\rho` the penalty (see
`penalties`), :math:`s_i` a known standard error or one. The second sum are normal priors of the fitted
coordinates. Divided by :math:`\nu` the penalties are minus a log-likelihood, so that a prior weighs like one
more measurement: :math:`\nu` is one where standard errors are known, else the noise that a fit without priors
leaves (`noise_of`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.coordinates import Coordinates
from scalescope.fitting.criterion import FREE, HUBER, Criterion, Restraints
from scalescope.fitting.inputs import column_of, target_of, variables_of
from scalescope.fitting.penalties import Terms, asymmetric, penalty_of, terms_of
from scalescope.laws import Law
from scalescope.points import Array, Runs


class Local(NamedTuple):
    """An objective and its derivatives by the free coordinates at each point of a batch."""

    value: Array
    """Shape (batch,); inf where it cannot be computed."""
    downhill: Array
    """Minus the gradient, shape (batch, m)."""
    curvature: Array
    """Positive semi-definite stand-in for the second derivatives, shape (batch, m, m)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One law, the variables of n runs, and what is minimised; batches run over the rest."""

    law: Law
    x: Mapping[str, Array] = field(repr=False)
    criterion: Criterion = HUBER
    restraints: Restraints = FREE
    errors: Array | None = field(default=None, repr=False)
    """What residuals are divided by, on the scale they are taken on, shape (n,)."""
    weights: Array | None = field(default=None, repr=False)
    """Weights of the runs, shape (n,); others, such as those of a resample, multiply them."""
    noise: float = 1.0
    """Turns a prior into the unit of the penalties; see the top of this module."""
    coordinates: Coordinates = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "coordinates", Coordinates.of(self.law, self.restraints))

    @classmethod
    def of(
        cls, law: Law, runs: Runs, criterion: Criterion = HUBER, restraints: Restraints = FREE
    ) -> Objective:
        """Build from a table, with the columns that the law and the criterion name.

        Raises
        ------
        InputError
            If a column is missing, or weights or standard errors are not what they must be.
        """
        errors = None if criterion.errors is None else _checked(runs, criterion.errors, least=True)
        if errors is not None and (criterion.scale or law.scale) == "log":
            errors = errors / target_of(law, runs)
        return cls(
            law=law,
            x=variables_of(law, runs),
            criterion=criterion,
            restraints=restraints,
            errors=errors,
            weights=None if criterion.weights is None else _checked(runs, criterion.weights, least=False),
        )

    @property
    def scale(self) -> str:
        """`log` or `raw`: what residuals compare."""
        return self.criterion.scale or self.law.scale

    @property
    def n_runs(self) -> int:
        """Length of the variables."""
        return len(next(iter(self.x.values())))

    @property
    def logged(self) -> Array:
        """1 for the coefficients that are fitted as logarithms, else 0, shape (k,)."""
        return self.coordinates.logged.astype(np.float64)

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper limits in fitted coordinates, each of shape (k,)."""
        return self.coordinates.low, self.coordinates.high

    def fitted(self, theta: Array) -> Array:
        """Natural coefficients (batch, k) in fitted coordinates."""
        return self.coordinates.fitted(theta)

    def natural(self, phi: Array) -> Array:
        """Fitted coordinates (batch, k) as natural coefficients."""
        return self.coordinates.natural(phi)

    def transform(self, target: Array) -> Array:
        """The target on the scale that residuals are taken on.

        Raises
        ------
        InputError
            If a logarithm is needed of what is not above zero.
        """
        if self.scale == "raw":
            return np.asarray(target, dtype=np.float64)
        bad = np.flatnonzero(~(target > 0))
        if bad.size:
            raise InputError(
                f"row {bad[0] + 1}: {self.law.target} is {target[bad[0]]:g} and has no logarithm",
                hint="Correct or remove such rows, or compare values as they are: scale raw.",
            )
        return np.log(target)

    def predicted(self, phi: Array) -> Array:
        """Prediction on the scale of the residuals, shape (batch, n); not finite where it makes no sense."""
        theta = self.natural(phi).T[:, :, None]
        with np.errstate(all="ignore"):
            value = self.law.value(theta, **self.x)
            return np.asarray(np.log(value) if self.scale == "log" else value)

    def log_loss(self, phi: Array) -> Array:
        """Predicted log loss: `predicted` of a law that is fitted on the logarithmic scale."""
        return self.predicted(phi)

    def jacobian(self, phi: Array) -> Array:
        """Derivative of the prediction by the fitted coordinates, shape (batch, k, n)."""
        natural = self.natural(phi)
        with np.errstate(all="ignore"):
            value, slope = self.law.value_and_gradient(natural.T[:, :, None], **self.x)
            slope = np.moveaxis(slope, 0, 1) * np.where(self.coordinates.logged, natural, 1.0)[:, :, None]
            return np.asarray(slope / value[:, None, :] if self.scale == "log" else slope)

    def residuals(self, phi: Array, y: Array) -> Array:
        """Target minus prediction over the standard errors, shape (batch, n)."""
        left = y - self.predicted(phi)
        return left if self.errors is None else left / self.errors

    def residuals_at(self, u: Array, y: Array) -> Array:
        """Residuals at free coordinates, shape (batch, n)."""
        return self.residuals(self.coordinates.expanded(u), y)

    def weighted(self, weights: Array) -> Array:
        """Weights of a problem joined with those of the runs."""
        return weights if self.weights is None else weights * self.weights

    def value(self, residuals: Array, weights: Array) -> Array:
        """Weighted sum of the penalties, shape (batch,); inf where a residual is not finite."""
        with np.errstate(all="ignore"):
            total = penalty_of(self.criterion, residuals, self.weighted(weights))
        return np.where(np.isfinite(total), total, np.inf)

    def total(self, phi: Array, y: Array, weights: Array) -> Array:
        """The objective with its priors, shape (batch,)."""
        return self.value(self.residuals(phi, y), weights) + self.prior(phi)

    def prior(self, phi: Array) -> Array:
        """What priors add, shape (batch,)."""
        off = phi - self.coordinates.prior_mean
        return np.asarray(0.5 * self.noise * (self.coordinates.prior_precision * off**2).sum(axis=-1))

    def pull(self, residuals: Array) -> Array:
        """Weight of each run in an equivalent least squares: the slope of its penalty over its residual."""
        size, delta = np.abs(residuals), self.criterion.delta
        if self.criterion.penalty == "squared":
            pull = np.ones_like(size)
        elif self.criterion.penalty == "huber":
            pull = delta / np.maximum(size, delta)
        else:
            pull = 1 / np.maximum(size, 1e-300)
        return asymmetric(self.criterion, residuals, pull)

    def local(self, u: Array, y: Array, weights: Array, mix: Array, delta: Array | float) -> Local:
        """Value, gradient and curvature of a batch in free coordinates.

        Parameters
        ----------
        u
            Free coordinates, shape (batch, m).
        y, weights
            Shape (batch, n), or (1, n) where all share them; y on the scale of the residuals.
        mix, delta
            See `penalties.terms_of`.
        """
        theta = self.coordinates.theta(u)
        with np.errstate(all="ignore"):
            value, slope = self.law.value_and_gradient(theta.T[:, :, None], **self.x)
            chain = 1 / value if self.scale == "log" else None
            left = y - (np.log(value) if chain is not None else value)
            if self.errors is not None:
                left /= self.errors
                chain = 1 / self.errors if chain is None else chain / self.errors
            terms = terms_of(self.criterion, left, self.weighted(weights), delta, mix)
            pull, bend = terms.pull, terms.curvature
            if chain is not None:
                pull *= chain
                bend *= chain
                bend *= chain
            slopes = slope.transpose(1, 0, 2)
            scale = np.where(self.coordinates.moved, theta, 1.0)
            downhill = (slopes @ pull[:, :, None])[:, :, 0] * scale
            curvature = (slopes * bend[:, None, :]) @ np.swapaxes(slopes, 1, 2)
            curvature *= scale[:, :, None] * scale[:, None, :]
            far = np.isfinite(terms.value) & ~np.isfinite(curvature).all(axis=(1, 2))
            if far.any():
                some = terms_of(
                    self.criterion,
                    left[far],
                    self.weighted(weights)[far if len(weights) > 1 else ...],
                    delta[far] if isinstance(delta, np.ndarray) else delta,
                    mix[far],
                )
                downhill[far], curvature[far] = self._of_far(
                    slopes[far] * scale[far, :, None], value[far], some
                )
        return self.with_prior(theta, Local(terms.value, downhill, curvature))

    def _of_far(self, slopes: Array, value: Array, terms: Terms) -> tuple[Array, Array]:
        """Downhill and curvature where squares of derivatives by coefficients are no floats any more."""
        if self.scale == "log":
            slopes = slopes / value[:, None, :]
        if self.errors is not None:
            slopes = slopes / self.errors
        downhill = (slopes @ terms.pull[:, :, None])[:, :, 0]
        return downhill, (slopes * terms.curvature[:, None, :]) @ np.swapaxes(slopes, 1, 2)

    def with_prior(self, theta: Array, local: Local) -> Local:
        """Add the priors, and turn derivatives by each coefficient's coordinate into those by free ones."""
        value, downhill, curvature = local
        coordinates = self.coordinates
        precision = self.noise * coordinates.prior_precision
        if precision.any():
            phi, rate = coordinates.fitted(theta), coordinates.rate(theta)
            value = value + self.prior(phi)
            downhill = downhill - rate * precision * (phi - coordinates.prior_mean)
            curvature = curvature + (rate**2 * precision)[:, :, None] * np.eye(theta.shape[1])
        if coordinates.tied:
            downhill = coordinates.pulled(downhill)
            curvature = coordinates.pulled(np.swapaxes(coordinates.pulled(curvature), 1, 2))
        usable = (
            np.isfinite(value) & np.isfinite(downhill).all(axis=1) & np.isfinite(curvature).all(axis=(1, 2))
        )
        return Local(np.where(usable, value, np.inf), downhill, curvature)


def _checked(runs: Runs, column: str, *, least: bool) -> Array:
    """Read weights (`least` false: zero is allowed) or standard errors."""
    values = column_of(runs, column)
    good = np.isfinite(values) & ((values > 0) if least else (values >= 0))
    if not good.all() or not values.any():
        row = int(np.flatnonzero(~good)[0]) if not good.all() else 0
        raise InputError(
            f"row {row + 1}, column {column}: {values[row]:g} is not "
            + ("a standard error" if least else "a weight"),
            hint="Standard errors must be above zero."
            if least
            else "Weights are zero or above, not all zero.",
        )
    return values
