"""`scalescope laws`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scalescope.cli.options import AsJson
from scalescope.cli.output import answer
from scalescope.errors import InputError, WorkError

if TYPE_CHECKING:
    from scalescope.laws import Law

SCHEMA = "scalescope.laws/2"
FORMATS = ("html", "svg", "png")


def laws(name: str | None = None, /, *, figure: Path | None = None, as_json: AsJson = False) -> int:
    """List the scaling laws by question, or show one in full and draw it.

    Parameters
    ----------
    name
        Law to show: formula, variables, coefficients, limits, published values, and a drawing. A number
        sets how many domains or breaks it has, as in `data-mixing-3`.
    figure
        Also write the drawing to a file: .html, or .svg and .png with the extra `images`.
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
    """Draw a law into a file.

    Raises
    ------
    InputError
        If the file's ending names no format.
    WorkError
        If the format needs an extra that is not installed, or the file cannot be written.
    """
    import scalescope

    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise InputError(f"{path} names no kind of figure", hint=f"End it with .{', .'.join(FORMATS)}.")
    chart = scalescope.plot(law)
    try:
        chart.save(path, format=kind, **({"inline": True} if kind == "html" else {}))
    except (ImportError, ValueError) as error:
        raise WorkError(
            f"{path} could not be drawn: {error}", hint="pip install 'scalescope[images]'"
        ) from error
    except OSError as error:
        raise WorkError(
            f"{path} could not be written: {error.strerror}", hint="Choose another file."
        ) from error
    return path
