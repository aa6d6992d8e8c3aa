"""How one call in a process of its own ended: all that is known, before anyone gives it a name."""

from __future__ import annotations

import hashlib
import traceback
from dataclasses import dataclass
from typing import Literal

from scalescope.executors.protocol import JSON

Ending = Literal["done", "raised", "signal", "timeout", "memory", "exit"]
"""Returned; raised; ended by a signal that is not explained further; ended by us after its time or above
its memory, or by the kernel for want of memory; left by itself without a result."""


LONGEST_MESSAGE = 2000
LONGEST_TRACEBACK = 12000
"""Characters kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one call.  Made by `Nursery.run`."""

    kind: Ending
    result: JSON | None = None
    """What the function returned; None unless done."""
    messages: tuple[JSON, ...] = ()
    """The last ones that it sent, oldest first."""
    exception: str = ""
    """Class with its module, built-in ones without."""
    bases: tuple[str, ...] = ()
    """Classes that it derives from, written alike."""
    message: str = ""
    """Of the exception, or one line on how the process ended."""
    traceback: str = ""
    """Of the exception, or the interpreter's own report of a crash."""
    traceback_digest: str = ""
    """Same for failures that came the same way, on any machine with these libraries."""
    signal: str = ""
    """Name of the signal that ended the process."""
    exit_code: int | None = None
    output: str = ""
    """End of what the process printed."""
    baseline_bytes: int | None = None
    """Resident when the function was called: interpreter and libraries."""
    peak_bytes: int | None = None
    """Most that was ever resident, baseline included, as the limit counts."""
    cpu_s: float | None = None
    """Processor seconds of the process and of those it waited for."""
    wall_s: float = 0.0
    """From the request until the process was gone."""
    free_bytes_at_start: int | None = None
    limit_bytes: int | None = None
    """Memory that it might use."""
    evidence: str = ""
    """What says that memory was the reason, or what else is known of a violent end."""
    lost: bool = False
    """Whether it ended through no doing of its own, with the process it was forked from: worth a repeat."""

    @property
    def phase(self) -> str:
        """What the last message that names a phase calls it; empty if none does."""
        return next((str(one["phase"]) for one in reversed(self.messages) if "phase" in one), "")


def describe(error: BaseException) -> JSON:
    """Return what an outcome keeps of an exception, as JSON."""
    frames = [
        f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_name}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    exception = name_class(type(error))
    text = "".join(traceback.format_exception(error))
    return {
        "exception": exception,
        "bases": [name_class(base) for base in type(error).__mro__[1:]],
        "message": f"{error} {getattr(error, 'hint', '')}".strip()[:LONGEST_MESSAGE],
        "traceback": text if len(text) <= LONGEST_TRACEBACK else f"[...]\n{text[-LONGEST_TRACEBACK:]}",
        "traceback_digest": digest_of(exception, *frames),
    }


def name_class(kind: type) -> str:
    """Name a class with its module, a built-in one without."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def digest_of(*parts: str) -> str:
    """Shorten what tells one failure from another."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
