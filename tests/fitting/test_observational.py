"""Components of a table of benchmarks, filled gaps, and lines of families."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.observational import Components, find_components, fit_families
from scalescope.points import Array

NAMES = ("reading", "sums", "code", "facts", "riddles")
DIRECTION = np.array([0.8, 0.5, 0.3, 0.6, 0.1])


def scores(n: int = 60, noise: float = 0.0, seed: int = 0) -> Array:
    """Scores that one ability explains, but for noise."""
    rng = np.random.default_rng(seed)
    ability = rng.uniform(-0.4, 0.4, n)
    return np.clip(0.5 + np.outer(ability, DIRECTION) + noise * rng.normal(size=(n, 5)), 0.0, 1.0)


def with_gaps(table: Array, share: float = 0.2, seed: int = 1) -> Array:
    gaps = np.random.default_rng(seed).random(table.shape) < share
    gaps[gaps.all(axis=1), 0] = False
    return np.where(gaps, np.nan, table)


def test_one_ability_is_one_component() -> None:
    found = find_components(scores(), NAMES, n=2)
    assert found.explained[0] == pytest.approx(1.0)
    np.testing.assert_allclose(found.directions[0], DIRECTION / np.linalg.norm(DIRECTION), rtol=1e-9)


def test_gaps_that_one_ability_explains_are_filled_with_the_truth() -> None:
    whole = scores()
    found = find_components(with_gaps(whole), NAMES)
    np.testing.assert_allclose(found.filling.fill(with_gaps(whole)), whole, atol=1e-5)
    np.testing.assert_allclose(found.features(with_gaps(whole)), found.features(whole), atol=1e-5)


def test_filling_beats_the_mean_on_noisy_scores() -> None:
    whole = scores(noise=0.03)
    table = with_gaps(whole)
    gaps = np.isnan(table)
    filled = find_components(table, NAMES).filling.fill(table)
    by_mean = np.where(gaps, np.nanmean(table, axis=0), table)
    assert np.abs(filled - whole)[gaps].mean() < 0.6 * np.abs(by_mean - whole)[gaps].mean()
    np.testing.assert_array_equal(filled[~gaps], whole[~gaps])


def test_features_of_new_models_do_not_move_those_of_old_ones() -> None:
    found = find_components(scores(noise=0.03), NAMES)
    more = scores(n=80, noise=0.03, seed=5)
    np.testing.assert_allclose(found.features(more)[:10], found.features(more[:10]), rtol=1e-12)


def test_columns_are_those_that_the_law_reads() -> None:
    found = find_components(scores(noise=0.03), NAMES)
    columns = found.columns(scores(noise=0.03))
    assert list(columns) == ["feature_1", "feature_2", "feature_3"]
    np.testing.assert_array_equal(columns["feature_2"], found.features(scores(noise=0.03))[:, 1])


def test_components_survive_json() -> None:
    found = find_components(with_gaps(scores(noise=0.03)), NAMES)
    again = Components.from_dict(json.loads(json.dumps(found.to_dict())))
    table = with_gaps(scores(noise=0.03))
    np.testing.assert_array_equal(again.features(table), found.features(table))
    assert again.summary() == found.summary()
    assert len(found.frame()) == 15


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (100 * scores(), "not between 0 and 1"),
        (scores()[:4], "more than 5 models"),
        (scores()[:, :4], "as many columns"),
        (np.where(np.arange(5) == 2, 0.5, scores()), "code has 60 scores, 1 of them different"),
        (np.where(np.arange(60)[:, None] == 7, np.nan, scores()), "row 8 has no score"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(table: Array, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_components(table, NAMES)


def test_more_components_than_benchmarks_are_refused() -> None:
    with pytest.raises(InputError, match="asked for 6"):
        find_components(scores(), NAMES, n=6)


def made_families(shared: bool) -> tuple[Array, Array, list[str], Array]:
    """Three families on lines of their own, in two features."""
    compute = np.tile(np.geomspace(1e20, 1e24, 6), 3)
    families = [name for name in ("a", "b", "c") for _ in range(6)]
    slopes = np.array([[0.1, 0.02]] * 3 if shared else [[0.1, 0.02], [0.2, -0.03], [0.15, 0.0]])
    intercepts = np.array([[-5.0, 1.0], [-9.0, 2.0], [-7.0, 0.5]])
    which = np.repeat([0, 1, 2], 6)
    return np.log(compute)[:, None] * slopes[which] + intercepts[which], compute, families, slopes


@pytest.mark.parametrize("shared", [False, True])
def test_lines_of_families_come_back(shared: bool) -> None:
    features, compute, families, slopes = made_families(shared)
    found = fit_families(features, compute, families, shared=shared)
    assert found.families == ("a", "b", "c")
    np.testing.assert_allclose(found.slopes, slopes, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.r_squared, 1.0)
    np.testing.assert_allclose(found.features("b", compute[6:12]), features[6:12], rtol=1e-9, atol=1e-9)


def test_a_family_of_one_model_has_a_line_only_where_the_slope_is_shared() -> None:
    features, compute, families, _ = made_families(True)
    features, compute, families = features[:13], compute[:13], families[:13]
    assert fit_families(features, compute, families).families == ("a", "b")
    alone = fit_families(features, compute, families, shared=True)
    assert alone.families == ("a", "b", "c")
    np.testing.assert_allclose(alone.features("c", compute[12:]), features[12:], rtol=1e-9)


def test_an_unknown_family_is_refused_with_the_nearest_name() -> None:
    features, compute, families, _ = made_families(False)
    found = fit_families(features, compute, [f"llama-{name}" for name in families])
    with pytest.raises(InputError, match="no line") as caught:
        found.features("llama-d", compute)
    assert "llama-" in caught.value.hint


def test_models_without_compute_are_left_out() -> None:
    features, compute, families, slopes = made_families(False)
    compute[[0, 8]] = np.nan
    np.testing.assert_allclose(
        fit_families(features, compute, families).slopes, slopes, rtol=1e-9, atol=1e-12
    )


def test_families_without_two_computes_anywhere_are_refused() -> None:
    with pytest.raises(InputError, match="two computes"):
        fit_families(np.zeros((3, 1)), np.full(3, 1e21), ["a", "b", "c"])
