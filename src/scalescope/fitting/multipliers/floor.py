r"""The noise floor: what seeds alone do to a loss, and to a multiplier.

One pair of cells, each a mean over k seeds, differs by chance by up to :math:`t\,\sigma\sqrt{2/k}` of its
loss at the level asked for; divided by the local slope :math:`\gamma (L - E)` of the baseline's loss against
log compute that is a log multiplier. A study of many cells resolves less than one pair does; its intervals
say so.
"""

from __future__ import annotations

import numpy as np

from scalescope.fitting.multipliers.fits import Fits
from scalescope.fitting.multipliers.pooled import Pooled, joined
from scalescope.fitting.multipliers.result import SeedNoise
from scalescope.points import Array


def seed_noise_of(pooled: Pooled, fits: Fits, top: float, level: float) -> SeedNoise:
    """Pool the deviation of the log loss over equal settings; without repeats, what the fit leaves over."""
    squares, freedom, n_seeds = _repeats(pooled)
    known = freedom > 0 and squares > 0
    luck = fits.luck
    left = float(np.sqrt(luck.own**2 + luck.trunk**2 + luck.pair**2))
    relative = float(np.sqrt(squares / freedom)) if known else left
    at = np.array([top])
    bare = SeedNoise(
        known=known,
        relative=relative,
        freedom=freedom if known else 0,
        nats=relative * float(fits.final.value.loss(0, at)[0, 0]),
        floor=float("nan"),
        n_seeds=n_seeds,
    )
    floor = float(_floors(fits, bare, at, level)[0]) if known else float("nan")
    return SeedNoise(
        known=known,
        relative=relative,
        freedom=bare.freedom,
        nats=bare.nats,
        floor=floor,
        n_seeds=n_seeds,
    )


def floors_at(fits: Fits, noise: SeedNoise, computes: Array, level: float) -> Array:
    """Floor at each compute, shape (n,); nan where the noise of seeds is unknown."""
    return _floors(fits, noise, computes, level) if noise.known else np.full(len(computes), np.nan)


def _floors(fits: Fits, noise: SeedNoise, computes: Array, level: float) -> Array:
    from scipy.stats import t

    base = fits.final.value
    loss = base.loss(0, computes)[0]
    slope = base.exponent[0, 0] * (loss - base.floor[0, 0]) / loss
    wide = float(t.ppf((1 + level) / 2, max(noise.freedom, 1)))
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(wide * noise.relative * np.sqrt(2 / noise.n_seeds) / slope))


def _repeats(pooled: Pooled) -> tuple[float, int, int]:
    """Squared deviations of the log loss from cell means, their freedom, and the median seeds of a cell."""
    if np.isnan(pooled.seed).any():
        return 0.0, 0, 1
    single = joined(pooled.cells, pooled.seed)
    first = np.unique(single, return_index=True)[1]
    # Rows of one cell and seed are one training looked at twice: their mean stands for it.
    mean = np.bincount(single, weights=np.log(pooled.loss)) / np.bincount(single)
    cells = pooled.cells[first]
    counts = np.bincount(cells)
    centre = np.bincount(cells, weights=mean) / counts
    squares = float(((mean - centre[cells]) ** 2).sum())
    return squares, int((counts - 1).sum()), max(int(np.median(counts)), 1)
