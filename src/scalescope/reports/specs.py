"""What the page's script draws from: specifications, and their tables packed small.

The texts of all tables stand once in the page and cells refer to them by number, and a table that several
panels draw stands once too: so a report of some fifty runs stays near a megabyte, scripts included.
"""

from __future__ import annotations

import csv
import io
import json
from functools import lru_cache
from typing import Any

from scalescope.reports.figures import Figure, Panel, theme


def specifications(figures: list[Figure]) -> tuple[dict[str, str], str, str]:
    """Return the JSON of every panel by name, of the tables by name, and of the texts that they refer to."""
    texts: dict[str, int] = {}
    data: dict[str, Any] = {}
    panels = {f"{each.name}-{i}": p for each in figures for i, p in enumerate(each.panels, start=1)}
    specs = {name: in_script(_specification(panel, data, texts)) for name, panel in panels.items()}
    return specs, in_script(data), in_script(list(texts))


def _specification(panel: Panel, data: dict[str, Any], texts: dict[str, int]) -> dict[str, Any]:
    """A panel without legends, as the page has its own, and with the names of its tables only."""
    spec = panel.chart.to_dict(validate=False)
    numbers: dict[str, set[str]] = {}
    for holder in (spec, *spec["layer"]):
        if "data" in holder:
            form = holder["data"].pop("format")
            numbers[holder["data"]["name"]] = set(form.get("parse", {}))
    for layer in spec["layer"]:
        for channel in ("color", "shape", "strokeDash", "opacity"):
            if "field" in layer["encoding"].get(channel, {}):
                layer["encoding"][channel]["legend"] = None
    for name, values in spec["datasets"].items():
        if name not in data:  # altair names a table by its content
            data[name] = _packed(values, numbers[name], texts)
    kept = {key: value for key, value in spec.items() if key not in {"config", "$schema"}}
    return kept | {"datasets": list(spec["datasets"])}


def _packed(values: str, numbers: set[str], texts: dict[str, int]) -> dict[str, list[Any]]:
    """Rows as lists under their columns; the page unpacks them, as Vega's own reader of CSV needs `eval`."""
    columns, *rows = csv.reader(io.StringIO(values))

    def cell(name: str, text: str) -> float | int | None:
        if name not in numbers:
            return texts.setdefault(text, len(texts))
        return _plain_number(text) if text else None

    packed = [[cell(name, text) for name, text in zip(columns, row, strict=True)] for row in rows]
    return {"columns": columns, "numbers": sorted(numbers), "rows": packed}


def _plain_number(text: str) -> float | int:
    """A number in as few characters as JSON allows."""
    value = float(text)
    return int(value) if value.is_integer() else value


def in_script(plain: Any) -> str:
    """JSON that can stand inside a script element, its colours as variables of the page's scheme."""
    packed = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    packed = packed.replace("<", "\\u003c")
    for name, colour in colours().items():
        packed = packed.replace(f'"{colour.light}"', f'"var(--{name})"')
    return packed


@lru_cache(maxsize=1)
def colours() -> dict[str, theme.Colour]:
    """Every colour a figure may hold, by the name of its CSS variable."""
    ramps = {f"s{n}-{i}": colour for n in range(1, 25) for i, colour in enumerate(theme.ordered(n))}
    unique: dict[str, theme.Colour] = {}
    for name, colour in (theme.ROLES | ramps).items():
        if all(colour.light != known.light for known in unique.values()):
            unique[name] = colour
    return unique


def variable(colour: theme.Colour) -> str:
    """CSS variable of a colour."""
    known = {each.light: name for name, each in colours().items()}
    return f"var(--{known[colour.light]})" if colour.light in known else colour.light
