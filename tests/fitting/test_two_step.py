"""A law of loss and a law of a task in that loss, chained."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.result import Fit
from scalescope.fitting.two_step import TwoStep, two_step
from scalescope.laws import get_law
from scalescope.points import Array, Estimate

N, D = np.array([1e8, 1e9, 1e10]), np.array([1e10, 1e11, 1e12])


def fit_of(law: str, spread: float, n: int = 200, seed: int = 0) -> Fit:
    """A fit at the example of a law, with resamples that scatter around it by a share."""
    theta = get_law(law).examples
    resamples = theta * (1 + spread * np.random.default_rng(seed).normal(size=(n, len(theta))))
    return Fit(
        law=law,
        method="parametric",
        coefficients={
            name: Estimate.exact(value) for name, value in zip(get_law(law).coefficients, theta, strict=True)
        },
        resamples=resamples,
        level=0.9,
        count="params",
        objective=0.0,
        r_squared=1.0,
        residual_sd=0.0,
        noise_sd=None,
        n_runs=20,
        ranges={},
        residuals=np.zeros(20),
    )


def widths(found: list[Estimate]) -> Array:
    return np.array([one.high - one.low for one in found])


def test_the_value_is_the_task_law_at_the_predicted_loss() -> None:
    loss, task = fit_of("chinchilla", 0.01), fit_of("error-from-loss", 0.01)
    found = two_step(loss, task).predict(N=N, D=D)
    wanted = task.value(L=loss.value(N=N, D=D))
    np.testing.assert_allclose([one.value for one in found], wanted, rtol=1e-12)


def test_what_either_step_leaves_open_widens_the_interval() -> None:
    sure, unsure = (
        {law: fit_of(law, spread) for law in ("chinchilla", "error-from-loss")} for spread in (1e-9, 5e-3)
    )
    both = widths(two_step(unsure["chinchilla"], unsure["error-from-loss"]).predict(N=N, D=D))
    first = widths(two_step(unsure["chinchilla"], sure["error-from-loss"]).predict(N=N, D=D))
    second = widths(two_step(sure["chinchilla"], unsure["error-from-loss"]).predict(N=N, D=D))
    assert (both > first).all()
    assert (both > second).all()
    # Independent causes add in squares, as far as 200 resamples show.
    np.testing.assert_allclose(both, np.hypot(first, second), rtol=0.25)


def test_fits_with_unequal_numbers_of_resamples_can_be_chained() -> None:
    chained = two_step(fit_of("chinchilla", 0.01, n=50), fit_of("error-from-loss", 0.01, n=120))
    assert chained.samples(N=N, D=D).shape == (120, 3)


def test_without_resamples_the_interval_is_not_made_up() -> None:
    chained = two_step(fit_of("chinchilla", 0.01, n=0), fit_of("error-from-loss", 0.01))
    found = chained.predict(N=1e9, D=1e11)[0]
    assert np.isfinite(found.value)
    assert np.isnan([found.low, found.high]).all()


def test_it_says_how_far_it_reaches_below_the_losses_of_the_second_step() -> None:
    loss, task = fit_of("chinchilla", 0.01), fit_of("error-from-loss", 0.01)
    predicted = loss.value(N=N, D=D)
    chained = two_step(loss, task, losses=np.array([predicted[1], 4.0]))
    np.testing.assert_allclose(chained.beyond(N=N, D=D), [0.0, 0.0, predicted[1] - predicted[2]])
    np.testing.assert_array_equal(two_step(loss, task).beyond(N=N, D=D), 0.0)


def test_it_survives_json() -> None:
    chained = two_step(
        fit_of("chinchilla", 0.01), fit_of("error-from-loss", 0.01), losses=np.array([2.0, 3.0])
    )
    again = TwoStep.from_dict(json.loads(json.dumps(chained.to_dict())))
    assert again.predict(N=N, D=D) == chained.predict(N=N, D=D)
    assert again.summary() == chained.summary()


def test_the_rows_name_the_step() -> None:
    rows = two_step(fit_of("chinchilla", 0.01), fit_of("error-from-loss", 0.01)).frame()
    assert [row["step"] for row in rows] == ["loss"] * 5 + ["task"] * 3


def test_a_second_step_that_reads_more_than_the_loss_is_refused() -> None:
    with pytest.raises(InputError, match="not the loss alone"):
        two_step(fit_of("chinchilla", 0.01), fit_of("exact-match", 0.01))


def test_a_first_step_that_predicts_no_loss_is_refused() -> None:
    with pytest.raises(InputError, match="predicts error, not the loss"):
        two_step(fit_of("error-from-loss", 0.01), fit_of("error-from-loss", 0.01))
