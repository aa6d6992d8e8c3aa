"""From the ledger to the tables that leave the study: runs, learning curves, causes of failure."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from scalescope.cost.grids import find_grid
from scalescope.errors import InputError
from scalescope.ledgers.ledger import Ledger
from scalescope.points import Energy, Finding, Provenance, Runs
from scalescope.units import format_energy, format_mass

GRID, HELD_OUT, TUNE = "grid", "held-out", "tune"
"""Phases of a study; the points of the last are no runs of the design."""
ENERGY = "energy"
"""Kind of the notes that hold what a trial used."""

_COLUMNS = (
    "params",
    "params_nonembedding",
    "params_matmul",
    "params_active",
    "tokens",
    "tokens_unique",
    "compute",
    "compute_exact",
    "loss",
    "loss_stderr",
    "bits_per_byte",
    "seconds",
    "tokens_per_second",
    "energy_j",
    "learning_rate",
    "batch_tokens",
    "width",
    "n_layers",
    "context",
    "seed",
    "budget",
    "held_out",
)


def collect_runs(ledger: Ledger, arm: str = "") -> Runs:
    """Return every point of the design and of the held-out rung, cheapest first.

    N counts blocks and head; of experts only those that one token meets, where there are any.

    Parameters
    ----------
    arm
        Name of the arm, in a study that varies something.

    Raises
    ------
    InputError
        If no point is recorded yet.
    """
    found = (point.data for point in ledger.points() if point.data["phase"] != TUNE)
    rows = sorted(
        (row for row in found if row.get("arm", "") == arm),
        key=lambda row: (row["held_out"], row["budget"], row["params_matmul"], row["seed"]),
    )
    if not rows:
        raise InputError(
            f"no run {f'of {arm} ' if arm else ''}is recorded in {ledger.folder} yet",
            hint="Let `scalescope study` finish a few.",
        )
    identity = ledger.meta("identity", {})
    sparse = any(row.get("params_active", row["params_matmul"]) != row["params_matmul"] for row in rows)
    return Runs(
        columns={
            name: np.array([float(row.get(name, np.nan)) for row in rows])
            for name in _COLUMNS
            if any(name in row for row in rows)
        },
        names=tuple(str(row["name"]) for row in rows),
        count="params_active" if sparse else "params_matmul",
        provenance=Provenance(source="scalescope study", digest=str(identity.get("corpus", ""))),
    )


def collect_curves(ledger: Ledger) -> list[dict[str, Any]]:
    """Return name, size, phase, tokens and smoothed training loss of every trial that has a curve."""
    trials = {trial.key: trial.payload for trial in ledger.trials()}
    sizes = {point.trial: point.data["params_matmul"] for point in ledger.points()}
    return [
        {
            "name": trials[key]["trial"]["name"],
            "params": sizes[key],
            "held_out": trials[key]["phase"] == HELD_OUT,
            **curve,
        }
        for key, curve in ledger.curves().items()
        if key in sizes and trials[key]["phase"] != TUNE and curve["tokens"]
    ]


def collect_energy(ledger: Ledger, grid: str = "WORLD") -> tuple[Energy, ...]:
    """Return what all trials together used, one sum for each way of knowing it, tuning included.

    Parameters
    ----------
    ledger
        Trials that failed or were lost, and those of older ledgers, have no energy in it.
    grid
        Country whose electricity it was, for carbon.
    """
    place = find_grid(grid)
    sums: defaultdict[str, float] = defaultdict(float)
    for note in ledger.notes(ENERGY):
        sums[note.data["source"]] += note.data["joules"]
    return tuple(
        Energy(joules=joules, source=source, grams=place.grams(joules), grid=f"{place.name} {place.year}")
        for source, joules in sums.items()
    )


def told_energy(ledger: Ledger, grid: str = "WORLD") -> str:
    """Say what the trials used, what that emits, and who says so."""
    known = len({note.data["trial"] for note in ledger.notes(ENERGY)})
    done = len(ledger.trials("done"))
    parts = [
        f"{format_energy(one.joules)} ({one.source}), {format_mass(one.grams or 0.0)} CO2e ({one.grid})"
        for one in collect_energy(ledger, grid)
    ]
    if not parts:
        return "not metered: no counter can be read here and no power was stated"
    return "; ".join(parts) + (f"; {known} of {done} trials" if known < done else "")


def collect_findings(ledger: Ledger) -> tuple[Finding, ...]:
    """Return what went wrong or was left out: the study's findings and one for each failed trial."""
    failed = [
        Finding(
            code="STU010",
            text=f"Trial {trial.key} {'failed' if trial.state == 'failed' else 'was lost'}: {trial.cause}.",
            hint="The study went on without it.",
        )
        for trial in ledger.trials()
        if trial.state in ("failed", "lost")
    ]
    return (*ledger.findings(), *failed)
