from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from bench_examples import LENGTHS, MATMUL, ODD, example_cells

from scalescope.points.bench import STATES, Cells, Workload
from scalescope.reports.bench import words
from scalescope.reports.bench.curves import binary_ticks
from scalescope.reports.bench.heat import FILLS, MOST_ROWS
from scalescope.reports.bench.loading import loads
from scalescope.reports.bench.page import FIGURES
from scalescope.reports.bench.pareto import front, fronts
from scalescope.reports.bench.predicted import pairs
from scalescope.reports.bench.roofline import moved_bytes, places, roof
from scalescope.reports.bench.success import counts
from scalescope.reports.bench.view import Look, by_category, chunks, short_names, size_class, sound, views


@pytest.fixture(scope="module")
def cells() -> Cells:
    return example_cells()


@pytest.fixture(scope="module")
def look(cells) -> Look:
    return Look.at(cells)


@pytest.fixture(scope="module")
def figures(look):
    return {name: draw(look) for name, draw in FIGURES.items()}


@pytest.fixture(scope="module")
def few() -> Cells:
    return example_cells(most=3)


def rows_of(panel):
    """Rows of every layer of a panel."""
    spec = panel.chart.to_dict(validate=False)
    for layer in spec["layer"]:
        name = (layer.get("data") or spec["data"])["name"]
        yield layer, list(csv.DictReader(io.StringIO(spec["datasets"][name])))


def test_the_example_holds_every_state(cells):
    assert {cell.state for cell in cells} == set(STATES)


@pytest.mark.parametrize("name", FIGURES)
class TestFigure:
    def test_is_a_valid_vega_lite_specification(self, figures, name):
        figures[name].panels[0].chart.to_dict(validate=True)

    def test_says_what_its_axes_are_and_fixes_their_domains(self, figures, name):
        for panel in figures[name].panels:
            for layer, _ in rows_of(panel):
                for channel in ("x", "y"):
                    encoded = layer["encoding"].get(channel)
                    if encoded and encoded["type"] == "quantitative":
                        assert encoded["axis"]["title"]
                        assert len(encoded["scale"]["domain"]) == 2
                        assert encoded["scale"]["nice"] is False

    def test_has_rows_in_every_layer_a_legend_a_caption_and_a_table(self, figures, name):
        figure = figures[name]
        for panel in figure.panels:
            assert panel.label
            for _, rows in rows_of(panel):
                assert rows
                for row in rows:
                    assert not {"nan", "inf", "None"} & set(row.values())
        assert figure.keys
        assert figure.caption
        assert figure.table.rows
        assert all(len(row) == len(figure.table.columns) for row in figure.table.rows)

    def test_is_left_out_or_drawn_without_measurements(self, cells, name):
        assert FIGURES[name](Look.at(cells.only(()))) is None
        failed = Look.at(cells.only(cell for cell in cells if not cell.ok))
        assert (FIGURES[name](failed) is not None) == (name in {"success", "cells"})

    def test_is_drawn_for_three_models(self, few, name):
        figure = FIGURES[name](Look.at(few))
        assert figure is not None
        assert figure.table.rows


def test_shares_of_a_length_add_up_and_tell_excluded_from_failed(cells, figures):
    for panel in figures["success"].panels:
        bars = next(rows for layer, rows in rows_of(panel) if layer["mark"]["type"] == "bar")
        tops: dict[str, float] = {}
        for row in bars:
            assert float(row["low"]) == pytest.approx(tops.get(row["x"], 0.0), abs=1e-4)
            tops[row["x"]] = float(row["y"])
        assert all(top == pytest.approx(1) for top in tops.values())
    found = counts(cells.distinct())[2048]
    excluded = sum(c.state == "not_applicable" for c in cells.distinct() if c.workload.length == 2048)
    assert found["not applicable by configuration"] == excluded > found["failed"] > 0


def test_a_category_counts_architectures_that_another_category_has_too(cells, figures):
    told = {row[0]: row[1] for row in figures["success"].table.rows}
    assert told["code"] == "1"
    assert told["all models"] == f"{len(cells.distinct().models)}"


def test_the_map_has_a_box_for_every_cell_and_tells_every_cause(cells, figures):
    figure = figures["cells"]
    boxes = [
        row
        for panel in figure.panels
        for layer, rows in rows_of(panel)
        if layer["mark"]["type"] == "rect"
        for row in rows
    ]
    assert len(boxes) == len(cells)
    for (model, length), (_, cause, _) in ODD.items():
        own = next(box for box in boxes if (box["model"], box["x"]) == (model, f"{length}"))
        assert cause in own["about"]
        told = next(row for row in figure.table.rows if row[0] == model)
        assert cause in told[2 + LENGTHS.index(length)]


def test_the_map_is_cut_into_panels_that_can_be_read(figures):
    for panel in figures["cells"].panels:
        models = {row["model"] for _, rows in rows_of(panel) for row in rows}
        assert len(models) <= MOST_ROWS


def test_states_of_one_kind_share_a_colour_and_memory_stands_out():
    assert set(FILLS) == set(STATES)
    memory = {FILLS["allocator_oom"].light, FILLS["killed"].light}
    assert len(memory) == 1
    assert memory.isdisjoint(
        FILLS[state].light for state in STATES if state not in ("allocator_oom", "killed")
    )


