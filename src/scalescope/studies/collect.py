"""From the ledger to the tables that leave the study: runs, learning curves, causes of failure."""

from __future__ import annotations

from typing import Any

import numpy as np

from scalescope.errors import InputError
from scalescope.ledgers.ledger import Ledger
from scalescope.points import Finding, Provenance, Runs

GRID, HELD_OUT, TUNE = "grid", "held-out", "tune"
"""Phases of a study; the points of the last are no runs of the design."""

_COLUMNS = (
    "params",
    "params_nonembedding",
    "params_matmul",
    "tokens",
    "tokens_unique",
    "compute",
    "compute_exact",
    "loss",
    "loss_stderr",
    "bits_per_byte",
    "seconds",
    "tokens_per_second",
    "learning_rate",
    "batch_tokens",
    "width",
    "n_layers",
    "context",
    "seed",
    "budget",
    "held_out",
)


def collect_runs(ledger: Ledger) -> Runs:
    """Return every point of the design and of the held-out rung, cheapest first.

    Raises
    ------
    InputError
        If no point is recorded yet.
    """
    rows = sorted(
        (point.data for point in ledger.points() if point.data["phase"] != TUNE),
        key=lambda row: (row["held_out"], row["budget"], row["params_matmul"], row["seed"]),
    )
    if not rows:
        raise InputError(
            f"no run is recorded in {ledger.folder} yet", hint="Let `scalescope study` finish a few."
        )
    identity = ledger.meta("identity", {})
    return Runs(
        columns={name: np.array([float(row[name]) for row in rows]) for name in _COLUMNS},
        names=tuple(str(row["name"]) for row in rows),
        count="params_matmul",
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
