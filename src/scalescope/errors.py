"""Everything that scalescope raises, on one screen.

::

    ScalescopeError            has a `hint`: the next step
    ├── InputError             the caller's input is unusable      exit code 2   (also a ValueError)
    │   └── MissingExtraError  an optional library is not there    exit code 2
    └── WorkError              the work could not be done          exit code 1   (also a RuntimeError)
        ├── FitError           no optimum at all was found
        ├── RunError           a study could not go on
        └── LedgerError        a study's folder cannot be used

What was done but looks doubtful is not an error: it is a `Finding` inside the result.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class ScalescopeError(Exception):
    """Base of all our errors: a one-line message and a hint that names the next step."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(ScalescopeError, ValueError):
    """The input cannot be used; nothing was done."""

    exit_code = 2


class MissingExtraError(InputError):
    """A library of an optional extra is not installed.

    Parameters
    ----------
    library, extra
        What is missing, and the extra that has it.
    what
        What needs it, where that is not plain from what was asked.
    """

    def __init__(self, library: str, extra: str, *, what: str = "this") -> None:
        super().__init__(
            f"{what} needs {library}, which is not installed",
            hint=f"pip install 'scalescope[{extra}]'",
        )


class WorkError(ScalescopeError, RuntimeError):
    """The input was fine, but the work could not be done."""


class FitError(WorkError):
    """No start of the optimiser reached a finite objective."""


class RunError(WorkError):
    """A study could not go on; what is recorded stays."""


class LedgerError(WorkError):
    """The ledger of a study is damaged, locked, or was written by a newer version."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known names, or all of them if none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(close)}?" if close else f"Known: {', '.join(names)}."
