"""Clark et al. (2022), "Unified scaling laws for routed language models": loss from size and experts.

Rows of their convention: every second layer routed, one expert a token, seed 42, the last step, and the
five dense models. Least squares of log loss; their numbers are in decimal logarithms.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scalescope.fitting import Criterion, derive, fit
from scalescope.laws import get_law
from scalescope.laws.routed import cutoff_params
from scalescope.points import Array, Finding, Runs
from scalescope.points.tables import Table
from scalescope.reproductions.result import Reproduction, Row, at_most, to_digits
from scalescope.reproductions.sources import data_folder, numbers, open_table, words
from scalescope.units import format_count

TABLE = "deepmind-routing/curves.csv.gz"
ORIGIN = "https://github.com/google-deepmind/scaling_laws_for_routing"
SQUARES = Criterion(penalty="squared", scale="log")
MOST = 0.0033
"""Root mean square error of log10 L."""
ROUTERS = {
    "S-Base": ("clark2022-sbase", 0.00369, 937e9),
    "RL-R": ("clark2022-rlr", 0.00774, 85e9),
    "Hash": ("clark2022-hash", 0.00525, 83e9),
}
"""Router to the printed set of the law, its error on these rows, and the printed cut-off size."""


def reproduce(data: str | Path | None) -> Reproduction:
    """Fit each router, hold the printed coefficients against the same rows, and compare cut-off sizes."""
    table = open_table(data_folder(data), TABLE, ORIGIN)
    rows: list[Row] = []
    findings: list[Finding] = []
    for router, (name, printed_error, printed_size) in ROUTERS.items():
        runs = _runs_of(table, router)
        law = get_law("routed")
        found = fit(runs, "routed", criterion=SQUARES, bootstrap="pairs", resamples=200)
        printed = np.array(list(law.published[name].coefficients.values()))
        size = derive(found, cutoff_params)
        rows += [
            at_most(f"{router}: rmse of log10 L", MOST, _error(found.theta, runs), 4),
            to_digits(
                f"{router}: the same, printed coefficients", f"{printed_error:.5f}", _error(printed, runs)
            ),
            Row(
                what=f"{router}: cut-off size",
                published=format_count(printed_size),
                ours=size.text(format_count),
                holds=size.low <= printed_size <= size.high,
            ),
        ]
        findings.append(
            Finding(
                code="REP006",
                text=f"{router}: table 3 is not at the optimum: rmse {_error(printed, runs):.5f} of log10 L "
                f"against {_error(found.theta, runs):.5f}.",
                hint="By its rounded b and c experts stop helping at "
                f"{format_count(float(cutoff_params(printed)))}: a third digit of c moves that tenfold.",
            )
        )
    return Reproduction(
        name="routed",
        title="loss from size and experts, three routers, least squares of the log loss",
        source="https://arxiv.org/abs/2202.01169, table 3",
        rows=tuple(rows),
        findings=tuple(findings),
    )


def _error(theta: Array, runs: Runs) -> float:
    predicted = get_law("routed").value(theta, N=runs.size, E=runs["experts"])
    return float(np.sqrt(np.mean(np.log10(predicted / runs.loss) ** 2)))


def _runs_of(table: Table, router: str) -> Runs:
    """The last step of every network with this router, and of the dense ones."""
    kind, step, run = words(table, "router_type"), numbers(table, "step"), words(table, "hyper_id")
    chosen = np.flatnonzero(
        ((kind == router) | (kind == "Dense"))
        & (numbers(table, "routing_frequency") == 0.5)
        & (numbers(table, "k") == 1)
        & (numbers(table, "seed") == 42)
    )
    last = {run[row]: row for row in chosen[np.argsort(step[chosen], kind="stable")]}
    rows = np.array(sorted(last.values()))
    names = {"params": "dense_parameter_count", "experts": "num_experts", "loss": "loss_validation"}
    return Runs.from_columns({ours: numbers(table, theirs)[rows] for ours, theirs in names.items()})
