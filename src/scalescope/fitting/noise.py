r"""The noise about a fit: what it looks like, how much of it runs share, and fresh draws of it.

A fit takes part of the noise in. With :math:`M = I - H`, H the projection on the columns of the Jacobian and
Z the membership of runs in clusters, residuals :math:`r = M e` of noise with variance :math:`\sigma_r^2` of a
run's own and :math:`\sigma_c^2` common to a cluster have

.. math::

    E\, r^T r = \sigma_r^2 \operatorname{tr} M + \sigma_c^2 \operatorname{tr} M Z Z^T, \qquad
    E\, r^T (Z Z^T - I) r = \sigma_r^2 \operatorname{tr} M (Z Z^T - I)
        + \sigma_c^2 \operatorname{tr} M (Z Z^T - I) M Z Z^T

two equations that give both variances without bias (Henderson's method III). The shape of a run's own part
is that of the residuals, smoothed by a normal kernel (the smoothed bootstrap: Silverman & Young 1987,
https://doi.org/10.1093/biomet/74.3.469), which matters for few runs. A penalty that turns linear within the
noise passes through about as many runs as it has coefficients; their residuals of nearly zero say nothing
about the noise and are left out of its shape. The variance itself is an estimate, so every draw has its own,
from the scaled inverse chi-squared distribution with the freedom that is left.

`benchmarks/coverage.py` measures what each of these is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.fitting.clusters import Labels
from scalescope.fitting.criterion import Criterion
from scalescope.fitting.objective import Objective
from scalescope.points import Array

EDGE = 1e-9
"""Coordinates this close to a limit are at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What is left of the runs when the law is taken away, in the unit of a residual."""

    shape: Array
    """Residuals that stand for a run's own noise, mean square one, shape (m,)."""
    bandwidth: float
    """Standard deviation of the kernel that smooths `shape`, in its unit."""
    own: float
    """Standard deviation of a run's own part."""
    common: float
    """Standard deviation of the part that a cluster shares."""
    freedom: float
    """Degrees of freedom behind `own` and `common` together."""
    labels: Labels
    """Cluster of every run."""

    @property
    def sd(self) -> float:
        """Standard deviation of the noise of one run."""
        return float(np.hypot(self.own, self.common))

    def draw(self, resamples: int, rng: np.random.Generator) -> Array:
        """Fresh noise for every run, shape (resamples, n_runs)."""
        n = len(self.labels)
        own = rng.choice(self.shape, (resamples, n))
        own = (own + self.bandwidth * rng.standard_normal((resamples, n))) / np.hypot(1.0, self.bandwidth)
        noise = self.own * own
        if self.common:
            shared = rng.standard_normal((resamples, int(self.labels.max()) + 1))
            noise += self.common * shared[:, self.labels]
        spread = np.sqrt(self.freedom / rng.chisquare(self.freedom, (resamples, 1)))
        return np.asarray(noise * spread)

    def nodes(self) -> tuple[Array, Array, Array, float]:
        """What stands for the noise of one run in an expectation.

        Returns
        -------
        tuple
            Values, their probabilities, and how many standard deviations of the kernel each is from its
            centre, shape (m,) each; and the standard deviation of the kernel.
        """
        at, mass = np.polynomial.hermite_e.hermegauss(40)
        shrink = self.own / np.hypot(1.0, self.bandwidth)
        kernel = float(np.hypot(self.bandwidth * shrink, self.common))
        # Quantiles are as good as all residuals, and bounded in number.
        shape = self.shape
        if len(shape) > 400:
            shape = np.quantile(shape, (np.arange(400) + 0.5) / 400)
        values = (shape[:, None] * shrink + kernel * at).ravel()
        offset = np.tile(at, len(shape))
        return values, np.tile(mass / mass.sum(), len(shape)) / len(shape), offset, kernel


def estimate_noise(objective: Objective, phi: Array, residuals: Array, labels: Labels) -> Noise:
    """Estimate the noise from the residuals of a fit.

    Parameters
    ----------
    objective
        What was minimised.
    phi
        Fitted coordinates of the optimum, shape (k,).
    residuals
        Target minus law over the standard errors (`Objective.residuals`), shape (n,).
    labels
        Cluster of every run.
    """
    basis = column_space(free_slopes(objective, phi)[0])
    return noise_of(residuals, labels, basis, edge=_edge(objective.criterion))


