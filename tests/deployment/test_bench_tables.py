"""The five tables: the study's formulas to the digit, ours beside them, and what they rest on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_cells import LENGTHS, MACHINE, make_cell, make_cells, make_series, seconds_of, stopped

from scalescope.cost import Positions
from scalescope.deployment import BenchTables, Shares, bench_tables, classes_of, series_of, share_by_length
from scalescope.deployment.classes import class_of
from scalescope.errors import InputError
from scalescope.points import Cells, Energy, Memory, Workload

SMALL, LARGE = (1e-3, 1e-4, 2e-8), (4e-3, 4e-4, 8e-8)


@pytest.fixture
def two() -> Cells:
    """Return two models that differ in everything by a factor of four, without noise."""
    cells = [*make_series("a", law=SMALL), *make_series("b", law=LARGE, params=400_000_000)]
    return Cells(cells=tuple(cells), machine=MACHINE)


def value(cells: Cells, number: str, column: str, row: str = "all") -> float | None:
    return bench_tables(cells).table(number).row(row).values[column]


def test_mean_of_models_and_joint_throughput_are_the_two_ways_to_average(two):
    t = [seconds_of(512, law) for law in (SMALL, LARGE)]
    assert value(two, "II", "tokens_per_s_512") == pytest.approx(np.mean([512 / one for one in t]))
    assert value(two, "II", "tokens_per_s_joint_512") == pytest.approx(2 * 512 / sum(t))


def test_the_studys_formulas_come_out_of_its_own_columns(two):
    row = bench_tables(two).table("IV").row("all").values
    assert row["study_efficiency"] == pytest.approx(row["study_peak_tokens_per_s"] / (row["params"] / 1e6))
    assert row["study_memory_efficiency"] == pytest.approx(4.0)
    assert row["study_overall_score"] == pytest.approx(
        row["study_efficiency"] / row["study_memory_efficiency"]
    )


def test_parameters_cancel_in_the_studys_overall_score(two):
    thin = Cells(cells=tuple(make_series("a", params=100_000_000)), machine=MACHINE)
    told = [
        make_cell("a", length, params=7 * 100_000_000, memory=Memory(source="x", weights=400_000_000, peak=1))
        for length in LENGTHS
    ]
    fat = Cells(cells=tuple(told), machine=MACHINE)
    assert value(thin, "IV", "study_overall_score") == pytest.approx(value(fat, "IV", "study_overall_score"))


def test_the_highest_throughput_is_over_lengths_and_the_studys_is_not(two):
    highest = np.mean([max(n / seconds_of(n, law) for n in LENGTHS) for law in (SMALL, LARGE)])
    assert value(two, "IV", "peak_tokens_per_s") == pytest.approx(highest)
    assert value(two, "IV", "peak_tokens_per_s") > value(two, "IV", "study_peak_tokens_per_s")


def test_share_of_the_roofline_is_the_least_time_over_the_time_taken(two):
    least = sum(2.0 * params * 512 / 4e12 for params in (1e8, 4e8))
    taken = sum(seconds_of(512, law) for law in (SMALL, LARGE))
    assert value(two, "IV", "roofline_share") == pytest.approx(least / taken)


def test_decode_is_held_against_reading_the_weights():
    work = Workload(kind="decode", length=512, new_tokens=8)
    cell = make_cell("a", 512, workload=work, flop=2e8)
    cells = Cells(cells=(cell,), machine=MACHINE)
    assert value(cells, "IV", "roofline_share") == pytest.approx(4e8 / 1e10 / seconds_of(512, SMALL))


def test_energy_is_there_only_where_it_was_metered(two):
    assert value(two, "IV", "joules_per_token") is None
    metered = [make_cell("a", 512, energy=Energy(joules=5.12, source="RAPL package"))]
    assert value(Cells(cells=tuple(metered)), "IV", "joules_per_token") == pytest.approx(0.01)


def test_memory_scaling_rests_on_models_that_ran_at_both_ends(two):
    cells = two.only([*two, make_cell("c", 128, memory=Memory(source="x", peak=10**12))])
    first, last = (
        np.array([4 * params + seconds_of(length, (0, 1e5, 20)) for params in (1e8, 4e8)])
        for length in (128, 2048)
    )
    assert value(cells, "III", "n_at_both_ends") == 2
    assert value(cells, "III", "memory_scaling") == pytest.approx(np.mean(last / first), rel=1e-6)
    assert value(cells, "III", "memory_scaling_joint") == pytest.approx(last.sum() / first.sum(), rel=1e-6)


def test_the_growth_exponent_is_that_of_what_comes_on_top_of_the_weights():
    cells = Cells(cells=tuple(make_series("a", memory_law=(0.0, 0.0, 20.0))), machine=MACHINE)
    assert value(cells, "III", "activation_exponent") == pytest.approx(2.0, abs=1e-6)


def test_doubtful_cells_are_in_no_figure_but_in_the_success_rate(two):
    odd = [make_cell("c", length, law=(1e-9, 0, 0), doubts=("too fast",)) for length in LENGTHS]
    cells = two.only([*two, *odd])
    tables = bench_tables(cells)
    assert value(cells, "II", "tokens_per_s_512") == value(two, "II", "tokens_per_s_512")
    assert value(cells, "II", "success_512") == 1
    assert tables.table("II").row("all").n_ran == 2
    assert "doubtful" in tables.table("I").mask


def test_not_applicable_counts_in_the_studys_success_rate_and_not_in_ours(made):
    assert value(made, "II", "success_1024") == pytest.approx(2 / 5)
    assert value(made, "II", "success_tried_1024") == pytest.approx(2 / 3)


def test_classes_add_up_to_all_models(made):
    row = bench_tables(made).table("V").row("all").values
    assert [row[f"{name}_models"] for name in ("high", "medium", "low", "very_low", "failed")] == [
        2,
        2,
        0,
        0,
        1,
    ]
    assert sum(row[name] for name in row if name.endswith("_share")) == pytest.approx(1)


@pytest.mark.parametrize(
    ("longest", "name"),
    [
        (4096, "high"),
        (1024, "high"),
        (1023, "medium"),
        (512, "medium"),
        (511, "low"),
        (128, "low"),
        (127, "very low"),
        (1, "very low"),
        (0, "failed"),
        (None, "failed"),
    ],
)
def test_the_borders_of_the_classes_are_the_studys(longest, name):
    assert class_of(longest) == name


def test_capability_comes_from_the_configuration_and_capacity_from_the_cells():
    cells = [make_cell("a", 128), stopped("a", 512, "allocator_oom")]
    limits = {"a": Positions(kind="rope", limit=None)}
    (one,) = classes_of(series_of(cells), limits)
    assert (one.capacity, one.capability, one.open) == ("low", "high", False)
    table = bench_tables(Cells(cells=tuple(cells)), limits=limits).table("V")
    assert table.row("all").values["high_by_configuration"] == 1


def test_a_model_that_was_never_tried_has_not_failed():
    cells = Cells(cells=(stopped("a", 128, "skipped"), make_cell("b", 128)))
    row = bench_tables(cells).table("V").row("all").values
    assert (row["failed_models"], row["not_tried_models"]) == (0, 1)


def test_a_bench_that_ends_below_1024_says_that_classes_are_lower_limits():
    cells = Cells(cells=tuple(make_series("a", lengths=(128, 512))))
    assert "BEN052" in [one.code for one in bench_tables(cells).findings]


def test_rows_can_be_models(made):
    names = [row.name for row in bench_tables(made, by="model").table("I").rows]
    assert names == [*made.models, "all"]


def test_every_column_has_a_unit_and_a_written_definition(made):
    tables = bench_tables(made, limits={})
    for table in tables.tables:
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names))
        assert all(column.unit and len(column.definition) > 10 for column in table.columns)
    assert [table.number for table in tables.tables] == ["I", "II", "III", "IV", "V"]


def test_tables_come_back_from_their_dictionary_and_print(made):
    tables = bench_tables(made)
    assert BenchTables.from_dict(tables.to_dict()) == tables
    text = tables.summary()
    assert "bytes per parameter: a cost" in text
    assert max(map(len, (line for line in text.splitlines() if line.endswith("%")))) <= 110
    assert len(tables.frame()) == sum(len(t.columns) * len(t.rows) for t in tables.tables)


@pytest.mark.parametrize(
    "cells",
    [
        Cells(cells=(stopped("a", 128, "other"),)),
        Cells(cells=(make_cell("a", 300),)),
        Cells(
            cells=tuple(
                replace(one, params=None, load=None) for one in make_series("a", memory=None, flop=None)
            )
        ),
        Cells(cells=(stopped("a", 128, "skipped"),)),
    ],
    ids=["no ok cell", "one length", "times only", "all skipped"],
)
def test_odd_benches_make_tables_too(cells):
    tables = bench_tables(cells)
    assert BenchTables.from_dict(tables.to_dict()) == tables
    assert tables.summary()


def test_no_cells_and_unknown_lengths_are_refused(made):
    with pytest.raises(InputError, match="no cells"):
        bench_tables(Cells(cells=()))
    with pytest.raises(InputError, match="no cell has a length of 999"):
        bench_tables(made, lengths=[999])


def test_shares_keep_what_cannot_run_apart_from_what_failed(made):
    shares = share_by_length(made)
    one = shares.at(1024)
    assert (one.n_models, one.ran, one.failed, one.not_applicable) == (5, 2, 1, 2)
    assert one.share == pytest.approx(0.4)
    assert one.share_of_tried == pytest.approx(2 / 3)
    assert shares.at(1024, "bert_family").share_of_tried is None
    assert Shares.from_dict(shares.to_dict()) == shares
    assert "1024 tokens: 2 of 5 run" in shares.summary()


def test_noise_moves_figures_by_as_much_as_it_is():
    quiet, loud = (value(make_cells(noise=noise), "II", "tokens_per_s_512") for noise in (0.0, 0.02))
    assert loud != quiet
    assert loud == pytest.approx(quiet, rel=0.03)


def test_a_category_whose_architectures_another_one_has_too_keeps_its_row():
    cells = [
        make_cell("roberta", 512, architecture="same", category="bert-family"),
        make_cell("codebert", 512, architecture="same", category="code", shared_from="roberta"),
    ]
    table = bench_tables(Cells(cells=tuple(cells))).table("V")
    assert [(row.name, row.n_models) for row in table.rows] == [("bert-family", 1), ("code", 1), ("all", 1)]
