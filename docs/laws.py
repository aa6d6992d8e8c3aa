"""Renews docs/laws/*.md, one page for each family of laws: their tables, and what their examples print.

    python docs/laws.py

Tables of the registry stand between `<!-- begin NAME -->` and `<!-- end NAME -->`. The Python blocks of a
page are run in their order, in one namespace; what one prints stands below it, under `<!-- printed -->`.
Numbers may differ in their last digit between machines, so renew on purpose and read the difference.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from scalescope.laws import FAMILIES, LAWS, Law, Published
from scalescope.units import format_significant

HERE = Path(__file__).parent
FOLDER = HERE / "laws"
MARKED = re.compile(r"(<!-- begin (\w+) -->\n)(.*?)(<!-- end \2 -->)", re.DOTALL)
RUN = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?P<shown>\n<!-- printed -->\n```text\n(?P<printed>.*?)^```)?",
    re.DOTALL | re.MULTILINE,
)


def of_family(family: str) -> list[Law]:
    """The laws of a page, by name."""
    return sorted((law for law in LAWS.values() if law.family == family), key=lambda law: law.name)


def renewed(text: str, family: str) -> str:
    """Return a page with its tables and printed outputs made anew."""
    laws = of_family(family)
    filled = MARKED.sub(lambda found: found[1] + BLOCKS[found[2]](laws) + "\n" + found[4], text)
    return _run(filled)


def _run(text: str) -> str:
    names: dict[str, Any] = {"__name__": "page"}

    def run(found: re.Match[str]) -> str:
        written = io.StringIO()
        with redirect_stdout(written):
            exec(compile(found["code"], "page", "exec"), names)
        if found["shown"] is None:
            return found[0]
        printed = written.getvalue().rstrip("\n")
        return f"```python\n{found['code']}```\n\n<!-- printed -->\n```text\n{printed}\n```"

    return RUN.sub(run, text)


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Write a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def overview(laws: list[Law]) -> str:
    """What each law relates, reads and predicts."""
    rows = []
    for law in laws:
        columns = [law.count if one.column == "params" else one.column for one in law.variables.values()]
        reads = ", ".join(
            f"{letter} `{column}`" for letter, column in zip(law.variables, columns, strict=True)
        )
        verified = sum(one.verified for one in law.published.values())
        sets = f"{len(law.published)}, {verified} verified" if law.published else "none"
        rows.append([f"`{law.name}`", law.title, f"`{law.formula}`", reads, f"`{law.target}`", sets])
    return table(["law", "what it is", "formula", "reads", "predicts", "published sets"], rows)


def caveats(laws: list[Law]) -> str:
    """What each law warns of."""
    return "\n".join(
        f"- `{law.name}` ([source]({_address(law.reference)})): {' '.join(law.caveats)}"
        for law in laws
        if law.caveats
    )


def published(laws: list[Law]) -> str:
    """Every set of coefficients with its source."""
    rows = [
        [
            f"`{law.name}`",
            f"`{name}`",
            ", ".join(f"{key} {format_significant(value, 4)}" for key, value in one.coefficients.items()),
            "yes" if one.verified else "no",
            _source(one),
        ]
        for law in laws
        for name, one in law.published.items()
    ]
    if not rows:
        return "None: no source prints a full set of coefficients for these laws."
    return table(["law", "set", "coefficients", "verified", "source"], rows)


def printed(laws: list[Law]) -> str:
    """Numbers that sources derive from their coefficients, beside ours."""
    rows = []
    for law in laws:
        for name, one in law.published.items():
            theta = np.array(list(one.coefficients.values()))
            for each in one.printed:
                ours = float(law.value(theta, **{key: np.array([at]) for key, at in each.x.items()})[0])
                at = ", ".join(f"{key} = {value:.4g}" for key, value in each.x.items())
                rows.append([f"`{law.name}`", f"`{name}`", at, f"{each.value:.4g}", f"{ours:.4g}"])
    return table(["law", "set", "at", "the source prints", "the law gives"], rows) if rows else ""


def _address(reference: str) -> str:
    return re.split("[,; ]", reference, maxsplit=1)[0]


def _source(one: Published) -> str:
    address = _address(one.source)
    rest = one.source.removeprefix(address).lstrip(", ")
    text = f"[{address.split('://')[1]}]({address})" + (f", {rest}" if rest else "")
    return ". ".join([text.rstrip("."), *([one.note.rstrip(".")] if one.note else [])]) + "."


BLOCKS: dict[str, Callable[[list[Law]], str]] = {
    "overview": overview,
    "caveats": caveats,
    "published": published,
    "printed": printed,
}
"""What can stand between markers."""


def main() -> None:
    """Renew every page."""
    for family in FAMILIES:
        path = FOLDER / f"{family}.md"
        path.write_text(renewed(path.read_text("utf-8"), family), encoding="utf-8")


if __name__ == "__main__":
    main()
