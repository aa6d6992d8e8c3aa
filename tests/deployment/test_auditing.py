"""Audits of small tables in many layouts: each check on a table with the fault and on one without."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from scalescope.deployment.audit_cells import read_cell
from scalescope.deployment.audit_columns import guess_column
from scalescope.deployment.audit_limits import Limit, Limits
from scalescope.deployment.audit_reading import read_results
from scalescope.deployment.audit_result import Audit
from scalescope.deployment.auditing import audit
from scalescope.errors import InputError
from scalescope.points import Cell, Cells, Timing, Workload
from scalescope.points.bench_files import write_cells


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "table.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def codes(result: Audit) -> set[str]:
    return {check.code for check in result.checks}


class TestColumns:
    @pytest.mark.parametrize(
        ("name", "role", "factor", "length"),
        [
            ("Model", "model", 1, None),
            ("Parameters (M)", "params", 1e6, None),
            ("params", "params", 1, None),
            ("Model Size (B)", "params", 1e9, None),
            ("Loading Time (s)", "load", 1, None),
            ("load_time_ms", "load", 1e-3, None),
            ("Memory Used (GB)", "memory", 1e9, None),
            ("peak_memory_MiB", "memory", 2**20, None),
            ("VRAM [GiB]", "memory", 2**30, None),
            ("kv_cache_memory_mb", "memory part", 1e6, None),
            ("Memory 512 (MB)", "memory", 1e6, 512),
            ("512 tok/s", "rate", 1, 512),
            ("tok_s_1024", "rate", 1, 1024),
            ("Throughput@512", "rate", 1, 512),
            ("Throughput (tokens/sec)", "rate", 1, None),
            ("latency_ms_1024", "latency", 1e-3, 1024),
            ("Latency 2k (s)", "latency", 1, 2048),
            ("ttft_s", "latency", 1, None),
            ("median_us", "latency", 1e-6, None),
            ("tflops/s", "flop rate", 1e12, None),
            ("seq_len", "length", 1, None),
            ("Batch Size", "batch", 1, None),
            ("torch_dtype", "dtype", 1, None),
            ("128", "rate", 1, 128),
            ("Memory/Param (MB/M)", "ignored", 1, None),
            ("Throughput/Param", "ignored", 1, None),
            ("Params/GB", "ignored", 1, None),
            ("Overall Score", "ignored", 1, None),
            ("Max Working Length", "ignored", 1, None),
            ("Efficiency Rating", "ignored", 1, None),
        ],
    )
    def test_a_name_says_quantity_unit_and_length(self, name, role, factor, length):
        column = guess_column(name)
        assert (column.role, column.factor, column.length) == (role, factor, length)

    def test_words_that_are_left_name_the_series(self):
        assert guess_column("decode tok/s 512").series == "decode"
        assert guess_column("rerun_tok_s_512").series == "rerun"
        assert guess_column("Throughput@512").series == ""

    def test_a_percentile_is_told_from_a_length(self):
        column = guess_column("p99_latency_ms_512")
        assert (column.percent, column.length) == (99, 512)

    def test_a_batch_in_the_name_is_told_from_a_length(self):
        column = guess_column("latency ms bs 16 512")
        assert (column.batch, column.length) == (16, 512)


class TestCells:
    @pytest.mark.parametrize(
        ("cell", "value"),
        [
            ("5,866", 5866),
            ("✓ 5866", 5866),
            ("1.2k", 1200),
            ("-0.03", -0.03),
            (7, 7),
            ("12.5 ± 0.3", 12.5),
            ("**8**", 8),
        ],
    )
    def test_a_number_in_any_dress_is_read(self, cell, value):
        assert read_cell(cell).value == pytest.approx(value)

    @pytest.mark.parametrize(
        "cell", ["OOM", "✗ OOM", "N/A", "CUDA out of memory", "failed", "✗", "Timeout", "inf", False]
    )
    def test_words_for_a_failure_are_failures(self, cell):
        reading = read_cell(cell)
        assert reading.failed
        assert reading.value is None

    @pytest.mark.parametrize("cell", ["", "-", "nan", None, float("nan"), "—"])
    def test_nothing_is_neither_a_number_nor_a_failure(self, cell):
        reading = read_cell(cell)
        assert (reading.value, reading.failed, reading.unreadable) == (None, "", False)

    def test_a_unit_in_the_cell_beats_that_of_the_column(self):
        assert read_cell("12 ms").times(1.0) == pytest.approx(0.012)
        assert read_cell("2 GiB").times(1e6) == 2**31

    def test_what_is_no_number_is_unreadable(self):
        assert read_cell("about ten").unreadable
        assert read_cell("1e308").unreadable


class TestLayouts:
    WIDE = "model,params_m,512 tok/s,1024 tok/s\na,100,5000,6000\nb,200,2000,OOM\n"

    def runs(self, path, **more):
        return {
            (row.model, run.length): run.failed or round(run.tokens_per_s)
            for row in read_results(path, **more).rows
            for run in row.runs
        }

    EXPECTED: ClassVar = {("a", 512): 5000, ("a", 1024): 6000, ("b", 512): 2000, ("b", 1024): "OOM"}

    def test_lengths_in_columns_and_in_rows_are_one_table(self, write):
        long = "model,length,tok/s,status\na,512,5000,ok\na,1024,6000,ok\nb,512,2000,ok\nb,1024,,OOM\n"
        assert self.runs(write(self.WIDE)) == self.runs(write(long, "long.csv")) == self.EXPECTED

    def test_latencies_become_rates(self, write):
        text = "model,seq_len,batch,latency_ms\na,512,1,102.4\na,1024,2,341.3333333\n"
        assert self.runs(write(text)) == {("a", 512): 5000, ("a", 1024): 6000}

    def test_tabs_json_and_markdown_say_the_same(self, write):
        rows = [
            {"model": "a", "512 tok/s": 5000, "1024 tok/s": 6000},
            {"model": "b", "512 tok/s": 2000, "1024 tok/s": "OOM"},
        ]
        page = (
            "# Results\n\nText.\n\n| model | 512 tok/s | 1024 tok/s |\n|:--|--:|--:|\n"
            "| a | 5,000 | **6000** |\n| b | 2000 | OOM |\n\nMore.\n"
        )
        assert self.runs(write(self.WIDE.replace(",", "\t"), "t.tsv")) == self.EXPECTED
        assert self.runs(write(json.dumps(rows), "t.json")) == self.EXPECTED
        assert self.runs(write(page, "t.md")) == self.EXPECTED

    def test_rows_of_a_markdown_page_keep_their_lines(self, write):
        page = "# Results\n\n| model | 512 tok/s |\n|---|---|\n| a | 5 |\n| b | 6 |\n"
        assert [row.place for row in read_results(write(page, "t.md")).rows] == [5, 6]

    def test_the_marks_of_the_studys_ninth_table_are_read(self, write):
        text = "Model,128,512,Max Working Length,Architecture Type\nx,✓ 5866,✗ OOM,128,BERT Family\n"
        result = audit(write(text))
        assert self.runs(write(text)) == {("x", 128): 5866, ("x", 512): "OOM"}
        assert any(one.code == "BEN084" and "tokens per second" in one.text for one in result.findings)
        assert any(one.code == "BEN086" and "Max Working Length" in one.text for one in result.findings)

    def test_tables_of_well_known_tools_are_read(self, write):
        llama = (
            "model_filename,model_size,model_n_params,n_prompt,n_gen,avg_ns,avg_ts\n"
            "a.gguf,3825807360,6738415616,512,0,218532000,2342.9\n"
        )
        (row,) = read_results(write(llama)).rows
        assert (row.model, row.params) == ("a.gguf", 6738415616)
        assert [(run.length, round(run.seconds, 3)) for run in row.runs] == [(512, 0.219)]
        serving = "model,batch_size,input_len,output_len,ttft_ms,tpot_ms\nm,1,128,32,20,2.0\n"
        (row,) = read_results(write(serving)).rows
        assert [(run.series, run.decodes, round(run.tokens_per_s)) for run in row.runs] == [
            ("ttft", False, 6400),
            ("decode", True, 500),
        ]

    def test_a_mapping_beats_the_guess(self, write):
        path = write("model,A\nx,100\n")
        with pytest.raises(InputError, match="no column holds"):
            read_results(path)
        assert self.runs(path, columns={"A": "latency_ms_512"}) == {("x", 512): 5120}

    def test_a_column_of_nothing_but_na_was_not_measured(self, write):
        result = audit(write("model,512 tok/s,1024 Memory (GB)\na,50,N/A\nb,60,N/A\n"))
        assert "negative memory" in result.not_checked
        assert result.columns["1024 Memory (GB)"].startswith("ignored")

    def test_unreadable_cells_are_named(self, write):
        result = audit(write("model,512 tok/s\na,lots\nb,60\n"))
        text = next(one.text for one in result.findings if one.code == "BEN087")
        assert "line 2" in text
        assert "lots" in text


class TestBadInput:
    @pytest.mark.parametrize(
        ("text", "name", "message"),
        [
            ("", "t.csv", "empty"),
            ("model,512 tok/s\n", "t.csv", "no rows"),
            ("a,b\n1,2\n", "t.csv", "no column names the models"),
            ("model,colour\nx,red\n", "t.csv", "no column holds"),
            ("model,512 tok/s\nx\n", "t.csv", "cells under"),
            ("model,512 tok/s\n,5\n", "t.csv", "no row that names a model"),
            ("no table here\n", "t.md", "holds no table"),
            ("[1, 2", "t.json", "not JSON"),
            ('{"schema": "scalescope.cells/9"}', "t.json", "scalescope.cells/9"),
            ("x", "t.docx", "is not a table"),
        ],
    )
    def test_a_file_that_is_no_table_is_one_clear_line(self, write, text, name, message):
        with pytest.raises(InputError, match=message) as caught:
            audit(write(text, name))
        assert "\n" not in str(caught.value)
        assert caught.value.hint

    def test_an_absent_column_in_the_mapping_names_the_nearest(self, write):
        with pytest.raises(InputError, match="no column 'latencyy'") as caught:
            audit(write("model,latency\nx,1\n"), columns={"latencyy": "latency_ms_512"})
        assert "latency" in caught.value.hint

    @pytest.mark.parametrize("peak", [0.0, -1.0, float("inf"), float("nan")])
    def test_a_device_without_a_peak_is_refused(self, write, peak):
        with pytest.raises(InputError, match="peak"):
            audit(write("model,512 tok/s\na,5\n"), peak_flop_per_s=peak)

    def test_zero_and_negative_sizes_do_not_divide(self, write):
        text = "model,params,length,batch,load_s,memory_gb,tok/s\na,0,0,0,0,1,5\nb,-1,-5,-2,-3,1,0\n"
        assert audit(write(text)).n_rows == 2


class TestChecks:
    def test_a_sound_table_has_nothing_to_object_to(self, write):
        text = (
            "model,params_m,dtype,memory_gb,load_s,n_samples,p99_ms,length,latency_ms\n"
            "a,100,fp32,0.6,0.3,700,60,128,50\na,100,fp32,0.6,0.3,700,260,512,200\n"
        )
        limits = {"org/a": Limit(positions=512, params=100.2e6)}
        result = audit(write(text), limits=limits, peak_flop_per_s=1e12)
        assert result.checks == ()
        assert "nothing to object to" in result.summary()
        assert "latency at 512 tokens below 1.15x that at 128" in result.passed

    def test_the_type_of_the_row_decides_what_its_weights_take(self, write):
        result = audit(write("model,params_m,dtype,memory_gb\na,1000,int8,1.1\nb,1000,fp16,1.1\n"))
        assert [one.model for one in result.check("BEN073").evidence] == ["b"]

    def test_parts_of_memory_need_not_hold_the_weights(self, write):
        result = audit(write("model,params_m,activation_memory_mb,512 tok/s\na,1000,5,1\n"))
        assert "BEN073" not in codes(result)

    def test_the_architectures_flop_beat_two_per_parameter(self, write):
        path = write("model,params_m,512 tok/s\nalbert,10,1000\n")
        limits = {"albert": Limit(flop_per_token=200e6)}
        assert audit(path).largest_flop_per_s == pytest.approx(20e9)
        assert audit(path, limits=limits).largest_flop_per_s == pytest.approx(200e9)

    def test_a_claimed_rate_above_the_device_is_named(self, write):
        result = audit(write("model,tflops/s\na,400\nb,200\n"), peak_flop_per_s=312e12)
        assert [one.model for one in result.check("BEN074").evidence] == ["a"]

    def test_decoding_above_the_bandwidth_is_named_and_a_batch_shares_the_weights(self, write):
        text = "model,params_m,dtype,batch,decode tok/s\na,1000,fp16,1,600\nb,1000,fp16,8,600\n"
        result = audit(write(text), bytes_per_s=1e12)
        assert [one.model for one in result.check("BEN076").evidence] == ["a"]

    def test_types_and_conditions_are_not_compared_with_each_other(self, write):
        text = "model,dtype,length,latency_ms\na,fp32,128,50\na,bf16,512,50\n"
        assert "BEN075" not in codes(audit(write(text)))
        assert "BEN085" not in codes(audit(write("model,fp32 tok/s 512,bf16 tok/s 512\na,1000,4000\n")))

    def test_two_rows_for_one_cell_that_differ_are_named(self, write):
        text = "model,length,latency_ms\na,128,50\na,128,51\nb,128,50\nb,128,150\n"
        check = audit(write(text)).check("BEN085")
        assert (check.affected, check.of) == (1, 2)
        assert check.evidence[0].model == "b"

    def test_a_rate_that_is_not_tokens_over_latency_is_named(self, write):
        text = "model,length,batch,latency_ms,tok/s\na,128,2,100,2560\nb,128,2,100,1280\n"
        check = audit(write(text)).check("BEN088")
        assert [one.model for one in check.evidence] == ["b"]
        generated = text.replace("batch,", "batch,new_tokens,").replace("128,2,", "128,2,32,")
        assert "BEN088" not in codes(audit(write(generated)))

    def test_parameters_of_another_model_are_named_and_a_head_is_allowed(self, write):
        text = "model,params_m,512 tok/s\na,110,1\nb,120,1\nc,100,1\n"
        both = Limit(params=100e6, params_with_head=120e6)
        check = audit(write(text), limits=dict.fromkeys("abc", both)).check("BEN078")
        assert [one.model for one in check.evidence] == ["a"]

    def test_percentiles_take_samples(self, write):
        text = "model,n_samples,p99_ms\na,20,9\nb,1000,9\n"
        assert [one.model for one in audit(write(text)).check("BEN079").evidence] == ["a"]
        without = audit(write("model,p90_ms,512 tok/s\na,20,9\n", "w.csv")).check("BEN079")
        assert "without a number of samples; it takes 64" in without.evidence[0].text

    def test_running_beyond_the_position_table_cannot_be(self, write):
        check = audit(write("model,1024 tok/s\nbert,500\n"), limits={"x/BERT": Limit(positions=512)}).check(
            "BEN082"
        )
        assert check.severity == "impossible"
        assert "ends at 512" in check.evidence[0].text

    def test_a_failure_that_says_its_cause_is_not_called_misleading_or_unexplained(self, write):
        text = "model,length,tok/s,state\na,128,50,ok\na,1024,,position_limit\nb,128,,timeout\nc,128,,OOM\n"
        result = audit(write(text), limits={"a": Limit(positions=512), "b": Limit()})
        assert "BEN077" not in codes(result)
        assert [one.model for one in result.check("BEN081").evidence] == ["c"]


class TestLimits:
    def test_a_short_name_that_two_models_share_is_not_guessed(self):
        limits = Limits(
            {"x/base": Limit(positions=1), "y/base": Limit(positions=2), "z/one": Limit(positions=3)}
        )
        assert limits.find("base") is None
        assert limits.find("Y/Base").positions == 2
        assert limits.find("someone/one").positions == 3


def cell(model: str, length: int, seconds: float | None, **more) -> Cell:
    timing = None if seconds is None else Timing(samples=(seconds,) * 5)
    return Cell(
        model=model, params=1_000_000, workload=Workload(length=length), timing=timing,
        flop=2e6 * length, **{"state": "ok", **more},
    )  # fmt: skip


class TestOurCells:
    CELLS = Cells(
        cells=(
            cell("a", 128, 0.010),
            cell("a", 512, 0.0105),
            cell("a", 1024, None, state="not_applicable", cause="position table 512"),
            cell("b", 128, None, state="timeout"),
        )
    )

    def test_they_are_audited_like_any_table(self):
        result = audit(self.CELLS, peak_flop_per_s=50e9)
        assert codes(result) == {"BEN074", "BEN075"}

    @pytest.mark.parametrize("name", ["cells.json", "cells.jsonl", "cells.csv"])
    def test_they_are_read_back_from_every_format(self, tmp_path, name):
        path = write_cells(self.CELLS, tmp_path / name)
        assert audit(path, peak_flop_per_s=50e9).checks == audit(self.CELLS, peak_flop_per_s=50e9).checks

    def test_what_was_not_tried_did_not_fail(self):
        (failures,) = audit(self.CELLS, limits={"a": Limit(positions=512)}).failures
        assert (failures.n_cells, failures.n_failed, failures.unexplained) == (3, 1, ())


def test_an_audit_survives_json_and_its_frame_has_a_row_for_every_objection(write):
    result = audit(write("model,512 tok/s,params_m\na,5,1\na,5,1\n"), peak_flop_per_s=1e9)
    assert Audit.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    rows = result.frame()
    assert {row["code"] for row in rows} == codes(result)
    assert {one.code for one in result.findings} >= codes(result)
