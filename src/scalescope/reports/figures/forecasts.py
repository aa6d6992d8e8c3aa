"""The forecasts of the held-out rung beside what was then measured."""

from __future__ import annotations

import altair as alt

from scalescope.reports import text
from scalescope.reports.contents import Contents
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.tables import Table, checked
from scalescope.units import format_loss


def forecast_check(contents: Contents) -> Figure | None:
    """One interval a law, and a line where the measurement fell; None without forecasts."""
    table: Table | None = checked(contents)
    if not contents.forecasts or table is None:
        return None
    rows = _rows(contents)
    known = sorted({f.measured for f in contents.forecasts if f.measured is not None})
    values = [value for row in rows for value in (row["low"], row["x"], row["high"])] + known
    domain = axes.padded_linear(values, 0.08)
    x = axes.loss_x("x", domain)
    layers = [*_measured(known, x), *_forecasts(rows, x)]
    keys = [Key(kind="extrapolation", label="extrapolation: forecast, with its interval", colour=theme.INK)]
    if known:
        keys.append(Key(kind="line", label="measured afterwards", colour=theme.HELD_OUT))
    return Figure(
        name="forecasts",
        title="Forecast against measurement",
        caption="Each law's forecast of the held-out run, which no fit has seen. All of it is extrapolation: "
        "a hollow square is the forecast, the dashed line its interval.",
        panels=(Panel(title="", chart=marks.layered(layers, 44 * len(rows) + 20), label=_label(contents)),),
        keys=tuple(keys),
        table=table,
        twin_open=True,
    )


def _label(contents: Contents) -> str:
    return text.plain(text.check(contents)) or "Forecasts of the held-out run."


def _rows(contents: Contents) -> list[Row]:
    rows = []
    for index, each in enumerate(contents.forecasts):
        law = text.law_name(each.law)
        about = f"{law}\nforecast {text.shown(each.loss, format_loss)}\n{text.verdict(each)}"
        ends = {"low": each.loss.low, "high": each.loss.high}
        rows.append({"law": law, "order": index, "x": each.loss.value, "about": about} | ends)
    return rows


def _forecasts(rows: list[Row], x: alt.X) -> list[alt.Chart]:
    axis = alt.Axis(labelLimit=150, labelFontSize=12, domain=False, ticks=False, title=None)
    y = alt.Y("law:N", sort=alt.SortField("order"), axis=axis)
    base = alt.Chart(marks.data(rows))
    low = axes.other(x, "low")
    bars = base.mark_rule(strokeWidth=2.4, strokeDash=[5, 3], stroke=theme.INK.light).encode(
        x=low, x2=alt.X2("high"), y=y
    )
    dots = base.mark_point(
        filled=False, shape="square", size=80, strokeWidth=2, color=theme.INK.light
    ).encode(x=x, y=y, tooltip=alt.Tooltip("about:N"))
    return [bars, dots]


def _measured(known: list[float], x: alt.X) -> list[alt.Chart]:
    if not known:
        return []
    rows = [{"x": value, "about": f"measured {format_loss(value)} nats/token"} for value in known]
    line = alt.Chart(marks.data(rows)).mark_rule(strokeWidth=2.4, color=theme.HELD_OUT.light)
    return [line.encode(x=x, tooltip=alt.Tooltip("about:N"))]
