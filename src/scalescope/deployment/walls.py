"""Where every model stops and why: what its configuration allows against what ran here.

A wall that all models share would be a property of transformers; a table of 512 positions is a choice of one
model, memory is a property of the machine, and the end of the bench is no wall at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from scalescope.cost import Positions
from scalescope.deployment.choosing import choose_series
from scalescope.deployment.series import Series, count_of, some_names
from scalescope.points import STATES, Cell, Cells, Finding, Provenance, State, from_plain, to_plain
from scalescope.units import format_percent

Row = dict[str, Any]
Stop = Literal["nothing", "configuration", "memory", "time", "killed", "fault", "prediction", "not tried"]

STOPS: Mapping[Stop, str] = {
    "nothing": "ran as far as the bench went",
    "configuration": "its configuration ends there, on any machine",
    "memory": "an allocator or the kernel said that memory ran out",
    "time": "its time limit",
    "killed": "ended by a signal; nobody said that memory ran out",
    "fault": "an error of a library, an operation or an input; neither memory nor length",
    "prediction": "not tried, as it was predicted not to fit",
    "not tried": "no cell was really run",
}
"""What can end a model's way through the lengths."""

_STOP_OF: Mapping[State, Stop] = {
    "ok": "nothing",
    "not_applicable": "configuration",
    "position_limit": "configuration",
    "allocator_oom": "memory",
    "killed": "killed",
    "timeout": "time",
    "skipped": "prediction",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWall:
    """Where one model stops."""

    model: str
    category: str
    position_kind: str = ""
    """How it knows positions, such as `table` or `rope`; empty if not given."""
    limit: int | None = None
    """Longest length that its configuration allows; None for no limit, or not given."""
    trained: int | None = None
    longest_ok: int | None
    """Longest length that ran; None if none did."""
    stopped_at: int | None
    """First length beyond it that did not run."""
    stop: Stop
    state: State | None = None
    """Of the cell that stopped it."""
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthAnswer:
    """Is there a wall at one length?  Built by `Walls.answer`."""

    length: int
    n_models: int
    """With a cell at this length."""
    ran: int
    by_stop: Mapping[str, int]
    """Models that did not run there, by what stopped them."""
    unmeasured: int
    """Models of the bench without a cell at this length."""
    wall: bool
    """Whether no model ran there although at least one was tried."""
    text: str
    """The answer in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """Where all models stop.  Built by `find_walls`."""

    schema: ClassVar[str] = "scalescope.bench-walls/1"

    walls: tuple[ModelWall, ...]
    answers: tuple[LengthAnswer, ...]
    """For every length of the bench, ascending."""
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def of(self, model: str) -> ModelWall:
        """Find the wall of one model."""
        return next(one for one in self.walls if one.model == model)

    def answer(self, length: int) -> LengthAnswer | None:
        """Say whether there is a wall at a length; None where nothing was measured at it."""
        return next((one for one in self.answers if one.length == length), None)

    def frame(self) -> list[Row]:
        """Tidy rows, one a model."""
        names = "model category position_kind limit trained longest_ok stopped_at stop state cause"
        return [{name: getattr(one, name) for name in names.split()} for one in self.walls]

    def summary(self) -> str:
        """Counts by what stopped the models, the answer at every length, and findings, for a terminal."""
        counts = Counter(one.stop for one in self.walls)
        lines = [f"  {counts[stop]:>4} {stop}: {text}" for stop, text in STOPS.items() if counts[stop]]
        said = [f"  {one.text}" for one in self.answers]
        doubts = [f"  {finding}" for finding in self.findings]
        return "\n".join(["What stops the models", *lines, *said, *doubts])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Walls:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def find_walls(cells: Cells, *, limits: Mapping[str, Positions] | None = None) -> Walls:
    """Find where every model stops, and why.

    Parameters
    ----------
    cells
        Of a bench. Architectures count once.
    limits
        Positions of every model by its name; without them the limit is read from the causes of cells that
        were not applicable.
    """
    chosen = choose_series(cells)
    lengths = sorted({cell.workload.length for one in chosen.series for cell in one.cells})
    walls = tuple(_wall(one, (limits or {}).get(one.model)) for one in chosen.series)
    return Walls(
        walls=walls,
        answers=tuple(_answer(chosen.series, length) for length in lengths),
        findings=(*chosen.findings, *_findings(walls)),
        provenance=cells.provenance,
    )


def stop_of(cell: Cell) -> Stop:
    """Say what a state means for the way through the lengths."""
    return _STOP_OF.get(cell.state, "fault")


def limit_in(cause: str, above: int, below: int) -> int | None:
    """Read the limit out of the cause of a cell: its only whole number from `above` to below `below`."""
    numbers = {int(text) for text in re.findall(r"(?<![\d.])\d{1,9}(?![\d.]\d|\d)", cause)}
    fitting = [number for number in numbers if above <= number < below]
    return fitting[0] if len(fitting) == 1 else None


def _wall(one: Series, positions: Positions | None) -> ModelWall:
    cell, longest = one.stop, one.longest_ok
    stop: Stop = "nothing" if cell is None else stop_of(cell)
    if not one.tried:
        stop = stop if stop in ("configuration", "prediction") else "not tried"
    limit = positions.limit if positions is not None else None
    if positions is None and cell is not None and stop == "configuration":
        limit = limit_in(cell.cause, longest or 0, cell.workload.length)
    return ModelWall(
        model=one.model,
        category=one.category,
        position_kind=positions.kind if positions is not None else "",
        limit=limit,
        trained=positions.trained if positions is not None else None,
        longest_ok=longest,
        stopped_at=cell.workload.length if cell is not None else None,
        stop=stop,
        state=cell.state if cell is not None else None,
        cause=(cell.cause or STATES[cell.state]) if cell is not None else "",
    )


def _answer(series: tuple[Series, ...], length: int) -> LengthAnswer:
    found = [cell for one in series if (cell := one.at(length)) is not None]
    ran = sum(cell.ok for cell in found)
    stops = Counter(stop_of(cell) for cell in found if not cell.ok)
    tried = len(found) - stops["configuration"] - stops["prediction"]
    return LengthAnswer(
        length=length,
        n_models=len(found),
        ran=ran,
        by_stop=dict(stops.most_common()),
        unmeasured=len(series) - len(found),
        wall=ran == 0 and tried > 0,
        text=_words(length, ran, len(found), stops, tried),
    )


def _words(length: int, ran: int, n: int, stops: Counter[Stop], tried: int) -> str:
    verdict = "no wall" if ran else "nothing ran" if tried else "nothing was tried"
    words: Mapping[Stop, str] = {
        "configuration": "cannot by configuration",
        "memory": "ran out of memory",
        "time": "ran out of time",
        "killed": "were killed",
        "fault": "met another error",
        "prediction": "were predicted not to fit",
    }
    others = [f"{count} {words[stop]}" for stop, count in stops.most_common()]
    return (
        f"At {length} tokens: {verdict}. {ran} of {n} models ran ({format_percent(ran / n)})"
        + (f"; {', '.join(others)}" if others else "")
        + "."
    )


def _findings(walls: tuple[ModelWall, ...]) -> tuple[Finding, ...]:
    faults = [one.model for one in walls if one.stop == "fault"]
    killed = [one.model for one in walls if one.stop == "killed"]
    found = []
    if faults:
        found.append(
            Finding(
                code="BEN065",
                text=f"{count_of(len(faults), 'model')} stopped by an error that says nothing about length: "
                f"{some_names(faults)}.",
                hint="Read class and message in their cells; they may run once it is mended.",
            )
        )
    if killed:
        found.append(
            Finding(
                code="BEN069",
                text=f"{count_of(len(killed), 'model')} ended by a signal, and nobody said that memory ran "
                f"out: {some_names(killed)}.",
                hint="Look at peak and free memory of their cells before calling it memory.",
            )
        )
    return tuple(found)
