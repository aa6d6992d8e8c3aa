"""A bench from names to cells, on an executor that follows a script."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from bench_doubles import CALIBRATION, ScriptedExecutor

from scalescope.errors import InputError, LedgerError
from scalescope.inference import asking
from scalescope.inference.bench import expect, find_models, measure
from scalescope.inference.registry import list_models
from scalescope.inference.settings import Settings
from scalescope.ledgers import Ledger

pytest.importorskip("psutil")


def settings(*models, **changed):
    return Settings(models=models, **({"lengths": (128, 1024), "memory_bytes": 8 << 30} | changed))


def run(out, asked, executor=None):
    executor = executor or ScriptedExecutor(lambda one: one.expected.state)
    return measure(asked, out=out, executor=executor, calibration=CALIBRATION), executor


def twins():
    small = [model for model in list_models() if model.anatomy.params < 5e8]
    return next((a, b) for a, b in combinations(small, 2) if a.architecture == b.architecture)


def test_an_unknown_model_is_left_out_with_a_finding_and_the_rest_goes_on(tmp_path, monkeypatch):
    find = asking.find_model
    monkeypatch.setattr(asking, "find_model", lambda name: find(name, online=False))
    cells, _ = run(tmp_path / "b", settings("gpt2", "bert-base-uncasd"))
    assert {cell.state for cell in cells} == {"ok"}
    (finding,) = (one for one in cells.findings if one.code == "BEN100")
    assert "bert-base-uncasd" in finding.text
    assert "bert-base-uncased" in finding.hint


def test_two_models_of_one_name_are_not_taken_for_one(monkeypatch):
    one, other = twins()
    models = {"a": one, "b": replace(other, name=one.name), "c": one}
    monkeypatch.setattr(asking, "find_model", models.__getitem__)
    found, findings = find_models(["a", "b", "c"])
    assert found == (one,)
    assert [finding.text for finding in findings] == [
        f"b was left out: another model of this bench is called {one.name}, too."
    ]


def test_a_length_beyond_the_position_table_is_not_tried(tmp_path):
    cells, executor = run(tmp_path / "b", settings("bert-base-uncased"))
    assert [cell.state for cell in cells] == ["ok", "not_applicable"]
    assert "512" in cells.cells[1].cause
    assert len(executor.tasks) == 1


def test_equal_architectures_are_measured_once_and_told_for_both(tmp_path):
    one, other = twins()
    cells, executor = run(tmp_path / "b", settings(one.name, other.name, lengths=(128,)))
    assert len(executor.ran) == 1
    assert [(cell.model, cell.shared_from) for cell in cells] == [(one.name, ""), (other.name, one.name)]
    assert cells.cells[1].wall_s is None


def test_a_twin_that_was_measured_by_an_earlier_command_is_not_measured_again(tmp_path):
    one, other = twins()
    run(tmp_path / "b", settings(one.name, lengths=(128,)))
    cells, executor = run(tmp_path / "b", settings(other.name, one.name, lengths=(128,)))
    assert executor.ran == []
    assert [(cell.model, cell.shared_from) for cell in cells] == [(other.name, one.name), (one.name, "")]


def test_weights_of_its_own_are_read_even_where_the_architecture_was_measured(tmp_path, monkeypatch):
    one, other = twins()
    own = replace(other, weights=tmp_path)
    monkeypatch.setattr(asking, "find_model", {"one": one, "own": own}.__getitem__)
    cells, executor = run(tmp_path / "b", settings("one", "own", lengths=(128,)))
    assert len(executor.ran) == 2
    assert [cell.shared_from for cell in cells] == ["", ""]


def test_a_configuration_that_was_edited_meanwhile_is_measured_anew(tmp_path, monkeypatch):
    before, _ = twins()
    after = replace(before, architecture="edited")
    models = {"m": before}
    monkeypatch.setattr(asking, "find_model", lambda name: models[name])
    run(tmp_path / "b", settings("m", lengths=(128,)))
    models["m"] = after
    cells, executor = run(tmp_path / "b", settings("m", lengths=(128,)))
    assert len(executor.ran) == 1
    assert [cell.architecture for cell in cells] == ["edited"]


def test_the_same_command_again_repeats_no_cell_and_loses_none(tmp_path):
    first, _ = run(tmp_path / "b", settings("gpt2", "bert-base-uncased"))
    again, executor = run(tmp_path / "b", settings("gpt2", "bert-base-uncased"))
    assert {key.split(" | ")[1] for key in executor.ran} == {"encode 1024"}  # not tried, so told anew
    assert [cell.key for cell in again] == [cell.key for cell in first]


def test_a_bench_that_was_killed_goes_on_where_it_was(tmp_path):
    class Killed(BaseException):
        pass

    def fate(asked):
        if asked.workload.length == 512:
            raise Killed
        return "ok"

    asked = settings("gpt2", lengths=(128, 512, 1024))
    with pytest.raises(Killed):
        run(tmp_path / "b", asked, ScriptedExecutor(fate))
    cells, executor = run(tmp_path / "b", asked)
    assert [key.split(" | ")[1] for key in executor.ran][-2:] == ["prefill 512", "prefill 1024"]
    assert [(cell.workload.length, cell.state) for cell in cells] == [(128, "ok"), (512, "ok"), (1024, "ok")]


def test_a_model_bigger_than_memory_is_skipped_with_both_numbers(tmp_path):
    cells, _ = run(tmp_path / "b", settings("gpt2", memory_bytes=100_000_000, lengths=(128,)))
    (cell,) = cells
    assert cell.state == "skipped"
    assert cell.expected.memory_bytes > 100_000_000
    assert "MiB" in cell.cause or "GiB" in cell.cause


def test_other_threads_make_another_bench(tmp_path):
    run(tmp_path / "b", settings("gpt2", lengths=(128,)))
    with pytest.raises(InputError, match="threads") as caught:
        run(tmp_path / "b", settings("gpt2", lengths=(128,), threads=2))
    assert caught.value.hint


def test_the_folder_of_a_study_is_refused(tmp_path):
    with Ledger.open(tmp_path / "s", {"kind": "study"}, kind="study"):
        pass
    with pytest.raises(InputError):
        run(tmp_path / "s", settings("gpt2", lengths=(128,)))


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        run(tmp_path, settings("gpt2", lengths=(128,)))


def test_two_benches_in_one_folder_do_not_meet(tmp_path):
    with Ledger.open(tmp_path / "b", kind="bench"), pytest.raises(LedgerError, match="another scalescope"):
        run(tmp_path / "b", settings("gpt2", lengths=(128,)))


def test_a_truncated_ledger_is_restored_or_refused_never_taken_for_empty(tmp_path):
    run(tmp_path / "b", settings("gpt2", lengths=(128,)))
    ledger = tmp_path / "b" / "ledger.sqlite"
    ledger.write_bytes(ledger.read_bytes()[:5000])
    cells, _ = run(tmp_path / "b", settings("gpt2", lengths=(128,)))
    assert [cell.state for cell in cells] == ["ok"]
    assert "STU001" in {finding.code for finding in cells.findings}


def test_a_prediction_has_every_cell_and_no_figures():
    cells = expect(settings("gpt2", "bert-base-uncased"), calibration=CALIBRATION)
    assert [cell.state for cell in cells] == ["ok", "ok", "ok", "not_applicable"]
    assert all(cell.timing is None and cell.expected.state == cell.state for cell in cells)
