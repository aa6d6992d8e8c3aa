"""`scalescope laws`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from scalescope.cli.options import AsJson
from scalescope.cli.output import answer
from scalescope.errors import InputError, MissingExtraError, WorkError

if TYPE_CHECKING:
    from scalescope.laws import Law

SCHEMA = "scalescope.laws/2"
FORMATS = (".html", ".svg", ".png")


def laws(name: str | None = None, /, *, figure: Path | None = None, as_json: AsJson = False) -> int:
    """List the scaling laws by question, or show one in full and draw it.

    Parameters
    ----------
    name
        Law to show: formula, variables, coefficients, limits, published values, and a drawing. A number
        sets how many domains or breaks it has, as in `data-mixing-3`.
    figure
        Also write the drawing to a file, .html, .svg or .png; needs the extra `images`.
    as_json
        Print everything as JSON.
    """
    from scalescope.cli.law_lines import draw
    from scalescope.cli.law_text import as_plain, by_question, drawing_as_plain, in_full
    from scalescope.laws import LAWS, get_law

    if name is None:
        if figure is not None:
            raise InputError(
                "a figure shows one law", hint="Name it: scalescope laws chinchilla --figure law.html"
            )
        every = list(LAWS.values())
        plain = {"schema": SCHEMA, "laws": [as_plain(law) for law in every]}
        return answer(by_question(every), plain, as_json=as_json, next_step="scalescope laws chinchilla")
    law = get_law(name)
    drawing = draw(law)
    text = in_full(law, drawing)
    if figure is not None:
        text += f"\n\nfigure: {_written(law, figure)}"
    plain = {"schema": SCHEMA, "laws": [as_plain(law) | {"drawing": drawing_as_plain(drawing)}]}
    return answer(text, plain, as_json=as_json, next_step=f"scalescope fit runs.csv --law {law.name}")


def _written(law: Law, path: Path) -> Path:
    """Draw a law into a file that needs no network to be seen.

    Raises
    ------
    InputError
        If the file's ending names no format, or the extra `images` is not installed.
    WorkError
        If the file cannot be written.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"{path} names no kind of figure", hint=f"End it with {' or '.join(FORMATS)}.")
    if find_spec("vl_convert") is None:
        raise MissingExtraError("vl-convert-python", "images")
    import scalescope

    chart = scalescope.plot(law)
    try:
        chart.save(str(path), inline=path.suffix == ".html")
    except OSError as error:
        raise WorkError(
            f"{path} could not be written: {error.strerror}", hint="Choose another file."
        ) from error
    return path
