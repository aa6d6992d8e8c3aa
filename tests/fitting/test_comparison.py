from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.comparison import MOST, compare
from scalescope.fitting.contest import Contest, cell_shares, rank_laws
from scalescope.fitting.rolling import group_runs, predict_beyond
from scalescope.fitting.scores import Comparison
from scalescope.fitting.suitability import suitable
from scalescope.laws import get_law
from scalescope.points import Runs

FEW = ("chinchilla", "kaplan", "isoflop", "loss-compute")


@pytest.fixture(scope="module")
def noisy(make_grid) -> Comparison:
    return compare(make_grid("chinchilla", n_budgets=6, noise=0.005), FEW)


def with_columns(runs: Runs, **columns: np.ndarray) -> Runs:
    return Runs.from_columns({**runs.columns, **columns})


def test_the_law_that_made_the_runs_is_first_and_a_wrong_one_is_behind(noisy: Comparison) -> None:
    assert noisy["chinchilla"].rank == 1
    assert noisy["kaplan"].rank > 1
    assert noisy["kaplan"].chance < 0.1


def test_laws_that_are_one_are_tied(make_grid) -> None:
    runs = make_grid("chinchilla", n_budgets=5, noise=0.01)
    found = compare(runs, ("chinchilla", "overtraining", "kaplan"))
    best = [score for score in found.scores if score.rank == 1]
    assert {score.law for score in best} >= {"chinchilla", "overtraining"}
    assert all(score.tied for score in best)
    assert "FIT055" in {finding.code for finding in found.findings}


def test_the_right_law_without_noise_is_exact(make_grid) -> None:
    found = compare(make_grid("chinchilla", n_budgets=5), ("chinchilla", "kaplan"))
    assert found.best == "chinchilla"
    assert found["chinchilla"].rms_log_error < 1e-5
    assert not found["chinchilla"].tied
    assert found.stack is not None
    assert found.stack.weights["chinchilla"] > 0.99


def test_error_is_given_against_extrapolation(noisy: Comparison) -> None:
    assert noisy.cuts == tuple(sorted(noisy.cuts))
    own = [one for one in noisy.holdouts if one.law == "kaplan"]
    assert {round(one.ratio) for one in own} >= {3, 9, 27}
    rows = noisy.frame()
    assert len(rows) == len(noisy.holdouts)
    assert {"law", "ratio", "rms_error", "rank"} <= set(rows[0])


def test_one_factor_laws_are_judged_on_the_envelope_and_have_no_rank(noisy: Comparison) -> None:
    score = noisy["loss-compute"]
    assert score.envelope_only
    assert score.rank == 0
    assert score.n_predicted < noisy["chinchilla"].n_predicted
    assert noisy.scores[-1].law == "loss-compute"


def test_a_law_of_one_factor_alone_is_ranked(make_grid) -> None:
    found = compare(make_grid("isoflop", n_budgets=8, noise=0.002), ("loss-compute",))
    assert found["loss-compute"].rank == 1


def test_what_lies_above_the_cut_is_predicted_by_the_last_fit_only(make_grid) -> None:
    runs = make_grid("chinchilla", n_budgets=6, noise=0.005)
    at = 2e12
    found = compare(runs, ("chinchilla",), cut=at)
    assert max(found.cuts) < at
    dear = runs.compute > at
    # A changed loss above the cut changes only what is judged there.
    changed = compare(
        with_columns(runs, loss=np.where(dear, 1.5 * runs.loss, runs.loss)), ("chinchilla",), cut=at
    )
    for before, after in zip(found.holdouts, changed.holdouts, strict=True):
        gap = after.log_error - before.log_error
        assert gap == pytest.approx(0 if gap > -0.2 else -np.log(1.5), abs=1e-6)
    assert any(after.log_error < -0.3 for after in changed.holdouts)


