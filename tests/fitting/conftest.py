"""Tables of runs at the scale of a small study, made from known surfaces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from scalescope.laws import get_law, optimal_size
from scalescope.points import Runs

TRUTHS = {
    "chinchilla": np.array([0.8, 34.0, 61.5, 0.40, 0.35]),
    "isoflop": np.array([0.6, 72.0, 0.16, 0.042, 0.52, 0.07]),
}
MakeGrid = Callable[..., Runs]


@pytest.fixture(scope="session")
def make_grid() -> MakeGrid:
    """Return an IsoFLOP grid: sizes up to `spread` around each optimum, `noise` in log loss."""

    def make(
        law: str = "isoflop",
        *,
        n_budgets: int = 4,
        n_sizes: int = 7,
        spread: float = 4.0,
        off_centre: float = 1.0,
        noise: float = 0.0,
        seeds: int = 1,
        seed: int = 0,
    ) -> Runs:
        budgets = 5e10 * 3.0 ** np.arange(n_budgets)
        around = spread ** np.linspace(-1, 1, n_sizes) * off_centre
        size = (optimal_size(law, TRUTHS[law], budgets)[:, None] * around).ravel().repeat(seeds)
        budget = budgets.repeat(n_sizes * seeds)
        x = {"N": size, "D": budget / 6 / size, "C": budget}
        form = get_law(law)
        loss = form.value(TRUTHS[law], **{name: x[name] for name in form.variables})
        rng = np.random.default_rng(seed)
        columns = {"params": size, "tokens": x["D"], "budget": budget}
        columns["seed"] = np.tile(np.arange(seeds, dtype=float), len(size) // seeds)
        return Runs.from_columns({**columns, "loss": loss * np.exp(noise * rng.standard_normal(len(size)))})

    return make
