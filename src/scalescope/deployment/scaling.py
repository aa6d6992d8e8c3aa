r"""How time and memory of one model grow with length, where attention takes over, where memory runs out.

.. math:: y(L) = a + b L + c L^2 \quad\text{or}\quad y(L) = a + b L, \qquad a, b, c \ge 0

Points are weighted by the spread of their medians and by a roughness that no smooth curve follows (steps of
kernels, pages of allocators): the larger of a stated floor and of what the fit with all terms misses. The
quadratic term stays only if it lowers the squared misses, in units of these spreads, by more than 2 (Akaike's
criterion with known variance). Intervals come from resampled raw samples with the roughness drawn anew, and
from fits with all terms even where the straight line won, so that they cover the choice of the form.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from scalescope.deployment.growth import crossing, fit_growth, value_at
from scalescope.deployment.scaling_results import (
    LEVEL,
    MemoryWall,
    Quantity,
    Scaling,
    ScalingFit,
    memory_wall,
    tails,
)
from scalescope.deployment.series import Series, count_of, series_of, some_names
from scalescope.points import Array, Cell, Cells, Estimate, Finding

__all__ = [
    "FEWEST",
    "MISSED",
    "ROUGHNESS",
    "MemoryWall",
    "Scaling",
    "ScalingFit",
    "fit_scaling",
    "memory_wall",
]

ROUGHNESS: Mapping[Quantity, float] = {"time": 0.03, "memory": 0.01}
"""Least share by which a value lies off any smooth curve."""
FEWEST = 3
"""Lengths below which nothing is fitted."""
MISSED = 0.15
"""Median miss of left-out lengths from which on a fit is a finding."""


def fit_scaling(cells: Cells, *, linear: Collection[str] = (), draws: int = 100, seed: int = 0) -> Scaling:
    """Fit time and memory against length for every model and setting with enough lengths.

    Parameters
    ----------
    cells
        Of a bench. Cells that look impossible are left out, and models that repeat another's measurement.
    linear
        Models that are known to have no quadratic term, such as state-space models.
    draws
        Resamples behind every interval.
    seed
        Of the resampling.
    """
    rng = np.random.default_rng(seed)
    fits: list[ScalingFit] = []
    short: list[str] = []
    for series in series_of(cells.distinct()):
        if not series.setting.plain or not series.usable:
            continue
        found = [
            _fit(series, quantity, linear=series.model in linear, draws=draws, rng=rng)
            for quantity in ("time", "memory")
            if len(_points(series, quantity)) >= FEWEST
        ]
        fits += found
        short += [series.model] * (not found)
    return Scaling(fits=tuple(fits), findings=_findings(fits, short), provenance=cells.provenance)


_FIGURES: Mapping[Quantity, Callable[[Cell], float | None]] = {
    "time": lambda cell: cell.timing.median if cell.timing is not None else None,
    "memory": lambda cell: cell.memory.peak if cell.memory is not None else None,
}


def _points(series: Series, quantity: Quantity) -> list[tuple[Cell, float]]:
    figure = _FIGURES[quantity]
    return [(cell, value) for cell in series.usable if (value := figure(cell)) is not None and value > 0]


def _fit(
    series: Series, quantity: Quantity, *, linear: bool, draws: int, rng: np.random.Generator
) -> ScalingFit:
    points = _points(series, quantity)
    lengths = np.array([cell.workload.length for cell, _ in points], dtype=np.float64)
    values = np.array([value for _, value in points])
    noise = np.array([_noise(cell, rng) if quantity == "time" else 0.0 for cell, _ in points])
    rough = _roughness(lengths, values, noise, ROUGHNESS[quantity])
    weights = 1 / (values * np.hypot(noise, rough))
    both = fit_growth(lengths, values, weights, order=2)[0]
    straight = fit_growth(lengths, values, weights, order=1)[0]
    gain = _misses(lengths, values, weights, straight) - _misses(lengths, values, weights, both) - 2.0
    order = 2 if gain > 0 and not linear else 1
    samples = _resampled(points, values, rough, draws, rng, quantity)
    # Also where the straight line won, the draws may bend: the interval covers the choice of the form.
    curves = fit_growth(lengths, samples, weights, order=1 if linear else 2)
    chosen = both if order == 2 else straight
    a, b, c = (Estimate.from_samples(float(chosen[i]), curves[:, i], LEVEL) for i in range(3))
    return ScalingFit(
        model=series.model,
        category=series.category,
        setting=series.setting.name,
        quantity=quantity,
        form="quadratic" if order == 2 else "linear",
        a=a,
        b=b,
        c=c,
        dominates=_dominates(both, curves, order),
        lengths=tuple(int(length) for length in lengths),
        values=tuple(float(value) for value in values),
        error=_left_out(lengths, values, weights, order),
        criterion_gain=float(gain),
        roughness=rough,
        draws=np.asarray([[float(f"{x:.6g}") for x in row] for row in curves]),
    )


def _noise(cell: Cell, rng: np.random.Generator) -> float:
    """Standard deviation of the median as a share of it, from resampled samples."""
    assert cell.timing is not None
    medians = _medians(np.asarray(cell.timing.samples), 100, rng)
    return float(np.std(medians) / np.median(medians))


def _medians(samples: Array, draws: int, rng: np.random.Generator) -> Array:
    """Medians of resamples, one a draw."""
    picked = rng.integers(0, len(samples), size=(draws, len(samples)))
    return np.asarray(np.median(samples[picked], axis=1))


def _roughness(lengths: Array, values: Array, noise: Array, floor: float) -> float:
    """Share by which values lie off the curve with all terms, beyond their noise; the floor at least."""
    spare = len(lengths) - 3
    if spare < 1:
        return floor
    found = fit_growth(lengths, values, 1 / (values * np.hypot(noise, floor)), order=2)
    fitted = np.array([value_at(found, length)[0] for length in lengths])
    squares = np.sum((values / fitted - 1) ** 2 - noise**2) / spare
    return float(np.sqrt(max(squares, floor**2)))


def _misses(lengths: Array, values: Array, weights: Array, coefficients: Array) -> float:
    fitted = np.array([value_at(coefficients, length) for length in lengths])
    return float(np.sum(((values - fitted) * weights) ** 2))


def _resampled(
    points: list[tuple[Cell, float]],
    values: Array,
    rough: float,
    draws: int,
    rng: np.random.Generator,
    quantity: Quantity,
) -> Array:
    """Values of every draw: medians of resampled samples, moved by a roughness drawn anew."""
    columns = [
        _medians(np.asarray(cell.timing.samples), draws, rng)
        if quantity == "time" and cell.timing is not None
        else np.full(draws, value)
        for (cell, _), value in zip(points, values, strict=True)
    ]
    moved = np.exp(rough * rng.standard_normal((draws, len(points))))
    return np.asarray(np.stack(columns, axis=1) * moved)


def _dominates(both: Array, curves: Array, order: int) -> Estimate:
    """Where the quadratic term exceeds the linear one; a lower limit only where the term was not kept."""
    low, high = np.quantile(crossing(curves), tails(LEVEL), method="nearest")
    value = float(crossing(both)[0]) if order == 2 else float("inf")
    return Estimate(value=value, low=float(min(low, value)), high=float(max(high, value)))


def _left_out(lengths: Array, values: Array, weights: Array, order: int) -> float | None:
    """Median share by which each length is missed by the fit to the others."""
    if len(lengths) < FEWEST + 1:
        return None
    misses = []
    for i in range(len(lengths)):
        kept = np.arange(len(lengths)) != i
        found = fit_growth(lengths[kept], values[kept], weights[kept], order=order)
        misses.append(abs(float(value_at(found, lengths[i])[0]) / values[i] - 1))
    return float(np.median(misses))


def _findings(fits: list[ScalingFit], short: list[str]) -> tuple[Finding, ...]:
    found = []
    if short:
        found.append(
            Finding(
                code="BEN053",
                text=f"{count_of(len(short), 'model')} ran at fewer than {FEWEST} lengths: "
                f"{some_names(short)}.",
                hint="How they grow is not fitted; measure more lengths below their limit.",
            )
        )
    poor = [one.model for one in fits if one.error is not None and one.error > MISSED]
    if poor:
        found.append(
            Finding(
                code="BEN054",
                text=f"Fits miss left-out lengths by more than {MISSED:.0%}: {some_names(poor)}.",
                hint="They do not grow as a smooth curve (padding to a window, disturbed cells); do not "
                "extrapolate them.",
            )
        )
    return tuple(found)
