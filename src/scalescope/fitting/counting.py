"""How much the way of counting N moves the size exponent, on the same runs."""

from __future__ import annotations

from scalescope.errors import InputError
from scalescope.fitting.estimation import fit
from scalescope.points import Estimate, Runs

COUNTS = ("params", "params_matmul", "params_nonembedding", "params_active")


def exponent_by_count(
    runs: Runs, *, resamples: int = 300, level: float = 0.9, seed: int = 0
) -> dict[str, Estimate]:
    """Return the exponent a of N* = G C^a by the IsoFLOP method under each count that the table has.

    Counts under which fewer than three budgets have a bracketed minimum are left out, so the result can be
    empty.
    """
    exponents = {}
    for count in COUNTS:
        if count not in runs:
            continue
        try:
            found = fit(runs.counted_by(count), "isoflop", resamples=resamples, level=level, seed=seed)
        except InputError:
            continue
        exponents[count] = found.coefficients["a"]
    return exponents
