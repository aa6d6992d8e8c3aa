"""`scalescope corpus`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from scalescope.cli.options import AsJson, Strict

LINE_EVERY_SECONDS = 5.0
"""Time between two lines of progress."""


def corpus(
    action: Literal["build", "check", "show"],
    path: Path,
    /,
    *,
    out: Path | None = None,
    workers: int | None = None,
    as_json: AsJson = False,
    strict: Strict = False,
) -> int:
    """Build a corpus from a recipe, check one, or show what it is.

    Parameters
    ----------
    action
        What to do: build a corpus from a recipe, check every byte of one, or show what it is.
    path
        For build, the recipe, a TOML file; else the folder of a corpus.
    out
        Folder of the corpus that is built; by default the recipe's name without its ending.
    workers
        Processes that share the work; by default one for each core. The files are the same for any number.
    as_json
        Print the manifest as JSON; for build, with the record of every stage.
    strict
        Exit with 1 if there is any finding.
    """
    from scalescope.cli.output import answer
    from scalescope.errors import InputError

    if action != "build" and (out is not None or workers is not None):
        raise InputError("--out and --workers are for corpus build", hint="Leave them out.")
    if action == "build":
        return _build(path, out or path.with_suffix(""), workers, as_json=as_json, strict=strict)
    from scalescope.corpora.built import open_built

    built = open_built(path)
    text = built.summary(findings=False)
    if action == "check":
        built.check()
        text = f"{built.name}: {len(built.files)} files are what was written, byte for byte"
    return answer(
        text,
        built.to_dict(),
        as_json=as_json,
        findings=built.findings if action == "show" else (),
        strict=strict,
        next_step=f"scalescope study {path}",
    )


def _build(recipe: Path, out: Path, workers: int | None, *, as_json: bool, strict: bool) -> int:
    from scalescope.cli.output import answer
    from scalescope.corpora.building import build_corpus, read_recipe
    from scalescope.corpora.building.report import PAGE, REPORT
    from scalescope.corpora.building.workers import default_workers
    from scalescope.errors import InputError
    from scalescope.points import read_json

    if workers is not None and workers < 1:
        raise InputError(f"--workers must be at least 1, got {workers}", hint="Leave it out for all cores.")
    built = build_corpus(read_recipe(recipe), out, n_workers=workers or default_workers(), progress=_lines())
    plain = {**built.to_dict(), "report": read_json(out / REPORT)}
    return answer(
        f"{built.summary(findings=False)}\nreport: {out / PAGE}",
        plain,
        as_json=as_json,
        findings=built.findings,
        strict=strict,
        next_step=f"scalescope study {out}",
    )


def _lines() -> Callable[[str], None]:
    """Return a function that writes what it is told to standard error, now and then."""
    due = time.monotonic() + LINE_EVERY_SECONDS

    def tell(text: str) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + LINE_EVERY_SECONDS
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    return tell
