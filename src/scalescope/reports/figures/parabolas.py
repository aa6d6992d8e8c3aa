"""IsoFLOP parabolas: the loss against size at each compute, and where its minimum lies."""

from __future__ import annotations

import altair as alt
import numpy as np

from scalescope.fitting.isoflop_bias import IsoflopBias
from scalescope.fitting.result import Fit, Parabola
from scalescope.points import Runs
from scalescope.reports.contents import Contents
from scalescope.reports.figures import axes, marks, predictions, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.figures.residuals import signed
from scalescope.reports.tables import Table
from scalescope.reports.text import number, shown, three_digits
from scalescope.units import format_count, format_flop, format_loss


def isoflop_parabolas(contents: Contents) -> Figure | None:
    """Parabolas of the IsoFLOP fit over its runs; None without that fit."""
    fit = next((fit for fit in contents.fits.values() if fit.parabolas), None)
    return None if fit is None else parabola_figure(fit, contents.runs, contents.bias)


def parabola_figure(fit: Fit, runs: Runs | None, bias: IsoflopBias | None = None) -> Figure:
    """Draw the parabolas of a fit, over the runs, and with the minima less their bias where it is known."""
    colours = marks.group_colours(runs) if runs is not None else {}
    curves = {index: _parabola_rows(each, runs) for index, each in enumerate(fit.parabolas)}
    points = [] if runs is None else marks.run_rows(runs, runs.size, runs.loss)
    held = [] if runs is None else _held_curves(fit, runs)
    rows = [row for each in curves.values() for row in each]
    x = axes.log_x(
        "x", axes.size_title(fit.count), axes.padded([row["x"] for row in (*rows, *points, *held)], 0.03)
    )
    y = axes.loss_y(
        "y",
        axes.padded_linear(
            [row[end] for row in (*rows, *points, *held) for end in ("y", "low") if end in row], 0.03
        ),
        log=False,
    )
    tints = _tints(fit, colours)
    layers = [part for index, each in curves.items() for part in marks.curve(each, x, y, tints[index])]
    layers += marks.curve(held, x, y, theme.HELD_OUT) if held else []
    layers += marks.measured(points, x, y, colours) if points else []
    layers += _minima(fit, x, y)
    moved = corrected_minima(fit, bias)
    layers += _corrected(moved, x, y) if moved else []
    label = f"{len(fit.parabolas)} parabolas of loss against size, one for each compute, with their minima."
    keys = [] if runs is None else marks.run_keys(runs, colours)
    keys.append(Key(kind="minimum", label="minimum of a parabola, with its interval", colour=theme.INK))
    if moved:
        keys.append(Key(kind="corrected", label="minimum without the parabola's bias", colour=theme.PLAN))
    keys.append(Key(kind="fitted", label="parabola among its runs", colour=theme.MUTED))
    keys.append(
        Key(kind="extrapolation", label="extrapolation: parabola beyond its runs", colour=theme.MUTED)
    )
    if held:
        keys.append(
            Key(kind="extrapolation", label="extrapolation to the held-out compute", colour=theme.HELD_OUT)
        )
    return Figure(
        name="isoflop",
        title="IsoFLOP parabolas and their minima",
        caption="At each compute, a small model sees many tokens and a large one few. The lowest loss lies "
        "in between, and the minima move to larger models as compute grows." + (_ON_BIAS if moved else ""),
        panels=(Panel(title="", chart=marks.layered(layers, 380), label=label),),
        keys=tuple(keys),
        table=_table(fit, bias),
    )


_ON_BIAS = (
    " The loss is no parabola, so a vertex misses the minimum; by how much follows from a surface fitted to "
    "the same runs."
)


def bias_at(fit: Fit, bias: IsoflopBias | None) -> dict[float, float]:
    """Budget of a parabola to the relative bias of its vertex, where it is known."""
    if bias is None:
        return {}
    known = np.array(bias.budgets)
    near = {each.budget: np.flatnonzero(np.isclose(known, each.budget, rtol=0.05)) for each in fit.parabolas}
    return {budget: bias.size_bias[int(at[0])] for budget, at in near.items() if at.size}


def corrected_minima(fit: Fit, bias: IsoflopBias | None) -> list[Row]:
    """Rows of the minima without the bias of the parabolas, each on its own parabola."""
    off = bias_at(fit, bias)
    rows: list[Row] = []
    for each in fit.parabolas:
        if each.budget not in off:
            continue
        size = each.size.value / (1 + off[each.budget])
        c0, c1, c2 = each.coefficients
        u = np.log(size)
        about = (
            f"without the bias of {signed(off[each.budget])}\nN* {format_count(size)} instead of "
            f"{format_count(each.size.value)}"
        )
        rows.append({"x": float(size), "y": float(c0 + c1 * u + c2 * u**2), "about": about})
    return rows


