"""Open Athena (2025): parabolas through noise-free losses of known surfaces, and where their power law leads.

Five budgets from 1e17 to 1e21 FLOP, fifteen sizes each within a factor of the optimum, and the best number of
tokens at 1e24 FLOP by approach 2 against that of the surface. Nothing is noisy: all of it is bias.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scalescope.fitting import isoflop_bias
from scalescope.laws import get_law, optimal_size
from scalescope.points import Finding, Runs
from scalescope.reproductions.result import Reproduction, Row, at_most, to_digits
from scalescope.reproductions.sources import data_folder, numbers, open_table, words

TABLE = "open-athena/extrapolation_error_data.csv"
ORIGIN = "https://github.com/Open-Athena/scaling-law-analysis"
BUDGETS = 10.0 ** np.arange(17, 22)
N_SIZES = 15
AHEAD = 1e24
CHINCHILLA = {"E": 1.69, "A": 406.4, "B": 410.7}
"""Of every surface; the exponents are columns of the table."""
LEFT = 0.1
"""Percent that the correction may leave."""


def grid(alpha: float, beta: float, reach: float) -> Runs:
    """Losses of one surface on one grid, `reach` in decades on either side of each optimum."""
    theta = np.array([*CHINCHILLA.values(), alpha, beta])
    best = optimal_size("chinchilla", theta, BUDGETS)
    size = (best[:, None] * 10 ** np.linspace(-reach, reach, N_SIZES)).ravel()
    budget = BUDGETS.repeat(N_SIZES)
    tokens = budget / (6 * size)
    loss = get_law("chinchilla").value(theta, N=size, D=tokens)
    return Runs.from_columns({"params": size, "tokens": tokens, "budget": budget, "loss": loss})


def reproduce(data: str | Path | None) -> Reproduction:
    """Every row of the table, then the same after correction by a surface fitted to the same losses."""
    table = open_table(data_folder(data), TABLE, ORIGIN)
    columns = {
        name: numbers(table, name) for name in ("alpha", "beta", "log_range", "rel_error_pct", "true_D")
    }
    names = zip(words(table, "surface"), words(table, "grid_name"), strict=True)
    rows: list[Row] = []
    for index, (surface, reach) in enumerate(names):
        alpha, beta, decades, printed, true = (float(column[index]) for column in columns.values())
        if surface == "Symmetric":
            continue
        found = isoflop_bias(grid(alpha, beta, decades), compute=AHEAD, resamples=0)
        label = f"{surface} {reach.split('(')[-1].rstrip(')')}"
        raw, left = (100 * (one / true - 1) for one in (found.tokens.raw.value, found.tokens.corrected.value))
        rows += [
            to_digits(f"{label}: error of D* at 1e24", f"{printed:.3f}", raw, "%"),
            at_most(f"{label}: after correction, percent", LEFT, abs(left), 2),
        ]
    return Reproduction(
        name="isoflop-bias",
        title="D* at 1e24 FLOP by parabolas on noise-free grids, and corrected",
        source=ORIGIN,
        rows=tuple(rows),
        findings=(
            Finding(
                code="REP007",
                text="Where size and data have different exponents, parabolas are biased on any grid; on a "
                "symmetric surface they are exact when centred.",
                hint="The correction needs a surface fitted to the same runs, and a right one.",
            ),
        ),
    )
