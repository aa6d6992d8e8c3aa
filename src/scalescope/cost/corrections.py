"""Factors that correct the models of time and memory, and how they are fitted to measured cells.

Each part of the time has one factor at or above zero for every type, found by least squares of relative
errors with outliers held down, and drawn to what is typical so that three probes are enough. What a type of
model leaves over, in the median of its logarithm, becomes a factor of that type, shrunk towards 1 where there
are few cells. Memory is weights, cache and logits as they are, activations times a factor, and a constant.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scalescope.cost.anatomy import Anatomy
from scalescope.cost.memory import MemoryEstimate, memory_of_call
from scalescope.cost.nonnegative import fit_nonnegative
from scalescope.cost.rates import Rates
from scalescope.cost.timing import parts_of_time
from scalescope.points import Cell, Dtype, Workload

Vector = NDArray[np.float64]

TYPICAL: tuple[float, ...] = (1.1, 1.3, 1.5, 1.4, 2.0, 1.2)
"""Factors of `PARTS` that 25 models gave on one x86 core (fp32): where a fit to few cells starts from."""

PRIOR_CELLS = 2.0
"""Cells that the pull to `TYPICAL` counts for."""

SHRINK = 1.5
"""Cells of a type of model at which its own factor counts for half."""

MEMORY_FACTOR = 2.2
"""Of the activations, as the same models gave: an allocator keeps what blocks before have freed."""

SLACK_BYTES = 22e6
"""Constant of memory, as the same models gave: what libraries allocate for themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measured cell as the fit sees it."""

    model: str
    owner: str
    """Architecture, or the model's name: what is left out together."""
    model_type: str
    dtype: str
    """With ` decode` behind it for decode: its group in the fit (`group_of`)."""
    parts: tuple[float, ...] | None
    """Seconds before correction; None if the machine's rates lack the type."""
    seconds: float | None
    estimate: MemoryEstimate
    peak_bytes: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """Factors of one machine; `TYPICAL` before anything was fitted."""

    time: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Factor of each of `PARTS`, by group: `fp32`, `fp32 decode`, ..."""
    families: Mapping[str, float] = field(default_factory=dict)
    """Further factor of a type of model, under `group model_type`."""
    memory_factor: float = MEMORY_FACTOR
    """Of the activations."""
    memory_slack: float = SLACK_BYTES
    """Bytes, constant."""

    def seconds(self, parts: Sequence[float], group: str, model_type: str) -> float:
        """Corrected time of a call; a group that was never fitted takes what its type or fp32 has."""
        group = next((one for one in (group, group.split(maxsplit=1)[0], "fp32") if one in self.time), "")
        factors = self.time.get(group, TYPICAL)
        whole = math.fsum(part * factor for part, factor in zip(parts, factors, strict=True))
        return whole * self.families.get(f"{group} {model_type}", 1.0)

    def peak(self, estimate: MemoryEstimate) -> float:
        """Corrected highest memory above the baseline."""
        running = estimate.weights + estimate.cache + estimate.logits
        running += self.memory_factor * estimate.activations
        return max(running, estimate.load_peak) + self.memory_slack


def group_of(dtype: Dtype, workload: Workload) -> str:
    """Name what is fitted together: a type, and decode apart, whose operations are small and many."""
    return f"{dtype} decode" if workload.kind == "decode" else dtype


def samples_of(cells: Iterable[Cell], anatomies: Mapping[str, Anatomy], rates: Rates) -> tuple[Sample, ...]:
    """Turn cells into samples: those that ran, were measured themselves and are not in doubt."""
    samples = []
    for cell in cells:
        anatomy = anatomies.get(cell.architecture) or anatomies.get(cell.model)
        if anatomy is None or not cell.ok or cell.shared_from or cell.doubts or cell.compiled:
            continue
        if cell.timing is not None or (cell.memory is not None and cell.memory.peak):
            samples.append(_sample(cell, anatomy, rates))
    return tuple(samples)


def fit_corrections(samples: Sequence[Sample]) -> Corrections:
    """Fit all factors to samples."""
    time: dict[str, tuple[float, ...]] = {}
    families: dict[str, float] = {}
    for dtype in dict.fromkeys(one.dtype for one in samples):
        own = [one for one in samples if one.dtype == dtype and one.parts and one.seconds]
        if own:
            time[dtype], more = _fit_time(own, dtype)
            families |= more
    factor, slack = _fit_memory([one for one in samples if one.peak_bytes])
    return Corrections(time=time, families=families, memory_factor=factor, memory_slack=slack)


def _sample(cell: Cell, anatomy: Anatomy, rates: Rates) -> Sample:
    return Sample(
        model=cell.model,
        owner=cell.architecture or cell.model,
        model_type=anatomy.model_type,
        dtype=group_of(cell.dtype, cell.workload),
        parts=parts_of_time(anatomy, cell.workload, rates=rates, dtype=cell.dtype, attention=cell.attention),
        seconds=None if cell.timing is None else cell.timing.median,
        estimate=memory_of_call(anatomy, cell.workload, dtype=cell.dtype, attention=cell.attention),
        peak_bytes=None if cell.memory is None else cell.memory.peak,
    )


def _fit_time(own: Sequence[Sample], dtype: str) -> tuple[tuple[float, ...], dict[str, float]]:
    parts = np.array([one.parts for one in own], dtype=np.float64)
    seconds = np.array([one.seconds for one in own], dtype=np.float64)
    factors = fit_nonnegative(parts, seconds, centre=np.array(TYPICAL), weight=PRIOR_CELLS)
    left = np.log(seconds / np.maximum(parts @ factors, 1e-12))
    return tuple(float(factor) for factor in factors), _families(own, left, dtype)


def _families(own: Sequence[Sample], left: Vector, dtype: str) -> dict[str, float]:
    by_type: dict[str, list[float]] = defaultdict(list)
    for one, residual in zip(own, left, strict=True):
        by_type[one.model_type].append(float(residual))
    return {
        f"{dtype} {model_type}": math.exp(float(np.median(some)) * len(some) / (len(some) + SHRINK))
        for model_type, some in by_type.items()
    }


def _fit_memory(own: Sequence[Sample]) -> tuple[float, float]:
    if not own:
        return MEMORY_FACTOR, SLACK_BYTES
    peak = np.array([one.peak_bytes for one in own], dtype=np.float64)
    fixed = np.array([one.estimate.weights + one.estimate.cache + one.estimate.logits for one in own])
    parts = np.array([[one.estimate.activations, SLACK_BYTES] for one in own])
    factor, slack = fit_nonnegative(
        parts,
        np.maximum(peak - fixed, 0.0),
        centre=np.array([MEMORY_FACTOR, 1.0]),
        weight=PRIOR_CELLS,
        scale=peak,
    )
    return float(factor), float(slack) * SLACK_BYTES
