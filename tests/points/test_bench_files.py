"""Cells survive a file to the last bit, and files that are no cells are refused in one line."""

from __future__ import annotations

import csv
import gzip
import json
import math
import sys

import pytest

from scalescope.errors import InputError, MissingExtraError, WorkError
from scalescope.points import (
    BenchMachine,
    Cell,
    Cells,
    Energy,
    Expectation,
    Finding,
    Load,
    Memory,
    Timing,
    Workload,
)
from scalescope.points.bench_files import NESTED, OWN, flat_row, read_cells, write_cells

MEASURED = Cell(
    model="org/one",
    category="bert_family",
    architecture="a1",
    params=110_000_000,
    workload=Workload(kind="encode", length=128, batch=2, lengths=(128, 7), batching="padded", head=True),
    dtype="bf16",
    compiled=True,
    threads=2,
    state="ok",
    expected=Expectation(state="ok", memory_bytes=1.5e9, seconds=0.1, flop=3e10, spread=1.2),
    free_bytes=8 * 2**30,
    peak_bytes=2**30,
    load=Load(construct_s=0.1, map_s=1e-4, page_cache="cold", weight_bytes=440_000_000),
    memory=Memory(source="VmHWM", baseline=1, weights=2, peak=3),
    timing=Timing(samples=(0.1, 1 / 3, 0.3), cpu=(0.1, 0.2), warmup=(9.0,), foreign=0.25, low=0.1),
    first_token=Timing(samples=(0.5,), steady=False, met=False),
    flop=2.5e10,
    computed_tokens=256,
    energy=Energy(joules=1.25, source="RAPL package"),
    random_weights=False,
    notes=("runs at 127",),
    doubts=("FLOP/s above the ceiling", 'says "no", twice'),
    started=1.7e9 + 0.123456,
    wall_s=3.5,
)
FAILED = Cell(
    model="org/two",
    state="api_error",
    cause='a cause, with "quotes"\nand two lines',
    exception="ValueError",
    workload=Workload(length=512),
    shared_from="org/one",
)
CELLS = Cells(
    cells=(MEASURED, FAILED),
    machine=BenchMachine(processor="a chip", cores=2, memory_bytes=2**34, matmul_flop_per_s={"fp32": 1e11}),
    title="mine",
    command="scalescope bench one two",
    findings=(Finding(code="BEN001", text="said"),),
)


@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet"])
def test_a_bench_comes_back_as_it_was(tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    assert read_cells(write_cells(CELLS, tmp_path / f"cells.{ending}")) == CELLS


def test_every_cell_comes_back_from_csv_but_not_its_machine(tmp_path):
    back = read_cells(write_cells(CELLS, tmp_path / "cells.csv"))
    assert back.cells == CELLS.cells
    assert back.machine == BenchMachine()
    assert [one.code for one in back.findings] == ["BEN066"]


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_a_bench_without_cells_comes_back(tmp_path, ending):
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    assert read_cells(write_cells(CELLS.only(()), tmp_path / f"cells.{ending}")).cells == ()


def test_csv_has_one_flat_row_a_cell_with_units_that_a_reader_can_use(tmp_path):
    with write_cells(CELLS, tmp_path / "cells.csv").open(newline="") as stream:
        one, two = csv.DictReader(stream)
    assert json.loads(one["timing_samples"]) == [0.1, 1 / 3, 0.3]
    assert float(one["seconds"]) == 0.3
    assert float(one["tokens_per_s"]) == pytest.approx(135 / 0.3)
    assert (two["state"], two["timing_samples"], two["seconds"]) == ("api_error", "", "")


def test_a_flat_row_has_every_field_once():
    columns = list(flat_row(MEASURED))
    assert len(columns) == len(set(columns))
    assert set(columns) == {*OWN, *NESTED, "tokens_per_s", "seconds", "seconds_p90", "seconds_p99"}


def test_percentiles_stand_where_there_are_samples_enough():
    few, many, most = (
        flat_row(Cell(model="m", state="ok", timing=Timing(samples=tuple(float(i) for i in range(n)))))
        for n in (63, 64, 662)
    )
    assert (few["seconds_p90"], few["seconds_p99"]) == (None, None)
    assert many["seconds_p90"] == pytest.approx(56.7)
    assert many["seconds_p99"] is None
    assert most["seconds_p99"] == pytest.approx(654.39)


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl"])
def test_numbers_that_are_not_finite_come_back(tmp_path, ending):
    odd = Cell(model="m", state="ok", timing=Timing(samples=(math.inf, 1.0)), flop=math.nan)
    (back,) = read_cells(write_cells(Cells(cells=(odd,)), tmp_path / f"c.{ending}"))
    assert back.flop is not None
    assert math.isnan(back.flop)
    assert back.timing is not None
    assert back.timing.samples == (math.inf, 1.0)


def test_compressed_cells_are_read(tmp_path):
    plain = write_cells(CELLS, tmp_path / "cells.json").read_bytes()
    (tmp_path / "cells.json.gz").write_bytes(gzip.compress(plain))
    assert read_cells(tmp_path / "cells.json.gz") == CELLS


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_truncated_file_is_one_clear_error(tmp_path, ending, share):
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    many = CELLS.only(CELLS.cells * 5)
    whole = write_cells(many, tmp_path / f"cells.{ending}").read_bytes()
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=rf"cut\.{ending}") as caught:
        read_cells(cut)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("runs.csv", "params,tokens,loss\n1e6,1e7,3\n"),
        ("fit.json", '{"schema": "scalescope.fit/1", "law": "chinchilla"}'),
        ("list.json", "[1, 2]"),
        ("plain.json", '{"model": "m"}'),
        ("nothing.json", '{"schema": "scalescope.cells/1"}'),
        ("wrong.json", '{"schema": "scalescope.cells/1", "cells": [{"model": "m", "state": "fine"}]}'),
        ("rows.jsonl", '{"params": 1}\n{"params": 2}\n'),
        ("state.csv", "model,length,state\nm,128,fine\n"),
        ("samples.csv", 'model,length,state,timing_samples\nm,128,ok,"[0.1, 0."\n'),
        ("ragged.csv", "model,length,state\nm,128\n"),
        ("empty.json", ""),
        ("cells.txt", "model"),
        ("cells.tsv", "model\tlength\tstate\n"),
    ],
)
def test_a_file_of_something_else_is_one_clear_error(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.").split("\\")[0]) as caught:
        read_cells(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_foreign_parquet_is_refused(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"model": ["m"]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="does not say that it is a bench"):
        read_cells(tmp_path / "x.parquet")


def test_an_unknown_ending_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot write cells as '\.xlsx'"):
        write_cells(CELLS, tmp_path / "cells.xlsx")
    with pytest.raises(WorkError, match="cannot write"):
        write_cells(CELLS, tmp_path / "no" / "cells.json")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="pyarrow"):
        write_cells(CELLS, tmp_path / "cells.parquet")
    assert not list(tmp_path.iterdir())
