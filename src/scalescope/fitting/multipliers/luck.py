r"""Noise of many small ladders: what a point has of its own, what its training run and its seed share.

Horizons that branch off one trunk share its luck; variants trained from one seed share initialisation and
order of data. So the log loss has three parts: of a point, of a trunk (variant, rung and seed) and of a pair
(rung and seed, over all variants). Their variances follow from what residuals :math:`r = M e` of the freest
fit give for three quadratic forms, whose expectations are traces (Henderson's method III):

.. math:: E\, r^T Q_k r = \sum_j \sigma_j^2 \operatorname{tr}(M Q_k M Z_j Z_j^T), \qquad Q_k = Z_k Z_k^T .

Fresh losses are the fit plus normal draws of the three parts, each resample under variances drawn from their
own uncertainty. Training runs are not drawn with replacement and the signs of their residuals not flipped: a
ladder has a dozen or two, on which draws hardly determine the law and flipped signs give intervals that are
too narrow (`benchmarks/coverage.py`). How often these hold the truth is in `benchmarks/multipliers.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.fitting.clusters import Labels
from scalescope.points import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Luck:
    """The three parts of the noise of a log loss."""

    own: float
    """Standard deviation of a point's part."""
    trunk: float
    """Of the part that a training run shares."""
    pair: float
    """Of the part that all variants of one rung and seed share."""
    freedom: float
    """Degrees of freedom behind them."""
    trunks: Labels
    pairs: Labels

    def draw(self, resamples: int, rng: np.random.Generator) -> Array:
        """Fresh noise for every row, shape (resamples, n)."""
        noise = self.own * rng.standard_normal((resamples, len(self.trunks)))
        for part, labels in ((self.trunk, self.trunks), (self.pair, self.pairs)):
            if part:
                noise += part * rng.standard_normal((resamples, int(labels.max()) + 1))[:, labels]
        return np.asarray(noise * np.sqrt(self.freedom / rng.chisquare(self.freedom, (resamples, 1))))


def luck_of(residuals: Array, slopes: Array, trunks: Labels, pairs: Labels) -> Luck:
    """Estimate the parts from residuals (n,) of a fit with these slopes (m, n)."""
    basis = _basis(slopes)
    n, rank = basis.shape
    variances = _variances(residuals, basis, trunks, pairs)
    whole = sum(variances.values())
    share = (variances["trunk"] + variances["pair"]) / whole if whole else 0.0
    per_trunk = n / (int(trunks.max()) + 1)
    apart = n / (1 + (per_trunk - 1) * share)
    return Luck(
        own=float(np.sqrt(variances["own"])),
        trunk=float(np.sqrt(variances["trunk"])),
        pair=float(np.sqrt(variances["pair"])),
        freedom=float(max(apart - rank, 2.0)),
        trunks=trunks,
        pairs=pairs,
    )


def _variances(residuals: Array, basis: Array, trunks: Labels, pairs: Labels) -> dict[str, float]:
    """Variance of every part, by name; parts that the labels do not tell apart are one."""
    n, found = len(residuals), dict.fromkeys(("own", "trunk", "pair"), 0.0)
    kept = {"own": np.arange(n), "trunk": trunks, "pair": pairs}
    if trunks.max() + 1 == n:
        del kept["trunk"]
    if pairs.max() == trunks.max():
        del kept["pair"]
    solved = _solve(residuals, basis, list(kept.values()))
    while (solved < 0).any() and len(kept) > 1:
        # A part that comes out below zero is none.
        del kept[list(kept)[int(np.argmin(solved))]]
        solved = _solve(residuals, basis, list(kept.values()))
    found |= {name: float(max(one, 0.0)) for name, one in zip(kept, solved, strict=True)}
    # What variants share cancels between them. Only what is surely shared may: the rest counts as of a run.
    sure = _sure(found, n, trunks, pairs)
    return found | {"trunk": found["trunk"] + found["pair"] - sure, "pair": sure}


def _sure(variances: dict[str, float], n: int, trunks: Labels, pairs: Labels) -> float:
    """Variance of pairs less its standard error, not below zero."""
    n_trunks = int(trunks.max()) + 1
    of_trunk = variances["trunk"] + variances["pair"] + variances["own"] * n_trunks / n
    return max(variances["pair"] - of_trunk * float(np.sqrt(2 / (int(pairs.max()) + 1))), 0.0)


def _basis(slopes: Array) -> Array:
    """Orthonormal basis of what slopes of shape (m, n) span, shape (n, rank)."""
    size = np.abs(slopes).max(axis=1, initial=1e-300, keepdims=True)
    left, value, _ = np.linalg.svd((slopes / size).T, full_matrices=False)
    return np.asarray(left[:, value > 1e-7 * value.max(initial=0.0)])


def _solve(residuals: Array, basis: Array, members: list[Labels]) -> Array:
    """Variance of every part from the quadratic forms of all of them."""
    kept = []
    for labels in members:
        z = np.zeros((len(residuals), int(labels.max()) + 1))
        z[np.arange(len(residuals)), labels] = 1.0
        kept.append(z - basis @ (basis.T @ z))  # M Z
    # tr(M Z_k Z_k' M Z_j Z_j') is the squared norm of (M Z_k)' (M Z_j), as M is a projection.
    system = np.array([[float(((a.T @ b) ** 2).sum()) for b in kept] for a in kept])
    right = np.array([float(((z.T @ residuals) ** 2).sum()) for z in kept])
    return np.asarray(np.linalg.lstsq(system, right, rcond=1e-10)[0])
