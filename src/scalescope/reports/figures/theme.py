"""Colours and type of every figure: one light and one dark value a role, and the palette of ordered budgets.

A chart is written in the light values, so that it can be saved alone; the page replaces each of them by a CSS
variable and so follows the reader's scheme, and paper when printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """One role under both schemes."""

    light: str
    dark: str


INK = Colour(light="#1c2127", dark="#eceae6")
MUTED = Colour(light="#59616b", dark="#a8afb8")
GRID = Colour(light="#e6e8eb", dark="#2b3138")
PAPER = Colour(light="#fefefe", dark="#14171b")
HELD_OUT = Colour(light="#c4391d", dark="#ff8062")
PLAN = Colour(light="#9a1c6b", dark="#f08ac9")
KAPLAN = Colour(light="#a86400", dark="#e8b04c")
HOFFMANN = Colour(light="#1667a8", dark="#76b9f2")

ROLES: dict[str, Colour] = {
    "ink": INK,
    "muted": MUTED,
    "grid": GRID,
    "paper": PAPER,
    "held-out": HELD_OUT,
    "plan": PLAN,
    "kaplan": KAPLAN,
    "hoffmann": HOFFMANN,
}

# From cheap to dear. Lightness falls from one stop to the next on white, so the order survives any colour
# vision and a grey print; every stop keeps a contrast of 3 against its background.
_LIGHT = ("#7f9c1c", "#2c9a6b", "#1c8796", "#356aa6", "#47459a", "#431a61")
_DARK = ("#c6d95c", "#70d5a2", "#5cc8d6", "#88b6f0", "#aaa5f3", "#d3a4f4")


def _between(stops: tuple[str, ...], place: float) -> str:
    """Colour at `place` in [0, 1] along `stops`, each #rrggbb."""
    scaled = place * (len(stops) - 1)
    index = min(int(scaled), len(stops) - 2)
    share = scaled - index
    pair = [[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops[index : index + 2]]
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in zip(*pair, strict=True))


def ordered(n: int) -> list[Colour]:
    """Return `n` colours in a visible order, from the first (cheapest) to the last (dearest)."""
    places = [0.5] if n == 1 else [index / (n - 1) for index in range(n)]
    return [Colour(light=_between(_LIGHT, place), dark=_between(_DARK, place)) for place in places]


def config() -> dict[str, Any]:
    """Vega-Lite configuration that all figures share."""
    words = {"labelColor": MUTED.light, "titleColor": INK.light, "labelFontSize": 11, "titleFontSize": 12}
    return {
        "font": FONT,
        "background": "transparent",
        "view": {"stroke": None},
        "axis": words
        | {
            "titleFontWeight": 500,
            "titlePadding": 8,
            "labelPadding": 5,
            "gridColor": GRID.light,
            "domainColor": MUTED.light,
            "tickColor": MUTED.light,
            "tickSize": 4,
            "labelOverlap": True,
            "labelSeparation": 5,
        },
        "axisY": {
            "domain": False,
            "ticks": False,
            "titleAnchor": "end",
            "titleAngle": 0,
            "titleAlign": "left",
        }
        | {"titleBaseline": "bottom", "titleX": 0, "titleY": -8},
        "legend": words | {"orient": "bottom", "direction": "horizontal", "columns": 3, "symbolSize": 70},
        "title": {"color": INK.light, "fontSize": 13, "fontWeight": 600, "anchor": "start", "offset": 22},
    }
