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

KeyKind = Literal["point", "held-out", "plan", "minimum", "fitted", "extrapolation", "dotted", "line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One entry of a legend: how a thing looks and what it is."""

    kind: KeyKind
    label: str
    colour: Colour
    dash: tuple[int, ...] = ()
    """Of a dotted line: lengths of its strokes and gaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes."""

    title: str
    chart: alt.LayerChart
    label: str
    """What a reader who cannot see it is told."""


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
