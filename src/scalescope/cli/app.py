"""The verbs as one cyclopts application; each is imported when it is called."""

from __future__ import annotations

from typing import Any

from cyclopts import App, CycloptsError

from scalescope.cli.overview import VERBS
from scalescope.errors import InputError


def build() -> App:
    """Register every verb by its import path."""
    app = App(
        name="scalescope",
        help_flags=["--help", "-h"],
        version_flags=[],
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for verb in VERBS:
        app.command(f"scalescope.cli.{verb}:{verb}")
    return app


def run(words: list[str]) -> int:
    """Parse and run one command.

    Raises
    ------
    InputError
        If the command line is not understood.
    """
    try:
        code: Any = build()(_with_stdin(words), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise _as_input_error(error, words) from error
    return code if isinstance(code, int) else 0


def _with_stdin(words: list[str]) -> list[str]:
    """Put a lone `-` where it cannot be taken for an option: last, behind `--`."""
    if "-" not in words or "--" in words:
        return words
    return [*(word for word in words if word != "-"), "--", "-"]


def _as_input_error(error: CycloptsError, words: list[str]) -> InputError:
    cause = error.__cause__
    message, hint = str(error), ""
    if isinstance(cause, InputError):
        message, hint = str(cause), cause.hint
        if error.argument is not None:
            message = f"{error.argument.name}: {message}"
    usage = f"scalescope {words[0]} --help" if words[0] in VERBS else "scalescope --help"
    return InputError(message, hint=hint or f"{usage} shows what there is.")
