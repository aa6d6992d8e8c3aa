"""What is recommended fits, what is not has a reason, and nothing is told apart that noise hides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_cells import MACHINE, make_cell, make_series, seconds_of, stopped

from scalescope.cost import Positions
from scalescope.deployment import Recommendation, recommend, series_of
from scalescope.deployment.readings import Reading, Refusal, read_at
from scalescope.errors import InputError
from scalescope.points import Cells, Memory, Workload

LAW = (1e-3, 1e-4, 2e-8)


def reasons(found: Recommendation) -> dict[str, str]:
    return {one.model.rpartition("/")[2]: one.reason for one in found.rejected}


def test_everything_that_fits_is_ranked_and_everything_else_has_a_reason(made):
    found = recommend(made, length=800)
    assert [one.short for one in found.options] == ["gpt-a", "rope-a"]
    assert reasons(found) == {"bert-a": "too long", "bert-b": "too long", "broken": "failed"}
    assert "position table ends at 512" in found.rejected[0].text


def test_memory_and_latency_exclude_with_both_numbers(made):
    found = recommend(made, length=512, memory_bytes=10**9, latency_s=0.06)
    texts = {one.model: one.text for one in found.rejected}
    assert texts["org/rope-a"] == "memory 1.7 GiB > 954 MiB"
    assert reasons(recommend(made, length=512, latency_s=0.1))["bert-b"] == "latency"
    assert [one.short for one in found.options] == ["bert-a", "gpt-a"]


def test_the_memory_of_loading_counts_too():
    memory = Memory(source="x", weights=10, load_peak=5 * 10**9, peak=10**9)
    cells = Cells(cells=(make_cell("a", 512, memory=memory),))
    assert reasons(recommend(cells, length=512, memory_bytes=2 * 10**9)) == {"a": "memory"}


def test_unknown_memory_never_fits_a_limit():
    cells = Cells(cells=(make_cell("a", 512, memory=None),))
    assert recommend(cells, length=512).options
    assert reasons(recommend(cells, length=512, memory_bytes=1e12)) == {"a": "not measured"}


@settings(max_examples=30)
@given(st.integers(129, 2047))
def test_between_measured_lengths_a_reading_errs_to_the_slow_side_by_little(length):
    (series,) = series_of(make_series("a", law=LAW, lengths=(128, 256, 512, 1024, 2048)))
    reading = read_at(series, length)
    assert isinstance(reading, Reading)
    assert reading.source in ("measured", "interpolated")
    truth = seconds_of(length, LAW)
    assert truth * (1 - 1e-9) <= reading.seconds.value <= truth * 1.05


@settings(max_examples=30)
@given(st.floats(1.01, 4), st.floats(0, 1e-6))
def test_beyond_the_longest_length_the_truth_lies_inside_the_interval(factor, bend):
    law = (1e-3, 1e-4, bend)
    (series,) = series_of(make_series("a", law=law, memory_law=(0.0, 1e5, 1e9 * bend)))
    length = int(2048 * factor)
    reading = read_at(series, length)
    assert isinstance(reading, Reading)
    assert reading.source == "extrapolated"
    assert reading.reach == pytest.approx(length / 2048)
    assert reading.seconds.low <= seconds_of(length, law) <= reading.seconds.high * (1 + 1e-9)
    need = 4e8 + seconds_of(length, (0, 1e5, 1e9 * bend))
    assert reading.memory is not None
    assert need <= reading.memory.high * (1 + 1e-6)


def test_an_extrapolated_option_is_a_finding_and_too_far_is_refused(made):
    assert "BEN056" in [one.code for one in recommend(made, length=4000).findings]
    assert reasons(recommend(made, length=10_000))["rope-a"] == "not measured"


def test_extrapolated_memory_must_fit_with_its_upper_end():
    cells = Cells(cells=tuple(make_series("a")))
    reading = read_at(series_of(cells)[0], 4096)
    assert isinstance(reading, Reading)
    assert reading.memory is not None
    between = (reading.memory.value + reading.memory.high) / 2
    assert reasons(recommend(cells, length=4096, memory_bytes=between)) == {"a": "memory"}


def test_between_a_length_that_runs_and_one_that_fails_nobody_knows():
    cells = [make_cell("a", 512), stopped("a", 1024, "allocator_oom", "out of memory")]
    (series,) = series_of(cells)
    reading = read_at(series, 800)
    assert isinstance(reading, Refusal)
    assert reading.reason == "undecided"
    assert "measure it at 800" in reading.text


def test_the_configuration_decides_where_it_is_known():
    (series,) = series_of([*make_series("a", lengths=(128, 512)), stopped("a", 1024, "not_applicable", "no")])
    assert read_at(series, 700, Positions(kind="table", limit=600)).reason == "too long"
    assert read_at(series, 700, Positions(kind="table", limit=800)).source == "extrapolated"
    assert read_at(series, 700).reason == "undecided"


def test_doubtful_measurements_are_not_recommended():
    cells = Cells(cells=(make_cell("a", 512, doubts=("above the ceiling",)),))
    found = recommend(cells, length=512)
    assert reasons(found) == {"a": "doubtful"}
    assert "above the ceiling" in found.rejected[0].text


def test_models_that_noise_does_not_tell_apart_share_a_rank():
    cells = [
        make_cell(name, 512, law=(t, 0, 0), noise=0.03) for name, t in [("a", 1.0), ("b", 1.01), ("c", 2.0)]
    ]
    found = recommend(Cells(cells=tuple(cells)), length=512)
    assert [one.rank for one in found.options] == [1, 1, 3]
    assert any("as fast, within noise, as" in text for text in found.trade_offs)


def test_the_front_holds_what_nothing_beats():
    def one(name: str, t: float, peak: int, params: int):
        return make_cell(name, 512, law=(t, 0, 0), params=params, memory=Memory(source="x", peak=peak))

    cells = [one("fast", 1, 20, 5), one("lean", 2, 10, 5), one("large", 3, 30, 50), one("beaten", 4, 30, 40)]
    assert recommend(Cells(cells=tuple(cells)), length=512).front == ("fast", "lean", "large")


def test_trade_offs_are_ratios_of_the_numbers_shown():
    slow = make_cell("slow", 512, law=(2.0, 0, 0), memory=Memory(source="x", peak=2 * 10**8), params=50)
    fast = make_cell("fast", 512, law=(1.0, 0, 0), memory=Memory(source="x", peak=3 * 10**8), params=100)
    found = recommend(Cells(cells=(slow, fast)), length=512)
    assert found.trade_offs == ("fast is 2.0x as fast as slow with 1.5x the memory and 2.0x the parameters.",)


def test_what_more_parameters_cost_is_said_as_a_price():
    small = make_cell("small", 512, law=(1.0, 0, 0), memory=Memory(source="x", peak=10**8), params=50)
    large = make_cell("large", 512, law=(3.0, 0, 0), memory=Memory(source="x", peak=2 * 10**8), params=200)
    found = recommend(Cells(cells=(small, large)), length=512)
    assert found.trade_offs == (
        "large has 4.0x the parameters of small for 3.0x the time and 2.0x the memory.",
    )


def test_settings_of_one_model_are_one_option_and_a_trade_off():
    cells = [make_cell("a", 512, law=(1, 0, 0)), replace(make_cell("a", 512, law=(0.5, 0, 0)), dtype="bf16")]
    found = recommend(Cells(cells=tuple(cells)), length=512)
    assert [one.setting.dtype for one in found.options] == ["bf16"]
    assert [one.setting.dtype for one in found.others] == ["fp32"]
    assert "2.0x as fast as with encode fp32" in found.trade_offs[0]


def test_models_of_one_architecture_are_one_option_with_other_names():
    cells = [*make_series("a", architecture="x"), *make_series("b", architecture="x")]
    (one,) = recommend(Cells(cells=tuple(cells)), length=512).options
    assert one.same == ("b",)


def test_tasks_choose_the_kind_of_call(made):
    assert {o.setting.kind for o in recommend(made, length=512, task="encoder").options} == {"encode"}
    assert {o.setting.kind for o in recommend(made, length=512, task="decoder").options} == {"prefill"}
    work = Workload(task="question-answering", length=384)
    cells = made.only([*made, make_cell("org/bert-a", 384, workload=work)])
    assert [o.model for o in recommend(cells, length=384, task="question-answering").options] == [
        "org/bert-a"
    ]


def test_latency_of_generation_is_that_of_a_token():
    work = Workload(kind="decode", length=512, new_tokens=16, batch=2)
    cells = Cells(cells=(make_cell("a", 512, law=(0.02, 0, 0), workload=work),))
    (one,) = recommend(cells, length=512, task="generation", latency_s=0.03).options
    assert one.tokens_per_s.value == pytest.approx(100)


def test_a_limit_inside_the_interval_is_a_finding():
    cells = Cells(cells=(make_cell("a", 512, law=(1.0, 0, 0), noise=0.05),))
    found = recommend(cells, length=512, latency_s=cells.cells[0].timing.median * 1.001)
    assert found.options[0].marginal == ("latency",)
    assert "BEN059" in [one.code for one in found.findings]


def test_random_weights_are_said_to_say_nothing_of_quality(made):
    assert "BEN057" in [one.code for one in recommend(made, length=512).findings]
    real = made.only(replace(cell, random_weights=False) for cell in made)
    assert "BEN057" not in [one.code for one in recommend(real, length=512).findings]


def test_nothing_that_fits_names_the_nearest(made):
    found = recommend(made, length=512, latency_s=1e-6)
    assert found.options == ()
    assert [one.code for one in found.findings] == ["BEN068"]
    assert "latency" in found.findings[0].text


def test_the_size_of_the_network_can_be_bounded(made):
    assert reasons(recommend(made, length=512, most_params=1.1e8))["gpt-a"] == "params"
    assert [one.short for one in recommend(made, length=512, least_params=3.5e8).options] == ["rope-a"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"length": 0}, "length must be above zero"),
        ({"length": 512, "memory_bytes": -1}, "memory_bytes must be above zero"),
        ({"length": 512, "task": "encodr"}, "unknown task 'encodr'"),
        ({"length": 512, "dtype": "bf16"}, "no cell of the bench fits"),
    ],
)
def test_what_cannot_be_asked_is_refused(made, wrong, message):
    with pytest.raises(InputError, match=message) as caught:
        recommend(made, **wrong)
    assert caught.value.hint


def test_a_recommendation_comes_back_from_its_dictionary_and_prints(made):
    found = recommend(made, length=800, memory_bytes=2e9)
    assert Recommendation.from_dict(found.to_dict()) == found
    assert found.summary().startswith("For 800 tokens, at most 1.86 GiB: 2 of 5 models fit")
    assert [row["fits"] for row in found.frame()] == [True, True, False, False, False]


def test_a_bench_where_nothing_ran_recommends_nothing():
    cells = Cells(cells=(stopped("a", 512, "other", "fell"),), machine=MACHINE)
    assert reasons(recommend(cells, length=100)) == {"a": "failed"}
