"""Figures and tables of mixtures: slices through the best one, forecast against measurement."""

from __future__ import annotations

import altair as alt
import numpy as np

from scalescope.fitting.mixtures import Mixtures
from scalescope.points import Array
from scalescope.reports.data_study.contents import MixtureContents
from scalescope.reports.figures import axes, marks, predictions, theme
from scalescope.reports.figures.base import HELD, Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.reports.text import number, shown, three_digits
from scalescope.units import format_loss, format_percent

_HEIGHT = 260
_POINTS = 41


def slices_figure(contents: MixtureContents) -> Figure:
    """Draw the loss against the share of each source, the others in the proportions of the best mixture."""
    made = contents.mixtures
    chosen = range(1) if len(made.laws) == 2 else range(len(made.laws))
    curves = {index: _slice(made, index) for index in chosen}
    measured = np.array(made.losses) @ made.target
    held = [one.measured_loss for one in made.forecasts if one.measured_loss is not None]
    tall = axes.padded_linear(
        [*measured.tolist(), *held, *(row["y"] for rows in curves.values() for row in rows)], 0.05
    )
    several = len(made.laws) > 2
    panels = tuple(_panel(made, index, rows, measured, tall) for index, rows in curves.items())
    return Figure(
        name="slices",
        title="Weighted held-out loss against the share of a source",
        caption=(
            "The line is the loss by the laws, the other sources in the proportions of the best mixture, "
            f"with its {format_percent(made.level)} interval: solid between the shares that were "
            "tried, dashed "
            "beyond. "
            + (
                "Dots are trained mixtures, whose other shares are as they may be, so they need not "
                "lie on it. "
                if several
                else "Dots are trained mixtures. "
            )
            + "Diamonds are those that no fit has seen; the upright band is where the best share may be."
        ),
        panels=panels,
        keys=(
            Key(kind="point", label="trained mixture", colour=theme.HOFFMANN),
            Key(kind="held-out", label="trained after it was forecast", colour=theme.HELD_OUT),
            *marks.law_keys(),
            Key(kind="band", label="best share, with its interval", colour=theme.PLAN),
        ),
        table=_losses(made),
    )


def _slice(made: Mixtures, index: int) -> list[Row]:
    """Rows of the curve along one share."""
    low = 0.0
    at = np.unique([*np.linspace(low, 1.0, _POINTS), *_span(made, index)])
    best = np.array(made.shares)
    rest = np.delete(best, index)
    mixtures = np.empty((len(at), len(best)))
    mixtures[:, index] = at
    mixtures[:, [j for j in range(len(best)) if j != index]] = (1 - at)[:, None] * rest / rest.sum()
    value = made.predicted(mixtures) @ made.target
    draws = _drawn(made, mixtures)
    band = predictions.band(draws, made.level)
    return predictions.rows(at, (value, *band), _span(made, index))


def _drawn(made: Mixtures, mixtures: Array) -> Array:
    """Weighted loss of every resample, shape (n_resamples, n)."""
    given = {f"r{j + 1}": column for j, column in enumerate(mixtures.T)}
    n = min(len(law.fit.resamples) for law in made.laws)
    return np.asarray(sum(law.target * law.fit.samples(**given)[:n] for law in made.laws))


def _span(made: Mixtures, index: int) -> tuple[float, float]:
    shares = [one[index] for one in made.tried]
    return min(shares), max(shares)


def _panel(made: Mixtures, index: int, rows: list[Row], measured: Array, tall: axes.Domain) -> Panel:
    name = made.names[index]
    wide = (-0.02, 1.02)
    ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    x = alt.X(
        "x:Q",
        scale=alt.Scale(domain=list(wide), nice=False),
        axis=axes.axis(f"Share of {name}", ticks, format_percent, grid=False),
    )
    y = axes.loss_y("y", tall, log=False, title="Weighted loss, nats/token")
    dots: list[Row] = [
        {"x": shares[index], "y": float(loss), "about": _about(made, shares, float(loss))}
        for shares, loss in zip(made.tried, measured, strict=True)
    ]
    held: list[Row] = [
        {
            "x": one.shares[index],
            "y": one.measured_loss,
            "kind": HELD,
            "about": _about(made, one.shares, one.measured_loss),
        }
        for one in made.forecasts
        if one.measured_loss is not None
    ]
    share = made.laws[index].share
    layers = [_where(share.low, share.high, share.value, wide, tall, x, y), *marks.curve(rows, x, y)]
    base = alt.Chart(marks.data(dots)).mark_point(
        filled=True, size=42, opacity=0.9, color=theme.HOFFMANN.light, clip=True
    )
    layers.append(base.encode(x=x, y=y, tooltip=alt.Tooltip("about:N")))
    layers += [marks.diamonds(held, x, y)] if held else []
    return Panel(
        title="" if len(made.laws) == 2 else name,
        chart=marks.layered(layers, _HEIGHT),
        label=f"Weighted loss against the share of {name}; best at {shown(share, format_percent)}.",
    )


