from __future__ import annotations

import sqlite3
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.errors import InputError, LedgerError, RunError
from scalescope.ledgers.ledger import Ledger
from scalescope.points import Finding

IDENTITY = {"corpus": "3f2a", "design": {"kind": "isoflop", "budgets": [1e12, 3e12]}, "recipe": {"seed": 0}}


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "study", IDENTITY) as ledger:
        ledger.add_trials({"small": {"width": 32}, "large": {"width": 64}})
        yield ledger


def states(ledger):
    return {trial.key: trial.state for trial in ledger.trials()}


class TestTrials:
    def test_start_pending_in_the_order_they_were_added(self, ledger):
        assert [(trial.key, trial.state, trial.payload) for trial in ledger.trials()] == [
            ("small", "pending", {"width": 32}),
            ("large", "pending", {"width": 64}),
        ]

    def test_that_are_known_stay_as_they_are(self, ledger):
        ledger.start("small")
        assert ledger.add_trials({"small": {"width": 1}, "huge": {"width": 128}}) == ("huge",)
        assert ledger.trials()[0].payload == {"width": 32}
        assert states(ledger) == {"small": "running", "large": "pending", "huge": "pending"}

    def test_remember_when_they_ran_and_how_often(self, ledger):
        before = time.time()
        ledger.start("small")
        ledger.lose("small", "the worker was killed by SIGKILL")
        ledger.start("small")
        ledger.finish("small")
        (trial, _) = ledger.trials()
        assert (trial.state, trial.attempts, trial.cause) == ("done", 2, "")
        assert before <= trial.started <= trial.finished <= time.time()

    @pytest.mark.parametrize(("verb", "state"), [("fail", "failed"), ("lose", "lost"), ("drop", "dropped")])
    def test_that_come_to_nothing_keep_the_cause(self, ledger, verb, state):
        ledger.start("small")
        getattr(ledger, verb)("small", "loss is NaN at step 12")
        (trial,) = ledger.trials(state)
        assert (trial.key, trial.cause) == ("small", "loss is NaN at step 12")

    @pytest.mark.parametrize("verb", ["fail", "lose", "drop"])
    def test_that_are_done_stay_done(self, ledger, verb):
        ledger.start("small")
        ledger.finish("small")
        with pytest.raises(InputError, match="is done"):
            getattr(ledger, verb)("small", "late")
        assert states(ledger)["small"] == "done"

    def test_that_were_interrupted_are_pending_again(self, ledger):
        ledger.add_trials({"third": {}, "fourth": {}})
        ledger.start("small")
        ledger.lose("large", "node died")
        ledger.fail("third", "diverged")
        assert ledger.reset_interrupted() == ("small", "large")
        assert states(ledger) == {
            "small": "pending",
            "large": "pending",
            "third": "failed",
            "fourth": "pending",
        }

    def test_that_do_not_exist_are_refused_with_the_nearest_name(self, ledger):
        with pytest.raises(InputError, match="'smal'") as caught:
            ledger.start("smal")
        assert "small" in caught.value.hint
        with pytest.raises(InputError):
            ledger.record_point("smal", "p", {})


class TestPoints:
    def test_are_recorded_once_for_each_key(self, ledger):
        assert ledger.record_point("small", "small@1", {"loss": 2.5})
        assert not ledger.record_point("small", "small@1", {"loss": 9.9})
        assert [(point.key, point.trial, point.data) for point in ledger.points()] == [
            ("small@1", "small", {"loss": 2.5})
        ]

    def test_can_be_asked_for_by_trial(self, ledger):
        ledger.record_point("small", "a", {})
        ledger.record_point("large", "b", {})
        assert [point.key for point in ledger.points("large")] == ["b"]

    @given(value=st.floats(width=64))
    @settings(max_examples=20)
    def test_keep_every_float(self, tmp_path_factory, value):
        with Ledger.open(tmp_path_factory.mktemp("study")) as ledger:
            ledger.add_trials({"t": {}})
            ledger.record_point("t", "p", {"loss": value})
            assert repr(ledger.points()[0].data["loss"]) == repr(value)

    def test_have_a_curve_beside_them_that_a_new_attempt_replaces(self, ledger):
        ledger.record_curve("small", {"loss": [3.0]})
        ledger.record_curve("small", {"loss": [3.0, 2.5]})
        assert ledger.curves() == {"small": {"loss": [3.0, 2.5]}}


class TestNotes:
    def test_keep_their_order_and_time(self, ledger):
        first = ledger.note("forecast", {"loss": 1.25})
        second = ledger.note("budget", {"seconds": 600})
        assert ledger.notes() == (first, second)
        assert ledger.notes("forecast") == (first,)
        assert first.id < second.id
        assert first.created <= second.created

    def test_are_kept_apart_from_events(self, ledger):
        event = ledger.record_event("resume", {"trials": 2})
        assert ledger.events() == (event,)
        assert ledger.notes() == ()

    def test_findings_are_recorded_once(self, ledger):
        finding = Finding(code="STU009", text="The grid shrank.", hint="Give it more time.")
        ledger.record_finding(finding)
        ledger.record_finding(finding)
        assert ledger.findings() == (finding,)

    def test_values_are_stored_under_names(self, ledger):
        ledger.set_meta("machine", {"cores": 2})
        ledger.set_meta("machine", {"cores": 4})
        assert ledger.meta("machine") == {"cores": 4}
        assert ledger.meta("absent", 7) == 7


