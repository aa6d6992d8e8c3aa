from __future__ import annotations

import pytest

from scalescope.errors import InputError
from scalescope.executors.calls import ALLOWED, LONGEST_CAUSE, call, check_function, one_line

TASKS = ("executor_tasks.",)


def outcome(function, payload, allowed=TASKS):
    sent = []
    call(function, payload, allowed=allowed, send=lambda kind, data: sent.append((kind, data)))
    return sent


def test_a_call_tells_its_start_its_messages_and_its_result():
    assert outcome("executor_tasks:square", {"x": 3}) == [
        ("started", {}),
        ("message", {"half": 1.5}),
        ("done", {"square": 9}),
    ]


def test_a_function_that_returns_nothing_is_done_with_an_empty_result():
    assert outcome("executor_tasks:nothing", {})[-1] == ("done", {})


def test_results_arrive_as_json_gives_them_back():
    assert outcome("executor_tasks:tuples", {})[-1] == ("done", {"pair": [1, 2.5]})


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        ("refuse", "InputError: the width is odd"),
        ("leave", "SystemExit: 3"),
        ("give_a_set", "TypeError: Object of type set is not JSON serializable"),
        ("absent", "InputError: executor_tasks has no function 'absent'"),
    ],
)
def test_whatever_a_function_raises_becomes_a_cause_of_one_line(function, cause):
    kind, data = outcome(f"executor_tasks:{function}", {})[-1]
    assert kind == "failed"
    assert data["cause"] == cause
    assert "Traceback" in data["traceback"]


def test_a_worker_calls_nothing_outside_the_allowed_prefixes():
    kind, data = outcome("os:getpid", {})[-1]
    assert kind == "failed"
    assert "workers may not call 'os:getpid'" in data["cause"]


@pytest.mark.parametrize("function", ["scalescope.cost.shape:Shape", "scalescope:study"])
def test_our_own_functions_are_allowed(function):
    check_function(function, ALLOWED)


@pytest.mark.parametrize(
    "function", ["scalescopes.x:y", "os:system", "scalescope.cost", ":y", "scalescope.x:"]
)
def test_other_paths_are_refused(function):
    with pytest.raises(InputError):
        check_function(function, ALLOWED)


def test_a_long_cause_is_cut():
    assert len(one_line(ValueError("x" * 10_000))) == LONGEST_CAUSE


def test_an_error_without_a_message_is_its_name():
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"
