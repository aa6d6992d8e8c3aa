"""How a bench shows where it stands: a live display on a terminal, plain lines elsewhere, never on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from scalescope.units import format_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scalescope.inference.driver import Status

LINE_EVERY_SECONDS = 10.0


@contextmanager
def showing(stream: TextIO | None = None) -> Iterator[Callable[[Status], None]]:
    """Show progress on a stream, standard error if none is given, until the block ends however it ends."""
    from rich.console import Console
    from rich.live import Live

    stream = stream or sys.stderr
    console = Console(file=stream)
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(stream)
        return
    screen = _Screen()
    with Live(
        get_renderable=screen.render,
        console=console,
        transient=True,  # the answer follows in its place
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield screen


class _Lines:
    """A line every few seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next = 0.0

    def __call__(self, status: Status) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_EVERY_SECONDS
            self._stream.write(line(status) + "\n")
            self._stream.flush()


class _Screen:
    """The latest state as a few lines that a terminal redraws."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._started = time.monotonic()

    def __call__(self, status: Status) -> None:
        self._status = status

    def render(self) -> RenderableType:
        """Return what is on the screen now."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        elapsed = format_seconds(time.monotonic() - self._started)
        if self._status is None:
            return Spinner("dots", Text(f"measuring this machine, {elapsed} so far"))
        status = self._status
        whole = max(1, status.n_done + status.n_left)
        row = Table.grid(padding=(0, 1))
        row.add_row(
            f"{status.n_done} of {whole} cells",
            ProgressBar(total=whole, completed=status.n_done, width=40),
            elapsed,
        )
        told = [f"now {one}" for one in status.running] + ([f"last {status.last}"] if status.last else [])
        return Group(row, *(Text("  " + text, overflow="ellipsis", no_wrap=True) for text in told))


def line(status: Status) -> str:
    """Write a state as one line."""
    left = (
        ""
        if status.seconds_left is None
        else f", about {format_seconds(max(1.0, status.seconds_left))} of calls"
    )
    parts = [f"{status.n_done} cells done, {status.n_left} left{left}", *status.running, status.last]
    return "; ".join(part for part in parts if part)
