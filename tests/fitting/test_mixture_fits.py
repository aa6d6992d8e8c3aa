from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from scalescope.errors import InputError
from scalescope.fitting.mixtures import Mixtures, best_mixture
from scalescope.fitting.mixtures.doubts import EDGE
from scalescope.fitting.mixtures.estimation import forecast_mixture
from scalescope.fitting.mixtures.search import lowest
from scalescope.points import Runs

NAMES = ("prose", "code", "chat")
FLOORS = np.array([1.0, 1.2, 1.5])
LAW = np.array([[-1.2, 0.1, 0.3], [0.3, -1.0, 0.2], [0.1, 0.2, -1.1]])
RECIPE = dict(zip(NAMES, (0.7, 0.2, 0.1), strict=True))
CORNERS = 0.04 + 0.88 * np.eye(3)
CENTRE = np.full(3, 1 / 3)
TRIED = np.array(
    [
        *CORNERS,
        *[CENTRE] * 3,
        *((corner + CENTRE) / 2 for corner in CORNERS),
        *(0.5 * (CORNERS[i] + CORNERS[j]) for i, j in ((0, 1), (0, 2), (1, 2))),
        (0.7, 0.2, 0.1),
    ]
)


def simulated(law, *, noise: float, seed: int = 0) -> dict[str, Runs]:
    """Runs whose sources share most of their luck, as those of one training do."""
    draw = np.random.default_rng(seed)
    losses = FLOORS + np.exp(TRIED @ law.T)
    losses = losses + draw.normal(0, noise, (len(TRIED), 1)) + draw.normal(0, noise / 3, losses.shape)
    shares = {f"share_{i + 1}": TRIED[:, i] for i in range(3)}
    return {name: Runs.from_columns({**shares, "loss": losses[:, i]}) for i, name in enumerate(NAMES)}


def truth(law, target):
    """The best mixture and its loss by another method."""

    def loss(shares):
        return float(target @ (FLOORS + np.exp(law @ shares)))

    whole = {"type": "eq", "fun": lambda shares: shares.sum() - 1}
    return minimize(loss, CENTRE, bounds=[(0.04, 1)] * 3, constraints=whole, tol=1e-10)


@pytest.fixture(scope="module")
def found() -> Mixtures:
    return best_mixture(simulated(LAW, noise=0.004), recipe=RECIPE, resamples=30)


@pytest.mark.parametrize("seed", range(5))
def test_the_search_finds_what_a_general_optimiser_finds(seed):
    draw = np.random.default_rng(seed)
    law, target = draw.normal(0, 1, (3, 3)), draw.dirichlet(np.ones(3))
    found = lowest(target, law[None], np.full(3, 0.04))[0]
    wanted = truth(law, target)
    assert found.sum() == pytest.approx(1)
    assert target @ (FLOORS + np.exp(law @ found)) == pytest.approx(wanted.fun, abs=1e-6)


def test_the_true_best_mixture_is_found_and_told_apart(found):
    wanted = truth(LAW, found.target)
    assert np.abs(np.array(found.shares) - wanted.x).max() < 0.03
    assert found.loss.low <= wanted.fun <= found.loss.high
    equal = found.rivals[1]
    gain = float(found.target @ (FLOORS + np.exp(LAW @ CENTRE))) - wanted.fun
    assert equal.told_apart
    assert equal.gain.value == pytest.approx(gain, abs=0.006)
    assert found.noise_freedom == 2
    assert "nats below equal shares" in found.sentence()


def test_a_mixture_that_chance_makes_best_is_not_told_apart():
    flat = best_mixture(simulated(np.full((3, 3), -0.2), noise=0.01, seed=3), recipe=RECIPE, resamples=20)
    assert flat.verdict == "unclear"
    assert min(rival.chance for rival in flat.rivals) > 0.05
    assert "not told apart" in flat.sentence()


def test_forecasts_hold_what_new_runs_measure(found):
    shares = np.array([0.2, 0.2, 0.6])
    one = forecast_mixture(found, "new", shares)
    measured = FLOORS + np.exp(LAW @ shares)
    assert one.loss.low <= found.target @ measured <= one.loss.high
    assert all(said.low <= was <= said.high for said, was in zip(one.losses, measured, strict=True))
    assert found.forecasts[0].shares == pytest.approx(found.shares)


def test_a_target_of_its_own_moves_the_best_mixture():
    code = best_mixture(simulated(LAW, noise=0.002), recipe=RECIPE, target={"code": 1.0}, resamples=4)
    assert code.shares[1] > 0.85
    assert EDGE in {finding.code for finding in code.findings}


def test_it_reads_back_what_it_writes_and_has_tidy_rows(found):
    assert Mixtures.from_dict(found.to_dict()).to_dict() == found.to_dict()
    assert [row["source"] for row in found.frame()] == list(NAMES)
    assert "best mixture: forecast" in found.summary()


@pytest.mark.parametrize(
    ("recipe", "target", "message"),
    [
        ({"prosa": 1.0}, {}, "recipe: no source is called 'prosa'"),
        (RECIPE, {"cod": 1.0}, "target: no source"),
    ],
)
def test_names_that_are_no_sources_are_refused(recipe, target, message):
    with pytest.raises(InputError, match=message):
        best_mixture(simulated(LAW, noise=0.004), recipe=recipe, target=target, resamples=2)
