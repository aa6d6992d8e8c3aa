"""Figures and tables of repetition: loss against epochs, worth of a token, repeated beside fresh."""

from __future__ import annotations

import altair as alt
import numpy as np

from scalescope.fitting.repetition import Repetition
from scalescope.points import Array, Estimate
from scalescope.reports.data_study.contents import RepetitionContents
from scalescope.reports.figures import axes, marks, predictions, theme
from scalescope.reports.figures.base import HELD, Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.reports.text import number, shown, three_digits, two_digits
from scalescope.units import format_count, format_loss, format_percent

_HEIGHT = 280
_BEYOND = 2.0
"""Curves reach so many times the most epochs that were read."""
_FEW = 1.01


def epochs_figure(contents: RepetitionContents) -> Figure:
    """Draw loss against epochs: a panel a size, a colour a set of tokens, and fresh text as it grows."""
    found = contents.repetition
    runs = found.runs
    epochs = runs.tokens / runs["tokens_unique"]
    sets = _sets(found)
    palette = dict(zip(sets, theme.ordered(len(sets)), strict=True))
    wide = (0.92, float(epochs.max()) * _BEYOND)
    drawn = {size: _curves(found, size, palette, wide) for size in np.unique(runs.size)}
    heights = [row["y"] for curves in drawn.values() for _, rows in curves for row in rows]
    tall = axes.padded([*runs.loss.tolist(), *heights], 0.03)
    x = axes.log_x("x", "Epochs", wide)
    y = axes.loss_y("y", tall)
    panels = tuple(_size_panel(found, float(size), curves, x, y, palette) for size, curves in drawn.items())
    keys = [
        Key(kind="point", label=f"measured, {format_count(unique)} different tokens", colour=colour)
        for unique, colour in palette.items()
    ]
    return Figure(
        name="epochs",
        title="Loss against epochs",
        caption="Each colour is one set of tokens, read again and again; each panel one size. Lines "
        "are the law, "
        "solid over the epochs it was fitted to, dashed beyond. Hollow dots lie beyond the lowest "
        "loss of their "
        "run (overfitting) and are not fitted; the diamond was forecast before it was trained.",
        panels=panels,
        keys=(
            *keys,
            *marks.law_keys(),
            Key(kind="held-out", label="held out of the fit", colour=theme.HELD_OUT),
        ),
        table=_points(found),
    )


def _sets(found: Repetition) -> list[float]:
    """Numbers of different tokens of the repeated runs, fewest first."""
    runs = found.runs
    again = runs.tokens > _FEW * runs["tokens_unique"]
    return [float(unique) for unique in np.unique(runs["tokens_unique"][again])]


def _curves(
    found: Repetition, size: float, palette: dict[float, theme.Colour], wide: axes.Domain
) -> list[tuple[theme.Colour, list[Row]]]:
    runs, made = found.runs, []
    fitted = np.array(found.fitted)
    for unique, colour in palette.items():
        own = (runs.size == size) & (runs["tokens_unique"] == unique)
        if not own.any():
            continue
        used = own & fitted
        most = float((runs.tokens[used] / unique).max()) if used.any() else 1.0
        at = predictions.reaching((1.0, max(most, _FEW)), 1.0, wide[1])
        point: dict[str, Array] = {
            "N": np.full_like(at, size),
            "D": at * unique,
            "U": np.full_like(at, unique),
        }
        band = predictions.band(found.fit.samples(**point), found.level)
        made.append((colour, predictions.rows(at, (found.fit.value(**point), *band), (1.0, max(most, _FEW)))))
    return made


def _size_panel(
    found: Repetition,
    size: float,
    curves: list[tuple[theme.Colour, list[Row]]],
    x: alt.X,
    y: alt.Y,
    palette: dict[float, theme.Colour],
) -> Panel:
    layers = [layer for colour, rows in curves for layer in marks.curve(rows, x, y, colour)]
    runs = found.runs
    for unique, colour in palette.items():
        own = np.flatnonzero((runs.size == size) & (runs["tokens_unique"] == unique))
        for kept in (True, False):
            rows = [_dot(found, int(i)) for i in own if found.fitted[i] == kept and not runs.held_out[i]]
            if rows:
                layers.append(_dots(rows, x, y, colour, filled=kept))
    held: list[Row] = [
        _dot(found, int(i)) | {"kind": HELD} for i in np.flatnonzero((runs.size == size) & runs.held_out)
    ]
    layers += [marks.diamonds(held, x, y)] if held else []
    return Panel(
        title=f"{format_count(size)} parameters",
        chart=marks.layered(layers, _HEIGHT),
        label=f"Loss of {format_count(size)} parameters against epochs, by the number of different tokens.",
    )


