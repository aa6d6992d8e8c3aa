"""Muennighoff et al. (2023), "Scaling data-constrained language models": repeated data, excess parameters.

The base law is fitted to fresh data first and held fixed; then the two decay constants are fitted to 182
runs: Huber penalty of the log loss, delta 1e-3. The runs leave the constant of the data open.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scalescope.fitting import Restraints, fit, objective_at
from scalescope.laws import get_law
from scalescope.points import Array, Finding, Runs
from scalescope.reproductions.result import Reproduction, Row, at_most, to_digits, within
from scalescope.reproductions.sources import data_folder, numbers, open_table

TABLE = "muennighoff-datablations/runs_182.csv"
ORIGIN = "https://github.com/huggingface/datablations"
BASE = ("E", "A", "B", "alpha", "beta")
PRINTED = "muennighoff2023"
MINIMA = ((95.37, 1.706), (46.99, 2.33), (160.7, 1.449), (15.37, 5.315))
"""R_D and R_N of near-equal minima, the lowest first."""
OBJECTIVES = (0.015804662, 0.015807379, 0.015811289, 0.015825932)
ROUNDING = 2e-9
"""Of the objectives at rounded constants: some of them were computed in single precision."""


def repeated_runs(folder: Path) -> Runs:
    """The 182 runs."""
    table = open_table(folder, TABLE, ORIGIN)
    columns = {"params": "params", "tokens": "tokens", "tokens_unique": "unique_tokens", "loss": "loss"}
    return Runs.from_columns({ours: numbers(table, theirs) for ours, theirs in columns.items()})


def reproduce(data: str | Path | None) -> Reproduction:
    """Hold both laws against the runs, fit the two constants, list what fits nearly as well."""
    runs = repeated_runs(data_folder(data))
    x = {"N": runs.size, "D": runs.tokens, "U": runs["tokens_unique"]}
    law, base = get_law("data-constrained"), get_law("chinchilla")
    published = dict(law.published[PRINTED].coefficients)
    theta = np.array(list(published.values()))
    fixed = {name: published[name] for name in BASE}
    flat = base.value(theta[: len(BASE)], N=x["N"], D=x["D"])
    found = fit(runs, law.name, restraints=Restraints(fixed=fixed), resamples=100)
    rows = [
        to_digits("R², base law", "0.4452", _r_squared(flat, runs.loss)),
        to_digits("R², data-constrained law", "0.7722", _r_squared(law.value(theta, **x), runs.loss)),
        within(
            "objective at the published constants",
            0.0158259366,
            objective_at(law.name, published, runs.loss, x),
            ROUNDING,
            9,
        ),
        *_minima(published, runs, x),
        at_most("lowest objective", OBJECTIVES[0] + ROUNDING, found.objective, 9),
        to_digits("R² there", "0.7910", _r_squared(law.value(found.theta, **x), runs.loss)),
        _open(found.codes),
    ]
    return Reproduction(
        name="data-constrained",
        title="182 runs with repeated data; R_D, R_N fitted with the base law fixed",
        source="https://arxiv.org/abs/2305.16264",
        rows=tuple(rows),
        findings=(
            Finding(
                code="REP008",
                text="The published R_D 15.4, R_N 5.3 are not at the lowest minimum: R_D "
                f"{found.coefficients['R_D'].value:.1f}, R_N {found.coefficients['R_N'].value:.2f}.",
                hint="R_D from 15 to 160 fits these runs equally well; it is not a property of the data.",
            ),
            *found.findings,
        ),
    )


def _r_squared(predicted: Array, loss: Array) -> float:
    return float(1 - ((loss - predicted) ** 2).sum() / ((loss - loss.mean()) ** 2).sum())


def _minima(published: dict[str, float], runs: Runs, x: dict[str, Array]) -> list[Row]:
    """Objectives at the listed constants: four places, one height."""
    return [
        within(
            f"objective at R_D {R_D:g}, R_N {R_N:g}",
            printed,
            objective_at("data-constrained", {**published, "R_D": R_D, "R_N": R_N}, runs.loss, x),
            ROUNDING,
            8,
        )
        for (R_D, R_N), printed in zip(MINIMA, OBJECTIVES, strict=True)
    ]


def _open(codes: tuple[str, ...]) -> Row:
    """Whether the fit said by itself that a constant is not identified."""
    said = {"FIT030", "FIT031"} & set(codes)
    return Row(
        what="told unasked: R_D is not identified",
        published="a finding",
        ours=", ".join(sorted(said)) or "none",
        holds=bool(said),
    )
