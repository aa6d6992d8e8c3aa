"""The best size and tokens against compute, beside what published rules advise."""

from __future__ import annotations

import altair as alt
import numpy as np

from scalescope.fitting.result import Fit
from scalescope.planning.results import Plan
from scalescope.points import Array, Estimate
from scalescope.reports.contents import Contents
from scalescope.reports.figures import axes, marks, predictions, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.reports.text import law_name, shown, two_digits
from scalescope.units import format_count, format_flop

_DASHES = ((1, 3), (8, 3, 1, 3), (3, 2))


def optimal_allocation(contents: Contents) -> Figure | None:
    """Best N and D against C: minima, law, plan, rules; None without a plan."""
    if contents.plan is None or not contents.plan.allocations:
        return None
    return allocation_figure(contents.plan, contents.fits.get(contents.headline), _minima_of(contents))


def _minima_of(contents: Contents) -> Fit | None:
    return next((fit for fit in contents.fits.values() if fit.parabolas), None)


def allocation_figure(plan: Plan, fit: Fit | None = None, minima: Fit | None = None) -> Figure:
    """Draw a plan; the law's line needs its fit, the measured minima the IsoFLOP fit."""
    panels = tuple(_panel(letter, plan, fit, minima) for letter in "ND")
    keys = []
    if minima is not None:
        keys.append(Key(kind="minimum", label="measured: minimum of a parabola", colour=theme.INK))
    keys += marks.law_keys() if fit is not None else []
    keys.append(marks.plan_key())
    keys += [
        Key(kind="dotted", label=rule, colour=rule_colour(rule), dash=_dash(index))
        for index, rule in enumerate(_rules(plan))
    ]
    return Figure(
        name="optimum",
        title="Best size and tokens against compute",
        caption=f"Law: {law_name(plan.law)}. The published rules are drawn as their authors state them and "
        "may count other parameters.",
        panels=panels,
        keys=tuple(keys),
        table=_table(plan, minima),
    )


def rule_colour(rule: str) -> theme.Colour:
    """Kaplan's and Hoffmann's colours; muted for any other rule."""
    if "kaplan" in rule.lower():
        return theme.KAPLAN
    return theme.HOFFMANN if "hoffmann" in rule.lower() else theme.MUTED


def _dash(index: int) -> tuple[int, ...]:
    return _DASHES[index % len(_DASHES)]


def _rules(plan: Plan) -> list[str]:
    return list(dict.fromkeys(rule.rule for each in plan.allocations for rule in each.advice))


def _bar(x: float, estimate: Estimate, about: str) -> Row:
    ends = {"low": estimate.low, "high": estimate.high}
    return {"x": x, "y": estimate.value, "about": about} | ends


def _plan_rows(plan: Plan, letter: str) -> list[Row]:
    rows = []
    for each in plan.allocations:
        estimate = each.params if letter == "N" else each.tokens
        rows.append(
            _bar(each.compute, estimate, f"plan for {format_flop(each.compute)}\n{letter}* {_text(estimate)}")
        )
    return rows


def _minima_rows(fit: Fit | None, letter: str) -> list[Row]:
    rows = []
    for each in fit.parabolas if fit is not None else ():
        estimate = each.size if letter == "N" else each.tokens
        rows.append(
            _bar(each.budget, estimate, f"minimum at {format_flop(each.budget)}\n{letter}* {_text(estimate)}")
        )
    return rows


def _text(estimate: Estimate) -> str:
    return shown(estimate, format_count)


def _rule_rows(plan: Plan, letter: str, compute: tuple[float, float]) -> list[Row]:
    """Published rules are power laws: a straight line through what they advise, over the whole axis."""
    rows = []
    for rule in _rules(plan):
        advised = [(each.compute, a) for each in plan.allocations for a in each.advice if a.rule == rule]
        if len(advised) < 2:
            continue
        at = np.log([c for c, _ in advised])
        value = np.log([a.params if letter == "N" else a.tokens for _, a in advised])
        slope, start = np.polyfit(at, value, 1)
        rows += [{"x": c, "y": float(np.exp(start + slope * np.log(c))), "rule": rule} for c in compute]
    return rows


