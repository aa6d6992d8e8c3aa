r"""How the coefficients of one fit vary together, without resamples: the sandwich and the noise model.

For an M-estimator with penalty :math:`\rho`, :math:`\psi = \rho'` and slopes :math:`J_i` of the predictions,

.. math:: V = H^{-1} \Big( \sum_g s_g s_g^T \Big) H^{-1}, \qquad
    s_g = \sum_{i \in g} w_i \psi(r_i) J_i, \quad H = \sum_i w_i a_i J_i J_i^T

with one term a cluster g (Huber 1967; Liang & Zeger 1986, https://doi.org/10.1093/biomet/73.1.13), times
G/(G - 1) (n - 1)/(n - k). Where the penalty turns linear inside the noise, its second derivative at the runs
rests on a handful of them, so :math:`a_i` is the derivative of :math:`\psi` smoothed by a normal kernel about
:math:`r_i` (Powell 1991); that lets noise differ from place to place. The model form takes noise to be alike
at every run, with a common part in each cluster; it is steadier with few runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.clusters import Labels, plentiful
from scalescope.fitting.noise import Noise, estimate_noise, free_slopes
from scalescope.fitting.objective import Objective
from scalescope.points import Array

Form = Literal["sandwich", "model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariance:
    """Covariance of the coefficients of one fit; zero for those fixed or at a limit.

    Priors count as exactly centred: what their own uncertainty adds is left out.
    """

    coefficients: tuple[str, ...]
    theta: Array
    """Natural units, shape (k,)."""
    fitted: Array
    """Of the fitted coordinates (logarithms of scales), shape (k, k)."""
    natural: Array
    """Of the coefficients in natural units, by the delta method, shape (k, k)."""
    form: Form
    n_clusters: int
    freedom: float
    """Degrees of freedom for Student's t."""

    @property
    def errors(self) -> Mapping[str, float]:
        """Standard error of every coefficient, natural units."""
        return dict(zip(self.coefficients, np.sqrt(np.diag(self.natural)).tolist(), strict=True))

    @property
    def correlation(self) -> Array:
        """Correlations of the fitted coordinates, shape (k, k); zero where one does not vary."""
        size = np.sqrt(np.diag(self.fitted))
        whole = np.outer(size, size)
        return np.where(whole > 0, self.fitted / np.where(whole > 0, whole, 1.0), 0.0)

    def error_of(self, slope: Array) -> float:
        """Standard error of a quantity with this gradient in fitted coordinates, shape (k,)."""
        return float(np.sqrt(max(float(slope @ self.fitted @ slope), 0.0)))


def covariance(
    objective: Objective,
    target: Array,
    theta: Array,
    *,
    labels: Labels | None = None,
    form: Form | None = None,
) -> Covariance:
    """Estimate the covariance of fitted coefficients.

    Parameters
    ----------
    objective
        What was minimised.
    target
        What the law predicts, shape (n,).
    theta
        The optimum, natural units, shape (k,).
    labels
        Cluster of every run; every run by itself where not given.
    form
        `sandwich` lets noise differ from run to run; `model` takes it to be alike. By default `sandwich`
        where runs are so many that they, not residuals, are resampled (`clusters.plentiful`).

    Raises
    ------
    InputError
        If the form is unknown.
    """
    if form not in ("sandwich", "model", None):
        raise InputError(f"no covariance is called {form!r}", hint="It is sandwich or model.")
    n = len(target)
    labels = np.arange(n) if labels is None else labels
    phi = objective.fitted(theta[None])[0]
    residuals = objective.residuals(phi[None], objective.transform(target)[None])[0]
    noise = estimate_noise(objective, phi, residuals, labels)
    slopes, moves = free_slopes(objective, phi)
    w = objective.weighted(np.ones(n))
    if form is None:
        form = "sandwich" if plentiful(labels, len(slopes)) else "model"
    prior = objective.noise * moves.T @ (objective.coordinates.prior_precision[:, None] * moves)
    mean_slope, square = stiffness(objective, noise)
    local = np.full(n, mean_slope)
    if form == "sandwich":
        local = _local_stiffness(objective, residuals, noise)
        pulls = slopes * (w * objective.pull(residuals) * residuals)
        middle = _clustered(pulls, labels) * _correction(n, int(labels.max()) + 1, len(slopes))
    else:
        share = noise.common**2 / noise.sd**2 if noise.common else 0.0
        pulls = slopes * w
        middle = square * ((1 - share) * pulls @ pulls.T + share * _clustered(pulls, labels))
    bread = pseudo_inverse((slopes * w * local) @ slopes.T + prior)
    fitted = moves @ bread @ middle @ bread @ moves.T
    scale = np.where(objective.logged > 0, theta, 1.0)
    return Covariance(
        coefficients=tuple(objective.law.coefficients),
        theta=theta,
        fitted=fitted,
        natural=fitted * np.outer(scale, scale),
        form=form,
        n_clusters=int(labels.max()) + 1,
        freedom=noise.freedom,
    )


def stiffness(objective: Objective, noise: Noise) -> tuple[float, float]:
    """Mean slope and mean square of the penalty's derivative over the noise.

    The mean slope comes from Stein's identity for the normal kernel, so a derivative with a jump is no
    trouble.
    """
    values, mass, offset, kernel = noise.nodes()
    if kernel == 0:
        return 0.0, 0.0
    pull = np.asarray(objective.pull(values[None]))[0] * values
    return float(mass @ (pull * offset)) / kernel, float(mass @ pull**2)


def _local_stiffness(objective: Objective, residuals: Array, noise: Noise) -> Array:
    """Slope of the penalty's derivative about each residual, smoothed, shape (n,)."""
    kernel = noise.bandwidth * noise.sd
    if kernel == 0:
        return np.zeros_like(residuals)
    at, mass = np.polynomial.hermite_e.hermegauss(40)
    out = np.zeros_like(residuals)
    for offset, share in zip(at, mass / mass.sum(), strict=True):
        moved = residuals + kernel * offset
        out += share * offset * moved * objective.pull(moved)
    return out / kernel


def pseudo_inverse(matrix: Array) -> Array:
    """Inverse of a positive semidefinite matrix after scaling its diagonal to one."""
    size = np.sqrt(np.maximum(np.diag(matrix), 0.0))  # rounding, where nothing pulls
    size = np.where(size > 0, size, 1.0)
    return np.asarray(np.linalg.pinv(matrix / np.outer(size, size), rcond=1e-14) / np.outer(size, size))


def _clustered(pulls: Array, labels: Labels) -> Array:
    """Sum of the outer products of each cluster's total, shape (k, k)."""
    count = int(labels.max()) + 1
    totals = np.array([np.bincount(labels, weights=row, minlength=count) for row in pulls]).reshape(-1, count)
    return np.asarray(totals @ totals.T)


def _correction(n: int, clusters: int, k: int) -> float:
    """What few clusters and many coefficients make the middle too small by."""
    return clusters / max(clusters - 1, 1) * (n - 1) / max(n - k, 1)
