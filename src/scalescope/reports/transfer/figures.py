"""Loss against text of fine-tuned runs and of those from scratch, and what pre-training is worth in text."""

from __future__ import annotations

import altair as alt
import numpy as np

from scalescope.fitting.pretraining import is_tuned
from scalescope.fitting.pretraining.text import characters, signed, told_gain
from scalescope.points import Runs
from scalescope.reports.figures import axes, marks, theme
from scalescope.reports.figures.base import Figure, Key, Panel, Row
from scalescope.reports.tables import Table
from scalescope.reports.text import shown
from scalescope.reports.transfer.contents import TransferContents
from scalescope.units import format_count, format_loss

TEXT_TITLE = "Characters of the new text"
_HEIGHT = 260
_TUNED, _SCRATCH = theme.HOFFMANN, theme.INK


def curves_figure(contents: TransferContents) -> Figure:
    """Draw a panel a size."""
    runs = contents.found.runs
    sizes = sorted(set(runs.size.tolist()))
    x = axes.log_x("x", TEXT_TITLE, axes.padded(runs["characters"].tolist(), 0.04))
    y = axes.loss_y("y", axes.padded(runs.loss.tolist(), 0.05))
    return Figure(
        name="curves",
        title="Loss against text of the new corpus",
        caption="Dots are runs, each cooled down at its end; lines join the means over seeds. Where the line "
        "of fine-tuning is lower, the distance to the right to the line from scratch is what pre-training is "
        "worth.",
        panels=tuple(_panel(runs, size, x, y) for size in sizes),
        keys=(
            Key(kind="line", label="from scratch", colour=_SCRATCH),
            Key(kind="line", label="fine-tuned", colour=_TUNED),
            Key(kind="held-out", label="held out", colour=_TUNED),
        ),
        table=_curve_table(runs),
    )


def _rows(runs: Runs, size: float, *, tuned: bool) -> list[Row]:
    found = []
    for i in np.flatnonzero(runs.size == size).tolist():
        if is_tuned(runs_row(runs, i)) is tuned:
            text, loss = float(runs["characters"][i]), float(runs.loss[i])
            about = f"{runs.names[i]}\n{characters(text)} characters\nL {format_loss(loss)}"
            held = "held out" if runs.held_out[i] else "measured"
            found.append({"x": text, "y": loss, "kind": held, "about": about})
    return found


def runs_row(runs: Runs, index: int) -> dict[str, float]:
    """Return what tells whether a row was fine-tuned."""
    column = runs.columns.get("tokens_pretraining")
    value = float(column[index]) if column is not None else 0.0
    return {"tokens_pretraining": value if np.isfinite(value) else 0.0}


def _panel(runs: Runs, size: float, x: alt.X, y: alt.Y) -> Panel:
    layers: list[alt.Chart] = []
    for tuned, colour in ((False, _SCRATCH), (True, _TUNED)):
        rows = _rows(runs, size, tuned=tuned)
        if not rows:
            continue
        texts = sorted({float(row["x"]) for row in rows})
        mean = [
            {"x": text, "y": float(np.mean([row["y"] for row in rows if row["x"] == text]))} for text in texts
        ]
        line = alt.Chart(marks.data(mean)).mark_line(color=colour.light, strokeWidth=1.6, clip=True)
        layers.append(line.encode(x=x, y=y))
        for kind, filled in (("measured", True), ("held out", False)):
            some = [row for row in rows if row["kind"] == kind]
            if some:
                dots = alt.Chart(marks.data(some)).mark_point(
                    filled=filled,
                    shape="circle" if filled else "diamond",
                    size=36 if filled else 80,
                    color=colour.light,
                    opacity=0.9,
                    clip=True,
                )
                layers.append(dots.encode(x=x, y=y, tooltip=alt.Tooltip("about:N")))
    return Panel(
        title=f"N {format_count(size)}",
        chart=marks.layered(layers, _HEIGHT),
        label=f"Loss against text at {format_count(size)} parameters, fine-tuned and from scratch.",
    )


def _curve_table(runs: Runs) -> Table:
    rows = [
        (
            f"{runs.names[i]}, {'fine-tuned' if is_tuned(runs_row(runs, i)) else 'from scratch'}",
            format_count(float(runs.size[i])),
            characters(float(runs["characters"][i])),
            format_loss(float(runs.loss[i])),
        )
        for i in range(len(runs))
    ]
    return Table(
        name="curves-table",
        title="All runs on the new text",
        columns=("Run", "N", "Characters", "Loss"),
        rows=tuple(rows),
    )


def worth_figure(contents: TransferContents) -> Figure | None:
    """Draw worth against text with the law; None where nothing has a finite worth."""
    found = contents.found
    known = [one for one in found.gains if 0 < one.worth.value < float("inf")]
    if not known:
        return None
    sizes = sorted({one.size for one in known})
    colours = dict(zip(sizes, theme.ordered(len(sizes)), strict=True))
    texts = [one.characters for one in found.gains]
    wide = axes.padded(texts, 0.06)
    rows: list[Row] = [
        {
            "x": one.characters,
            "y": one.worth.value,
            "size": f"N {format_count(one.size)}",
            "low": max(one.worth.low, one.worth.value / 1e3),
            "high": min(one.worth.high, one.reached),
            "about": f"N {format_count(one.size)}\nworth {told_gain(one)}",
        }
        for one in known
    ]
    x = axes.log_x("x", TEXT_TITLE, wide)
    y = axes.log_y(
        "y",
        "Worth D_T, characters",
        axes.padded([float(row[k]) for row in rows for k in ("y", "low", "high")]),
    )
    scale = alt.Scale(
        domain=[f"N {format_count(size)}" for size in sizes], range=[colours[size].light for size in sizes]
    )
    shade = alt.Color("size:N", scale=scale, legend=None)
    base = alt.Chart(marks.data(rows))
    sticks = base.mark_rule(strokeWidth=1.3, opacity=0.7, clip=True)
    layers = [sticks.encode(x=x, y=axes.other(y, "low"), y2=alt.Y2("high"), color=shade)]
    if found.fit is not None:
        at = np.geomspace(*wide, 24)
        lines: list[Row] = [
            {"x": float(text), "y": float(worth), "size": f"N {format_count(size)}"}
            for size in sizes
            for text, worth in zip(at, found.fit.value(N=np.full(24, size), D_F=at), strict=True)
        ]
        drawn = alt.Chart(marks.data(lines)).mark_line(strokeWidth=1.6, clip=True)
        layers.append(drawn.encode(x=x, y=y, color=shade))
    dots = base.mark_point(filled=True, size=46, clip=True)
    layers.append(dots.encode(x=x, y=y, color=shade, tooltip=alt.Tooltip("about:N")))
    return Figure(
        name="worth",
        title="What pre-training is worth in text",
        caption="Dots are measured, with intervals by the noise between seeds; lines are the law. Settings "
        "whose loss no run from scratch reached, and those that pre-training did not help, are in the table "
        "only.",
        panels=(
            Panel(
                title="",
                chart=marks.layered(layers, _HEIGHT),
                label=f"Worth against text at {len(rows)} settings.",
            ),
        ),
        keys=tuple(
            Key(kind="point", label=f"N {format_count(size)}", colour=colour)
            for size, colour in colours.items()
        ),
        table=Table(
            name="worth-table",
            title="Worth of pre-training",
            columns=("Setting", "Gain in loss", "Worth, characters"),
            rows=tuple(
                (
                    f"N {format_count(one.size)}, {characters(one.characters)} characters",
                    shown(one.difference, signed),
                    told_gain(one),
                )
                for one in found.gains
            ),
        ),
    )
