from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.approaches import Approach, Approaches, approaches, disagreements
from scalescope.fitting.counting import doubt_about_count, exponent_of_optima
from scalescope.fitting.estimation import fit
from scalescope.laws import optimal_size
from scalescope.points import Estimate, Runs

TRUTH = np.array([0.8, 34.0, 61.5, 0.40, 0.35])
NANOCHAT = Path(__file__).parents[2] / "../shared/laws/data/nanochat/isoflop_optima_LOG.csv"


@pytest.fixture(scope="module")
def found(make_grid) -> Approaches:
    runs = make_grid("chinchilla", n_budgets=5, n_sizes=9, spread=8.0, noise=0.002)
    return approaches(runs, resamples=40)


def test_all_of_them_stand_beside_each_other(found: Approaches) -> None:
    assert [row.name for row in found.rows] == ["1", "2", "2 corrected", "3"]
    assert found.reach == pytest.approx(10.0)
    assert not found.missed
    truth = float(optimal_size("chinchilla", TRUTH, found.compute))
    for name, within in (("1", 0.6), ("2 corrected", 0.06), ("3", 0.06)):
        assert found[name].size.value == pytest.approx(truth, rel=within)
        assert found[name].size_exponent.value == pytest.approx(0.35 / 0.75, abs=within)


def test_only_the_raw_parabolas_carry_their_bias(found: Approaches) -> None:
    truth = float(optimal_size("chinchilla", TRUTH, found.compute))
    raw, corrected = (abs(np.log(found[name].size.value / truth)) for name in ("2", "2 corrected"))
    assert corrected < raw


def test_every_quantity_fits_the_others(found: Approaches) -> None:
    for row in found.rows:
        assert row.tokens_per_param.value == pytest.approx(row.tokens.value / row.size.value)
        assert row.size.low <= row.size.value <= row.size.high


def test_approaches_that_agree_raise_no_finding(found: Approaches) -> None:
    assert "FIT054" not in {finding.code for finding in found.findings}


def approach(name: str, size: float, a: float) -> Approach:
    """Intervals of a tenth to each side."""

    def around(value: float) -> Estimate:
        return Estimate(value=value, low=0.9 * value, high=1.1 * value)

    return Approach(
        name=name,
        size_exponent=around(a),
        token_exponent=around(1 - a),
        size=around(size),
        tokens=around(2e10),
        tokens_per_param=around(2e10 / size),
    )


def test_approaches_without_a_common_value_are_a_finding() -> None:
    rows = [approach("1", 1e9, 0.5), approach("2 corrected", 1.1e9, 0.5), approach("3", 2e9, 0.5)]
    texts = [finding.text for finding in disagreements(rows, 1e21)]
    assert len(texts) == 2
    assert all("and 3 disagree beyond their intervals" in text for text in texts)
    assert disagreements(rows[:2], 1e21) == ()
    assert len(disagreements([approach("1", 1e9, 0.4), approach("3", 1e9, 0.6)], 1e21)) == 1


def test_the_bias_of_the_raw_parabolas_is_no_disagreement() -> None:
    rows = [approach("2", 2e9, 0.5), approach("2 corrected", 1e9, 0.5), approach("3", 1e9, 0.5)]
    assert disagreements(rows, 1e21) == ()
    (finding,) = disagreements([rows[0], rows[2]], 1e21)
    assert finding.code == "FIT054"


def test_a_fit_that_is_there_already_is_not_made_again(make_grid) -> None:
    runs = make_grid("chinchilla", n_budgets=5, n_sizes=9, spread=8.0, noise=0.002)
    fitted = fit(runs, resamples=5, seed=3)
    found = approaches(runs, resamples=5, fitted=fitted)
    at = np.array([found.compute])
    assert found["3"].size.value == optimal_size("chinchilla", fitted.theta, at)[0]
    sizes = optimal_size("chinchilla", fitted.resamples.T[:, :, None], at).ravel()
    assert found["3"].size == Estimate.from_samples(found["3"].size.value, sizes, found.level)


def test_what_is_not_possible_is_said(make_grid) -> None:
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(5, 8, 400), 10 ** rng.uniform(7, 10, 400)
    loss = (1.7 + 400 * N**-0.34 + 900 * D**-0.32) * np.exp(0.002 * rng.standard_normal(400))
    found = approaches(Runs.from_columns({"params": N, "tokens": D, "loss": loss}), resamples=20)
    assert "isoflop needs 3 budgets" in found.missed["2"]
    assert "approach 2 was not possible" in found.summary()
    with pytest.raises(InputError, match="approach 2 is not among these"):
        found["2"]


def test_it_survives_the_way_to_json_and_back(found: Approaches) -> None:
    again = Approaches.from_dict(found.to_dict())
    assert again.to_dict() == found.to_dict()
    assert again.summary() == found.summary()
    assert len(found.frame()) == 20


def test_counts_that_move_the_exponent_beyond_its_interval_are_a_finding(make_grid) -> None:
    runs = make_grid("isoflop", n_budgets=5, noise=0.001)
    other = Runs.from_columns({**runs.columns, "params_nonembedding": 1e-3 * runs.size**1.4})
    found = approaches(other, resamples=40)
    assert set(found.exponents_by_count) == {"params", "params_nonembedding"}
    assert "FIT053" in {finding.code for finding in found.findings}


class TestCounting:
    def test_a_line_without_scatter_has_no_interval(self) -> None:
        C = np.geomspace(1e18, 1e20, 5)
        found = exponent_of_optima(C, 0.3 * C**0.5)
        assert found.value == pytest.approx(0.5)
        assert found.high - found.low == pytest.approx(0, abs=1e-9)

    def test_two_optima_leave_nothing_over(self) -> None:
        found = exponent_of_optima(np.array([1e18, 1e19]), np.array([1e8, 2e8]))
        assert found.value == pytest.approx(np.log10(2))
        assert np.isnan(found.low)
        assert doubt_about_count({"one": found, "other": Estimate.exact(0.9)}) == ()

    def test_one_compute_has_no_exponent(self) -> None:
        with pytest.raises(InputError, match="two computes"):
            exponent_of_optima(np.array([1e18, 1e18]), np.array([1e8, 2e8]))

    def test_exponents_inside_each_others_intervals_are_no_finding(self) -> None:
        near = {
            "one": Estimate(value=0.5, low=0.4, high=0.6),
            "other": Estimate(value=0.55, low=0.45, high=0.65),
        }
        assert doubt_about_count(near) == ()

    @pytest.mark.shared
    @pytest.mark.skipif(not NANOCHAT.exists(), reason="the published table is not beside this checkout")
    def test_the_same_optima_have_three_exponents(self) -> None:
        with NANOCHAT.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        # The table rounds its budgets: by 6 N D they are a third of a decade apart, not 1, 2, 5 and 10.
        compute = 10 ** np.linspace(18, 19, 4)
        exponents = {}
        for name in ("kaplan_style", "chinchilla_style", "transformer_only"):
            own = [row for row in rows if row["convention"] == name]
            size = np.array([float(row["eff_params"]) for row in own])
            exponents[name] = exponent_of_optima(compute, size)
        printed = {"kaplan_style": 0.54, "chinchilla_style": 0.37, "transformer_only": 0.70}
        assert {name: round(one.value, 2) for name, one in exponents.items()} == printed
        (finding,) = doubt_about_count(exponents)
        assert finding.code == "FIT053"
        assert "0.37 under chinchilla_style" in finding.text
