"""Laws in words: the list by question, and one of them in full."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from scalescope.cli.canvas import picture
from scalescope.cli.law_lines import Drawing, amount
from scalescope.laws import FAMILIES, Coefficient, Law, Published, Variable
from scalescope.points import COLUMNS

WIDTH = 80
"""Characters of a line, but for what cannot be broken."""
TRENDS = {-1: "the value never rises with it", 0: "", 1: "the value never falls with it"}


def by_question(chosen: Iterable[Law]) -> str:
    """List laws under the questions that they answer."""
    every = list(chosen)
    lines: list[str] = []
    for family, question in FAMILIES.items():
        own = [law for law in every if law.family == family]
        width = max((len(law.name) for law in own), default=0)
        lines += ["", question] if own else []
        for law in own:
            lines += _wrapped(f"  {law.name:<{width}}  ", law.title)
    n_published = sum(len(law.published) for law in every)
    n_verified = sum(one.verified for law in every for one in law.published.values())
    lines += [
        "",
        f"{len(every)} laws, {n_published} published sets of coefficients, {n_verified} of them verified",
    ]
    return "\n".join(lines[1:])


def in_full(law: Law, drawing: Drawing) -> str:
    """Return all that is known of a law, and its picture."""
    lines = [
        f"{law.name}: {law.title}",
        *_wrapped("  question  ", law.question),
        *_wrapped("  formula   ", law.formula),
        *_wrapped("  predicts  ", _target(law)),
    ]
    if any(one.column == "params" for one in law.variables.values()):
        lines += _wrapped("  N counts  ", f"{law.count}: {COLUMNS[law.count].meaning}")
    lines += _wrapped("  source    ", law.reference)
    lines += ["", "variables", *_variables(law), "", "coefficients", *_coefficients(law)]
    if law.held:
        lines += _wrapped(
            "held by its paper  ", f"{', '.join(law.held.coefficients)} at {law.held.published}"
        )
    if law.caveats:
        lines += ["", "mind", *(line for caveat in law.caveats for line in _wrapped("  - ", caveat))]
    lines += ["", "published" if law.published else "published: none"]
    lines += [line for name, one in law.published.items() for line in _published(law, name, one)]
    return "\n".join([*lines, "", _caption(law, drawing), "", picture(law, drawing)])


def _target(law: Law) -> str:
    scale = "logarithms" if law.scale == "log" else "the values themselves"
    return f"{described(law.target)}; a fit compares {scale}"


def described(column: str) -> str:
    """Name, meaning and unit of a column."""
    one = COLUMNS[column]
    said = one.unit in one.meaning or one.unit.replace("/", " per ") in one.meaning
    unit = "" if said else f" [{one.unit}]"
    return f"{column}: {one.meaning}{unit}"


def _variables(law: Law) -> Iterator[str]:
    width = max(map(len, law.variables))
    for letter, one in law.variables.items():
        yield from _wrapped(f"  {letter:<{width}}  ", "; ".join(_facts(law, one)))


def _facts(law: Law, one: Variable) -> Iterator[str]:
    column = law.count if one.column == "params" else one.column
    text = described(column)
    yield text.replace(COLUMNS[column].meaning, one.meaning) if one.meaning else text
    low, high = (amount(one.column, end) for end in (one.low, one.high))
    yield f"typically {low} to {high}"
    if one.trend:
        yield TRENDS[one.trend]


def _coefficients(law: Law) -> Iterator[str]:
    width = max(map(len, law.coefficients))
    for name, one in law.coefficients.items():
        yield from _wrapped(f"  {name:<{width}}  ", f"{one.meaning}; {_limits(one)}; such as {one.example:g}")


def _limits(one: Coefficient) -> str:
    low = 0.0 if one.positive and one.low is None else one.low
    least = f"above {low:g}" if one.positive and not one.low else f"{low:g}" if low is not None else ""
    if one.high is None:
        return least if least.startswith("above") else f"at least {least}" if least else "without limits"
    return f"{least} to {one.high:g}" if least else f"at most {one.high:g}"


def _published(law: Law, name: str, one: Published) -> Iterator[str]:
    yield f"  {name} ({'verified' if one.verified else 'not verified'})"
    yield from _wrapped("    ", ", ".join(f"{key} = {value:.6g}" for key, value in one.coefficients.items()))
    yield from _wrapped("    ", one.source)
    if any(variable.column == "params" for variable in law.variables.values()):
        yield f"    N counts {one.count}"
    if one.ranges:
        yield from _wrapped("    fitted on ", "; ".join(_range(law, *item) for item in one.ranges.items()))
    if one.note:
        yield from _wrapped("    ", one.note)


def _range(law: Law, letter: str, span: tuple[float, float]) -> str:
    known = {"N": "params", "D": "tokens", "C": "compute"}
    column = law.variables[letter].column if letter in law.variables else known[letter]
    low, high = (amount(column, end) for end in span)
    return f"{letter} {low} to {high}"


def _caption(law: Law, drawing: Drawing) -> str:
    what = drawing.coefficients if law.published else "example coefficients"
    held = [f"{letter} = {amount(law.variables[letter].column, at)}" for letter, at in drawing.held.items()]
    shares = [letter for letter, one in law.variables.items() if one.column.startswith("share_")]
    if drawing.main in shares:
        held.append("what one share leaves split evenly")
    elif shares:
        held.append("equal shares")
    return "\n".join(_wrapped("drawn with ", "; ".join([what, *held])))


def _wrapped(head: str, text: str) -> list[str]:
    """Break a text into lines that stand behind a head."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]


