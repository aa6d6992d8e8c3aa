"""How a study shows where it stands: a live display on a terminal, plain lines elsewhere, never on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from scalescope.units import format_percent, format_seconds

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from scalescope.workflow import Progress

LINE_EVERY_SECONDS = 10.0
"""Time between two plain lines of the same phase."""

PHASES: dict[str, str] = {
    "": "reading the corpus and measuring this machine",
    "tune": "learning rate",
    "pretrain": "pre-training",
    "grid": "grid",
    "held-out": "held-out rung",
    "report": "fits and report",
}
"""What a phase of the workflow is called on the screen."""
STUDY = ("tune", "grid", "held-out", "report")
COMPARISON = ("tune", "grid", "report")
"""Phases in their order; a comparison holds nothing out."""
UNNUMBERED: tuple[str, ...] = ()
"""Where phases come again: a transfer study pre-trains for its rates, and then for all else."""
_WITHOUT_POINTS = ("", "report")


class Display(Protocol):
    """Takes every `Progress` of a study; what it shows of it is its own business."""

    def __call__(self, progress: Progress) -> None:
        """Take the latest state."""
        ...


@contextmanager
def showing(stream: TextIO | None = None, *, phases: tuple[str, ...] = STUDY) -> Iterator[Display]:
    """Show progress on a stream, standard error if none is given, until the block ends however it ends."""
    from rich.console import Console
    from rich.live import Live

    stream = stream or sys.stderr
    console = Console(file=stream)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Lines(stream, phases)
        return
    screen = Screen(console, phases)
    with Live(
        get_renderable=screen.render,
        console=console,
        transient=True,  # the answer follows in its place
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield screen


class Lines:
    """One line every few seconds and at the beginning of a phase, for logs and pipes."""

    def __init__(self, stream: TextIO, phases: tuple[str, ...] = STUDY) -> None:
        self._stream = stream
        self._phases = phases
        self._phase = ""
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        """Write a line if it is time for one."""
        if progress.notice:
            self._stream.write(progress.notice + "\n")
        elif progress.phase != self._phase or time.monotonic() >= self._next:
            self._phase = progress.phase
            self._next = time.monotonic() + LINE_EVERY_SECONDS
            self._stream.write(line(progress, self._phases) + "\n")
        self._stream.flush()


class Screen:
    """The latest state as a few lines that a terminal redraws."""

    def __init__(self, console: Console, phases: tuple[str, ...] = STUDY) -> None:
        self._console = console
        self._phases = phases
        self._progress: Progress | None = None
        self._started = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Keep the state; a notice is printed above the display, once."""
        if progress.notice:
            self._console.print(progress.notice, markup=False, highlight=False, soft_wrap=True)
        else:
            self._progress = progress

    def render(self) -> RenderableType:
        """Return what is on the screen now."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        elapsed = format_seconds(time.monotonic() - self._started)
        if self._progress is None or self._progress.phase in _WITHOUT_POINTS:
            phase = "" if self._progress is None else self._progress.phase
            return Spinner("dots", Text(f"{_title(phase, self._phases)}, {elapsed} so far"))
        row = Table.grid(padding=(0, 1))
        share = self._progress.share_done
        bar = ProgressBar(total=1.0, completed=share, width=max(10, min(40, self._console.width - 40)))
        row.add_row(_title(self._progress.phase, self._phases), bar, f"{share:4.0%}", elapsed)
        rest = (counts(self._progress), self._progress.estimate, self._progress.last)
        told = [
            Text("  " + text, style=style, overflow="ellipsis", no_wrap=True) for text, style in _styled(rest)
        ]
        return Group(row, *told)


def line(progress: Progress, phases: tuple[str, ...] = STUDY) -> str:
    """Write a state as one line."""
    title = _title(progress.phase, phases)
    if progress.phase in _WITHOUT_POINTS:
        return title
    share = format_percent(round(progress.share_done, 2))
    parts = (f"{title}, {share}", counts(progress), progress.estimate, progress.last)
    return "; ".join(part for part in parts if part)


def counts(progress: Progress) -> str:
    """Say what is done, what is left, and how long that takes."""
    told = f"{progress.n_done} {'point' if progress.n_done == 1 else 'points'} done, {progress.n_left} left"
    return told if progress.seconds_left is None else f"{told}, about {_time(progress.seconds_left)} to go"


def _time(seconds: float) -> str:
    """Write a time without a precision that it does not have."""
    return format_seconds(max(1.0, round(seconds, -1 if seconds >= 60 else 0)))


def _title(phase: str, phases: tuple[str, ...]) -> str:
    words = PHASES.get(phase, phase)
    return f"{phases.index(phase) + 1} of {len(phases)}: {words}" if phase in phases else words


def _styled(texts: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(text, style) for text, style in zip(texts, ("", "bold", "dim"), strict=True) if text]
