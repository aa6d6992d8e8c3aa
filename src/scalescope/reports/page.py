"""One self-contained page: sentences, figures, tables, scripts and style in a file that asks for no other."""

from __future__ import annotations

import base64
import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scalescope.errors import InputError, WorkError
from scalescope.points import write_json
from scalescope.reports import tables, text
from scalescope.reports.contents import Contents
from scalescope.units import format_factor, format_loss

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from scalescope.reports.figures import Figure


_ROOM = Path(__file__).parent
SCRIPTS = ("vega.min.js", "vega-lite.min.js", "vega-interpreter.js")
_INTERVAL = re.compile(r"\[[^\[\]]*\d[^\[\]]*\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number that deserves the first screen."""

    label: str
    value: str
    interval: str = ""


def report(contents: Contents, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it.

    Sections whose content is absent are left out. The page needs no network and no server, and shows its
    conclusions and tables where scripts are off.

    Parameters
    ----------
    contents
        All that is shown.
    path
        Where the page goes, such as `report.html`; the twin has the same name and ends in `.json`.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If the path does not end in `.html`.
    WorkError
        If it cannot be written.
    """
    if path.suffix not in {".html", ".htm"}:
        raise InputError(f"a report is a page, got {path.name!r}", hint="End the path in .html.")
    twin = path.with_suffix(".json")
    page = render(contents, twin.name)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
        part.replace(path)
        write_json(twin, contents.to_dict())
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise WorkError(
            f"cannot write {path}: {error.strerror}", hint="Choose another folder or make room."
        ) from error
    return path


def render(contents: Contents, twin_name: str = "report.json") -> str:
    """Return the page as text; `twin_name` is the JSON file that it points to."""
    from altair.utils.schemapi import debug_mode

    from scalescope.reports.figures import FIGURES, theme
    from scalescope.reports.specs import in_script, specifications, variable

    # The figures' own tests check them against the schema; here it would take half of the time.
    with debug_mode(False):
        figures = [figure for draw in FIGURES.values() if (figure := draw(contents)) is not None]
        specs = specifications(figures)
    scripts = [*(_vendored(name) for name in SCRIPTS), _template("report.js")]
    forecast = text.headlined(contents)
    within = None if forecast is None else text.inside(forecast)
    page = _environment().get_template("report.html.j2")
    return page.render(
        contents=contents,
        answer=text.answer(contents),
        answer_note=text.answer_note(contents),
        check=text.check(contents),
        check_class={True: "good", False: "bad", None: ""}[within],
        check_mark={True: "✓", False: "✗", None: "…"}[within],
        tiles=tiles(contents),
        findings=text.findings(contents),
        other_findings=text.other_findings(contents),
        figures=figures,
        tables=tables.tables(contents),
        runs=tables.all_runs(contents),
        facts=_facts(contents),
        twin_name=twin_name,
        style=_safe(_style(figures, specs.drawn)),
        config=_safe(in_script(theme.config())),
        specs={name: _safe(spec) for name, spec in specs.panels.items()},
        data=_safe(specs.tables),
        parts=_safe(specs.parts),
        texts=_safe(specs.texts),
        scripts=[_safe(script) for script in scripts],
        script_hashes=_safe(" ".join(_csp_hash(script) for script in scripts)),
        licences=_safe(_vendored("LICENSES.txt")),
        PAPER=variable(theme.PAPER),
    )


def tiles(contents: Contents) -> list[Tile]:
    """Pick what a decision needs beside the answer: exponents, what being wrong costs, what more buys."""
    plan = contents.plan
    if plan is None or not plan.allocations:
        return []
    first = plan.allocations[0]
    size, gain = plan.size_exponent, first.gain_of_tenfold
    made = [
        Tile(label="Size exponent a of N* ∝ C^a", **_split(text.shown(size, text.two_digits))),
        Tile(label="Tokens per parameter", **_split(text.shown(first.tokens_per_param, text.two_digits))),
    ]
    for penalty in first.penalties:
        if penalty.factor == 2:
            cost = text.shown(penalty.compute_waste, format_factor)
            made.append(Tile(label="Compute for the same loss if the size is 2x too large", **_split(cost)))
    made.append(
        Tile(label="Loss that ten times more compute takes off", **_split(text.shown(gain, format_loss)))
    )
    return made


def _split(shown: str) -> dict[str, str]:
    value, _, interval = shown.partition(" [")
    return {"value": value, "interval": "[" + interval if interval else ""}


def _facts(contents: Contents) -> dict[str, str]:
    """What the workflow says about the making, and where the runs and the fit came from."""
    facts = dict(contents.facts)
    fit = contents.fits.get(contents.headline)
    source = contents.runs.provenance
    if source.source:
        facts.setdefault("Runs from", source.source)
    if source.digest:
        facts.setdefault("Hash of the input", source.digest)
    if fit is not None:
        options = ", ".join(f"{key} {value}" for key, value in fit.provenance.options.items())
        if options:
            facts.setdefault("Options of the fit", options)
        if fit.certificate is not None:
            share = fit.certificate.share_at_optimum
            told = f"{round(share * fit.certificate.n_starts)} of {fit.certificate.n_starts} starts"
            facts.setdefault("Optimum", f"{told} ended at the same best objective")
    facts.setdefault("Version", f"scalescope {source.version}")
    facts.setdefault("Machine", source.machine)
    return facts


def _style(figures: list[Figure], drawn: str) -> str:
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


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _vendored(name: str) -> str:
    return (_ROOM / "vendored" / name).read_text(encoding="utf-8")


def _template(name: str) -> str:
    return (_ROOM / "templates" / name).read_text(encoding="utf-8")


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from scalescope.reports.specs import variable

    loader = FileSystemLoader(_ROOM / "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {
        "emphasis": emphasis,
        "interval": interval,
        "is_number": is_number,
        "plain": text.plain,
        "variable": variable,
    }
    return environment


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
