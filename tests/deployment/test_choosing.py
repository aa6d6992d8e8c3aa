"""One series a model, under one setting, and everything else counted."""

from __future__ import annotations

from dataclasses import replace

from made_cells import make_cell, make_cells, make_series, stopped

from scalescope.deployment import choose_series, series_of
from scalescope.points import Cells, Workload


def test_every_model_has_one_series_under_the_setting_that_most_share(made):
    extra = [replace(cell, dtype="bf16") for cell in made if cell.model == "org/gpt-a"]
    chosen = choose_series(made.only([*extra, *made]))
    assert {one.setting.dtype for one in chosen.series} == {"fp32"}
    assert [one.model for one in chosen.series] == [
        "org/gpt-a",
        *[m for m in made.models if m != "org/gpt-a"],
    ]
    assert chosen.mask.n_other == 4
    assert [one.code for one in chosen.findings] == ["BEN050"]


def test_a_model_without_the_common_attention_keeps_its_own():
    cells = [*make_series("a"), *make_series("b"), *[replace(c, attention="eager") for c in make_series("c")]]
    chosen = choose_series(Cells(cells=tuple(cells)))
    assert [one.setting.attention for one in chosen.series] == ["sdpa", "sdpa", "eager"]
    assert chosen.findings == ()


def test_models_of_one_architecture_count_once():
    cells = [*make_series("a", architecture="x"), *make_series("b", architecture="x"), *make_series("c")]
    mask = choose_series(Cells(cells=tuple(cells))).mask
    assert (mask.n_names, mask.n_models) == (3, 2)
    assert "3 names, equal architectures once" in mask.text


def test_cells_that_look_impossible_run_but_count_in_no_figure():
    odd = make_cell("a", 512, doubts=("too fast",))
    chosen = choose_series(Cells(cells=(make_cell("a", 128), odd)))
    assert chosen.mask.n_doubtful == 1
    assert [cell.workload.length for cell in chosen.series[0].usable] == [128]
    assert chosen.series[0].longest_ok == 512
    assert [one.code for one in chosen.findings] == ["BEN051"]


def test_decoding_counts_only_where_there_is_nothing_else():
    decode = make_cell("a", 128, workload=Workload(kind="decode", length=128, new_tokens=8))
    both = Cells(cells=(decode, make_cell("a", 128)))
    assert choose_series(both).series[0].setting.kind == "encode"
    assert choose_series(Cells(cells=(decode,))).series[0].setting.kind == "decode"


def test_workloads_of_tasks_and_mixed_lengths_are_no_plain_series():
    odd = [
        make_cell("a", 128, workload=Workload(task="classification")),
        make_cell("a", 128, workload=Workload(lengths=(128, 5), batch=2, batching="padded")),
    ]
    assert not any(one.setting.plain for one in series_of(odd))


def test_of_two_cells_of_one_length_the_last_stays():
    (series,) = series_of([make_cell("a", 128), stopped("a", 128, "timeout", category="bert_family")])
    assert [cell.state for cell in series.cells] == ["timeout"]


def test_lengths_are_those_that_half_of_the_models_have():
    cells = [*make_series("a"), *make_series("b"), make_cell("b", 777)]
    assert choose_series(Cells(cells=tuple(cells))).lengths == (128, 512, 777, 1024, 2048)
    cells += make_series("c")
    assert choose_series(Cells(cells=tuple(cells))).lengths == (128, 512, 1024, 2048)


def test_nothing_gives_nothing():
    chosen = choose_series(Cells(cells=()))
    assert (chosen.series, chosen.lengths) == ((), ())


def test_the_mask_adds_up(made):
    mask = choose_series(made).mask
    assert mask.n_cells == mask.n_ok + mask.n_failed + mask.n_not_applicable + mask.n_skipped == len(made)
    assert make_cells().models == made.models
