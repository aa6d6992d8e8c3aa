from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from scalescope.cli.options import FitOptions, parse_columns
from scalescope.errors import InputError
from scalescope.fitting import Fit
from scalescope.planning import MODELS, Diagnosis, Forecast, Plan

QUICK = ("--resamples", "40")


def last(text):
    return text.rstrip("\n").splitlines()[-1]


class TestFit:
    def test_it_prints_the_law_and_the_next_step(self, command, table):
        code, out, _ = command("fit", table, *QUICK)
        assert code == 0
        assert "L(N, D) = E + A/N^alpha + B/D^beta" in out
        assert last(out) == f"next: scalescope plan {table} --resamples 40"

    def test_json_is_the_whole_fit_and_nothing_else(self, command, table):
        code, out, _ = command("fit", table, *QUICK, "--json")
        fit = Fit.from_dict(json.loads(out))
        assert code == 0
        assert fit.n_runs == 20
        assert fit.coefficients["alpha"].value == pytest.approx(0.35, abs=0.05)

    def test_the_output_file_holds_what_json_prints(self, command, table, tmp_path):
        _, out, _ = command("fit", table, *QUICK, "--json", "--output", tmp_path / "fit.json")
        assert json.loads((tmp_path / "fit.json").read_text()) == json.loads(out)

    def test_the_law_is_chosen_by_name(self, command, table):
        _, out, _ = command("fit", table, *QUICK, "--law", "kaplan", "--json")
        assert json.loads(out)["law"] == "kaplan"

    def test_standard_input_is_read(self, command, table, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(table).read_bytes())))
        code, out, _ = command("fit", "-", *QUICK, "--json")
        assert code == 0
        assert json.loads(out)["n_runs"] == 20

    def test_columns_are_mapped(self, command, table, tmp_path):
        header, body = Path(table).read_text().split("\n", 1)
        assert header == "params,tokens,loss,compute"
        path = tmp_path / "other.csv"
        path.write_text("big,toks,L2,fl\n" + body)
        words = ("--columns", "big=params,toks=tokens", "--columns", "L2=loss")
        code, out, _ = command("fit", path, *QUICK, *words, "--json")
        assert code == 0
        assert json.loads(out)["n_runs"] == 20

    def test_the_folder_of_a_study_is_read(self, command, table, tmp_path):
        assert command("fit", tmp_path, *QUICK)[0] == 0

    def test_findings_go_to_standard_error_and_strict_makes_them_count(self, command, table, tmp_path):
        (tmp_path / "alias.csv").write_text(Path(table).read_text().replace("params,", "N,"))
        code, out, err = command("fit", tmp_path / "alias.csv", *QUICK)
        assert code == 0
        assert "finding RUN001" in err
        assert "RUN001" not in out
        assert command("fit", tmp_path / "alias.csv", *QUICK, "--strict")[0] == 1


class TestForecast:
    def test_it_forecasts_from_a_table(self, command, table):
        code, out, _ = command("forecast", table, *QUICK, "--params", "7B", "--tokens", "140B", "--json")
        result = Forecast.from_dict(json.loads(out))
        assert code == 0
        assert result.loss.low < result.loss.value < result.loss.high
        assert result.compute == pytest.approx(6 * 7e9 * 140e9)

    def test_it_forecasts_from_a_saved_fit(self, command, table, tmp_path):
        command("fit", table, *QUICK, "--output", tmp_path / "fit.json")
        code, out, _ = command("forecast", tmp_path / "fit.json", "--params", "7B", "--compute", "5.88e21")
        assert code == 0
        assert "140B tokens" in out
        assert last(out).startswith("next: scalescope plan")

    def test_options_of_a_fit_need_runs(self, command, table, tmp_path):
        command("fit", table, *QUICK, "--output", tmp_path / "fit.json")
        code, _, err = command(
            "forecast", tmp_path / "fit.json", "--params", "7B", "--tokens", "1T", "--law", "kaplan"
        )
        assert code == 2
        assert "is a fit already" in err


class TestPlan:
    def test_budgets_default_to_tenfolds_of_what_was_spent(self, command, table, runs):
        _, out, _ = command("plan", table, *QUICK, "--json")
        plan = Plan.from_dict(json.loads(out))
        spent = runs.compute.sum()
        assert [one.compute for one in plan.allocations] == pytest.approx(
            [10 * spent, 100 * spent, 1000 * spent]
        )

    def test_budgets_may_be_repeated(self, command, table):
        _, out, _ = command("plan", table, *QUICK, "--budget", "1e21", "--budget", "3e22 FLOP", "--json")
        assert [one["compute"] for one in json.loads(out)["allocations"]] == [1e21, 3e22]

    def test_the_next_step_can_be_typed(self, command, table):
        _, out, _ = command("plan", table, *QUICK, "--budget", "1e21")
        words = last(out).removeprefix("next: scalescope ").split()
        assert command(*words)[0] == 0


class TestDiagnose:
    def test_a_built_in_model_is_judged(self, command):
        code, out, _ = command("diagnose", "--model", "gpt-3", "--json")
        assert code == 0
        assert Diagnosis.from_dict(json.loads(out)).verdict == "under-trained"

    def test_any_model_is_judged_by_its_numbers(self, command):
        _, out, _ = command("diagnose", "--params", "8B", "--tokens", "15T", "--json")
        assert json.loads(out)["verdict"] == "over-trained"

    def test_without_a_model_all_are_judged(self, command):
        code, out, _ = command("diagnose", "--json")
        assert code == 0
        assert [one["model"] for one in json.loads(out)["diagnoses"]] == list(MODELS)
        assert all(name in command("diagnose")[1] for name in MODELS)

    def test_a_fit_of_one_s_own_may_judge(self, command, table, tmp_path):
        command("fit", table, *QUICK, "--output", tmp_path / "fit.json")
        code, out, _ = command("diagnose", "--model", "gpt-3", "--law", tmp_path / "fit.json")
        assert code == 0
        assert "gpt-3" in out


def test_column_mappings_are_read_from_the_last_equals_sign():
    assert parse_columns(["a=b=params, Model Size=tokens", "l=loss"]) == {
        "a=b": "params",
        "Model Size": "tokens",
        "l": "loss",
    }


@pytest.mark.parametrize("piece", ["size", "=params", "size="])
def test_a_mapping_without_two_sides_is_refused(piece):
    with pytest.raises(InputError, match="does not map a column"):
        parse_columns([piece])


def test_the_default_options_are_those_of_the_library():
    import inspect

    from scalescope.fitting import fit

    defaults = {name: value.default for name, value in inspect.signature(fit).parameters.items()}
    options = FitOptions()
    assert (options.resamples, options.level, options.seed) == tuple(
        defaults[name] for name in ("resamples", "level", "seed")
    )