def test_settings_are_drawn_apart_and_named(cells, few):
    lower = example_cells(most=3, dtype="bf16")
    both = few.only((*few, *lower))
    assert [view.label for view in views(both)] == ["fp32 sdpa", "bf16 sdpa"]
    titles = [panel.title for panel in FIGURES["cells"](Look.at(both)).panels]
    assert titles == ["generative, fp32 sdpa", "generative, bf16 sdpa"]
    assert sum(len(view.cells) for view in views(cells)) == len(cells)


def test_a_model_that_offers_another_attention_stands_with_the_others(few):
    odd = few.only(replace(cell, attention="eager") if cell.model == "gpt2-large" else cell for cell in few)
    assert [view.label for view in views(odd)] == ["fp32 sdpa"]


def test_the_roof_is_the_lower_of_memory_and_matrix_product(cells):
    machine = cells.machine
    assert roof(machine, "fp32", 1e6) == MATMUL
    assert roof(machine, "fp32", 1.0) == machine.copy_bytes_per_s
    assert roof(machine, "int8", 2.0) == 2 * machine.copy_bytes_per_s
    assert roof(replace(machine, matmul_flop_per_s={}, copy_bytes_per_s=None), "fp32", 1.0) is None


def test_the_intensity_counts_weights_cache_and_logits_once(few):
    cell = sound(few)[0]
    memory = replace(cell.memory, weights=100, cache=20, logits=5)
    own = replace(cell, memory=memory, flop=250.0)
    assert moved_bytes(own) == 125
    assert places(few.only((own,)))[0].intensity == 2.0
    assert moved_bytes(replace(own, memory=replace(memory, weights=None), load=None)) is None


def test_doubtful_cells_are_in_no_curve_roof_or_front(cells, figures):
    assert any(cell.doubts for cell in cells)
    for name in ("roofline", "throughput", "memory", "front", "predicted"):
        for panel in figures[name].panels:
            assert all(
                "albert-base-v1" not in row.get("about", "") for _, rows in rows_of(panel) for row in rows
            )


def test_no_cell_of_a_front_is_beaten_and_every_other_cell_is(cells):
    group = [cell for cell in sound(cells) if cell.workload.length == 512]
    best = front(group)

    def beats(one, other):
        more, less = one.tokens_per_s >= other.tokens_per_s, one.memory.peak <= other.memory.peak
        return (
            more and less and (one.tokens_per_s, one.memory.peak) != (other.tokens_per_s, other.memory.peak)
        )

    assert not any(beats(one, other) for one in group for other in best)
    assert all(
        any(beats(one, other) for one in best)
        for other in group
        if other not in best and not other.shared_from
    )
    assert {size_class(cell.params) for cells in fronts(group).values() for cell in cells} == set(
        fronts(group)
    )


def test_errors_of_predictions_are_those_of_the_cells(few):
    cell = sound(few)[0]
    expected = replace(cell.expected, memory_bytes=1.1 * cell.memory.peak, seconds=0.8 * cell.timing.median)
    own = few.only((replace(cell, expected=expected),))
    assert pairs(own, "memory")[0].error == pytest.approx(0.1)
    assert pairs(own, "time")[0].error == pytest.approx(0.2)


def test_parts_of_loading_are_medians_over_the_cells_of_a_model(few):
    found = {one.name: one for one in loads(few)}
    sums = sorted(cell.load.map_s for cell in few if cell.ok and cell.model == "gpt2")
    assert found["gpt2"].parts["map_s"] == sums[len(sums) // 2]
    assert [one.total for one in loads(few)] == sorted(one.total for one in loads(few))


def test_names_lose_their_owner_only_where_they_stay_unique(few):
    first, second, *_ = few
    named = few.only(
        (replace(first, model="a/same"), replace(second, model="b/same"), replace(second, model="c/other"))
    )
    assert short_names(named) == {"a/same": "a/same", "b/same": "b/same", "c/other": "other"}


def test_lists_are_cut_evenly():
    assert [len(part) for part in chunks([str(i) for i in range(53)], 26)] == [18, 17, 18]
    assert chunks([], 5) == []


def test_ticks_of_memory_are_powers_of_two_that_the_page_keeps():
    ticks = binary_ticks((3e7, 2e10))
    assert [words.amount(tick) for tick in ticks] == ["64 MiB", "256 MiB", "1 GiB", "4 GiB", "16 GiB"]
    assert all(float(f"{tick:.7g}") == tick for tick in ticks)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (3e-6, "3.00 µs"),
        (0.0123, "12.3 ms"),
        (1.0, "1.00 s"),
        (59.0, "59.0 s"),
        (95.0, "1 min 35 s"),
    ],
)
def test_durations_are_written_in_the_unit_that_suits(value, text):
    assert words.seconds(value) == text


def test_categories_and_sizes_have_names(cells):
    assert next(iter(by_category(cells))) == "generative"
    assert [size_class(n) for n in (None, 5e7, 1e8, 4e9)] == [
        "size unknown",
        "below 100M",
        "100M to 300M",
        "3B and more",
    ]


def test_decoding_is_a_setting_of_its_own(few):
    decode = [
        replace(c, workload=Workload(kind="decode", length=c.workload.length, new_tokens=32)) for c in few
    ]
    labels = [view.label for view in views(few.only((*few, *decode)))]
    assert labels == ["fp32 sdpa", "decode of 32 fp32 sdpa"]
