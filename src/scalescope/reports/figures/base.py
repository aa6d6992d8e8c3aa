"""What a figure is: panels to draw, keys to read them by, and the same content as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from scalescope.reports.figures.theme import Colour
from scalescope.reports.tables import Table

if TYPE_CHECKING:
    import altair as alt

Row = dict[str, Any]

MEASURED = "measured"
HELD = "held out"
FITTED = "fitted range"
BEYOND = "extrapolation"

PointKind = Literal["point", "held-out", "plan", "minimum", "corrected", "cloud"]
KeyKind = PointKind | Literal["fitted", "extrapolation", "dotted", "line", "thin", "band", "box"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One entry of a legend: how a thing looks and what it is."""

    kind: KeyKind
    label: str
    colour: Colour
    dash: tuple[int, ...] = ()
    """Of a dotted line: lengths of its strokes and gaps."""
    opacity: float = 1.0
    """Of a box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes."""

    title: str
    chart: alt.LayerChart
    label: str
    """What a reader who cannot see it is told."""
    place: tuple[int, int] | None = None
    """Row and column of a figure that is a matrix of panels, counted from 0; None where panels flow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing with its legend, its caption and its table twin."""

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    keys: tuple[Key, ...]
    table: Table
    twin_open: bool = False
    """Whether the table is shown at once and not on demand."""
    stacked: bool = False
    """Whether panels of unlike height flow down the columns of the page."""

    @property
    def columns(self) -> int:
        """Columns of a matrix of panels; 0 where panels flow."""
        return max((panel.place[1] + 1 for panel in self.panels if panel.place is not None), default=0)
