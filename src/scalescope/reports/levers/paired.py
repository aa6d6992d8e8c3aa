"""Differences of loss at equal settings, by rung of the ladder."""

from __future__ import annotations

import altair as alt

from scalescope.fitting.multipliers import Lever, MatchedPair
from scalescope.fitting.multipliers.text import times
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.levers.contents import LeverContents
from scalescope.reports.levers.look import MOST_PANELS, bars
from scalescope.reports.tables import Table
from scalescope.reports.text import number, shown
from scalescope.units import format_count, format_flop, format_percent, format_significant

_HEIGHT = 240


def paired_figure(contents: LeverContents) -> Figure | None:
    """Draw a panel for every variant that shares settings with the baseline; None where none does."""
    made = contents.multipliers
    levers = [lever for lever in made.levers if lever.pairs][:MOST_PANELS]
    if not levers:
        return None
    pairs = [pair for lever in levers for pair in lever.pairs]
    colours = _rung_colours(pairs)
    x = axes.log_x("x", axes.COMPUTE_TITLE, axes.padded([p.compute for p in pairs], 0.04), axes.bare_flop)
    tall = axes.padded_linear(
        [end for p in pairs for end in (p.difference.low, p.difference.high, 0.0)], 0.05
    )
    scale = alt.Scale(domain=list(tall), nice=False, zero=False)
    unit = "nats/token" if made.metric == "loss" else "bits/byte"
    ticks = axes.even_ticks(tall, 6)
    y = alt.Y("y:Q", scale=scale, axis=axes.loss_axis(f"Difference of loss, {unit}", ticks, grid=True))
    alone = len(levers) == 1
    rule = (
        "by its noise of seeds" if made.noise.known else "by what the fit leaves over, as seeds are unknown"
    )
    return Figure(
        name="paired",
        title="Differences at equal settings, rung by rung",
        caption=f"Loss of the variant less that of {made.baseline} at the same size and tokens, the mean "
        "over common "
        f"seeds; below zero the variant is better. {format_percent(made.level)} intervals of each setting "
        f"{rule}. "
        "No law enters here.",
        panels=tuple(_panel(lever, x, y, colours, alone=alone) for lever in levers),
        keys=tuple(Key(kind="point", label=label, colour=colour) for label, colour in colours.values()),
        table=_table(levers),
    )


def _rung_colours(pairs: list[MatchedPair]) -> dict[int, tuple[str, theme.Colour]]:
    """Words and colour of every rung, smallest first."""
    sizes = {pair.rung: pair.size for pair in sorted(pairs, key=lambda pair: -pair.rung)}
    rungs = sorted(sizes)
    ramp = theme.ordered(len(rungs))
    return {rung: (f"N {format_count(sizes[rung])}", ramp[i]) for i, rung in enumerate(rungs)}


def _panel(
    lever: Lever, x: alt.X, y: alt.Y, colours: dict[int, tuple[str, theme.Colour]], *, alone: bool
) -> Panel:
    rows: list[Row] = [
        {
            "x": pair.compute,
            "y": pair.difference.value,
            "rung": colours[pair.rung][0],
            "about": f"{pair.setting}\n{_signed(pair.difference.value)}, worth "
            f"{number(pair.multiplier, times)}",
            **bars(pair.difference),
        }
        for pair in lever.pairs
    ]
    labels = [label for label, _ in colours.values()]
    scale = alt.Scale(domain=labels, range=[colour.light for _, colour in colours.values()])
    shade = alt.Color("rung:N", scale=scale, legend=None)
    base = alt.Chart(marks.data(rows))
    zero = alt.Chart(marks.data([{"y": 0.0}])).mark_rule(color=theme.MUTED.light, strokeWidth=1)
    layers = [zero.encode(y=y)]
    if "low" in rows[0]:
        stick = base.mark_rule(strokeWidth=1.3, opacity=0.7, clip=True)
        layers.append(stick.encode(x=x, y=axes.other(y, "low"), y2=alt.Y2("high"), color=shade))
    dots = base.mark_point(filled=True, size=46, opacity=0.95, clip=True)
    layers.append(dots.encode(x=x, y=y, color=shade, tooltip=alt.Tooltip("about:N")))
    return Panel(
        title="" if alone else lever.name,
        chart=marks.layered(layers, _HEIGHT),
        label=f"Difference of loss of {lever.name} at {len(lever.pairs)} settings against compute.",
    )


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '−'}{format_significant(abs(value), 2)}"


def _table(levers: list[Lever]) -> Table:
    rows = [
        (
            f"{lever.name}, {pair.setting}",
            format_flop(pair.compute),
            f"{pair.n_seeds}",
            shown(pair.difference, _signed),
            number(pair.multiplier, times),
        )
        for lever in levers
        for pair in lever.pairs
    ]
    return Table(
        name="paired-table",
        title="Differences at equal settings",
        columns=("Setting", "Compute", "Seeds", "Difference of loss", "Worth in compute"),
        rows=tuple(rows),
        note="Worth: the compute the baseline would need, grown from this setting along its own best path.",
    )
