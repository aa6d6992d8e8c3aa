"""What a comparison of two benches hands on: every cell's ratio and verdict, and all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from scalescope.deployment.columns import format_duration
from scalescope.points import Estimate, Finding, Provenance, State, from_plain, to_plain
from scalescope.units import format_significant

Row = dict[str, Any]
Verdict = Literal["faster", "slower", "same", "undecided"]
_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDifference:
    """One cell that ran in both benches."""

    model: str
    category: str
    workload: str
    length: int
    setting: str
    before_s: float
    after_s: float
    ratio: Estimate
    """Median after over median before: below 1 is faster."""
    p: float
    """Of the rank-sum test; 1 where the samples are too few."""
    p_adjusted: float = 1.0
    """With the false discovery rate of all cells controlled."""
    fewest: int
    """Samples of the side that has fewer."""
    disturbed: bool
    memory_ratio: float | None = None
    """Peak after over peak before."""
    memory_changed: bool = False
    verdict: Verdict = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """One cell that ended otherwise."""

    model: str
    workload: str
    setting: str
    before: State
    after: State
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchDifference:
    """Two benches cell by cell.  Built by `compare_benches`."""

    schema: ClassVar[str] = "scalescope.bench-difference/1"

    before: str
    after: str
    cells: tuple[CellDifference, ...]
    states: tuple[StateChange, ...]
    overall: Estimate | None
    """Geometric mean of the ratios, every model once, disturbed cells left out; models were resampled."""
    verdict: Verdict
    """On `overall`."""
    margin: float
    fdr: float
    level: float
    machines: tuple[str, ...] = ()
    """What differs between machines and libraries."""
    only_before: int = 0
    only_after: int = 0
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def counts(self) -> Mapping[str, int]:
        """Cells by verdict."""
        return Counter(one.verdict for one in self.cells)

    def frame(self) -> list[Row]:
        """Tidy rows, one a cell that ran in both."""
        names = "model category workload length setting before_s after_s p p_adjusted fewest disturbed"
        return [
            {name: getattr(one, name) for name in names.split()}
            | {"ratio": one.ratio.value, "ratio_low": one.ratio.low, "ratio_high": one.ratio.high}
            | {"memory_ratio": one.memory_ratio, "verdict": one.verdict}
            for one in self.cells
        ]

    def summary(self) -> str:
        """The verdict in all, the cells that changed most, changed states and memory, and findings."""
        said = ", ".join(f"{count} {name}" for name, count in Counter(self.counts).most_common())
        mean = f"time {self.overall.text(_times)} of before, " if self.overall is not None else ""
        lines = [f"{self.before} to {self.after}: {self.verdict}", f"  {mean}{len(self.cells)} cells: {said}"]
        moved = [one for one in self.cells if one.verdict in ("faster", "slower")]
        moved.sort(key=lambda one: -max(one.ratio.value, 1 / one.ratio.value))
        lines += [f"  {_cell_line(one)}" for one in moved[:_SHOWN]]
        lines += [f"  and {len(moved) - _SHOWN} more"] if len(moved) > _SHOWN else []
        lines += [
            f"  {_short(one.model)} {one.workload}: {one.before} to {one.after}"
            + (f" ({one.cause})" if one.cause else "")
            for one in self.states[:_SHOWN]
        ]
        lines += [f"  and {len(self.states) - _SHOWN} more"] if len(self.states) > _SHOWN else []
        grown = [one for one in self.cells if one.memory_changed]
        lines += [f"  {_short(one.model)} {one.workload}: memory {_ratio(one)}" for one in grown[:_SHOWN]]
        lines += [f"  and {len(grown) - _SHOWN} more"] if len(grown) > _SHOWN else []
        return "\n".join([*lines, *(f"  {finding}" for finding in self.findings)])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BenchDifference:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def _cell_line(one: CellDifference) -> str:
    times = f"{format_duration(one.before_s)} to {format_duration(one.after_s)}"
    return f"{_short(one.model)} {one.workload}: {one.verdict}, {one.ratio.text(_times)} ({times})"


def _ratio(one: CellDifference) -> str:
    return f"{_times(one.memory_ratio or 0.0)} of before"


def _short(model: str) -> str:
    return model.rpartition("/")[2]


def _times(value: float) -> str:
    return f"{format_significant(value)}x"