def as_plain(law: Law) -> dict[str, Any]:
    """Return everything that is known of a law, JSON-ready."""
    fields = ("name", "title", "family", "question", "formula", "scale", "count", "is_surface", "reference")
    return {field: getattr(law, field) for field in fields} | {
        "target": _column(law.target),
        "linear": list(law.linear),
        "held": None
        if law.held is None
        else {"published": law.held.published, "coefficients": list(law.held.coefficients)},
        "caveats": list(law.caveats),
        "variables": {letter: _plain_variable(law, one) for letter, one in law.variables.items()},
        "coefficients": {
            name: {
                "meaning": one.meaning,
                "example": one.example,
                "positive": one.positive,
                "low": one.low,
                "high": one.high,
            }
            for name, one in law.coefficients.items()
        },
        "published": {name: _plain_published(one) for name, one in law.published.items()},
    }


def _column(name: str) -> dict[str, str]:
    return {"column": name, "unit": COLUMNS[name].unit, "meaning": COLUMNS[name].meaning}


def _plain_variable(law: Law, one: Variable) -> dict[str, Any]:
    column = _column(law.count if one.column == "params" else one.column)
    return column | {
        "column": one.column,
        "meaning": one.meaning or column["meaning"],
        "low": one.low,
        "high": one.high,
        "logarithmic": one.logarithmic,
        "trend": one.trend,
    }


def _plain_published(one: Published) -> dict[str, Any]:
    return {
        "coefficients": dict(one.coefficients),
        "source": one.source,
        "count": one.count,
        "verified": one.verified,
        "note": one.note,
        "ranges": {letter: list(span) for letter, span in one.ranges.items()},
        "printed": [{"x": dict(each.x), "value": each.value, "rtol": each.rtol} for each in one.printed],
    }


def drawing_as_plain(drawing: Drawing) -> dict[str, Any]:
    """Return the numbers behind a picture, JSON-ready."""
    return {
        "coefficients": drawing.coefficients,
        "main": drawing.main,
        "second": drawing.second,
        "held": dict(drawing.held),
        "lines": [{"at": one.at, "x": one.x.tolist(), "y": one.y.tolist()} for one in drawing.lines],
    }
