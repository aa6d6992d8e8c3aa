"""A good table, and what the checks say of it once something is changed."""

from __future__ import annotations

from typing import Any

import numpy as np

from scalescope.points import Runs, screen
from scalescope.points.naming import Match

rng = np.random.default_rng(0)
N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(2e7, 2e9, 6), np.geomspace(1e9, 1e11, 6)))
L = (1.69 + 406.4 * N**-0.34 + 410.7 * D**-0.28) * np.exp(rng.normal(0, 3e-3, len(N)))


def good(**changes: Any) -> Runs:
    """Thirty-six runs on a grid; a column that is None is left out."""
    columns = {"params": N, "tokens": D, "compute": 6 * N * D, "loss": L} | changes
    names = columns.pop("names", ())
    kept = {name: column for name, column in columns.items() if column is not None}
    return Runs.from_columns(kept, names=names)


def findings(runs: Runs, rest: Any = None, **theirs: str) -> dict[str, str]:
    """Code to text and hint of every finding."""
    matches = [Match(theirs=name, ours=ours) for ours, name in theirs.items()]
    return {one.code: f"{one.text} {one.hint}" for one in screen(runs, matches=matches, rest=rest)}