def _where(
    low: float, high: float, value: float, wide: axes.Domain, tall: axes.Domain, x: alt.X, y: alt.Y
) -> alt.Chart:
    """An upright band over the interval of the best share."""
    least = 0.004 * (wide[1] - wide[0])
    low, high = (value, value) if not low < high else (low, high)
    rows: list[Row] = [
        {"x": min(low, value - least), "end": max(high, value + least), "y": tall[0], "top": tall[1]}
    ]
    mark = alt.Chart(marks.data(rows)).mark_rect(color=theme.PLAN.light, opacity=0.16, clip=True)
    chart: alt.Chart = mark.encode(x=x, x2=alt.X2("end"), y=y, y2=alt.Y2("top"))
    return chart


def _about(made: Mixtures, shares: tuple[float, ...], loss: float) -> str:
    told = "\n".join(
        f"{name} {format_percent(share)}" for name, share in zip(made.names, shares, strict=True)
    )
    return f"{told}\nL {format_loss(loss)}"


def _losses(made: Mixtures) -> Table:
    """Every trained mixture with the loss on every source, measured and by the laws."""
    predicted = made.predicted(np.array(made.tried))
    rows = []
    for i, (shares, losses) in enumerate(zip(made.tried, made.losses, strict=True)):
        weighted = float(np.array(losses) @ made.target)
        rows.append(
            (
                " / ".join(format_percent(share) for share in shares),
                format_loss(weighted),
                format_loss(float(predicted[i] @ made.target)),
                *(format_loss(loss) for loss in losses),
            )
        )
    return Table(
        name="mixtures",
        title="Trained mixtures",
        columns=(
            " / ".join(made.names),
            "Weighted loss",
            "By the laws",
            *(f"Loss on {n}" for n in made.names),
        ),
        rows=tuple(rows),
    )


def agreement_figure(contents: MixtureContents) -> Figure:
    """Draw forecast against measurement: one panel a source, and the weighted loss."""
    made = contents.mixtures
    predicted = made.predicted(np.array(made.tried))
    losses = np.array(made.losses)
    columns = {
        "weighted": (predicted @ made.target, losses @ made.target),
        **{name: (predicted[:, i], losses[:, i]) for i, name in enumerate(made.names)},
    }
    panels = tuple(
        _agreement(made, name, *pair, place=index - 1) for index, (name, pair) in enumerate(columns.items())
    )
    return Figure(
        name="agreement",
        title="Loss by the laws against the measured loss",
        caption="On the diagonal both agree. Diamonds are mixtures that were forecast before they "
        "were trained, "
        "with the forecast's interval.",
        panels=panels,
        keys=(
            Key(kind="point", label="trained mixture", colour=theme.HOFFMANN),
            Key(kind="held-out", label="trained after it was forecast", colour=theme.HELD_OUT),
            Key(kind="thin", label="both equal", colour=theme.MUTED),
        ),
        table=forecasts_table(made),
    )


