"""The page of a bench: the answer, findings, figures, tables with definitions, and how it was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from scalescope.points.bench import Cell, Timing
from scalescope.reports.bench import answers
from scalescope.reports.bench.contents import BenchContents
from scalescope.reports.bench.curves import MEMORY, THROUGHPUT, curve_figure
from scalescope.reports.bench.heat import heat_figure
from scalescope.reports.bench.loading import load_figure
from scalescope.reports.bench.pareto import pareto_figure
from scalescope.reports.bench.predicted import predicted_figure
from scalescope.reports.bench.roofline import roofline_figure
from scalescope.reports.bench.sections import facts, sections
from scalescope.reports.bench.success import success_figure
from scalescope.reports.bench.view import Look
from scalescope.reports.figures.base import Figure
from scalescope.reports.sheets import checked, drawn, environment, mark, written

LARGEST_TWIN = 2_000_000
"""Characters of JSON above which something is left out."""

FIGURES: dict[str, Callable[[Look], Figure | None]] = {
    "success": lambda look: success_figure(look.views),
    "cells": lambda look: heat_figure(look.views),
    "roofline": lambda look: roofline_figure(look.distinct),
    "throughput": lambda look: curve_figure(look.main, THROUGHPUT) if look.main else None,
    "memory": lambda look: curve_figure(look.main, MEMORY) if look.main else None,
    "predicted": lambda look: predicted_figure(look.distinct),
    "loading": lambda look: load_figure(look.distinct),
    "front": lambda look: pareto_figure(look.main) if look.main else None,
}
"""In the order of the page; None where the cells do not have what the figure shows."""


def bench_report(contents: BenchContents, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it.

    The page needs no network and no server, and shows its conclusions and tables where scripts are off. The
    twin holds all contents; where it would pass two megabytes, resamples of fits are left out, and then raw
    samples, of which medians and intervals stay.

    Parameters
    ----------
    contents
        All that is shown.
    path
        Where the page goes, such as `report.html`; the twin has the same name and ends in `.json`.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If the path does not end in `.html`.
    WorkError
        If it cannot be written.
    """
    beside = checked(path)
    twin, left_out = twin_of(contents)
    return written(path, render_bench(contents, beside.name, left_out=left_out), twin, indent=None)


def twin_of(contents: BenchContents) -> tuple[dict[str, Any], str]:
    """Return the JSON twin, and what had to be left out of it: nothing, resamples, raw samples too."""
    bare = _without_draws(contents)
    cells = contents.cells.only(_summarised(cell) for cell in contents.cells)
    ways = {
        "": contents,
        "resamples of the fits": bare,
        "raw samples and resamples of the fits": replace(bare, cells=cells),
    }
    twin: dict[str, Any] = {}
    for left_out, one in ways.items():
        twin = one.to_dict()
        if len(json.dumps(twin, separators=(",", ":"))) <= LARGEST_TWIN:
            return twin, left_out
    return twin, left_out


def _without_draws(contents: BenchContents) -> BenchContents:
    if contents.scaling is None:
        return contents
    fits = tuple(replace(fit, draws=fit.draws[:0]) for fit in contents.scaling.fits)
    return replace(contents, scaling=replace(contents.scaling, fits=fits))


def _summarised(cell: Cell) -> Cell:
    return replace(cell, timing=_median_only(cell.timing), first_token=_median_only(cell.first_token))


def _median_only(timing: Timing | None) -> Timing | None:
    return None if timing is None else replace(timing, samples=(timing.median,), cpu=(), warmup=())


def render_bench(contents: BenchContents, twin_name: str = "report.json", *, left_out: str = "") -> str:
    """Return the page as text; `twin_name` is the file beside it, and `left_out` what that lacks."""
    look = Look.at(contents.cells)
    drawing = drawn(FIGURES, look, packed=True)
    check, met = answers.check(look)
    page = environment().get_template("bench.html.j2")
    return page.render(
        title=contents.cells.title,
        answer=answers.answer(look),
        answer_note=answers.answer_note(look),
        check=check,
        **mark(met),
        tiles=answers.tiles(look),
        findings=answers.findings(contents),
        tables=sections(contents),
        how="How it was measured",
        facts=facts(contents),
        command=contents.command or contents.cells.command,
        twin_name=twin_name,
        left_out=left_out,
        **drawing,
    )
