"""`scalescope laws`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalescope.cli.options import AsJson
from scalescope.cli.output import answer

if TYPE_CHECKING:
    from scalescope.laws import Law

SCHEMA = "scalescope.laws/1"


def laws(name: str | None = None, /, *, as_json: AsJson = False) -> int:
    """List the scaling laws, or show one with its published values.

    Parameters
    ----------
    name
        Law to show in full.
    as_json
        Print everything as JSON.
    """
    from scalescope.laws import LAWS, get_law

    chosen = [get_law(name)] if name else list(LAWS.values())
    return answer(
        _in_full(chosen[0]) if name else _by_question(chosen),
        {"schema": SCHEMA, "laws": [_plain(law) for law in chosen]},
        as_json=as_json,
        next_step=f"scalescope fit runs.csv --law {chosen[0].name}" if name else "scalescope laws chinchilla",
    )


def _by_question(chosen: list[Law]) -> str:
    width = max(len(law.name) for law in chosen)
    lines: list[str] = []
    for question in dict.fromkeys(law.question for law in chosen):
        lines += ["", question]
        for law in chosen:
            if law.question == question:
                lines += [f"  {law.name:<{width}}  {law.formula}", f"  {'':<{width}}  {law.title}"]
    return "\n".join(lines[1:])


def _in_full(law: Law) -> str:
    lines = [
        f"{law.name}: {law.title}",
        f"  answers       {law.question}",
        f"  formula       {law.formula}",
        f"  variables     {', '.join(law.variables)}",
        f"  coefficients  {', '.join(law.coefficients)}",
        f"  reference     {law.reference}",
    ]
    for name, published in law.published.items():
        mark = "verified" if published.verified else "not verified"
        values = ", ".join(f"{key} = {value:.6g}" for key, value in published.coefficients.items())
        lines += [
            "",
            f"published {name} ({mark}): {values}",
            f"  N counts {published.count}; {published.source}",
        ]
        lines += [f"  {published.note}"] if published.note else []
    if law.caveats:
        lines += ["", "mind", *(f"  {caveat}" for caveat in law.caveats)]
    return "\n".join(lines)


def _plain(law: Law) -> dict[str, Any]:
    fields = ("name", "title", "question", "formula", "reference", "caveats", "target")
    published = {
        name: {
            "coefficients": dict(values.coefficients),
            "source": values.source,
            "count": values.count,
            "verified": values.verified,
            "note": values.note,
            "ranges": {variable: list(span) for variable, span in values.ranges.items()},
        }
        for name, values in law.published.items()
    }
    return {field: getattr(law, field) for field in fields} | {
        "variables": {name: one.column for name, one in law.variables.items()},
        "coefficients": {name: one.meaning for name, one in law.coefficients.items()},
        "published": published,
    }
