"""Writes the table of levers on docs/levers.md from the code.

    python docs/levers.py

The table stands between `<!-- begin levers -->` and `<!-- end levers -->`, the rule of the verdict between
`<!-- begin rule -->` and `<!-- end rule -->`; everything else on the page is written by hand.
"""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path

from scalescope.fitting.multipliers import rule
from scalescope.studies.arms import MEASURED
from scalescope.training.levers import LEVERS

PAGE = Path(__file__).with_name("levers.md")
MARKED = re.compile(r"(<!-- begin (levers|rule) -->\n)(.*?)(<!-- end \2 -->)", re.DOTALL)


def levers() -> str:
    """Every lever with what it sets and values as on the command line."""
    rows = [
        f"| `{one.name}` | {one.meaning} | "
        + ("measured, not varied |" if one.name in MEASURED else f"`--vary {one.name}={one.example}` |")
        for one in LEVERS.values()
    ]
    return "\n".join(["| lever | what it sets | for example |", "| --- | --- | --- |", *rows]) + "\n"


def numbers() -> str:
    """The numbers of the rule with their meaning."""
    tree = ast.parse(inspect.getsource(rule.Rule)).body[0]
    assert isinstance(tree, ast.ClassDef)
    said = {
        node.target.id: " ".join(note.value.value.split())
        for node, note in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(note, ast.Expr)
        and isinstance(note.value, ast.Constant)
        and isinstance(note.value.value, str)
    }
    rows = [
        f"| `{one.name}` | `{getattr(rule.RULE, one.name)}` | {said[one.name]} |" for one in fields(rule.RULE)
    ]
    return "\n".join(["| number | value | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def renewed(text: str) -> str:
    """Return the page with both tables made anew."""
    made = {"levers": levers, "rule": numbers}
    return MARKED.sub(lambda found: found[1] + made[found[2]]() + found[4], text)


def main() -> None:
    """Renew the page."""
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