def test_held_out_rows_are_the_last_step(make_grid) -> None:
    runs = make_grid("chinchilla", n_budgets=5, noise=0.005)
    held = (runs["budget"] == runs["budget"].max()).astype(float)
    groups = group_runs(with_columns(runs, held_out=held))
    assert set(groups.of_run[held > 0]) == {len(groups) - 1}
    assert (groups.of_run[held == 0] < len(groups) - 1).all()


def test_weights_that_judge_the_stack_do_not_see_what_it_predicts(make_grid) -> None:
    runs = make_grid("chinchilla", n_budgets=6, noise=0.005)
    last = runs["budget"] == runs["budget"].max()
    laws = ("chinchilla", "kaplan", "nested")
    before = compare(runs, laws).stack
    shifted = compare(with_columns(runs, loss=np.where(last, 1.02 * runs.loss, runs.loss)), laws).stack
    assert before is not None
    assert shifted is not None
    # Weights for all cuts do see the last step; which law was best before it does not.
    assert before.picked == shifted.picked
    assert shifted.rms_log_error != pytest.approx(before.rms_log_error, rel=1e-3)


def test_intervals_of_a_wrong_form_are_widened_by_earlier_cuts(make_grid) -> None:
    found = compare(make_grid("chinchilla", n_budgets=7, noise=0.001), ("kaplan", "chinchilla"))
    assert found["kaplan"].widening > 1.5
    assert found["kaplan"].coverage_widened >= found["kaplan"].coverage
    assert found["chinchilla"].coverage >= 0.7


def test_the_linear_response_is_that_of_least_squares_but_for_its_efficiency(make_grid) -> None:
    # For a law that is linear in all coefficients, predictions respond exactly as the hat matrix says.
    runs = make_grid("chinchilla", n_budgets=5, noise=0.002)
    (one,) = predict_beyond(get_law("chinchilla"), runs, group_runs(runs), (4,))
    assert one.response.shape == (7, 28)
    # A common factor on all fitted losses moves every prediction by about the same factor.
    moved = one.response.sum(axis=1) / np.sqrt(np.pi / 2)
    np.testing.assert_allclose(moved, 1.0, atol=0.35)


def test_cells_count_alike_however_many_runs_they_have() -> None:
    cut, step = np.array([1, 1, 1, 2]), np.array([1, 1, 2, 2])
    np.testing.assert_allclose(cell_shares(cut, step, np.ones(4, dtype=bool)), [1 / 6, 1 / 6, 1 / 3, 1 / 3])
    np.testing.assert_allclose(cell_shares(cut, step, cut == 2), [0, 0, 0, 1])


def test_the_summary_fits_one_screen(noisy: Comparison) -> None:
    lines = noisy.summary().splitlines()
    table = [line for line in lines if not line.startswith("FIT")]
    assert len(lines) <= 40
    assert max(len(line) for line in table) <= 100
    assert "chinchilla" in noisy.summary()


def test_it_survives_the_way_to_json_and_back(noisy: Comparison) -> None:
    again = Comparison.from_dict(noisy.to_dict())
    assert again.to_dict() == noisy.to_dict()
    assert again.summary() == noisy.summary()


def test_the_same_seed_gives_the_same_comparison(make_grid) -> None:
    runs = make_grid("chinchilla", n_budgets=4, noise=0.01)
    one, other = (compare(runs, ("chinchilla", "kaplan"), seed=3) for _ in range(2))
    assert one.to_dict() == other.to_dict()


def test_the_order_of_the_rows_does_not_matter(make_grid) -> None:
    runs = make_grid("chinchilla", n_budgets=5, noise=0.01)
    order = np.random.default_rng(0).permutation(len(runs))
    mixed = Runs.from_columns({name: column[order] for name, column in runs.columns.items()})
    one, other = (compare(table, ("chinchilla", "kaplan")) for table in (runs, mixed))
    for law in ("chinchilla", "kaplan"):
        assert other[law].rms_log_error == pytest.approx(one[law].rms_log_error, rel=1e-3)