def test_an_interrupt_in_the_middle_of_a_change_undoes_it_and_the_ledger_goes_on(ledger):
    changes = ledger.meta("changes")
    with pytest.raises(KeyboardInterrupt), ledger._change() as connection:
        connection.execute("DELETE FROM trials")
        raise KeyboardInterrupt
    assert ledger.meta("changes") == changes
    assert states(ledger) == {"small": "pending", "large": "pending"}
    ledger.start("small")


class TestReopening:
    def test_finds_everything_again(self, tmp_path):
        with Ledger.open(tmp_path, IDENTITY) as ledger:
            ledger.add_trials({"t": {"width": 32}})
            ledger.start("t")
            ledger.record_point("t", "p", {"loss": 2.5})
            ledger.finish("t")
            note = ledger.note("forecast", {"loss": 1.25})
            before = (ledger.trials(), ledger.points())
        with Ledger.open(tmp_path, IDENTITY) as ledger:
            assert (ledger.trials(), ledger.points()) == before
            assert ledger.notes() == (note,)
            assert ledger.findings() == ()

    def test_accepts_the_same_study_only(self, tmp_path):
        Ledger.open(tmp_path, IDENTITY).close()
        other = IDENTITY | {"corpus": "9be1", "recipe": {"seed": 1}}
        with pytest.raises(InputError) as caught:
            Ledger.open(tmp_path, other, extend=True)
        assert 'corpus is "3f2a" there and "9be1" here' in str(caught.value)
        assert "recipe.seed is 0 there and 1 here" in str(caught.value)
        assert "--out" in caught.value.hint
        assert "--extend" not in caught.value.hint

    def test_accepts_another_design_only_to_extend(self, tmp_path):
        Ledger.open(tmp_path, IDENTITY).close()
        other = IDENTITY | {"design": {"kind": "isoflop", "budgets": [1e12, 3e12, 9e12]}}
        with pytest.raises(InputError, match=r"design\.budgets") as caught:
            Ledger.open(tmp_path, other)
        assert "--extend" in caught.value.hint
        Ledger.open(tmp_path, other, extend=True).close()
        Ledger.open(tmp_path, other).close()

    def test_can_lock_the_folder_before_the_study_is_known(self, tmp_path):
        with Ledger.open(tmp_path) as ledger:
            (tmp_path / "corpus").mkdir()
            ledger.claim(IDENTITY)
        Ledger.open(tmp_path, IDENTITY).close()

    def test_refuses_a_folder_with_other_things_and_leaves_it_alone(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("x")
        with pytest.raises(InputError, match="not empty"):
            Ledger.open(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_refuses_a_file(self, tmp_path):
        (tmp_path / "study").write_text("x")
        with pytest.raises(InputError, match="is a file"):
            Ledger.open(tmp_path / "study")

    def test_makes_no_ledger_unless_asked(self, tmp_path):
        with pytest.raises(InputError, match="holds no study"):
            Ledger.open(tmp_path / "study", create=False)
        assert not (tmp_path / "study").exists()

    def test_is_for_one_driver_at_a_time(self, tmp_path):
        with Ledger.open(tmp_path), pytest.raises(LedgerError, match="another scalescope is at work in"):
            Ledger.open(tmp_path)
        Ledger.open(tmp_path).close()

    def test_a_refused_opening_frees_the_folder(self, tmp_path):
        Ledger.open(tmp_path, IDENTITY).close()
        with pytest.raises(InputError):
            Ledger.open(tmp_path, {"corpus": "x"})
        Ledger.open(tmp_path, IDENTITY).close()

    def test_refuses_a_newer_ledger_and_leaves_it_alone(self, tmp_path):
        Ledger.open(tmp_path, IDENTITY).close()
        with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
            connection.execute("UPDATE meta SET value = '2' WHERE key = 'version'")
        connection.close()
        before = (tmp_path / "ledger.sqlite").read_bytes()
        for attempt in (Ledger.open, Ledger.read):
            with pytest.raises(LedgerError, match="newer version") as caught:
                attempt(tmp_path)
            assert "Update" in caught.value.hint
        assert (tmp_path / "ledger.sqlite").read_bytes() == before


class TestReading:
    def test_works_beside_a_driver_and_sees_what_is_committed(self, ledger):
        ledger.record_point("small", "p", {"loss": 2.5})
        with Ledger.read(ledger.folder) as snapshot:
            ledger.record_point("small", "q", {"loss": 2.4})
            assert [point.key for point in snapshot.points()] == ["p"]
            assert snapshot.meta("identity") == IDENTITY

    def test_works_after_the_driver_is_gone(self, tmp_path):
        with Ledger.open(tmp_path) as ledger:
            ledger.add_trials({"t": {}})
        with Ledger.read(tmp_path) as snapshot:
            assert [trial.key for trial in snapshot.trials()] == ["t"]
        Ledger.open(tmp_path).close()

    def test_cannot_write(self, ledger):
        with Ledger.read(ledger.folder) as snapshot, pytest.raises(RunError, match="opened for reading"):
            snapshot.start("small")

    def test_needs_a_study(self, tmp_path):
        with pytest.raises(InputError, match="holds no study"):
            Ledger.read(tmp_path)
