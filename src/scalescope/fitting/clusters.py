r"""Which runs share their luck, and resamples of runs that keep it together.

Where one training run serves many token counts (a constant trunk with a cooldown branched off at each), its
points share initialisation, data order and most of the path: their errors are common, and treating them as
independent makes intervals too narrow. So whole clusters are drawn with replacement (the pairs cluster
bootstrap: Cameron, Gelbach & Miller 2008, https://doi.org/10.1162/rest.90.3.414). Where the table has seeds a
cluster is a size and seed, and a mixture where shares are given; else it is a run. Names that repeat divide
further: what stands before "@" or "/" is that of a training run, such as one of those that read a text again.

Draws from which the law could not be fitted are drawn again: each keeps at least two values of every
variable and as many different settings as there are coefficients.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from scalescope.points import Array, Runs

FEWEST = 6
"""Clusters needed to draw them rather than runs."""
PLENTY = 1000
"""Clusters from which a draw keeps enough settings without being counted."""

MANY = 8
"""Clusters a free coefficient from which they are drawn, and noise may differ from place to place."""

Labels = npt.NDArray[np.intp]

_CHANCES = np.exp(-1.0) / np.cumprod(np.maximum(np.arange(9), 1))
_TIMES = np.searchsorted(np.cumsum(_CHANCES), (np.arange(2**16) + 0.5) / 2**16).astype(np.float64)
"""Poisson numbers with mean one at evenly spaced chances: one draw is one look-up."""


def cluster_labels(runs: Runs) -> Labels:
    """Number the cluster of every run, shape (n_runs,)."""
    keys: list[Array] = []
    if "seed" in runs and runs.count in runs and not np.isnan(runs["seed"]).all():
        keys = [np.log(runs.size).round(6), runs["seed"]]
        keys += [runs[column] for column in runs.columns if column.startswith("share_")]
    trunks = [re.split("[@/]", name)[0] for name in runs.names]
    if trunks and len(set(trunks)) < len(trunks):
        keys.append(np.unique(trunks, return_inverse=True)[1].reshape(-1).astype(np.float64))
    return _joined(keys) if keys else np.arange(len(runs))


def plentiful(labels: Labels, n_free: int) -> bool:
    """Whether clusters are so many that drawing them leaves `n_free` coefficients well determined.

    With fewer, draws hardly determine the law, and intervals are a quarter too wide and cover too much; with
    more, noise that differs from place to place shows, and only drawing runs respects it. The number is
    measured in `benchmarks/coverage.py`.
    """
    return int(labels.max()) + 1 >= MANY * n_free


def setting_labels(*variables: Array) -> Labels:
    """Number the distinct settings: positive values equal to six digits of their logarithm are one."""
    return _joined([np.log(one).round(6) if (one > 0).all() else one for one in variables])


def _joined(keys: list[Array]) -> Labels:
    """Number the distinct combinations of values; missing ones are alike."""
    label = np.zeros(len(keys[0]), dtype=np.intp)
    for key in keys:
        own = np.unique(key, return_inverse=True)[1].reshape(-1)
        # One column after the other: sorting rows of several is many times slower.
        label = np.unique(label * (int(own.max(initial=0)) + 1) + own, return_inverse=True)[1].reshape(-1)
    return label


def resample_weights(
    labels: Labels, variables: tuple[Array, ...], *, settings: int, resamples: int, rng: np.random.Generator
) -> Array:
    """How often each run occurs in each resample, shape (resamples, n_runs).

    Parameters
    ----------
    labels
        Cluster of every run, numbered from zero without gaps.
    variables
        What the law reads, each of shape (n_runs,).
    settings
        How many distinct settings every resample must keep.
    resamples
        How many to draw. Fewer come back when the conditions are met too seldom.
    rng
        Source of randomness.
    """
    kept: list[Array] = []
    n_clusters = int(labels.max()) + 1
    usable = _usable(variables, settings, n_clusters)
    for _ in range(20):
        drawn = _draw(n_clusters, resamples, rng)
        weights = drawn if n_clusters == len(labels) else drawn[:, labels]
        good = usable(weights)
        kept.append(weights if good.all() else weights[good])
        if sum(len(part) for part in kept) >= resamples:
            break
    return (kept[0] if len(kept) == 1 else np.concatenate(kept))[:resamples]


def _draw(n_clusters: int, resamples: int, rng: np.random.Generator) -> Array:
    """How often each cluster is drawn, shape (resamples, n_clusters).

    Very many are drawn independently, each a Poisson number of times with mean one, which is all that drawing
    n of n comes to for them (Hanley & MacGibbon 2006, https://doi.org/10.1016/j.cmpb.2006.04.006).
    """
    if n_clusters <= PLENTY:
        return rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=resamples).astype(float)
    out = np.empty((resamples, n_clusters))
    for row in out:
        # Nothing is clipped; it is the mode that needs no copy.
        np.take(_TIMES, rng.integers(0, 2**16, n_clusters, dtype=np.uint16), out=row, mode="clip")
    return out


def _usable(
    variables: tuple[Array, ...], settings: int, n_clusters: int
) -> Callable[[Array], npt.NDArray[np.bool_]]:
    """Say which draws can determine the law, from weights of shape (resamples, n_runs)."""
    each = [setting_labels(variable) for variable in variables]
    if n_clusters > PLENTY:
        # So many clusters miss settings only where nearly all runs are at one value of a variable.
        others = [(label != np.bincount(label).argmax()).astype(float) for label in each if label.max()]
        return lambda weights: np.all([weights @ other > 0 for other in others], axis=0)
    joint = setting_labels(*variables)
    wanted = min(settings, int(joint.max()) + 1)

    def check(weights: Array) -> npt.NDArray[np.bool_]:
        good = n_kept(weights, joint) >= wanted
        for label in each:
            good &= n_kept(weights, label) >= min(2, int(label.max()) + 1)
        return good

    return check


def n_kept(weights: Array, labels: Labels) -> npt.NDArray[np.intp]:
    """How many different labels have weight in each resample."""
    member = np.zeros((len(labels), int(labels.max()) + 1))
    member[np.arange(len(labels)), labels] = 1
    return np.asarray((weights @ member > 0).sum(axis=1))


OUTCOMES = frozenset(
    {"loss", "loss_stderr", "bits_per_byte", "error", "accuracy", "reward", "seconds", "tokens_per_second"}
    | {"seed", "held_out", "weight"}
)
"""Columns that may differ between repeats of one setting."""


def seed_noise(runs: Runs) -> float | None:
    """Pooled standard deviation of the log loss among repeats of one setting; None without repeats.

    Runs are repeats where every column but the outcomes is the same, and their seeds differ where they are
    known.
    """
    if "loss" not in runs:
        return None
    settings = [column for name, column in runs.columns.items() if name not in OUTCOMES]
    if not settings:
        return None
    labels = _joined([_key(column) for column in settings])
    repeated = np.bincount(labels)[labels] > 1
    if not repeated.any():
        return None
    labels, log_loss = labels[repeated], np.log(runs.loss[repeated])
    if "seed" in runs:
        seeds = np.unique(np.stack([labels, runs["seed"][repeated]], axis=1), axis=0)[:, 0].astype(np.intp)
        several = (np.bincount(seeds, minlength=int(labels.max()) + 1) > 1)[labels]
        labels, log_loss = labels[several], log_loss[several]
        if not labels.size:
            return None
    counts = np.bincount(labels)
    means = np.bincount(labels, weights=log_loss) / np.maximum(counts, 1)
    squares = float(((log_loss - means[labels]) ** 2).sum())
    freedom = int((counts[counts > 0] - 1).sum())
    # Copies of one row are no repeats: two trainings never end at the same loss to the last digit.
    return float(np.sqrt(squares / freedom)) if freedom and squares > 0 else None


def _key(column: Array) -> Array:
    """Values equal to six digits of their logarithm are one setting; gaps are a value of their own."""
    with np.errstate(divide="ignore", invalid="ignore"):
        key = np.log(column).round(6) if (column[np.isfinite(column)] > 0).all() else column.round(9)
    return np.where(np.isnan(column), -1e9, key)
