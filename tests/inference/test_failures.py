"""Failures get their names from real ones: tiny models that really fail, in processes of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from failure_examples import anatomy_with

pytest.importorskip("torch")
pytest.importorskip("transformers")

from scalescope.inference.failures import RULES, classify
from scalescope.inference.models import Model
from scalescope.inference.nursery import Nursery
from scalescope.inference.outcomes import Outcome
from scalescope.inference.requests import Limits
from scalescope.points import Workload
from scalescope.points.bench import STATES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

EASY = Limits(seconds=60)
GIB = 1 << 30


@pytest.fixture(scope="module")
def nursery():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        with Nursery(threads=1, allowed=("failure_tasks", "cell_tasks")) as one:
            yield one


def name(outcome, *, limit=None, length=16):
    model = Model(name="tiny", architecture="x", model_type="x", anatomy=anatomy_with(limit))
    return classify(outcome, model=model, workload=Workload(length=length))


TOO_LONG = {
    "bert": (600, 512),
    "distilbert": (600, 512),
    "gpt2": (1100, 1024),
    "gptj": (2060, 2048),
    "opt": (2100, 2048),
    "clip_text_model": (100, 77),
    "reformer": (70, 16),
}


@pytest.mark.parametrize("kind", TOO_LONG)
def test_a_text_longer_than_the_position_table_is_a_position_limit(nursery, kind):
    length, limit = TOO_LONG[kind]
    outcome = nursery.run("failure_tasks:call", {"type": kind, "length": length}, EASY)
    assert outcome.kind == "raised"
    state, cause = name(outcome, limit=limit, length=length)
    assert state == "position_limit"
    assert cause.startswith(f"{length} tokens, positions end at {limit}; ")


def test_a_token_outside_the_vocabulary_is_no_position_limit(nursery):
    outcome = nursery.run("failure_tasks:call", {"type": "bert", "length": 16, "token": 99_999}, EASY)
    assert (outcome.exception, outcome.message) == ("IndexError", "index out of range in self")
    assert name(outcome, limit=512) == ("api_error", "IndexError: index out of range in self")


@pytest.mark.parametrize("kind", ["t5", "pegasus", "blenderbot", "prophetnet"])
def test_an_encoder_decoder_without_decoder_input_misses_an_input(nursery, kind):
    outcome = nursery.run("failure_tasks:call", {"type": kind, "length": 8}, EASY)
    assert outcome.exception == "ValueError"
    assert name(outcome, limit=512)[0] == "missing_input"


@pytest.mark.parametrize("kind", ["bert", "gpt2", "vit"])
def test_a_call_without_any_input_misses_one(nursery, kind):
    outcome = nursery.run("failure_tasks:call", {"type": kind}, EASY)
    assert name(outcome, limit=512)[0] == "missing_input"


@pytest.mark.parametrize("attention", ["flex_attention", "sdpa", "flash_attention_2"])
def test_an_attention_that_the_class_does_not_offer_is_unsupported(nursery, attention):
    payload = {"type": "deberta", "length": 8, "attention": attention}
    outcome = nursery.run("failure_tasks:call", payload, EASY)
    assert name(outcome)[0] == "unsupported_op"


@pytest.mark.parametrize("kind", ["deberta", "fnet"])
def test_a_type_in_which_the_code_of_a_model_does_not_run_is_unsupported(nursery, kind):
    payload = {"type": kind, "length": 8, "dtype": "bfloat16"}
    outcome = nursery.run("failure_tasks:call", payload, EASY)
    state, cause = name(outcome)
    assert (state, outcome.phase) == ("unsupported_op", "call")
    assert "dtype" in cause


@pytest.mark.parametrize("task", ["unimplemented", "low_precision"])
def test_an_operation_without_a_kernel_for_the_type_is_unsupported(nursery, task):
    assert name(nursery.run(f"failure_tasks:{task}", {}, EASY))[0] == "unsupported_op"


def test_an_attention_that_nobody_knows_is_unsupported(nursery):
    outcome = nursery.run("failure_tasks:call", {"type": "bert", "attention": "flush", "length": 8}, EASY)
    assert name(outcome)[0] == "unsupported_op"


def test_torchs_allocator_refused_within_the_limit_is_out_of_memory(nursery):
    limits = Limits(seconds=60, memory_bytes=GIB)
    outcome = nursery.run("failure_tasks:allocate", {"bytes": 2 * GIB}, limits)
    state, cause = name(outcome)
    assert (state, outcome.exception) == ("allocator_oom", "RuntimeError")
    assert "can't allocate memory" in cause
    assert cause.endswith("limit 1 GiB")
    assert "RLIMIT_DATA" in outcome.evidence


def test_torchs_allocator_refused_by_the_machine_is_out_of_memory_too(nursery):
    outcome = nursery.run("failure_tasks:allocate", {"bytes": 1 << 46}, EASY)
    assert name(outcome)[0] == "allocator_oom"
    assert outcome.evidence == "allocator refused"


def test_a_process_ended_above_its_limit_is_killed_with_the_watchers_figures(nursery, tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(bytes(300 << 20))
    limits = Limits(seconds=60, memory_bytes=450 << 20)
    outcome = nursery.run("cell_tasks:touch_file", {"path": str(path), "pause": 0.005}, limits)
    state, cause = name(outcome)
    assert state == "killed"
    assert cause.startswith("watcher: ")


def test_a_kill_from_outside_is_not_called_want_of_memory(nursery):
    outcome = nursery.run("cell_tasks:signal_self", {"signal": "SIGKILL"}, EASY)
    state, cause = name(outcome)
    assert state == "killed"
    assert cause.startswith("killed by SIGKILL")


def test_a_segmentation_fault_is_killed_and_says_how(nursery):
    assert name(nursery.run("cell_tasks:segfault", {}, EASY)) == ("killed", "killed by SIGSEGV")


def test_a_call_that_takes_too_long_is_a_timeout_with_its_phase(nursery):
    outcome = nursery.run("cell_tasks:sleep", {"seconds": 60}, Limits(seconds=0.3))
    assert name(outcome) == ("timeout", "did not end within 0.3 s in phase sleeping")


def test_nan_is_nonfinite(nursery):
    outcome = nursery.run("failure_tasks:nonfinite", {}, EASY)
    assert name(outcome) == ("nonfinite", "NonFiniteError: NaN in the output")


def test_errors_of_the_libraries_own_code_are_api_errors(nursery):
    assert name(nursery.run("cell_tasks:refuse", {}, EASY))[0] == "api_error"
    assert name(nursery.run("cell_tasks:give_a_set", {}, EASY))[0] == "api_error"


def test_what_no_rule_knows_is_other_and_keeps_its_words(nursery):
    state, cause = name(nursery.run("failure_tasks:own_failure", {}, EASY))
    assert (state, cause) == ("other", "ArithmeticError: a failure that no rule knows")


def test_leaving_with_a_code_is_other_and_keeps_the_last_words(nursery):
    state, cause = name(nursery.run("cell_tasks:leave", {"code": 3}, EASY))
    assert (state, cause) == (
        "other",
        "left with exit code 3 and without a result; it said last: had enough",
    )


def test_a_size_mismatch_within_the_table_is_not_called_a_position_limit():
    outcome = Outcome(
        kind="raised",
        exception="RuntimeError",
        bases=("Exception",),
        message="The size of tensor a (12) must match the size of tensor b (16) at non-singleton dimension 1",
    )
    assert name(outcome, limit=512, length=128)[0] == "other"
    assert name(outcome, limit=512, length=513)[0] == "position_limit"


def test_a_cell_lost_with_its_parent_says_so():
    outcome = Outcome(
        kind="signal", signal="SIGKILL", message="the warm parent was killed by SIGKILL", lost=True
    )
    assert name(outcome) == ("killed", "the warm parent was killed by SIGKILL, and the cell was lost with it")


def test_a_result_is_ok_whatever_was_said_beside_it():
    assert name(Outcome(kind="done", result={}, output="Fatal Python error")) == ("ok", "")


def test_a_cause_is_one_line_of_readable_length():
    outcome = Outcome(kind="raised", exception="ValueError", message="line\n" * 300)
    _, cause = name(outcome)
    assert "\n" not in cause
    assert len(cause) <= 240


def test_every_rule_names_a_state_of_a_cell_that_was_tried():
    assert {rule.state for rule in RULES} <= set(STATES) - {
        "ok",
        "not_applicable",
        "skipped",
        "killed",
        "timeout",
    }
