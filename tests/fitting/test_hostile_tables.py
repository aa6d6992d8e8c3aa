"""Fits of tables and with options that no sensible person would bring, and everyone does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting import Criterion, Fit, Prior, Profile, Restraints, compare, fit, profile
from scalescope.fitting.clusters import seed_noise
from scalescope.fitting.objective import Objective
from scalescope.laws import get_law
from scalescope.planning import forecast
from scalescope.points import Runs


def runs(n=40, **changed):
    rng = np.random.default_rng(1)
    N, D = 10 ** rng.uniform(7.5, 10, n), 10 ** rng.uniform(9, 11.5, n)
    loss = (1.82 + 482 * N**-0.348 + 2085 * D**-0.366) * np.exp(0.005 * rng.standard_normal(n))
    return Runs.from_columns({"params": N, "tokens": D, "loss": loss, **changed})


def test_a_constant_loss_is_fitted_and_doubted():
    result = fit(runs(12, loss=np.full(12, 3.0)), resamples=20)
    assert np.isfinite(result.theta).all()
    assert result.value(N=np.array([1e9]), D=np.array([1e10])) == pytest.approx(3.0)
    assert {"FIT002", "FIT030"} & set(result.codes)


@pytest.mark.parametrize("outlier", [1e-300, 1e300])
@pytest.mark.parametrize("column", ["loss", "tokens"])
def test_one_number_at_the_end_of_the_floats_leaves_the_fit_finite(column, outlier):
    given = runs()
    spoiled = given[column].copy()
    spoiled[7] = outlier
    kept = {name: given[name] for name in ("params", "tokens", "loss")}
    if column == "tokens" and outlier > 1:
        with pytest.raises(InputError, match="compute"):
            Runs.from_columns({**kept, column: spoiled})
        return
    result = fit(Runs.from_columns({**kept, column: spoiled}), resamples=20, profiles=False)
    assert np.isfinite(result.objective)
    assert np.isfinite(result.theta).all()
    assert result.codes


def test_a_floor_fixed_above_every_loss_is_fitted_with_doubts():
    result = fit(runs(), restraints=Restraints(fixed={"E": 100.0}), resamples=20)
    assert np.isfinite(result.objective)
    assert {"FIT002", "FIT005"} <= set(result.codes)


@pytest.mark.parametrize(
    ("restraints", "message"),
    [
        (Restraints(tied=(("alpha", "alpha"),)), "one coefficient twice"),
        (
            Restraints(fixed={"alpha": 0.3}, priors={"alpha": Prior(mean=0.3, sd=0.1)}),
            "fixed and has a prior",
        ),
    ],
)
def test_restraints_that_contradict_each_other_are_refused(restraints, message):
    with pytest.raises(InputError, match=message):
        fit(runs(), restraints=restraints, resamples=0)


@pytest.mark.parametrize("delta", [0.0, -1.0, float("nan"), float("inf")])
def test_a_threshold_that_is_no_positive_number_is_refused(delta):
    with pytest.raises(InputError, match="delta"):
        Criterion(delta=delta)


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="seed must be 0 or more"):
        fit(runs(), seed=-1, resamples=20)


@pytest.mark.parametrize(
    ("resamples", "level", "told"), [(5, 0.9, True), (20, 0.9, False), (100, 0.999, True)]
)
def test_resamples_too_few_for_the_ends_of_the_intervals_are_told(resamples, level, told):
    result = fit(runs(), resamples=resamples, level=level, profiles=False)
    assert ("FIT019" in result.codes) == told


def test_without_resamples_no_interval_is_shown():
    text = fit(runs(), resamples=0).summary()
    assert "nan" not in text
    assert "no intervals" in text


def test_nearly_all_is_not_shown_as_all():
    assert "99.9% intervals" in fit(runs(), resamples=20, level=0.999, profiles=False).summary()


def test_copies_of_a_row_are_not_seed_noise():
    given = runs()
    twice = {name: np.tile(given[name], 2) for name in ("params", "tokens", "loss")}
    assert seed_noise(Runs.from_columns(twice)) is None


def test_weights_of_the_table_are_used_when_asked_for():
    half = np.where(np.arange(40) < 20, 1.0, 0.0)
    weighted = fit(runs(weight=half), criterion=Criterion(weights="weight"), resamples=0)
    alone = fit(runs().select(half > 0), resamples=0)
    np.testing.assert_allclose(weighted.theta, alone.theta, rtol=1e-5)


def test_a_missing_column_is_named_with_the_laws_that_would_fit():
    with pytest.raises(InputError, match="data-constrained needs tokens_unique") as caught:
        fit(runs(), "data-constrained")
    assert "chinchilla" in caught.value.hint
    assert "...." not in caught.value.hint


def test_a_forecast_by_a_law_of_more_than_size_and_data_is_refused_with_the_reason():
    given = runs(tokens_unique=runs()["tokens"] / 2)
    fitted = fit(given, "data-constrained", resamples=0)
    with pytest.raises(InputError, match="tokens_unique"):
        forecast(fitted, params=1e9, tokens=1e10)


def test_a_comparison_names_the_law_that_made_the_table_first_or_ties_it():
    rng = np.random.default_rng(0)
    N = np.repeat(np.logspace(7.3, 9.5, 6), 5)
    D = N * np.tile(np.logspace(0.7, 2.3, 5), 6)
    loss = (1.82 + 482 * N**-0.348 + 2085 * D**-0.366) * np.exp(0.003 * rng.standard_normal(30))
    ranks = {
        one.law: one.rank
        for one in compare(
            Runs.from_columns({"params": N, "tokens": D, "loss": loss}), ("chinchilla", "kaplan")
        ).scores
    }
    assert ranks["chinchilla"] == 1


def test_a_saved_fit_whose_keys_were_sorted_predicts_the_same():
    result = fit(runs(), resamples=20, profiles=False)
    text = json.dumps(result.to_dict(), sort_keys=True)
    again = Fit.from_dict(json.loads(text))
    assert list(again.coefficients) == list(result.coefficients)
    at = {"N": np.array([1e9]), "D": np.array([1e11])}
    np.testing.assert_array_equal(again.value(**at), result.value(**at))


@pytest.mark.parametrize("lost", [("E",), ("E", "A", "B", "alpha", "beta")])
def test_a_saved_fit_without_a_coefficient_is_refused(lost):
    plain = fit(runs(), resamples=0).to_dict()
    plain["coefficients"] = {name: one for name, one in plain["coefficients"].items() if name not in lost}
    with pytest.raises(InputError, match="has the coefficients"):
        Fit.from_dict(plain)


def test_a_profile_is_saved_and_read_with_its_open_ends():
    table = runs(12)
    law = get_law("chinchilla")
    objective = Objective.of(law, table)
    found = profile(objective, table.loss, fit(table, resamples=0).theta, "B", n=7)
    again = Profile.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.to_dict() == found.to_dict()
    assert len(again.frame()) == len(found.values)
