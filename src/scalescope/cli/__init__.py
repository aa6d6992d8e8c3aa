"""The command line: one thin file per verb, nothing imported before it is needed.

The first screen is written from a table, so that `scalescope --help` imports neither numpy nor the library
that reads the options.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from scalescope.errors import ScalescopeError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells use it."""
PIPE_CLOSED = 141
"""Exit code when the reader of our output went away, as shells use it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 not done or doubtful, 2 unusable input."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if sys.stderr is None:  # closed by the caller, as by 2>&-: there is nobody to tell anything
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    if sys.stdout is None:
        return _complain("standard output is closed", "Send it to a file, or to /dev/null.", 1)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except ScalescopeError as error:
        return _complain(str(error), error.hint, error.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted", "What is recorded stays; the same command goes on.", INTERRUPTED)
    except BrokenPipeError:
        _drop_output()
        return PIPE_CLOSED
    except OSError as error:
        _drop_output()
        where = f": {error.filename}" if error.filename else ""
        return _complain(f"{error.strerror or error}{where}", "Check the space and the permissions.", 1)
    return code


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in {"-h", "--help"}:
        from scalescope.cli.overview import overview

        sys.stdout.write(overview())
        return 0
    if words[0] == "--version":
        from scalescope import __version__

        sys.stdout.write(f"scalescope {__version__}\n")
        return 0
    from scalescope.cli.app import run

    return run(words)


def _complain(message: str, hint: str, code: int) -> int:
    lines = [f"error: {_one_line(message)}"] + ([f"hint: {_one_line(hint)}"] if hint else [])
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()
    except OSError:
        _drop_output()
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _drop_output() -> None:
    """Point standard output at nothing, or the interpreter complains about it again when it ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, sys.stdout.fileno())
    except (OSError, ValueError):  # not a real file, such as a test's buffer: nothing will complain
        return
    finally:
        os.close(nothing)
