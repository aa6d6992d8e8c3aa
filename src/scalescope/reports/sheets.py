"""One self-contained page: figures, scripts and style in a file that asks for no other, and its JSON twin."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scalescope.errors import InputError, WorkError
from scalescope.points import replacing
from scalescope.reports import text

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from scalescope.reports.figures.base import Figure

_ROOM = Path(__file__).parent
T = TypeVar("T")
SCRIPTS = ("vega.min.js", "vega-lite.min.js", "vega-interpreter.js")
_INTERVAL = re.compile(r"\[[^\[\]]*\d[^\[\]]*\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number that deserves the first screen."""

    label: str
    value: str
    interval: str = ""


def checked(path: Path) -> Path:
    """Return the path of a page's JSON twin.

    Raises
    ------
    InputError
        If the path does not end in `.html`.
    """
    if path.suffix not in {".html", ".htm"}:
        raise InputError(f"a report is a page, got {path.name!r}", hint="End the path in .html.")
    return path.with_suffix(".json")


def written(path: Path, page: str, twin: Mapping[str, Any], *, indent: int | None = 1) -> Path:
    """Write a page and its JSON twin beside it, each complete or not at all.

    Raises
    ------
    WorkError
        If they cannot be written.
    """
    beside = checked(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(
            f"cannot write {path}: {error.strerror}", hint="Choose another folder or make room."
        ) from error
    separators = None if indent else (",", ":")
    files = {
        path: page,
        beside: json.dumps(twin, indent=indent, separators=separators, allow_nan=False) + "\n",
    }
    for place, whole in files.items():
        with replacing(place) as part:
            part.write_text(whole, encoding="utf-8")
    return path


def drawn(
    makers: Mapping[str, Callable[[T], Figure | None]], contents: T, *, packed: bool = False
) -> dict[str, Any]:
    """Return all that a page's template needs to draw figures: style, scripts, specifications, their data.

    A maker that returns None has nothing to show. Packed scripts take less than half of the bytes; a browser
    that cannot unpack them shows the page as it is without scripts.
    """
    from altair.utils.schemapi import debug_mode

    # The figures' own tests check them against the schema; here it would take half of the time.
    with debug_mode(False):
        figures = [figure for make in makers.values() if (figure := make(contents)) is not None]
        return _drawn(figures, packed=packed)


def mark(holds: bool | None) -> dict[str, str]:
    """Return how a page marks its check: as good, bad, or open."""
    return {
        "check_class": {True: "good", False: "bad", None: ""}[holds],
        "check_mark": {True: "✓", False: "✗", None: "…"}[holds],
    }


def _drawn(figures: Sequence[Figure], *, packed: bool) -> dict[str, Any]:
    from scalescope.reports.figures import theme
    from scalescope.reports.specs import in_script, specifications, variable

    specs = specifications(list(figures))
    scripts = [*(_vendored(name) for name in SCRIPTS), _template("report.js")]
    allowed = [_template("unpack.js"), *scripts] if packed else scripts
    return {
        "figures": figures,
        "style": _safe(_style(figures, specs.drawn)),
        "config": _safe(in_script(theme.config())),
        "specs": {name: _safe(spec) for name, spec in specs.panels.items()},
        "data": _safe(specs.tables),
        "parts": _safe(specs.parts),
        "texts": _safe(specs.texts),
        "packed": [_safe(_packed(script)) for script in scripts] if packed else [],
        "scripts": [_safe(_template("unpack.js"))] if packed else [_safe(script) for script in scripts],
        "script_hashes": _safe(" ".join(_csp_hash(script) for script in allowed)),
        "licences": _safe(_vendored("LICENSES.txt")),
        "PAPER": variable(theme.PAPER),
    }


def _style(figures: Sequence[Figure], drawn: str) -> str:
    """Style of the page with the colours that it uses, under both schemes."""
    from scalescope.reports.figures import theme
    from scalescope.reports.specs import colours, variable

    keys = {variable(key.colour) for figure in figures for key in figure.keys}
    used = {
        name: colour
        for name, colour in colours().items()
        if name in theme.ROLES or f"var(--{name})" in keys or f"var(--{name})" in drawn
    }
    light = "".join(f"--{name}:{colour.light};" for name, colour in used.items())
    dark = "".join(f"--{name}:{colour.dark};" for name, colour in used.items())
    return (
        f":root{{--sans:{theme.FONT};{light}}}\n"
        f"@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}\n" + _template("report.css")
    )


def _packed(script: str) -> str:
    return base64.b64encode(gzip.compress(script.encode("utf-8"), mtime=0)).decode("ascii")


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _vendored(name: str) -> str:
    return (_ROOM / "vendored" / name).read_text(encoding="utf-8")


def _template(name: str) -> str:
    return (_ROOM / "templates" / name).read_text(encoding="utf-8")


def environment() -> Environment:
    """Templates, with the filters that they use."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from scalescope.reports.specs import variable

    loader = FileSystemLoader(_ROOM / "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.filters |= {
        "emphasis": emphasis,
        "interval": interval,
        "is_number": is_number,
        "plain": text.plain,
        "variable": variable,
    }
    return made


def _safe(trusted: str) -> Markup:
    """Mark text of our own files, or text already escaped, as fit to stand in the page as it is."""
    from markupsafe import Markup

    return Markup(trusted)  # noqa: S704


def interval(cell: str) -> Markup:
    """Escape a text and set every `[low, high]` in it apart from its value."""
    from markupsafe import escape

    return _safe(_INTERVAL.sub(lambda found: f'<span class="interval">{found[0]}</span>', str(escape(cell))))


def emphasis(sentence: str) -> Markup:
    """Escape a sentence, set its `**important**` parts in bold and its intervals apart."""
    return _safe(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(interval(sentence))))


def is_number(cell: str) -> bool:
    """Tell whether a cell holds a number, so that it must not be broken over lines."""
    return bool(re.match(r"[+−–]?\d[\d.,e+-]*[kMBTx%]?( FLOP)?( \[|$)", cell)) or cell in {"–", "∞"}
