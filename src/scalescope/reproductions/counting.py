"""IsoFLOP optima of nanochat under three counts of N: the same runs, three size exponents.

The table rounds its four budgets to 1, 2, 5 and 10 times 1e18 FLOP. 6 N D of its optima grows by equal
factors, so they were equally spaced in logarithms: 1, 2.15, 4.64, 10. With these the printed exponents come
out; with the rounded ones they are 0.52, 0.37 and 0.68.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scalescope.points import Finding
from scalescope.reproductions.result import Reproduction, Row, to_digits
from scalescope.reproductions.sources import data_folder, numbers, open_table, words

TABLE = "nanochat/isoflop_optima_LOG.csv"
ORIGIN = "https://github.com/karpathy/nanochat"
EXPONENTS = {
    "kaplan_style": ("0.54", "0.49"),
    "chinchilla_style": ("0.37", "0.50"),
    "transformer_only": ("0.70", "0.41"),
}
"""Count to the printed exponents of N and of D."""


def reproduce(data: str | Path | None) -> Reproduction:
    """Straight lines through the logarithms of each count's four optima."""
    table = open_table(data_folder(data), TABLE, ORIGIN)
    counted = words(table, "convention")
    budgets = np.unique(numbers(table, "flops"))
    spaced = np.geomspace(budgets[0], budgets[-1], len(budgets))
    log_C = np.log(spaced[np.searchsorted(budgets, numbers(table, "flops"))])
    rows: list[Row] = []
    slopes = {}
    for count, printed in EXPONENTS.items():
        own = counted == count
        columns = {"N": "eff_params", "D": "tokens"}
        for (letter, column), text in zip(columns.items(), printed, strict=True):
            slope = float(np.polyfit(log_C[own], np.log(numbers(table, column)[own]), 1)[0])
            slopes[count, letter] = slope
            rows.append(to_digits(f"{count}: exponent of {letter}", text, slope))
    sizes = [slopes[count, "N"] for count in EXPONENTS]
    finding = Finding(
        code="REP003",
        text=f"The size exponent runs from {min(sizes):.2f} to {max(sizes):.2f} with what N counts.",
        hint="Never compare exponents, or carry one to another budget, across ways of counting.",
    )
    return Reproduction(
        name="counting",
        title="one set of optima, three ways of counting",
        source=ORIGIN,
        rows=tuple(rows),
        findings=(finding,),
    )
