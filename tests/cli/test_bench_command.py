"""`scalescope bench` as a person types it; nothing is measured, the machine is made up."""

from __future__ import annotations

import json

import pytest
from bench_doubles import CALIBRATION, ScriptedExecutor

from scalescope.inference import asking
from scalescope.inference import bench as bench_module
from scalescope.points import read_cells

pytest.importorskip("psutil")


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Know this machine already, ask no hub, run no process."""
    find = asking.find_model
    monkeypatch.setattr(bench_module, "calibration_of", lambda *_, **__: CALIBRATION)
    monkeypatch.setattr(asking, "find_model", lambda name: find(name, online=False))


@pytest.fixture
def scripted(monkeypatch):
    """Let a bench run on a script."""
    import contextlib

    import scalescope.executors

    executor = ScriptedExecutor(lambda one: one.expected.state)
    opened = lambda *_, **__: contextlib.nullcontext(executor)  # noqa: E731
    monkeypatch.setattr(scalescope.executors, "open_executor", opened)
    return executor


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lengths", "0"], "got 0"),
        (["--lengths=-1"], "got -1"),
        (["--lengths", "10000000000"], "got 10000000000"),
        (["--lengths", "abc"], "'abc' is not a whole number"),
        (["--batch", "0"], "batch must be"),
        (["--batch", "many"], "'many' is not a whole number"),
        (["--dtype", "fp8"], "fp8"),
        (["--attention", "flash"], "flash"),
        (["--threads", "0"], "threads"),
        (["--task", "cooking"], "cooking"),
        (["--texts", "uniform:5-2"], "uniform:5-2"),
        (["--texts", "missing.txt"], "missing.txt"),
        (["--memory", "lots"], "lots"),
        (["--cell-time", "0s"], "0s"),
        (["--target", "2"], "--target"),
        (["--kind", "decode", "--new-tokens", "0"], "new tokens"),
    ],
)
def test_a_bad_option_is_one_line_and_exit_code_2(command, words, said):
    code, out, err = command("bench", "gpt2", *words, "--predict")
    assert code == 2
    assert out == ""
    assert said in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) <= 2


def test_an_unknown_model_alone_is_an_error_with_the_nearest_names(command):
    code, _, err = command("bench", "bert-base-uncasd", "--predict")
    assert code == 2
    assert "Did you mean bert-base-uncased" in err


def test_no_model_at_all_says_where_names_are(command):
    code, _, err = command("bench", "--predict")
    assert code == 2
    assert "scalescope models" in err


def test_an_unknown_model_among_known_ones_is_a_finding(command):
    code, out, err = command("bench", "gpt2", "bert-base-uncasd", "--lengths", "128", "--predict")
    assert code == 0
    assert "gpt2" in out
    assert "finding BEN100: unknown model 'bert-base-uncasd'" in err
    assert command("bench", "gpt2", "bert-base-uncasd", "--lengths", "128", "--predict", "--strict")[0] == 1


def test_a_prediction_as_json_is_cells_and_nothing_else(command):
    code, out, _ = command(
        "bench", "gpt2", "bert-base-uncased", "--lengths", "128,1024", "--predict", "--json"
    )
    assert code == 0
    plain = json.loads(out)
    assert [cell["state"] for cell in plain["cells"]] == ["ok", "ok", "ok", "not_applicable"]


def test_a_bench_writes_cells_table_and_report_and_says_what_comes_next(command, scripted, tmp_path):
    out_folder = tmp_path / "b"
    code, out, err = command(
        "bench", "gpt2", "bert-base-uncased", "--lengths", "128,1024", "--out", out_folder
    )
    assert code == 0, err
    assert [cell.state for cell in read_cells(out_folder / "cells.json")] == [
        "ok",
        "ok",
        "ok",
        "not_applicable",
    ]
    assert (out_folder / "cells.csv").read_text().count("\n") == 5
    assert "<html" in (out_folder / "report.html").read_text()[:300]
    assert f"scalescope recommend {out_folder} --length 1024" in out


def test_json_on_standard_output_is_clean_while_progress_goes_to_standard_error(command, scripted, tmp_path):
    _, out, err = command("bench", "gpt2", "--lengths", "128", "--out", tmp_path / "b", "--json")
    assert json.loads(out)["cells"][0]["state"] == "ok"
    assert "cells done" in err


@pytest.mark.parametrize(
    "words",
    [
        ["--kind", "decode", "--lengths", "128"],
        ["--batch", "4", "--texts", "uniform:8-60", "--batching", "padded"],
        ["--batch", "4", "--texts", "uniform:8-60", "--batching", "packed"],
        ["--task", "classification"],
        ["--head", "--dtype", "fp32,bf16", "--attention", "eager,sdpa", "--batch", "1,2", "--lengths", "64"],
    ],
    ids=" ".join,
)
def test_every_kind_of_bench_ends_with_a_report(command, scripted, tmp_path, words):
    code, _, err = command("bench", "gpt2", *words, "--out", tmp_path / "b")
    assert code == 0, err
    assert scripted.ran
    assert (tmp_path / "b" / "report.html").is_file()


def test_where_nothing_can_run_there_is_still_a_report(command, scripted, tmp_path):
    code, _, err = command("bench", "bert-base-uncased", "--lengths", "1024", "--out", tmp_path / "b")
    assert code == 0, err
    assert (tmp_path / "b" / "report.html").is_file()


def test_a_folder_with_other_files_is_left_alone(command, scripted, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    code, _, err = command("bench", "gpt2", "--out", tmp_path)
    assert code == 2
    assert "--out" in err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_cells_that_were_cut_short_are_written_anew(command, scripted, tmp_path):
    words = ("bench", "gpt2", "--lengths", "128", "--out", tmp_path / "b")
    command(*words)
    path = tmp_path / "b" / "cells.json"
    path.write_text(path.read_text()[:99])
    assert command("recommend", tmp_path / "b", "--length", "128")[0] == 2
    assert command(*words)[0] == 0
    assert len(read_cells(path)) == 1
    assert len(scripted.ran) == 1
