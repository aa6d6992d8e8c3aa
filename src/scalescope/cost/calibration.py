"""A machine's calibration: its rates, corrections fitted to cells, how far off they are on other models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from scalescope.cost.anatomy import Anatomy
from scalescope.cost.corrections import Corrections, Sample, fit_corrections, samples_of
from scalescope.cost.rates import Rates
from scalescope.points import Cell, Finding, from_plain, to_plain

FEWEST_MODELS = 3
"""Below these, nothing can be said about models that were not used."""

MARGIN = 1.05
"""Least factor between a predicted peak and what is asked of free memory."""

BLIND_MARGIN = 1.25
"""The same where no model could be left out."""

What = Literal["time", "memory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelError:
    """How far predictions were off for one model that was left out of the fit."""

    model: str
    dtype: str
    time: tuple[float, ...] = ()
    """Predicted over measured, minus 1, for each of its cells."""
    memory: tuple[float, ...] = ()
    """The same for the peak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Errors on models that were left out one at a time."""

    errors: tuple[ModelError, ...]

    def median(self, what: What = "time", dtype: str | None = None) -> float | None:
        """Median of the absolute relative error over cells; None without any."""
        values = self.values(what, dtype)
        return float(np.median(np.abs(values))) if len(values) else None

    def spread(self, what: What = "time", dtype: str | None = None) -> float | None:
        """Factor within which nine of ten predictions lie; None without any."""
        values = self.values(what, dtype)
        return float(np.exp(np.quantile(np.abs(np.log1p(values)), 0.9))) if len(values) else None

    def shortfall(self) -> float:
        """Largest factor by which a measured peak exceeded its prediction; 1 if none did."""
        values = self.values("memory", None)
        return float(max(1.0, np.max(1 / (1 + values)))) if len(values) else 1.0

    def values(self, what: What, dtype: str | None = None) -> NDArray[np.float64]:
        """Relative errors of all cells of a type."""
        kept = [one for one in self.errors if dtype in (None, one.dtype)]
        return np.array([value for one in kept for value in getattr(one, what)], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Made by `calibrate` or `calibrate_machine`; kept beside a bench."""

    schema: ClassVar[str] = "scalescope.calibration/1"

    rates: Rates
    corrections: Corrections = field(default_factory=Corrections)
    time_spread: Mapping[str, float] = field(default_factory=dict)
    """Factor within which nine of ten times lay, on models left out; by type."""
    time_error: Mapping[str, float] = field(default_factory=dict)
    """Median relative error of the same."""
    memory_error: float | None = None
    """Median relative error of the peak, on models left out."""
    memory_margin: float = BLIND_MARGIN
    """Factor that covers every peak of models left out."""
    n_cells: int = 0
    n_models: int = 0
    source: str = "rates alone"
    """What it was fitted to."""
    findings: tuple[Finding, ...] = ()

    def summary(self) -> str:
        """One line a type for the terminal."""
        lines = [f"Calibrated on {self.n_cells} cells of {self.n_models} models ({self.source})."]
        for dtype, error in self.time_error.items():
            spread = self.time_spread.get(dtype)
            within = "" if spread is None else f", nine of ten within a factor of {spread:.2f}"
            lines.append(f"  time {dtype}: median error {100 * error:.0f}%{within}")
        if self.memory_error is not None:
            margin = f"margin {self.memory_margin:.2f}"
            lines.append(f"  memory: median error {100 * self.memory_error:.0f}%, {margin}")
        return "\n".join([*lines, *(f"  {one.code} {one.text} {one.hint}" for one in self.findings)])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            If the data has another schema or a field of the wrong type.
        """
        return from_plain(cls, data, cls.schema)


def calibrate(
    cells: Iterable[Cell], anatomies: Mapping[str, Anatomy], rates: Rates, *, source: str = "cells"
) -> Calibration:
    """Fit the corrections to measured cells.

    Parameters
    ----------
    cells
        Of a bench of this machine; only those that ran, were measured themselves and are not in doubt count.
    anatomies
        By architecture or by the model's name.
    rates
        Of the same machine and number of threads.
    source
        Where the cells are from, for the reader.
    """
    samples = samples_of(cells, anatomies, rates)
    left_out = errors_left_out(samples)
    corrections = fit_corrections(samples)
    models = {one.owner for one in samples}
    weighed = {one.owner for one in samples if one.peak_bytes}
    return Calibration(
        rates=rates,
        corrections=corrections,
        time_spread=_known({dtype: left_out.spread("time", dtype) for dtype in corrections.time}),
        time_error=_known({dtype: left_out.median("time", dtype) for dtype in corrections.time}),
        memory_error=left_out.median("memory"),
        memory_margin=_margin(left_out) if len(weighed) >= FEWEST_MODELS else BLIND_MARGIN,
        n_cells=len(samples),
        n_models=len(models),
        source=source,
        findings=() if len(models) >= FEWEST_MODELS else (_too_few(len(models)),),
    )


def leave_one_model_out(cells: Iterable[Cell], anatomies: Mapping[str, Anatomy], rates: Rates) -> LeftOut:
    """Predict every model from a fit that has seen none of its architecture's cells."""
    return errors_left_out(samples_of(cells, anatomies, rates))


def errors_left_out(samples: Sequence[Sample]) -> LeftOut:
    """Leave every architecture out in turn; nothing if there is only one."""
    by_owner: dict[str, list[Sample]] = defaultdict(list)
    for one in samples:
        by_owner[one.owner].append(one)
    errors: list[ModelError] = []
    for owner, own in by_owner.items():
        rest = [one for one in samples if one.owner != owner]
        if rest:
            errors += _errors_of(own, fit_corrections(rest))
    return LeftOut(errors=tuple(errors))


def _errors_of(samples: Sequence[Sample], fitted: Corrections) -> list[ModelError]:
    by_type: dict[str, list[Sample]] = defaultdict(list)
    for one in samples:
        by_type[one.dtype].append(one)
    return [
        ModelError(
            model=own[0].model,
            dtype=dtype,
            time=tuple(
                fitted.seconds(one.parts, dtype, one.model_type) / one.seconds - 1
                for one in own
                if one.parts and one.seconds and dtype in fitted.time
            ),
            memory=tuple(fitted.peak(one.estimate) / one.peak_bytes - 1 for one in own if one.peak_bytes),
        )
        for dtype, own in by_type.items()
    ]


def _margin(left_out: LeftOut) -> float:
    return max(MARGIN, left_out.shortfall())


def _known(values: Mapping[str, float | None]) -> dict[str, float]:
    return {key: value for key, value in values.items() if value is not None}


def _too_few(count: int) -> Finding:
    return Finding(
        code="BEN040",
        text=f"The calibration rests on {count} model{'' if count == 1 else 's'}.",
        hint="Errors on other models are unknown; measure three or more.",
    )