def _agreement(made: Mixtures, name: str, predicted: Array, measured: Array, *, place: int) -> Panel:
    held = []
    for one in made.forecasts:
        if one.measured_loss is not None:
            said = one.loss if place < 0 else one.losses[place]
            was = one.measured_loss if place < 0 else one.measured[place]
            held.append((said, was, one.name))
    every = [
        *predicted.tolist(),
        *measured.tolist(),
        *(said.value for said, _, _ in held),
        *(was for _, was, _ in held),
    ]
    span = axes.padded_linear(every, 0.06)
    x = axes.loss_x("x", span, title="Measured loss, nats/token")
    y = axes.loss_y("y", span, log=False, title="Loss by the laws, nats/token")
    line = alt.Chart(marks.data([{"x": span[0], "y": span[0]}, {"x": span[1], "y": span[1]}]))
    dots = alt.Chart(
        marks.data(
            [
                {"x": m, "y": p, "about": f"measured {format_loss(m)}\nby the law {format_loss(p)}"}
                for p, m in zip(predicted.tolist(), measured.tolist(), strict=True)
            ]
        )
    )
    layers: list[alt.Chart] = [
        line.mark_line(strokeWidth=1, color=theme.MUTED.light).encode(x=x, y=y),
        dots.mark_point(filled=True, size=42, opacity=0.9, color=theme.HOFFMANN.light, clip=True).encode(
            x=x, y=y, tooltip=alt.Tooltip("about:N")
        ),
    ]
    rows: list[Row] = [
        {
            "x": was,
            "y": said.value,
            "low": said.low,
            "high": said.high,
            "kind": HELD,
            "about": f"{what}\nforecast {shown(said, format_loss)}\nmeasured {format_loss(was)}",
        }
        for said, was, what in held
    ]
    if rows:
        bars = alt.Chart(marks.data(rows)).mark_rule(strokeWidth=1.6, color=theme.HELD_OUT.light, clip=True)
        layers += [bars.encode(x=x, y=axes.other(y, "low"), y2=alt.Y2("high")), marks.diamonds(rows, x, y)]
    title = "Weighted" if place < 0 else f"On {name}"
    return Panel(
        title=title,
        chart=marks.layered(layers, _HEIGHT),
        label=f"{title}: loss by the laws against measured.",
    )


def forecasts_table(made: Mixtures) -> Table:
    """The mixtures that were held out."""
    rows = [
        (
            f"{one.name}, {what}",
            " / ".join(format_percent(share) for share in one.shares),
            shown(said, format_loss),
            "–" if was is None else format_loss(was),
            "–" if was is None else ("inside" if said.low <= was <= said.high else "outside"),
            f"{one.n_runs}",
        )
        for one in made.forecasts
        for what, said, was in [
            ("weighted", one.loss, one.measured_loss),
            *(
                (f"on {name}", one.losses[i], one.measured[i] if one.measured else None)
                for i, name in enumerate(made.names)
            ),
        ]
    ]
    return Table(
        name="forecasts",
        title="Forecast before, measured after",
        columns=("Mixture", " / ".join(made.names), "Forecast", "Measured", "Verdict", "Runs"),
        rows=tuple(rows),
        note=f"{format_percent(made.level)} intervals for one run, the noise of runs included.",
    )


def shares_table(made: Mixtures) -> Table:
    """The best share of every source, and its law."""
    letters = [f"t, {name}" for name in made.names]
    rows = [
        (
            law.name,
            shown(law.share, format_percent),
            format_percent(law.target),
            number(law.fit.coefficients["c"].value, format_loss),
            *(number(law.fit.coefficients[f"t_{i + 1}"].value, three_digits) for i in range(len(made.laws))),
            number(law.fit.r_squared, three_digits),
        )
        for law in made.laws
    ]
    return Table(
        name="shares",
        title="Best share and law of every source",
        columns=("Source", "Best share", "Weight of its loss", "c", *letters, "R²"),
        rows=tuple(rows),
        note="Loss on a source is c + exp(sum of t times share). A low t says that this source's "
        "text lowers it.",
    )


def rivals_table(made: Mixtures) -> Table:
    """What the best mixture is compared with."""
    rows = [
        (
            rival.name,
            " / ".join(format_percent(share) for share in rival.shares),
            shown(rival.loss, format_loss),
            shown(rival.gain, format_loss),
            format_percent(rival.chance),
            "told apart" if rival.told_apart else "not told apart",
        )
        for rival in made.rivals
    ]
    return Table(
        name="rivals",
        title="The best mixture against others",
        columns=("Mixture", " / ".join(made.names), "Loss", "Best is lower by", "By chance alone", "Verdict"),
        rows=tuple(rows),
        note="By chance alone: share of studies without any difference between mixtures that show "
        "such a gain.",
    )
