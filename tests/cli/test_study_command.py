"""`scalescope study` on trials that follow a formula: what it says where, and how it goes on."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import pytest
import tiny_study

from scalescope.cli import main
from scalescope.cli.progress import LINE_EVERY_SECONDS, PHASES, Lines, counts, line, showing
from scalescope.points import read_json
from scalescope.reports import Contents
from scalescope.workflow import Progress

STATE = Progress(
    phase="grid",
    n_done=17,
    n_left=10,
    share_done=0.628,
    seconds_left=247.0,
    estimate="N* ~ C^0.49",
    last="d32-L2-s0 at 1.2M tokens: loss 2.345",
)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return tiny_study.write_text(tmp_path_factory.mktemp("text"))


@pytest.fixture
def simulated(monkeypatch):
    return tiny_study.simulate(monkeypatch)


@pytest.fixture
def run(command, simulated, text, tmp_path):
    """Run the command on the text; returns its exit code and what it wrote."""

    def call(*words, budget=tiny_study.BUDGET):
        given = ["--out", tmp_path / "out", "--budget", budget, "--context", tiny_study.CONTEXT]
        return command("study", text, *given, *words)

    return call


@pytest.fixture(scope="module")
def finished(text, tmp_path_factory):
    """A study that was made: its folder, and the exit code and the texts of its command."""
    out = tmp_path_factory.mktemp("finished") / "out"
    told, complained = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(told), redirect_stderr(complained):
        tiny_study.simulate(patch)
        code = main(["study", str(text), "--out", str(out), *tiny_study.OPTIONS])
    return out, code, told.getvalue(), complained.getvalue()


class TestAnswer:
    def test_comes_with_the_held_out_rung_the_report_and_the_next_step(self, finished):
        folder, code, out, err = finished
        assert code == 0, err
        lines = out.splitlines()
        assert lines[0].startswith("For 10x the compute spent")
        assert any("was forecast at" in told and "and measured" in told for told in lines)
        assert lines[-2] == f"report: {folder / 'report.html'}"
        assert lines[-1].startswith("next: ")
        assert "**" not in out
        assert (folder / "report.html").read_text().lower().startswith("<!doctype html>")

    def test_leaves_the_ledger_the_runs_the_fit_and_the_plan(self, finished):
        names = {path.name for path in finished[0].iterdir()}
        wanted = {"ledger.sqlite", "runs.csv", "runs.json", "fit.json", "plan.json", "report.html", "corpus"}
        assert wanted <= names

    def test_as_json_is_all_that_the_report_shows(self, run, tmp_path):
        code, out, _ = run("--json")
        assert code == 0
        contents = Contents.from_dict(json.loads(out))
        assert contents.command.startswith("scalescope study")
        assert out.startswith("{")
        assert json.loads(out) == read_json(tmp_path / "out" / "report.json")

    def test_that_is_doubtful_fails_only_for_the_strict(self, run, finished):
        assert "finding " in finished[3]
        assert finished[1] == 0
        assert run("--strict")[0] == 1

    def test_prints_the_design_before_it_runs_and_progress_on_standard_error(self, finished):
        _, _, out, err = finished
        told = err.splitlines()
        design = next(index for index, words in enumerate(told) if words.startswith("isoflop design: "))
        phases = [index for index, words in enumerate(told) if words.startswith("2 of 4: grid, 0%")]
        assert phases
        assert design < phases[0]
        assert any(words.startswith("cost: about ") for words in told)
        assert "of 4" not in out
        assert "\x1b" not in err


class TestAgain:
    def test_goes_straight_to_the_report(self, finished, simulated, command, text):
        code, out, _ = command("study", text, "--out", finished[0], *tiny_study.OPTIONS)
        assert (code, out) == (0, finished[2])
        assert simulated.started == []

    def test_after_an_interrupt_goes_on(self, run, simulated):
        simulated.stop_after = 9
        code, out, err = run()
        assert (code, out) == (130, "")
        assert err.splitlines()[-2:] == [
            "error: interrupted",
            "hint: What is recorded stays; the same command goes on.",
        ]
        simulated.stop_after = None
        n_points = simulated.n_points
        assert n_points == 9
        code, out, _ = run()
        assert code == 0
        assert "report: " in out

    def test_with_another_budget_is_refused_unless_it_may_extend(self, run, tmp_path):
        assert run()[0] == 0
        first = read_json(tmp_path / "out" / "report.json")
        code, out, err = run(budget="1.5e11")
        assert (code, out) == (2, "")
        assert "holds another study" in err
        assert "--extend" in err
        code, out, err = run("--extend", budget="1.5e11")
        assert code == 0, err
        second = read_json(tmp_path / "out" / "report.json")
        before, after = (set(map(tuple, rows_of(each))) for each in (first, second))
        assert before < after
        fitted = [row for row in after if not row[-1]]
        assert second["fits"]["chinchilla"]["n_runs"] == len(fitted) > first["fits"]["chinchilla"]["n_runs"]
        assert {forecast["tokens"] for forecast in second["forecasts"]} > {
            forecast["tokens"] for forecast in first["forecasts"]
        }
        assert second["forecasts"][0]["tokens"] not in {one["tokens"] for one in first["forecasts"]}

    def test_with_another_text_is_refused(self, finished, simulated, command, tmp_path):
        other = tiny_study.write_text(tmp_path / "other", seed=1)
        code, _, err = command("study", other, "--out", finished[0], *tiny_study.OPTIONS)
        assert code == 2
        assert "hint: " in err


def rows_of(report):
    columns = report["runs"]["columns"]
    names = ("params", "tokens", "seed", "loss", "held_out")
    return list(zip(*(columns[name] for name in names), strict=True))


class TestDryRun:
    def test_prints_the_design_and_its_cost_and_leaves_nothing(self, run, simulated, tmp_path):
        code, out, err = run("--dry-run")
        assert code == 0, err
        lines = out.splitlines()
        assert lines[0].startswith("isoflop design: ")
        assert any(told.startswith("cost: about ") for told in lines)
        assert lines[-1].startswith("next: ")
        assert not (tmp_path / "out").exists()
        assert simulated.trained == []

    def test_as_json_is_the_design(self, run):
        plain = json.loads(run("--dry-run", "--json")[1])
        assert plain["schema"] == "scalescope.design/1"
        assert plain["cost"].startswith("cost: about ")

    def test_of_a_ladder(self, run):
        assert run("--dry-run", "--design", "ladder", budget="1e12")[1].startswith("ladder design: ")

    def test_with_a_budget_that_is_too_small_names_the_smallest(self, run):
        code, out, err = run("--dry-run", budget="1e9")
        assert (code, out) == (2, "")
        assert "the smallest that works is about" in err


class TestNext:
    def test_ranks_the_cheap_runs(self, finished, command):
        code, out, err = command("study", "--next", "--out", finished[0])
        assert code == 0, err
        lines = out.splitlines()
        assert lines[0].startswith("1. ")
        assert all("would narrow the interval" in told for told in lines)

    def test_as_json_is_a_list_of_runs(self, finished, command):
        plain = json.loads(command("study", "--next", "--json", "--out", finished[0])[1])
        assert plain["schema"] == "scalescope.next-runs/1"
        assert plain["runs"]
        assert {one["schema"] for one in plain["runs"]} == {"scalescope.next-run/1"}

    def test_needs_a_finished_study(self, run, simulated, command, tmp_path):
        code, _, err = command("study", "--next", "--out", tmp_path / "out")
        assert code == 2
        assert "holds no study" in err
        simulated.stop_after = 9
        run()
        code, _, err = command("study", "--next", "--out", tmp_path / "out")
        assert code == 2
        assert "finish" in err

    def test_is_for_one_target(self, command, tmp_path):
        words = ["--target", "1e20", "--target", "1e21", "--out", tmp_path]
        assert command("study", "--next", *words)[0] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--budget", "10"], "neither a duration nor a compute"),
        (["--budget", "soon"], "is not a budget"),
        (["--target", "much"], "much"),
        (["--design", "spiral"], "spiral"),
        (["--context", "0"], "context must be at least 1"),
        (["--tokenizer", "absent.json"], "absent.json"),
        (["--executor", "local", "--address", "here:1"], "an address needs the engine ray"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line(command, text, tmp_path, words, message):
    code, out, err = command("study", text, "--out", tmp_path / "out", *words)
    assert (code, out) == (2, "")
    told = [each for each in err.splitlines() if each.startswith("error: ")]
    assert len(told) == 1
    assert message in told[0]


class Terminal(io.StringIO):
    def isatty(self):
        return True


class TestScreen:
    @pytest.fixture
    def terminal(self, monkeypatch):
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "110")
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)
        return Terminal()

    def test_shows_phase_share_counts_estimate_and_the_last_event(self, terminal):
        with showing(terminal) as watch:
            watch(STATE)
            watch._console.print(watch.render())
        shown = terminal.getvalue()
        for words in ("2 of 4: grid", "63%", "17 points done, 10 left", "about 4 min", "C^0.49", "d32-L2-s0"):
            assert words in shown

    def test_begins_before_anything_is_known(self, terminal):
        with showing(terminal) as watch:
            watch._console.print(watch.render())
        assert PHASES[""] in terminal.getvalue()

    def test_keeps_a_notice_and_nothing_else(self, terminal):
        with showing(terminal) as watch:
            watch(Progress(phase="grid", notice="isoflop design: [9] trials"))
            watch(STATE)
        assert "isoflop design: [9] trials" in terminal.getvalue()

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
    def test_gives_the_cursor_back_however_it_ends(self, terminal, error):
        with pytest.raises(error), showing(terminal) as watch:
            watch(STATE)
            raise error
        shown = terminal.getvalue()
        assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
        assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")

    def test_fits_a_narrow_terminal(self, terminal, monkeypatch):
        monkeypatch.setenv("COLUMNS", "40")
        with showing(terminal) as watch:
            watch(STATE)
            rows = watch._console.render_lines(watch.render())
        assert len(rows) <= 6
        assert all(sum(segment.cell_length for segment in row) <= 40 for row in rows)

    def test_a_dumb_terminal_gets_lines(self, terminal, monkeypatch):
        monkeypatch.setenv("TERM", "dumb")
        with showing(terminal) as watch:
            watch(STATE)
        assert terminal.getvalue() == line(STATE) + "\n"


class TestLines:
    def test_come_at_the_start_of_a_phase_and_then_every_few_seconds(self, monkeypatch):
        now = [100.0]
        monkeypatch.setattr("scalescope.cli.progress.time.monotonic", lambda: now[0])
        stream = io.StringIO()
        lines = Lines(stream)
        for _ in range(60):
            lines(STATE)
            now[0] += 0.5
        assert len(stream.getvalue().splitlines()) == 30 / LINE_EVERY_SECONDS
        lines(Progress(phase="held-out"))
        assert stream.getvalue().splitlines()[-1].startswith("3 of 4: held-out rung, 0%")

    def test_say_all_there_is_in_one_line(self):
        assert line(STATE) == (
            "2 of 4: grid, 63%; 17 points done, 10 left, about 4 min 10 s to go; N* ~ C^0.49; "
            "d32-L2-s0 at 1.2M tokens: loss 2.345"
        )
        assert line(Progress(phase="report")) == "4 of 4: fits and report"

    def test_without_a_forecast_of_the_time_say_none(self):
        assert counts(Progress(phase="grid", n_done=1, n_left=2)) == "1 point done, 2 left"