def test_large_tables_are_thinned_and_say_so() -> None:
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(5, 8, 3 * MOST), 10 ** rng.uniform(7, 10, 3 * MOST)
    loss = (1.7 + 400 * N**-0.34 + 900 * D**-0.32) * np.exp(0.005 * rng.standard_normal(3 * MOST))
    found = compare(Runs.from_columns({"params": N, "tokens": D, "loss": loss}), ("chinchilla",), n_cuts=1)
    assert found.n_runs == MOST
    assert "FIT057" in {finding.code for finding in found.findings}


class TestBadInput:
    def test_a_law_whose_column_is_absent_is_named_with_the_column(self, make_grid) -> None:
        with pytest.raises(InputError, match="the table lacks tokens_unique") as raised:
            compare(make_grid("chinchilla"), ("data-constrained",))
        assert "chinchilla" in raised.value.hint

    def test_such_a_law_beside_others_is_only_missed(self, make_grid) -> None:
        found = compare(make_grid("chinchilla", n_budgets=5), ("data-constrained", "kaplan"))
        assert found.laws == ("kaplan",)
        assert "tokens_unique" in found.missed["data-constrained"]

    def test_a_law_of_another_target_is_refused(self, make_grid) -> None:
        with pytest.raises(InputError, match="predicts y, not loss"):
            compare(make_grid("chinchilla"), ("power-law",))

    def test_too_few_runs_are_refused(self) -> None:
        runs = Runs.from_columns({"params": [1e4, 2e4], "tokens": [1e6, 2e6], "loss": [3.0, 2.5]})
        with pytest.raises(InputError, match="no law for loss fits"):
            compare(runs)

    def test_one_step_of_compute_cannot_be_cut(self, make_grid) -> None:
        runs = make_grid("chinchilla", n_budgets=1, n_sizes=12)
        with pytest.raises(InputError, match="no cut in compute"):
            compare(runs, ("chinchilla",))

    @pytest.mark.parametrize("option", [{"level": 1.0}, {"level": 0.0}, {"n_cuts": 0}])
    def test_options_that_mean_nothing_are_refused(self, make_grid, option: dict) -> None:
        with pytest.raises(InputError):
            compare(make_grid("chinchilla"), ("chinchilla",), **option)


class TestSuitable:
    def test_it_sorts_laws_by_what_the_table_has(self, make_grid) -> None:
        found = suitable(make_grid("chinchilla"))
        assert {"chinchilla", "kaplan", "isoflop"} <= set(found.laws)
        assert found.missing["data-constrained"] == ("tokens_unique",)
        assert "data-constrained needs tokens_unique" in found.summary()

    def test_a_constant_column_is_not_enough(self, make_grid) -> None:
        runs = make_grid("chinchilla")
        found = suitable(with_columns(runs, tokens_unique=np.full(len(runs), 1e6)))
        assert "tokens_unique is the same in every run" in found.unfit["data-constrained"]

    def test_laws_for_one_curve_are_not_laws_of_a_table(self) -> None:
        x = np.geomspace(1, 100, 20)
        assert suitable(Runs.from_columns({"x": x, "y": x**-0.3}), "y").laws == ()


def test_no_law_shares_a_rank_ahead_of_one_that_errs_less() -> None:
    # The third law is so uncertain that noise could make it the first; the second is surely behind.
    contest = Contest(
        laws=("good", "fair", "wild"),
        log_error=np.array([[0.01, 0.01], [0.05, 0.05], [0.08, 0.08]]),
        error=np.zeros((3, 2)),
        half_width=np.ones((3, 2)),
        freedom=np.ones((3, 2)),
        cut=np.zeros(2, dtype=np.int64),
        step=np.array([1, 2]),
        row=np.array([0, 1]),
        noise_sd=0.001,
        noise=np.stack(
            [np.array([[0.0, 0.0], [0.0, 0.0], [-shift, -shift]]) for shift in (0.0, 0.08, 0.08, 0.0)]
        ),
    )
    standings = rank_laws(contest, 0.9)
    assert [(one.law, one.rank) for one in standings] == [("good", 1), ("fair", 2), ("wild", 2)]
