"""What the page's script draws from: specifications, and their tables packed small.

The texts of all tables stand once in the page and cells refer to them by number; tables, axes and scales that
several layers or panels share stand once too. So a report of some fifty runs stays near a megabyte, scripts
included.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from scalescope.reports.figures import Figure, Panel, theme


@dataclass(frozen=True, slots=True, kw_only=True)
class Specifications:
    """All that the page's script draws from, as JSON."""

    panels: dict[str, str]
    """A specification for each panel, by name; its tables, axes and scales are those below."""
    tables: str
    parts: str
    """Axes and scales: layers and panels share them, so cells refer to them by number."""
    texts: str
    """Of all tables."""

    @property
    def drawn(self) -> str:
        """Everything that can hold a colour."""
        return "".join((*self.panels.values(), self.tables, self.parts))


@dataclass(slots=True)
class _Shared:
    """What several panels use, each once."""

    tables: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Altair names a table by its content, at length."""
    parts: dict[str, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)

    def part(self, one: Any) -> int:
        """Number of an axis or a scale."""
        return self.parts.setdefault(json.dumps(one, sort_keys=True), len(self.parts))

    def table(self, name: str, values: str, numbers: set[str]) -> None:
        """Keep a table under a short name."""
        if name not in self.names:
            self.names[name] = f"t{len(self.names)}"
            self.tables[self.names[name]] = _packed(values, numbers, self.texts)


def specifications(figures: list[Figure]) -> Specifications:
    """Return the JSON of every panel, and of what they share."""
    shared = _Shared()
    panels = {f"{each.name}-{i}": p for each in figures for i, p in enumerate(each.panels, start=1)}
    specs = {name: in_script(_specification(panel, shared)) for name, panel in panels.items()}
    return Specifications(
        panels=specs,
        tables=in_script(shared.tables),
        parts=in_script([json.loads(part) for part in shared.parts]),
        texts=in_script(list(shared.texts)),
    )


def _specification(panel: Panel, shared: _Shared) -> dict[str, Any]:
    """A panel without legends, as the page has its own, and with its tables, axes and scales by name."""
    spec = panel.chart.to_dict(validate=False)
    numbers: dict[str, set[str]] = {}
    for holder in (spec, *spec["layer"]):
        if "data" in holder:
            form = holder["data"].pop("format")
            numbers[holder["data"]["name"]] = set(form.get("parse", {}))
    for name, values in spec["datasets"].items():
        shared.table(name, values, numbers[name])
    for layer in spec["layer"]:
        for channel in ("color", "shape", "strokeDash", "opacity"):
            if "field" in layer["encoding"].get(channel, {}):
                layer["encoding"][channel]["legend"] = None
        for encoded in layer["encoding"].values():
            for part in ("axis", "scale"):
                if encoded.get(part):
                    encoded[part] = shared.part(_short(encoded[part]))
    for holder in (spec, *spec["layer"]):
        if "data" in holder:
            holder["data"]["name"] = shared.names[holder["data"]["name"]]
    kept = {key: value for key, value in spec.items() if key not in {"config", "$schema"}}
    return kept | {"datasets": [shared.names[name] for name in spec["datasets"]]}


def _short(plain: Any) -> Any:
    """The same with numbers of at most seven digits, which is more than a screen can show."""
    if isinstance(plain, dict):
        return {key: value if key == "labelExpr" else _short(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_short(value) for value in plain]
    return _plain_number(f"{plain:.7g}") if isinstance(plain, float) else plain


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
