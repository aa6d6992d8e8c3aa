"""Two benches: noise is called the same, a change is found, and what cannot be decided stays open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_cells import MACHINE, make_cell, make_cells, make_series, seconds_of, stopped
from scipy import stats

from scalescope.deployment import BenchDifference, compare_benches
from scalescope.deployment.ranks import false_discovery, rank_sum, ratio_interval
from scalescope.errors import InputError
from scalescope.points import Cells, Memory


def scaled(cells: Cells, factor: float, *, seed: int = 7, noise: float = 0.02) -> Cells:
    """Return the same bench measured anew with every time multiplied."""
    fresh = make_cells(noise=noise, seed=seed)

    def slower(cell):
        timing = cell.timing
        return (
            cell
            if timing is None
            else replace(cell, timing=replace(timing, samples=tuple(factor * one for one in timing.samples)))
        )

    return cells.only(slower(cell) for cell in fresh)


def codes(found: BenchDifference) -> list[str]:
    return [one.code for one in found.findings]


def test_the_same_bench_measured_twice_is_the_same(made):
    found = compare_benches(made, scaled(made, 1.0))
    assert found.verdict == "same"
    assert not found.counts["faster"] + found.counts["slower"]
    assert found.findings == ()


@pytest.mark.parametrize(("factor", "verdict"), [(1.3, "slower"), (1 / 1.3, "faster")])
def test_a_change_beyond_the_margin_is_found_in_every_cell(made, factor, verdict):
    found = compare_benches(made, scaled(made, factor))
    assert found.verdict == verdict
    assert dict(found.counts) == {verdict: 11}
    assert found.overall.low <= factor <= found.overall.high or abs(found.overall.value / factor - 1) < 0.02


def test_a_change_inside_the_margin_is_not_called_one(made):
    found = compare_benches(made, scaled(made, 1.03))
    assert not found.counts["slower"]


def test_noise_wider_than_the_change_leaves_it_open():
    before = Cells(cells=(make_cell("a", 128, noise=0.5),))
    after = Cells(cells=(make_cell("a", 128, noise=0.5, seed=1, law=(1.2e-3, 1.2e-4, 0)),))
    assert compare_benches(before, after).cells[0].verdict == "undecided"


def test_few_of_many_equal_cells_are_called_different():
    def bench(seed: int) -> Cells:
        lengths = range(100, 300)
        return Cells(cells=tuple(make_cell("a", n, law=(1, 0, 0), noise=0.2, seed=seed) for n in lengths))

    found = compare_benches(bench(0), bench(1), margin=0.001)
    assert found.counts["faster"] + found.counts["slower"] <= 4
    raw = sum(one.p <= 0.1 for one in found.cells)
    assert raw > 4, "without control of the rate some would be called"


def test_changed_states_are_listed_and_not_timed(made):
    broken = made.only(
        stopped(c.model, 512, "allocator_oom", "no memory")
        if (c.model, c.workload.length) == ("org/bert-a", 512)
        else c
        for c in made
    )
    found = compare_benches(made, broken)
    assert [(one.before, one.after, one.cause) for one in found.states] == [
        ("ok", "allocator_oom", "no memory")
    ]
    assert len(found.cells) == 10
    assert "bert-a encode 512: ok to allocator_oom (no memory)" in found.summary()


def test_memory_is_compared_too():
    def bench(peak: int) -> Cells:
        return Cells(cells=(make_cell("a", 128, memory=Memory(source="x", peak=peak)),))

    (one,) = compare_benches(bench(1000), bench(1100)).cells
    assert (one.memory_ratio, one.memory_changed) == (pytest.approx(1.1), True)
    assert not compare_benches(bench(1000), bench(1010)).cells[0].memory_changed


def test_disturbed_cells_are_flagged_and_never_decided(made):
    loud = scaled(made, 2.0)
    loud = loud.only(
        replace(c, timing=replace(c.timing, foreign=0.4)) if c.timing and c.model == "org/gpt-a" else c
        for c in loud
    )
    found = compare_benches(made, loud)
    assert {one.verdict for one in found.cells if one.disturbed} == {"undecided"}
    assert {one.model for one in found.cells if one.disturbed} == {"org/gpt-a"}
    assert "BEN061" in codes(found)


def test_few_samples_are_not_decided(made):
    found = compare_benches(make_cells(n=3), scaled(made, 2.0))
    assert {one.verdict for one in found.cells} == {"undecided"}
    assert "BEN063" in codes(found)


def test_different_machines_and_libraries_are_named(made):
    other = replace(made, machine=replace(MACHINE, processor="b chip", libraries={"torch": "2.9"}))
    found = compare_benches(made, other)
    assert found.machines == (
        "processor: a chip to b chip",
        "torch: 2.13 to 2.9",
        "transformers: 5.23 to absent",
    )
    assert "BEN060" in codes(found)


def test_cells_are_matched_across_devices_and_threads_of_one_each(made):
    there = made.only(replace(cell, device="cuda", threads=8) for cell in made)
    assert len(compare_benches(made, there).cells) == 11


def test_cells_in_one_bench_only_are_counted(made):
    found = compare_benches(made, made.only([*made.cells[1:], make_cell("new", 128)]))
    assert (found.only_before, found.only_after) == (1, 1)
    assert "BEN062" in codes(found)


def test_one_model_is_given_the_interval_of_its_cells():
    before = Cells(cells=tuple(make_series("a", noise=0.02)))
    after = Cells(cells=tuple(make_series("a", noise=0.02, seed=1)))
    overall = compare_benches(before, after).overall
    assert overall.low < overall.value < overall.high


def test_benches_without_a_common_cell_are_refused(made):
    with pytest.raises(InputError, match="no cell in common"):
        compare_benches(made, Cells(cells=(make_cell("x", 1),)))
    with pytest.raises(InputError, match="margin must lie between 0 and 1"):
        compare_benches(made, made, margin=5)


def test_a_difference_comes_back_from_its_dictionary_and_prints(made):
    found = compare_benches(made, scaled(made, 1.3))
    assert BenchDifference.from_dict(found.to_dict()) == found
    assert found.summary().startswith("made to made: slower")
    assert len(found.frame()) == 11


@pytest.mark.parametrize(("m", "n"), [(5, 5), (4, 9), (9, 9), (30, 40)])
def test_the_rank_sum_test_agrees_with_scipy(m, n):
    rng = np.random.default_rng(m)
    for _ in range(5):
        first, second = rng.standard_normal(m), rng.standard_normal(n) + 0.5
        method = "exact" if m * n <= 400 else "asymptotic"
        assert rank_sum(first, second) == pytest.approx(
            stats.mannwhitneyu(first, second, method=method).pvalue, rel=1e-9
        )


def test_ties_are_corrected_as_scipy_does():
    first, second = np.array([1.0, 1, 2, 2, 3]), np.array([2.0, 3, 3, 4, 4, 4])
    expected = stats.mannwhitneyu(first, second, method="asymptotic").pvalue
    assert rank_sum(first, second) == pytest.approx(expected, rel=1e-9)
    assert rank_sum(np.ones(5), np.ones(5)) == 1


def test_the_false_discovery_rate_agrees_with_scipy():
    p = np.random.default_rng(0).uniform(0, 1, 50) ** 3
    np.testing.assert_allclose(false_discovery(p.tolist()), stats.false_discovery_control(p))
    assert false_discovery([]) == ()


def test_the_interval_of_a_ratio_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        one, two = rng.lognormal(0, 0.1, 15), 1.2 * rng.lognormal(0, 0.1, 15)
        low, high = ratio_interval(one, two, level=0.9, draws=300, rng=rng)
        hits += low <= 1.2 <= high
    assert 0.85 <= hits / 200 <= 0.99


def test_the_fixture_has_the_law_it_says():
    assert make_cell("a", 100, law=(1, 2, 3)).timing.median == pytest.approx(seconds_of(100, (1, 2, 3)))
