from __future__ import annotations

from dataclasses import replace

import pytest

from scalescope.points import Estimate
from scalescope.reports import tables, text
from scalescope.units import format_count, format_factor, format_loss


def test_the_answer_is_one_sentence_with_size_tokens_loss_and_interval(contents):
    first = contents.plan.allocations[0]
    answer = text.plain(text.answer(contents))
    for part in (
        f"{format_count(first.params.value)} parameters",
        f"{format_count(first.tokens.value)} tokens",
        f"{format_loss(first.loss.value)} [{format_loss(first.loss.low)}, {format_loss(first.loss.high)}]",
        f"{format_factor(first.compute / contents.runs.spent)} the compute spent",
    ):
        assert part in answer
    assert f"{format_factor(first.reach)} the dearest run fitted" in text.answer_note(contents)
    assert answer.endswith("nats/token.")
    assert "**" not in answer


def test_without_a_plan_the_answer_is_the_best_run(contents):
    answer = text.plain(text.answer(replace(contents, plan=None)))
    assert format_loss(float(contents.runs.loss.min())) in answer


@pytest.mark.parametrize(
    ("shift", "said"), [(0.0, "inside the"), (10.0, "outside, above the"), (-10.0, "outside, below the")]
)
def test_the_check_says_on_which_side_of_the_interval_the_measurement_fell(contents, shift, said):
    forecast = contents.forecasts[0]
    width = forecast.loss.high - forecast.loss.low
    moved = replace(forecast, measured=forecast.loss.value + shift / 10 * 1.5 * width)
    check = text.plain(text.check(replace(contents, forecasts=(moved,))))
    assert said in check


def test_a_forecast_that_is_not_measured_yet_says_so(contents):
    waiting = replace(contents.forecasts[0], measured=None)
    assert "not been trained yet" in text.check(replace(contents, forecasts=(waiting,)))


def test_the_headlined_law_is_the_one_that_is_checked(contents):
    turned = replace(contents, forecasts=contents.forecasts[::-1])
    assert text.headlined(turned).law == contents.headline


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1.0, 1.0, "1.000"), (float("nan"), float("nan"), "1.000"), (0.5, float("inf"), "1.000 [0.500, ∞]")],
)
def test_estimates_without_an_interval_or_limit_are_written_plainly(low, high, expected):
    assert text.shown(Estimate(value=1.0, low=low, high=high), format_loss) == expected


def test_each_finding_is_told_once(contents):
    twice = replace(contents, findings=contents.findings * 2)
    told = text.findings(twice)
    assert len(told) == len(set(told))
    assert contents.findings[0] in told


def test_findings_of_other_laws_are_told_apart_from_the_headline(contents):
    named = {law for law, _ in text.other_findings(contents)}
    assert named
    assert text.law_name(contents.headline) not in named


def test_tables_have_as_many_cells_as_columns_and_names_of_their_own(contents):
    built = tables.tables(contents)
    assert len({table.name for table in built}) == len(built)
    for table in (*built, tables.all_runs(contents)):
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_the_allocation_table_shows_the_other_method_beside_the_headlined(contents):
    table = tables.allocation(contents)
    assert {row[1] for row in table.rows} == {"IsoFLOP parabolas", "Chinchilla form"}


def test_wrong_sizes_are_priced_in_both_directions(contents):
    sizes = {row[1] for row in tables.wrong_size(contents).rows}
    assert {"2.0x too small", "2.0x too large", "4.0x too small", "4.0x too large"} <= sizes


def test_held_out_runs_are_marked_in_the_table_of_runs(contents):
    uses = [row[-1] for row in tables.all_runs(contents).rows]
    assert uses.count("held out") == int(contents.runs.held_out.sum())
