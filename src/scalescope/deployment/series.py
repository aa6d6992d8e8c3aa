"""Cells of one model under one setting, by length: what tables, fits and recommendations are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scalescope.points import TRIED, Attention, Batching, Cell, Dtype, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Everything that two cells must share to differ by length alone."""

    task: str = "length"
    kind: Kind = "encode"
    batch: int = 1
    new_tokens: int = 0
    batching: Batching = "single"
    head: bool = False
    mixed: bool = False
    """Whether the texts of a call differ in length."""
    dtype: Dtype = "fp32"
    attention: Attention = "sdpa"
    compiled: bool = False
    device: str = "cpu"
    threads: int = 1

    @classmethod
    def of(cls, cell: Cell) -> Setting:
        """Read it off a cell."""
        work = cell.workload
        return cls(
            task=work.task,
            kind=work.kind,
            batch=work.batch,
            new_tokens=work.new_tokens,
            batching=work.batching,
            head=work.head,
            mixed=bool(work.lengths),
            dtype=cell.dtype,
            attention=cell.attention,
            compiled=cell.compiled,
            device=cell.device,
            threads=cell.threads,
        )

    @property
    def plain(self) -> bool:
        """Whether it is one text, or equal texts, of a stated length."""
        return self.task == "length" and not self.mixed and self.batching == "single"

    @property
    def name(self) -> str:
        """Short, such as `encode fp32 sdpa cpu, 1 thread`."""
        more = [f"batch {self.batch}"] * (self.batch > 1) + [self.batching] * (self.batching != "single")
        more += ["head"] * self.head + ["compiled"] * self.compiled
        task = "" if self.task == "length" else f"{self.task} "
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        what = f"{task}{self.kind} {self.dtype} {self.attention} {self.device}"
        return ", ".join([what, threads, *more])


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One model under one setting, ascending in length, one cell a length."""

    model: str
    category: str
    setting: Setting
    cells: tuple[Cell, ...]

    @property
    def short(self) -> str:
        """Last part of the model's name."""
        return self.model.rpartition("/")[2]

    @property
    def params(self) -> int | None:
        """All parameters of what ran, or of the first cell that knows them."""
        known = [cell.params for cell in (*self.usable, *self.cells) if cell.params is not None]
        return known[0] if known else None

    @property
    def usable(self) -> tuple[Cell, ...]:
        """Cells whose figures count: they ran, were timed, and do not look impossible."""
        return tuple(cell for cell in self.cells if is_usable(cell))

    @property
    def longest_ok(self) -> int | None:
        """Longest length that ran."""
        return max((cell.workload.length for cell in self.cells if cell.ok), default=None)

    @property
    def stop(self) -> Cell | None:
        """First cell beyond the longest that ran, or None where nothing stopped it."""
        longest = self.longest_ok or 0
        return next((cell for cell in self.cells if cell.workload.length > longest), None)

    @property
    def tried(self) -> bool:
        """Whether any cell was really run."""
        return any(cell.state in TRIED for cell in self.cells)

    def at(self, length: int) -> Cell | None:
        """Cell of this length, if there is one."""
        return next((cell for cell in self.cells if cell.workload.length == length), None)

    def usable_at(self, length: int) -> Cell | None:
        """Cell of this length, if its figures count."""
        cell = self.at(length)
        return cell if cell is not None and is_usable(cell) else None


def is_usable(cell: Cell) -> bool:
    """Whether its figures count: it ran, was timed, and does not look impossible."""
    return cell.ok and not cell.doubts and cell.timing is not None and len(cell.timing.samples) > 0


def series_of(cells: Iterable[Cell]) -> tuple[Series, ...]:
    """Group cells by model and setting, in order of first cells; of equal lengths the last stays."""
    groups: dict[tuple[str, Setting], dict[int, Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.model, Setting.of(cell)), {})[cell.workload.length] = cell
    return tuple(
        Series(
            model=model,
            category=next((cell.category for cell in by_length.values() if cell.category), ""),
            setting=setting,
            cells=tuple(by_length[length] for length in sorted(by_length)),
        )
        for (model, setting), by_length in groups.items()
    )


def spread_of(cell: Cell) -> tuple[float, float, float]:
    """Median seconds of a timed cell and its interval; the range of the samples where there is none."""
    timing = cell.timing
    assert timing is not None
    low = timing.low if timing.low is not None else float(np.min(timing.samples))
    high = timing.high if timing.high is not None else float(np.max(timing.samples))
    return timing.median, low, high


def some_names(names: Sequence[str]) -> str:
    """First few names, and how many more."""
    shown = ", ".join(name.rpartition("/")[2] for name in names[:4])
    return shown + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def count_of(number: int, noun: str) -> str:
    """Write a number with its noun: `1 model`, `3 models`."""
    return f"{number} {noun}{'s' * (number != 1)}"