def _dot(found: Repetition, index: int) -> Row:
    runs = found.runs
    epochs = float(runs.tokens[index] / runs["tokens_unique"][index])
    about = f"{two_digits(epochs)} epochs of {format_count(float(runs['tokens_unique'][index]))}\n"
    return {
        "x": epochs,
        "y": float(runs.loss[index]),
        "about": about + f"L {format_loss(float(runs.loss[index]))}",
    }


def _dots(rows: list[Row], x: alt.X, y: alt.Y, colour: theme.Colour, *, filled: bool) -> alt.Chart:
    base = alt.Chart(marks.data(rows))
    if filled:
        made = base.mark_point(filled=True, size=42, opacity=0.9, color=colour.light, clip=True)
    else:
        made = base.mark_point(
            size=42, opacity=1, strokeWidth=1.4, stroke=colour.light, fill=theme.PAPER.light, clip=True
        )
    chart: alt.Chart = made.encode(x=x, y=y, tooltip=alt.Tooltip("about:N"))
    return chart


def _points(found: Repetition) -> Table:
    runs = found.runs
    predicted = found.fit.value(N=runs.size, D=runs.tokens, U=runs["tokens_unique"])
    naive = found.naive.value(N=runs.size, D=runs.tokens)
    order = np.lexsort((runs.tokens, runs["tokens_unique"], runs.size))
    rows = [
        (
            format_count(float(runs.size[i])),
            format_count(float(runs["tokens_unique"][i])),
            two_digits(float(runs.tokens[i] / runs["tokens_unique"][i])),
            format_loss(float(runs.loss[i])),
            format_loss(float(predicted[i])),
            format_loss(float(naive[i])),
            "held out" if runs.held_out[i] else ("fitted" if found.fitted[i] else "overfits"),
        )
        for i in order
    ]
    return Table(
        name="points",
        title="All points",
        columns=(
            "Parameters",
            "Different tokens",
            "Epochs",
            "Loss",
            "By the law",
            "If all were fresh",
            "Use",
        ),
        rows=tuple(rows),
    )


def worth_figure(contents: RepetitionContents) -> Figure:
    """Draw what one more token is worth after so many epochs."""
    found = contents.repetition
    reach = max(found.most_epochs, min(found.half.value, 4 * found.most_epochs)) * 1.5
    at = np.geomspace(1.0, reach, 60)
    constant = found.fit.coefficients["R_D"]
    x = axes.log_x("x", "Epochs read so far", (0.95, reach))
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    y = alt.Y(
        "y:Q",
        scale=alt.Scale(domain=[0.0, 1.02], nice=False),
        axis=axes.axis("Worth of one more token, over a fresh one", ticks, format_percent, grid=True),
    )
    edge = (1.0, found.most_epochs)
    at = np.unique([*at, found.most_epochs])
    lines = tuple(np.exp(-(at - 1) / one) for one in (constant.value, constant.low, constant.high))
    layers = marks.curve(predictions.rows(at, (lines[0], lines[1], lines[2]), edge), x, y, theme.HOFFMANN)
    others = dict(zip(found.forms[1:], (theme.KAPLAN, theme.PLAN), strict=False))
    for form, colour in others.items():
        rows: list[Row] = [
            {"x": float(e), "y": float(np.exp(-(e - 1) / form.constant.value))} for e in at.tolist()
        ]
        line = alt.Chart(marks.data(rows)).mark_line(
            strokeWidth=1.4, strokeDash=[2, 3], color=colour.light, clip=True
        )
        layers.append(line.encode(x=x, y=y))
    return Figure(
        name="worth",
        title="What one more token is worth",
        caption="exp(-(epochs - 1) / R_D), with the interval of R_D when all coefficients are fitted "
        "at once: solid "
        "over the epochs that were read, dashed beyond. Dotted: R_D under other assumptions.",
        panels=(
            Panel(
                title="",
                chart=marks.layered(layers, _HEIGHT),
                label=f"Worth of a repeated token: half after {shown(found.half, two_digits)} epochs.",
            ),
        ),
        keys=(
            *marks.law_keys(colour=theme.HOFFMANN),
            *(
                Key(kind="dotted", label=form.name, colour=colour, dash=(2, 3))
                for form, colour in others.items()
            ),
        ),
        table=forms_table(found),
    )


