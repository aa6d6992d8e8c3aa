"""Writes docs/reproductions.md from docs/results/reproductions.json; with --data, makes those anew first.

    python docs/reproductions.py --data DIR [NAME ...]

DIR is the folder of the published tables; without NAME all are made again.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path

import scalescope
from scalescope.reproductions import NAMES, Reproduction

HERE = Path(__file__).parent
ROOM = HERE.parent / "src" / "scalescope" / "reproductions"
RESULTS = HERE / "results" / "reproductions.json"
PAGE = HERE / "reproductions.md"

TRAPS = HERE / "traps.md"
OPTIMA = re.compile(r"(<!-- begin optima -->)\n(.*?)(<!-- end optima -->)", re.DOTALL)
NOT_AT_OPTIMUM = ("epoch", "gemstones", "data-constrained", "routed")
"""Reproductions of published fits that are not at their optimum."""
ABOUT_OPTIMA = ("REP001", "REP002", "REP006", "REP008")
"""What they say about that."""

HEAD = """# Reproductions

What papers print, made again from their own tables. This page is written by
`python docs/reproductions.py --data DIR`; a row holds when ours is inside the limit beside it. The tables are
no part of scalescope: get them where the section says, put them in one folder, and name it by `--data` or the
variable SCALESCOPE_DATA.

    scalescope reproduce                     # what there is
    scalescope reproduce epoch --data tables

The exit code is 0 when every row holds, 1 when one misses, 2 when a table is absent. What was found on the
way, beyond the numbers, is told as findings. Some published fits are not at their optimum:
[traps](traps.md#fits-that-are-not-at-their-optimum).
"""


def page(results: Mapping[str, Reproduction]) -> str:
    """Return the whole page."""
    lines = [HEAD, "| name | what | rows that hold |", "| --- | --- | --- |"]
    for name, title in NAMES.items():
        shown = (
            f"{sum(row.holds for row in results[name].rows)} of {len(results[name].rows)}"
            if name in results
            else "–"
        )
        lines.append(f"| [{name}](#{name}) | {title} | {shown} |")
    for name in NAMES:
        lines += [
            "",
            f"## {name}",
            "",
            *(_section(name, results[name]) if name in results else ["Not made yet."]),
        ]
    return "\n".join(lines) + "\n"


def with_optima(text: str, results: Mapping[str, Reproduction]) -> str:
    """Return the page of traps with the fits that are not at their optimum."""
    lines = ["| what | published | ours | made by |", "| --- | --- | --- | --- |"]
    notes = []
    for name in (name for name in NOT_AT_OPTIMUM if name in results):
        lines += [
            f"| {row.what} | {row.published} | {row.ours} | [{name}](reproductions.md#{name}) |"
            for row in results[name].rows
            if re.search("objective|rmse|the same, printed|R²", row.what)
        ]
        notes += [
            f"- {one.code}: {one.text} {one.hint}"
            for one in results[name].findings
            if one.code in ABOUT_OPTIMA
        ]
    return OPTIMA.sub(lambda found: "\n".join([found[1], *lines, "", *notes, found[3]]), text)


def _section(name: str, result: Reproduction) -> list[str]:
    lines = [f"{result.title[0].upper()}{result.title[1:]}. Published: {_linked(result.source)}."]
    tables = _constant(name, "ORIGIN")
    kept_as = _constant(name, "TABLE")
    place = f", kept as `{kept_as}`" if kept_as else ""
    lines.append(f"Table: {_linked(tables)}{place}." if tables else "Needs no table.")
    lines += ["", "| what | published | ours | |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {row.what} | {row.published} | {row.ours} | {'holds' if row.holds else '**misses**'} |"
        for row in result.rows
    ]
    lines += [
        line for one in result.findings for line in ("", f"- {one.code}: {one.text} {one.hint}".rstrip())
    ]
    return lines


def _linked(source: str) -> str:
    """A source with its first address as a link."""
    address, _, rest = source.partition(",")
    return (
        f"[{address.split('://')[1]}]({address}){',' if rest else ''}{rest}" if "://" in address else source
    )


def _constant(name: str, constant: str) -> str:
    """A text that the module of a reproduction gives a name."""
    tree = ast.parse((ROOM / f"{name.replace('-', '_')}.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == constant:
            return str(ast.literal_eval(node.value)) if isinstance(node.value, ast.Constant) else ""
    return ""


def kept() -> dict[str, Reproduction]:
    """The results that were made last, by name."""
    if not RESULTS.is_file():
        return {}
    plain = json.loads(RESULTS.read_text("utf-8"))
    return {name: Reproduction.from_dict(one) for name, one in plain.items()}


def main() -> None:
    """Make results anew where asked, then write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], default=[])
    parser.add_argument("--data", type=Path)
    asked = parser.parse_args()
    results = kept()
    if asked.data is not None:
        for name in asked.names or NAMES:
            results[name] = scalescope.reproduce(name, data=asked.data)
            print(name, "holds" if results[name].holds else "misses")
        ordered = {name: results[name].to_dict() for name in NAMES if name in results}
        RESULTS.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(results), encoding="utf-8")
    TRAPS.write_text(with_optima(TRAPS.read_text("utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main()
