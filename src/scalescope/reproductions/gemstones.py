"""McLeish et al. (2025), "Gemstones": the parametric law by log-sum-exp and Huber with delta 1e-4."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scalescope.fitting import Criterion, fit, objective_at
from scalescope.points import Finding, Runs
from scalescope.reproductions.result import Reproduction, Row, at_most, within
from scalescope.reproductions.sources import data_folder, numbers, open_table

ORIGIN = "https://github.com/mcleish7/gemstone-scaling-laws"
SHARP = Criterion(delta=1e-4)
PUBLISHED = {
    # table: (E as e, A as a, B as b, alpha, beta), objective
    "hot": ((0.76632, 5.4575, 14.9720, 0.29892, 0.69283), 2.076018e-4, 2.0751e-4),
    "cool_end": ((0.74589, 5.3628, 14.9718, 0.29701, 0.69040), 2.059406e-4, 2.048e-4),
    "slim_chinchilla": ((0.56706, 5.0155, 9.9100, 0.27644, 0.47382), 1.33979e-5, 1.3037e-5),
}
"""Table to what its authors print, logarithms of the scales, and the objective that ours must reach."""


def gemstone_runs(folder: Path, name: str) -> Runs:
    """One of the tables; N counts all parameters."""
    table = open_table(folder, f"gemstones/wandb_df_for_fitting_{name}.jsonl", ORIGIN)
    columns = {"params": "params_active_precise", "tokens": "tokens", "loss": "final_loss"}
    return Runs.from_columns({ours: numbers(table, theirs) for ours, theirs in columns.items()})


def reproduce(data: str | Path | None) -> Reproduction:
    """Fit three tables and compare objectives at their point and at ours."""
    folder = data_folder(data)
    rows: list[Row] = []
    findings: list[Finding] = []
    for name, (printed, objective, limit) in PUBLISHED.items():
        runs = gemstone_runs(folder, name)
        found = fit(runs, "chinchilla", criterion=SHARP, resamples=0)
        at = dict(zip(found.coefficients, [*np.exp(printed[:3]), *printed[3:]], strict=True))
        x = {"N": runs.size, "D": runs.tokens}
        a = found.coefficients["beta"].value / (
            found.coefficients["alpha"].value + found.coefficients["beta"].value
        )
        their_a = printed[4] / (printed[3] + printed[4])
        rows += [
            within(
                f"{name}: objective at the published point",
                objective,
                objective_at("chinchilla", at, runs.loss, x, SHARP),
                2e-3 * objective,
                digits=7,
            ),
            at_most(f"{name}: objective of the fit", limit, found.objective, digits=7),
        ]
        findings.append(
            Finding(
                code="REP002",
                text=f"{name}: the published fit is not at its optimum: {objective:.6e} against "
                f"{found.objective:.6e}.",
                hint=f"The size exponent is {a:.3f} at the optimum, {their_a:.3f} as published.",
            )
        )
    return Reproduction(
        name="gemstones",
        title="the parametric law on three tables, delta 1e-4",
        source="https://arxiv.org/abs/2502.06857",
        rows=tuple(rows),
        findings=tuple(findings),
    )
