"""`scalescope study --vary` on trials that follow a formula: what it says where."""

from __future__ import annotations

import json

import pytest
import tiny_study

from scalescope.reports.levers import LeverContents

BUDGET = "2e11"


@pytest.fixture
def run(command, monkeypatch, tmp_path):
    text = tiny_study.write_text(tmp_path / "text")
    tiny_study.simulate(monkeypatch, noise=1e-4)

    def call(*words, vary="optimizer=adamw,muon"):
        given = ["--out", tmp_path / "out", "--budget", BUDGET, "--context", tiny_study.CONTEXT]
        return command("study", text, *given, *(["--vary", vary] if vary else []), *words)

    return call


def test_answers_first_in_words_and_ends_with_the_report(run, tmp_path):
    code, out, err = run()
    assert code == 0, err
    lines = out.splitlines()
    assert "muon" in lines[0]
    assert "**" not in out
    assert lines[-2] == f"report: {tmp_path / 'out' / 'report.html'}"
    assert any(line.startswith("2 variants, each on all of these trials") for line in err.splitlines())
    assert "3 of 3: fits and report" in err
    assert "FIT0" not in out
    code, out, err = run("--json", "--strict")
    contents = LeverContents.from_dict(json.loads(out))
    assert contents.command.endswith("--vary optimizer=adamw,muon")
    assert code == (1 if contents.findings or contents.multipliers.findings else 0)


def test_a_dry_run_prints_design_variants_and_cost_and_leaves_nothing(run, tmp_path):
    code, out, err = run("--dry-run")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("comparison design: ")
    assert [line.split()[0] for line in lines if line.startswith("  ") and " at the largest" in line] == [
        "adamw",
        "muon",
    ]
    assert lines[-2].startswith("cost: about ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("vary", "words", "message"),
    [
        ("optimiser=a,b", (), "no setting is called 'optimiser'"),
        ("optimizer=adamw", (), "one value"),
        ("optimizer", (), "does not say what to vary"),
        ("optimizer=adamw,muon", ("--design", "isoflop"), "compared on a ladder"),
        ("", ("--config", "absent.toml"), "absent.toml"),
    ],
)
def test_what_cannot_be_compared_is_one_line(run, tmp_path, vary, words, message):
    code, out, err = run(*words, vary=vary)
    assert (code, out) == (2, "")
    (told,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert message in told
    assert not (tmp_path / "out").exists()
