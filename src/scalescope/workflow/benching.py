"""The verb `bench`: measure, then tables, fits, walls, advice and a report, all from the cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scalescope.cost import Positions
from scalescope.cost.devices import DEVICES
from scalescope.deployment import (
    MemoryWall,
    Scaling,
    Strategies,
    bench_tables,
    find_walls,
    fit_scaling,
    memory_wall,
    strategies,
)
from scalescope.errors import InputError
from scalescope.points import Cells, write_cells

if TYPE_CHECKING:
    from scalescope.executors import Executor
    from scalescope.inference.driver import Status
    from scalescope.inference.settings import Settings
    from scalescope.reports.bench import BenchContents

OTHER_DEVICES = ("H100 SXM 80GB", "RTX 4090")
"""Where else the report says at which length memory ends."""

LINEAR_SPANS = {"recurrent", "linear"}
"""Layers whose time grows with the length and no faster."""


def bench(
    settings: Settings,
    *,
    out: Path,
    executor: Executor | None = None,
    watch: Callable[[Status], None] = lambda _: None,
    command: str = "",
) -> Cells:
    """Measure models on this machine and write cells, table and report into a folder.

    The same call goes on where an earlier one stopped.

    Parameters
    ----------
    settings
        What is measured.
    out
        Folder: `cells.json`, `cells.csv`, `report.html` and the ledger.
    executor
        Where the cells run; this machine, one at a time, if not given.
    watch
        Is told how it goes.
    command
        That repeats it, for the report.

    Returns
    -------
    Cells
        In the order asked; every cell has a state.

    Raises
    ------
    InputError
        If no model is known, or the folder holds something else.
    WorkError
        If the folder cannot be written.
    """
    from scalescope.executors import open_executor
    from scalescope.inference.bench import measure

    if executor is not None:
        cells = measure(settings, out=out, executor=executor, watch=watch)
    else:
        with open_executor("local", slots=1, threads=settings.threads) as own:
            cells = measure(settings, out=out, executor=own, watch=watch)
    cells = replace(cells, command=command)
    write_bench(cells, out)
    return cells


def predict_bench(settings: Settings) -> Cells:
    """Say of every cell, without running it, how it would end, in which memory and time.

    Raises
    ------
    InputError
        If no model is known.
    """
    from scalescope.inference.bench import expect

    return expect(settings)


def write_bench(cells: Cells, out: Path) -> None:
    """Write cells as JSON and CSV, and the report, into a folder."""
    from scalescope.reports.bench import bench_report

    write_cells(cells, out / "cells.json")
    write_cells(cells, out / "cells.csv")
    bench_report(bench_contents(cells), out / "report.html")


def bench_contents(cells: Cells) -> BenchContents:
    """Gather all that the report of a bench shows."""
    from scalescope.reports.bench import BenchContents

    limits = positions_of(cells)
    ran = any(cell.ok for cell in cells)
    scaling = fit_scaling(cells, linear=_linear(cells)) if ran else None
    return BenchContents(
        cells=cells,
        tables=bench_tables(cells, limits=limits) if len(cells) else None,
        scaling=scaling,
        memory_walls=() if scaling is None else _memory_walls(cells, scaling, limits),
        walls=find_walls(cells, limits=limits),
        strategies=_strategies(cells, limits) if ran else None,
        command=cells.command,
        findings=cells.findings,
    )


def _strategies(cells: Cells, limits: Mapping[str, Positions]) -> Strategies | None:
    try:
        return strategies(cells, limits=limits)
    except InputError:  # no cell of a plain length, as with unequal texts or decode alone
        return None


def _memory_walls(cells: Cells, scaling: Scaling, limits: Mapping[str, Positions]) -> tuple[MemoryWall, ...]:
    """Say where memory ends here and on two other devices, for every fit of memory."""
    capacities = {"this machine": float(cells.machine.memory_bytes)}
    capacities |= {name: DEVICES[name].memory_bytes for name in OTHER_DEVICES}
    return tuple(
        memory_wall(fit, capacity, device, limit=_limit(limits, fit.model))
        for fit in scaling.fits
        if fit.quantity == "memory"
        for device, capacity in capacities.items()
        if capacity > 0
    )


def _limit(limits: Mapping[str, Positions], model: str) -> int | None:
    return limits[model].limit if model in limits else None


def positions_of(cells: Cells) -> Mapping[str, Positions]:
    """Look up how far the configuration of each model reaches; models that are not known are left out."""
    from scalescope.inference.finding_models import find_model

    found = {}
    for name in cells.models:
        try:
            found[name] = find_model(name, online=False).anatomy.positions
        except InputError:
            continue
    return found


def _linear(cells: Cells) -> frozenset[str]:
    """Names of the models all of whose layers are linear in the length."""
    from scalescope.inference.finding_models import find_model

    names = set()
    for name in cells.models:
        try:
            layers = find_model(name, online=False).anatomy.attention
        except InputError:
            continue
        if layers and all(layer.span in LINEAR_SPANS for layer in layers):
            names.add(name)
    return frozenset(names)
