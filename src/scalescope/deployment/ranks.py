"""Two small samples against each other: rank-sum test, resampled ratio of medians, false discovery rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from scalescope.points import Array

EXACT = 400
"""Product of the sample sizes up to which the rank-sum test counts instead of approximating."""


def rank_sum(first: Array, second: Array) -> float:
    """Two-sided p-value that both samples are from one distribution (Mann and Whitney 1947).

    Exact for small samples without ties; else the normal approximation with ties and continuity corrected.
    """
    m, n = len(first), len(second)
    both = np.concatenate([first, second])
    order = np.argsort(both, kind="stable")
    values, counts = np.unique(both, return_counts=True)
    ends = np.cumsum(counts)
    ranks = np.empty(m + n)
    ranks[order] = np.repeat(ends - (counts - 1) / 2, counts)
    u = float(ranks[:m].sum() - m * (m + 1) / 2)
    if len(values) == m + n and m * n <= EXACT:
        ways = np.asarray(_ways(m, n), dtype=np.float64)
        tail = float(ways[: round(min(u, m * n - u)) + 1].sum() / ways.sum())
        return min(1.0, 2 * tail)
    ties = float(np.sum(counts.astype(np.float64) ** 3 - counts)) / ((m + n) * (m + n - 1))
    spread = math.sqrt(m * n / 12 * (m + n + 1 - ties))
    if spread == 0:
        return 1.0
    return min(1.0, math.erfc(max(abs(u - m * n / 2) - 0.5, 0.0) / spread / math.sqrt(2)))


@lru_cache(maxsize=256)
def _ways(m: int, n: int) -> tuple[int, ...]:
    """Number of orders of m and n values for every value of U, by the recurrence on the largest value."""
    if m == 0 or n == 0:
        return (1,)
    ways = [0] * (m * n + 1)
    for u, count in enumerate(_ways(m - 1, n)):
        ways[u + n] += count
    for u, count in enumerate(_ways(m, n - 1)):
        ways[u] += count
    return tuple(ways)


def ratio_interval(
    before: Array, after: Array, *, level: float, draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the central interval of median(after) / median(before) from resampled samples."""

    def medians(samples: Array) -> Array:
        return np.asarray(np.median(samples[rng.integers(0, len(samples), (draws, len(samples)))], axis=1))

    low, high = np.quantile(medians(after) / medians(before), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def false_discovery(p: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values so that their threshold is the expected share of false discoveries (1995 procedure).

    Benjamini and Hochberg: the i-th smallest of m is multiplied by m / i, and none exceeds a larger one's.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    scaled = values[order] * len(values) / np.arange(1, len(values) + 1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return tuple(adjusted.tolist())