def noise_of(residuals: Array, labels: Labels, basis: Array, *, edge: float = np.inf) -> Noise:
    """Estimate the noise from residuals and what the fit could reach.

    Parameters
    ----------
    residuals
        Shape (n,).
    labels
        Cluster of every run.
    basis
        Orthonormal basis of what the fit could take in, shape (n, rank).
    edge
        Where the penalty turns linear, in the unit of a residual; infinite for least squares.
    """
    common, own = _variances(residuals, labels, basis)
    shape = _informative(residuals, basis.shape[1], edge)
    size = float(np.sqrt((shape**2).mean()))
    shape = shape / size if size > 0 else np.zeros_like(shape)
    return Noise(
        shape=shape,
        bandwidth=1.06 * min(1.0, _core(shape)) * len(residuals) ** -0.2,
        own=float(np.sqrt(own)),
        common=float(np.sqrt(common)),
        freedom=_freedom(labels, basis.shape[1], common / (common + own) if common else 0.0),
        labels=labels,
    )


def free_slopes(objective: Objective, phi: Array) -> tuple[Array, Array]:
    """Slopes of the predictions, over their standard errors, by what can still move at an optimum.

    Returns
    -------
    tuple
        The slopes, shape (m, n), and what each coordinate does to the fitted ones, shape (k, m). Fixed
        coefficients and those at a limit are left out; tied ones move together.
    """
    coordinates = objective.coordinates
    low, high = coordinates.limits()
    at = coordinates.reduced(phi)
    free = (at - low > EDGE) & (high - at > EDGE)
    slopes = objective.jacobian(phi[None])[0]
    if objective.errors is not None:
        slopes = slopes / objective.errors
    moves = np.eye(coordinates.n_free)[coordinates.group][:, free]
    return moves.T @ np.where(np.isfinite(slopes), slopes, 0.0), moves


def column_space(slopes: Array) -> Array:
    """Orthonormal basis of what slopes of shape (m, n) can do to the predictions, shape (n, up to m)."""
    size = np.abs(slopes).max(axis=1, initial=1e-300, keepdims=True)
    left, value, _ = np.linalg.svd((slopes / size).T, full_matrices=False)
    return np.asarray(left[:, value > 1e-10 * value.max(initial=0.0)])


def _variances(residuals: Array, labels: Labels, basis: Array) -> tuple[float, float]:
    """Variance that clusters share, and variance of each run."""
    n, rank = basis.shape
    squares = float(residuals @ residuals)
    alone = squares / max(n - rank, 1)
    members = np.bincount(labels).astype(np.float64)
    if len(members) == n or n - rank < 2:
        return 0.0, alone
    sums = np.bincount(labels, weights=residuals)
    caught = np.array([np.bincount(labels, weights=column) for column in basis.T])
    caught = caught.reshape(rank, len(members)).T  # no column where nothing can move
    per_cluster = (caught**2).sum(axis=1)
    trace = n - per_cluster.sum()
    cross = (members**2).sum() - 2 * (members * per_cluster).sum() + ((caught.T @ caught) ** 2).sum()
    system = np.array([[n - rank, trace], [trace - (n - rank), cross - trace]])
    right = np.array([squares, float(sums @ sums) - squares])
    if abs(np.linalg.det(system)) < 1e-9 * np.abs(system).max() ** 2:
        return 0.0, alone
    own, common = np.linalg.solve(system, right)
    if common <= 0:
        return 0.0, alone
    return (float(common), float(own)) if own > 0 else (squares / trace, 0.0)


def _edge(criterion: Criterion) -> float:
    """Where the penalty turns linear."""
    return {"squared": np.inf, "absolute": 0.0}.get(criterion.penalty, criterion.delta)


def _informative(residuals: Array, rank: int, edge: float) -> Array:
    """Residuals without those that are small only because the fit passes through their runs."""
    order = np.argsort(np.abs(residuals), kind="stable")
    size = np.abs(residuals[order])
    middle = float(np.median(size))
    if len(residuals) <= 2 * rank or edge >= middle:
        return residuals
    through = int(np.searchsorted(size, max(edge, 1e-3 * middle), side="right"))
    return residuals[order[min(rank, through) :]]


def _core(shape: Array) -> float:
    """Spread of the middle half, as the standard deviation of a normal distribution with the same."""
    first, last = np.quantile(shape, [0.25, 0.75])
    return float(last - first) / 1.349


def _freedom(labels: Labels, rank: int, share: float) -> float:
    """Degrees of freedom: runs, fewer where they share `share` of their variance, less the coefficients."""
    n, clusters = len(labels), int(labels.max()) + 1
    apart = n / (1 + (n / clusters - 1) * share)
    return float(max(apart - rank, 2.0))