def _law_rows(fit: Fit | None, letter: str, reach: float) -> list[Row]:
    if fit is None or not predictions.has_frontier(fit):
        return []
    low, high = fit.ranges["C"]
    compute: Array = predictions.reaching((low, high), low, reach)
    return predictions.rows(compute, predictions.frontier(fit, compute)[letter], (low, high))


def _panel(letter: str, plan: Plan, fit: Fit | None, minima: Fit | None) -> Panel:
    planned, measured = _plan_rows(plan, letter), _minima_rows(minima, letter)
    reach = max(each.compute for each in plan.allocations) * 1.4
    curve = _law_rows(fit, letter, reach)
    domain = axes.padded([row["x"] for row in (*planned, *measured, *curve)], 0.03)
    rules = _rule_rows(plan, letter, domain)
    x = axes.log_x("x", axes.COMPUTE_TITLE, domain, axes.bare_flop)
    title = axes.size_title(plan.count) if letter == "N" else axes.TOKENS_TITLE
    ends = [
        row[key]
        for row in (*planned, *measured, *curve, *rules)
        for key in ("y", "low", "high")
        if key in row
    ]
    y = axes.log_y("y", f"Best {title[0].lower()}{title[1:]}", axes.padded(ends, 0.03))
    layers = _rule_lines(rules, x, y) if rules else []
    layers += marks.curve(curve, x, y) if curve else []
    layers += _minima(measured, x, y) if measured else []
    layers += marks.planned(planned, x, y)
    what = "size" if letter == "N" else "tokens"
    label = f"Best {what} against compute: measured minima, law, plan, and {', '.join(_rules(plan))}."
    return Panel(title=f"Best {what}", chart=marks.layered(layers, 330), label=label)


def _rule_lines(rows: list[Row], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    tints = alt.Scale(domain=rules, range=[rule_colour(rule).light for rule in rules])
    colour = alt.Color("rule:N", scale=tints, title=None)
    # Each rule's dash is a property of its mark: the scale of dashes tells fitted from extrapolated.
    return [
        alt.Chart(marks.data([row for row in rows if row["rule"] == rule]))
        .mark_line(strokeWidth=1.8, clip=True, strokeDash=list(_dash(index)))
        .encode(x=x, y=y, color=colour, tooltip=alt.Tooltip("rule:N"))
        for index, rule in enumerate(rules)
    ]


def _minima(rows: list[Row], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    base = alt.Chart(marks.data(rows))
    bars = base.mark_rule(strokeWidth=1.6, color=theme.INK.light, clip=True).encode(
        x=x, y=axes.other(y, "low"), y2=alt.Y2("high")
    )
    crosses = base.mark_point(filled=True, shape="cross", size=70, color=theme.INK.light, opacity=1).encode(
        x=x, y=y, tooltip=alt.Tooltip("about:N")
    )
    return [bars, crosses]


def _table(plan: Plan, minima: Fit | None) -> Table:
    rows: list[tuple[str, ...]] = []
    for vertex in minima.parabolas if minima is not None else ():
        ratio = two_digits(vertex.tokens.value / vertex.size.value)
        compute = format_flop(vertex.budget)
        rows.append((compute, "measured minimum", _text(vertex.size), _text(vertex.tokens), ratio))
    for each in plan.allocations:
        ratio, compute = shown(each.tokens_per_param, two_digits), format_flop(each.compute)
        rows.append((compute, f"plan, {law_name(plan.law)}", _text(each.params), _text(each.tokens), ratio))
        for rule in each.advice:
            ratio = two_digits(rule.tokens / rule.params)
            rows.append((compute, rule.rule, format_count(rule.params), format_count(rule.tokens), ratio))
    columns = ("Compute C", "From", "Parameters N", "Tokens D", "Tokens per parameter")
    return Table(name="optimum-table", title="Best size and tokens", columns=columns, rows=tuple(rows))