def _corrected(rows: list[Row], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    mark = alt.Chart(marks.data(rows)).mark_point(
        filled=False, shape="triangle-up", size=130, strokeWidth=1.8, stroke=theme.PLAN.light, opacity=1
    )
    return [mark.encode(x=x, y=y, tooltip=alt.Tooltip("about:N"))]


def _tints(fit: Fit, colours: dict[str, theme.Colour]) -> list[theme.Colour]:
    """Colour of each parabola: that of its budget's dots."""
    ramp = theme.ordered(max(len(fit.parabolas), 1))
    return [colours.get(format_flop(each.budget), ramp[i]) for i, each in enumerate(fit.parabolas)]


def _parabola_rows(parabola: Parabola, runs: Runs | None) -> list[Row]:
    """Solid over the sizes that were run at this budget, dashed a little beyond."""
    vertex = parabola.size.value
    edges = (vertex / 4, vertex * 4)
    if runs is not None:
        column = marks.budgets(runs)
        mine = np.zeros(len(runs), bool) if column is None else np.isclose(column, parabola.budget, rtol=0.1)
        if (mine & ~runs.held_out).sum() > 1:
            sizes = runs.size[mine & ~runs.held_out]
            edges = (float(sizes.min()), float(sizes.max()))
    x = predictions.reaching(edges, min(edges[0] / 1.25, vertex), max(edges[1] * 1.25, vertex))
    c0, c1, c2 = parabola.coefficients
    u = np.log(x)
    nothing = np.full(len(x), np.nan)
    return predictions.rows(x, (c0 + c1 * u + c2 * u**2, nothing, nothing), edges)


def _held_curves(fit: Fit, runs: Runs) -> list[Row]:
    """What the surface says at the compute of the held-out runs, drawn as the extrapolation it is."""
    if fit.law != "isoflop" or not runs.held_out.any():
        return []
    held = runs.select(runs.held_out)
    compute = float(np.exp(np.mean(np.log(held.compute))))
    best = float(predictions.frontier(fit, np.array([compute]))["N"][0][0])
    x = predictions.grid(
        min(best / 3, float(held.size.min()) / 1.2), max(best * 3, float(held.size.max()) * 1.2)
    )
    at = {"N": x, "C": np.full(len(x), compute)}
    low, high = predictions.band(fit.samples(**at), fit.level)
    return predictions.rows(x, (fit.value(**at), low, high), (float(x[0]) / 2, float(x[0])))


def _minima(fit: Fit, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    rows = [
        {
            "x": each.size.value,
            "y": each.loss.value,
            "low": each.size.low,
            "high": each.size.high,
            "about": f"minimum at {format_flop(each.budget)}\nN* {shown(each.size, format_count)}\n"
            f"L* {shown(each.loss, format_loss)}",
        }
        for each in fit.parabolas
    ]
    base = alt.Chart(marks.data(rows))
    low = axes.other(x, "low")
    bars = base.mark_rule(strokeWidth=2, color=theme.INK.light, clip=True).encode(
        x=low, x2=alt.X2("high"), y=y
    )
    crosses = base.mark_point(filled=True, shape="cross", size=70, color=theme.INK.light, opacity=1).encode(
        x=x, y=y, tooltip=alt.Tooltip("about:N")
    )
    return [bars, crosses]


def _table(fit: Fit, bias: IsoflopBias | None = None) -> Table:
    off = bias_at(fit, bias)
    rows = tuple(
        (
            format_flop(each.budget),
            str(each.n_runs),
            shown(each.size, format_count),
            *([signed(off[each.budget]) if each.budget in off else "–"] if off else []),
            shown(each.tokens, format_count),
            shown(each.loss, format_loss),
            number(each.coefficients[2], three_digits),
            number(each.r_squared, three_digits),
        )
        for each in fit.parabolas
    )
    columns = (
        "Compute C",
        "Runs",
        "N at the minimum",
        *(["Its bias"] if off else []),
        "D at the minimum",
        "L at the minimum",
        "Curvature",
        "R²",
    )
    return Table(name="isoflop-table", title="Minima of the parabolas", columns=columns, rows=rows)
