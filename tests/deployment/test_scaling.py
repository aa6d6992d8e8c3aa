"""Growth with length: coefficients that made the cells come back, and intervals hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_cells import MACHINE, make_cell, make_series

from scalescope.cost import Positions
from scalescope.deployment import Scaling, fit_scaling, memory_wall
from scalescope.deployment.growth import crossing, fit_growth, length_at, value_at
from scalescope.errors import InputError
from scalescope.points import Cells

LAW = (2e-3, 1e-4, 1e-7)
SIX = (128, 256, 512, 1024, 2048, 4096)


def bench(**more) -> Cells:
    return Cells(cells=tuple(make_series("org/m", lengths=SIX, **more)), machine=MACHINE)


def test_the_law_that_made_the_cells_comes_back():
    (fit,) = fit_scaling(bench(law=LAW)).of("org/m", "time")
    np.testing.assert_allclose([fit.a.value, fit.b.value, fit.c.value], LAW, rtol=1e-6)
    assert fit.form == "quadratic"
    assert fit.dominates.value == pytest.approx(1000, rel=1e-6)
    assert fit.error == pytest.approx(0, abs=1e-9)


def test_straight_growth_is_found_straight_and_bounds_the_crossing_from_below():
    (fit,) = fit_scaling(bench(law=(2e-3, 1e-4, 0.0), noise=0.01)).of("org/m", "time")
    assert fit.form == "linear"
    assert fit.c.value == 0
    assert fit.dominates.value == np.inf
    assert 4096 < fit.dominates.low < np.inf


def test_a_model_known_to_be_linear_is_fitted_so():
    (fit,) = fit_scaling(bench(law=LAW), linear=["org/m"]).of("org/m", "time")
    assert (fit.form, fit.c.high, fit.dominates.low) == ("linear", 0, np.inf)


def test_intervals_of_the_crossing_hold_the_truth_as_often_as_they_say():
    hits = 0
    for seed in range(20):
        (fit,) = fit_scaling(bench(law=LAW, noise=0.03, n=15, seed=seed), seed=seed).of("org/m", "time")
        hits += fit.dominates.low <= 1000 <= fit.dominates.high
    assert hits >= 16  # of 20 at 90%: fewer has a chance of 1 in 25


def test_predictions_inside_are_close_and_say_how_far_out_they_are():
    (fit,) = fit_scaling(bench(law=LAW, noise=0.02)).of("org/m", "time")
    truth = LAW[0] + LAW[1] * 700 + LAW[2] * 700**2
    assert fit.at(700).value == pytest.approx(truth, rel=0.05)
    assert fit.at(700).low <= fit.at(700).value <= fit.at(700).high
    assert (fit.reach(700), fit.reach(8192), fit.reach(64)) == (1, 2, 2)


def test_the_memory_wall_is_where_the_curve_meets_the_memory():
    (fit,) = fit_scaling(bench(memory_law=(0.0, 1e5, 20.0))).of("org/m", "memory")
    wall = memory_wall(fit, 4e8 + 1e5 * 8000 + 20 * 8000**2, "a card")
    assert wall.length.value == pytest.approx(8000, rel=1e-3)
    assert wall.length.low <= 8000 <= wall.length.high
    assert wall.reach == pytest.approx(8000 / 4096, rel=1e-3)
    assert "a card up to 8,0" in wall.summary()
    assert wall.findings == ()


def test_a_wall_far_out_holds_the_truth_although_the_bend_was_not_seen():
    cells = Cells(cells=tuple(make_series("m", lengths=(128, 512, 1024), memory_law=(0.0, 1e5, 5.0))))
    (fit,) = fit_scaling(cells).of("m", "memory")
    assert fit.form == "linear"
    wall = memory_wall(fit, 4e8 + 1e5 * 20_000 + 5 * 20_000**2)
    assert wall.length.low <= 20_000 <= wall.length.high
    assert [one.code for one in wall.findings] == ["BEN055"]


def test_a_model_that_does_not_fit_at_all_has_its_wall_at_zero():
    (fit,) = fit_scaling(bench()).of("org/m", "memory")
    assert memory_wall(fit, 1e8).length.value == 0
    assert "does not fit" in memory_wall(fit, 1e8).summary()


def test_a_configuration_that_ends_first_is_said_to():
    scaling = fit_scaling(bench())
    (wall,) = scaling.walls(1e12, "a card", limits={"org/m": Positions(kind="table", limit=4096)})
    assert wall.limit == 4096
    assert "its configuration ends at 4096 tokens, before" in wall.summary()
    assert wall.findings == ()


def test_memory_that_does_not_grow_has_no_wall():
    (fit,) = fit_scaling(bench(memory_law=(0.0, 0.0, 0.0))).of("org/m", "memory")
    wall = memory_wall(fit, 1e9)
    assert wall.length.value == np.inf
    assert "does not grow" in wall.summary()


def test_two_lengths_are_not_fitted_and_said_so():
    scaling = fit_scaling(Cells(cells=tuple(make_series("m", lengths=(128, 512)))))
    assert scaling.fits == ()
    assert [one.code for one in scaling.findings] == ["BEN053"]


def test_doubtful_cells_are_not_fitted():
    cells = bench(law=LAW)
    odd = cells.only([*cells, make_cell("org/m", 8192, law=(1e-9, 0, 0), doubts=("too fast",))])
    (fit,) = fit_scaling(odd).of("org/m", "time")
    assert fit.longest == 4096


def test_steps_are_reported_as_a_poor_fit():
    lengths = (128, 256, 512, 1024, 2048)
    padded = [make_cell("m", length, law=(1.0 if length <= 512 else 3.0, 0, 0)) for length in lengths]
    scaling = fit_scaling(Cells(cells=tuple(padded)))
    assert "BEN054" in [one.code for one in scaling.findings]


def test_the_same_seed_gives_the_same_intervals(made):
    assert fit_scaling(made, seed=1).to_dict() == fit_scaling(made, seed=1).to_dict()


def test_scaling_comes_back_from_its_dictionary_and_prints(made):
    scaling = fit_scaling(made)
    assert Scaling.from_dict(scaling.to_dict()).to_dict() == scaling.to_dict()
    assert "rope-a" in scaling.summary()
    assert {row["quantity"] for row in scaling.frame()} == {"time", "memory"}


def test_a_wall_of_time_and_no_memory_at_all_are_refused(made):
    scaling = fit_scaling(made)
    with pytest.raises(InputError, match="not of time"):
        memory_wall(scaling.of("org/rope-a", "time")[0], 1e9)
    with pytest.raises(InputError, match="above zero"):
        memory_wall(scaling.of("org/rope-a", "memory")[0], 0)


positive = st.floats(1e-6, 1e6)


@settings(max_examples=50)
@given(a=positive, b=positive, c=positive, length=st.floats(1, 1e6))
def test_the_length_of_a_value_is_where_the_curve_has_it(a, b, c, length):
    row = np.array([[a, b, c]])
    value = float(value_at(row, length)[0])
    assert float(value_at(row, float(length_at(row, value)[0]))[0]) == pytest.approx(value, rel=1e-9)


@settings(max_examples=25)
@given(st.lists(st.floats(0.1, 10), min_size=5, max_size=5))
def test_no_coefficient_is_negative_and_none_fits_better(values):
    lengths, weights = np.array([1.0, 2, 3, 4, 5]), np.ones(5)
    found = fit_growth(lengths, np.array(values), weights, order=2)[0]
    assert (found >= 0).all()

    def missed(row: np.ndarray) -> float:
        return float(np.sum((np.array(values) - row @ lengths ** np.arange(3)[:, None]) ** 2))

    rng = np.random.default_rng(0)
    least = missed(found)
    for scale in (1e-3, 1e-1, 1.0):
        tries = np.maximum(found + scale * rng.standard_normal((200, 3)), 0)
        assert min(missed(row) for row in tries) >= least - 1e-9


def test_without_a_quadratic_term_it_never_leads():
    assert crossing(np.array([[1.0, 1.0, 0.0], [1.0, 6.0, 2.0]])).tolist() == [np.inf, 3.0]
