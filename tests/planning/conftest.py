from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from scalescope.fitting.result import Fit
from scalescope.laws import get_law
from scalescope.points import Estimate, Runs

RANGES = {"N": (8e3, 4e5), "D": (1e5, 9e6), "C": (5e10, 1.35e12)}
CHINCHILLA = (0.8, 120.0, 60.0, 0.5, 0.35)
ISOFLOP = (0.8, 165.0, 0.2, 0.034, 0.53, 0.07)

MakeFit = Callable[..., Fit]


def build_fit(
    law: str = "chinchilla",
    theta: Sequence[float] = CHINCHILLA,
    *,
    spread: Sequence[float] | float = 0.02,
    n_resamples: int = 60,
    ranges: Mapping[str, tuple[float, float]] = RANGES,
    level: float = 0.9,
    residual_sd: float = 0.01,
    noise_sd: float | None = 0.01,
) -> Fit:
    """A fit whose resamples scatter by `spread` (relative, one a coefficient or the same for all)."""
    names, values = get_law(law).coefficients, np.array(theta)
    scatter = np.random.default_rng(0).normal(size=(n_resamples, len(values)))
    resamples = values * np.exp(scatter * np.asarray(spread))
    return Fit(
        law=law,
        method="isoflop" if law == "isoflop" else "parametric",
        coefficients={
            name: Estimate.from_samples(values[i], resamples[:, i], level) for i, name in enumerate(names)
        },
        resamples=resamples,
        level=level,
        count="params_matmul",
        objective=0.0,
        r_squared=0.99,
        residual_sd=residual_sd,
        noise_sd=noise_sd,
        n_runs=28,
        ranges=ranges,
        residuals=np.zeros(28),
    )


@pytest.fixture(scope="session")
def make_fit() -> MakeFit:
    return build_fit


@pytest.fixture(scope="session")
def chinchilla() -> Fit:
    return build_fit()


@pytest.fixture(scope="session")
def isoflop() -> Fit:
    return build_fit("isoflop", ISOFLOP, spread=(0.01, 0.003, 0.006, 0.02, 0.003, 0.02))


@pytest.fixture(scope="session")
def runs() -> Runs:
    budgets = np.geomspace(*RANGES["C"], 4)
    best = 0.034 * budgets**0.53
    sizes = np.clip(best[:, None] * np.geomspace(0.3, 3, 7), *RANGES["N"]).ravel()
    columns = {"params_matmul": sizes, "compute": np.repeat(budgets, 7), "loss": np.ones(28)}
    return Runs.from_columns(columns, count="params_matmul")
