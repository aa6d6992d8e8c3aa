"""Fit a scaling law to a table of runs and say what is doubtful about it.

    python examples/fit_a_table.py runs.csv [LAW]

The table needs the loss and any two of size, tokens and compute.
"""

from __future__ import annotations

import sys

import scalescope


def main(path: str, law: str = "chinchilla") -> None:
    """Fit, print the coefficients, and forecast a model twice as large on twice as much data."""
    runs = scalescope.load_runs(path)
    fit = scalescope.fit(runs, law, resamples=200)
    for name, estimate in fit.coefficients.items():
        print(f"{name:>6} {estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]")
    for finding in fit.findings:
        print(finding)
    fitted = runs.fitted()
    ahead = scalescope.forecast(fit, params=2 * fitted.size.max(), tokens=2 * fitted.tokens.max())
    print(ahead.summary())


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except scalescope.ScalescopeError as error:
        sys.exit(f"{error} {error.hint}")