def forms_table(found: Repetition) -> Table:
    """The constants under every form."""
    rows = [
        (
            form.name,
            shown(form.constant, three_digits),
            shown(form.half, two_digits),
            number(form.objective, three_digits),
        )
        for form in found.forms
    ]
    return Table(
        name="forms",
        title="What other assumptions say",
        columns=("Form", "R_D, epochs", "Half the worth after", "Objective"),
        rows=tuple(rows),
        note="The first is headlined. Where they disagree, the constant depends on what else is fitted.",
    )


def twins_figure(contents: RepetitionContents) -> Figure | None:
    """Draw how much worse repeated runs are than fresh ones of equal size and tokens, without any law."""
    found = contents.repetition
    if not found.twins:
        return None
    sizes = sorted({twin.size for twin in found.twins})
    palette = dict(zip(sizes, theme.ordered(len(sizes)), strict=True))
    x = axes.log_x("x", "Epochs", axes.padded([twin.epochs for twin in found.twins], 0.06))
    y = axes.loss_y(
        "y",
        axes.padded_linear([0.0, *(twin.difference for twin in found.twins)], 0.06),
        log=False,
        title="Loss over that of the fresh twin, nats/token",
    )
    layers = [
        _dots(
            [
                {
                    "x": twin.epochs,
                    "y": twin.difference,
                    "about": f"{format_count(twin.size)} parameters, {format_count(twin.tokens)} tokens\n"
                    f"{two_digits(twin.epochs)} epochs: {format_loss(twin.difference)}",
                }
                for twin in found.twins
                if twin.size == size
            ],
            x,
            y,
            colour,
            filled=True,
        )
        for size, colour in palette.items()
    ]
    return Figure(
        name="twins",
        title="Repeated beside fresh text",
        caption="Loss of a run that reads its text again less that of a run of equal size, tokens "
        "and seed on fresh "
        "text: what repetition costs, without any law.",
        panels=(
            Panel(
                title="",
                chart=marks.layered(layers, _HEIGHT),
                label="Loss of repeated runs over that of fresh ones against epochs, by size.",
            ),
        ),
        keys=tuple(
            Key(kind="point", label=f"{format_count(size)} parameters", colour=colour)
            for size, colour in palette.items()
        ),
        table=Table(
            name="pairs",
            title="Repeated and fresh twins",
            columns=("Parameters", "Tokens", "Epochs", "Loss over fresh"),
            rows=tuple(
                (
                    format_count(twin.size),
                    format_count(twin.tokens),
                    two_digits(twin.epochs),
                    format_loss(twin.difference),
                )
                for twin in found.twins
            ),
        ),
    )


def forecast_table(found: Repetition) -> Table | None:
    """The most repeated run under every law; None where nothing was held out."""
    one = found.forecast
    if one is None:
        return None
    measured = "–" if one.measured is None else format_loss(one.measured)
    unread = Estimate.exact(one.as_unread)
    rows = [
        (name, shown(said, format_loss), measured, _off(said.value, one.measured))
        for name, said in (
            ("repeated tokens lose their worth", one.loss),
            ("every token is fresh", one.as_fresh),
            ("repeated tokens are worth nothing", unread),
        )
    ]
    return Table(
        name="forecast",
        title="The most repeated run, forecast before it was trained",
        columns=("Assumption", "Forecast", "Measured", "Off by"),
        rows=tuple(rows),
        note=f"{format_count(one.size)} parameters, {two_digits(one.epochs)} epochs of "
        f"{format_count(one.unique)} "
        f"tokens; mean of {one.n_runs} trainings. {format_percent(found.level)} intervals.",
    )


def _off(said: float, measured: float | None) -> str:
    return "–" if measured is None else format_percent(measured / said - 1)
