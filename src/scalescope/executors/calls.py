"""Calling a task's function by its dotted path, the same way in every engine.

Whatever a worker is told to call must lie under an allowed prefix, so that a line on a pipe or on the
network can only name work that was meant to be run there.
"""

from __future__ import annotations

import importlib
import json
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from scalescope.errors import InputError
from scalescope.executors.protocol import JSON, Task

ALLOWED: tuple[str, ...] = ("scalescope.",)
"""Prefixes of the dotted paths that a worker calls unless the executor was given others."""

LONGEST_CAUSE = 500
"""Characters that a cause keeps; the full text is in the traceback."""

Kind = Literal["started", "message", "done", "failed"]


class Emit(Protocol):
    """What a task's function calls to send a message while it runs."""

    def __call__(self, message: JSON) -> None:
        """Send one message to the driver."""
        ...


class Send(Protocol):
    """What carries one event of a task from the worker to the driver."""

    def __call__(self, kind: Kind, data: JSON) -> None:
        """Send one event."""
        ...


def check_function(function: str, allowed: Sequence[str]) -> None:
    """Refuse a function that workers would not call.

    Raises
    ------
    InputError
        If it is not written `package.module:function` or lies under no allowed prefix.
    """
    module, colon, name = function.partition(":")
    if not (module and colon and name):
        raise InputError(
            f"{function!r} is not a function's path", hint="Write it as package.module:function."
        )
    if not any(module.startswith(prefix) or f"{module}." == prefix for prefix in allowed):
        raise InputError(
            f"workers may not call {function!r}",
            hint=f"Allowed are functions under {' and '.join(allowed)}",
        )


def check_payload(task: Task) -> None:
    """Refuse a task that cannot be written down.

    Raises
    ------
    InputError
        If its payload is not JSON.
    """
    try:
        json.dumps(task.payload)
    except (TypeError, ValueError) as error:
        raise InputError(f"the payload of {task.key!r} is not JSON: {error}") from None


def call(function: str, payload: JSON, *, allowed: Sequence[str], send: Send) -> None:
    """Run a task's function and send what becomes of it, never raising.

    Parameters
    ----------
    function
        `package.module:function`.
    payload
        What the function is given.
    allowed
        Prefixes of the paths that may be called.
    send
        Carries `started`, every message, and then one of `done` and `failed`.
    """
    send("started", {})
    try:
        result = _resolve(function, allowed)(payload, lambda message: send("message", _plain(message)))
        outcome = _plain({} if result is None else result)
    except BaseException as error:  # SystemExit too: a task must not end its worker unheard
        send("failed", {"cause": one_line(error), "traceback": traceback.format_exc()})
    else:
        send("done", outcome)


def one_line(error: BaseException) -> str:
    """Return `TypeName: message` in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:LONGEST_CAUSE].rstrip(": ")


def _resolve(function: str, allowed: Sequence[str]) -> Callable[[JSON, Emit], Any]:
    check_function(function, allowed)
    module, _, name = function.partition(":")
    found = getattr(importlib.import_module(module), name, None)
    if not callable(found):
        raise InputError(f"{module} has no function {name!r}")
    checked: Callable[[JSON, Emit], Any] = found
    return checked


def _plain(value: Any) -> JSON:
    """Return `value` as JSON gives it back, so that every engine delivers the same."""
    if not isinstance(value, dict):
        raise TypeError(f"a task sends JSON objects, not {type(value).__name__}")
    plain: JSON = json.loads(json.dumps(value))
    return plain
