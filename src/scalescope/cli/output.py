"""How every command answers: the result on standard output, doubts and the next step where they belong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalescope.points import Finding


def answer(
    text: str,
    plain: Mapping[str, Any],
    *,
    as_json: bool,
    findings: Iterable[Finding] = (),
    strict: bool = False,
    next_step: str = "",
) -> int:
    """Write one result and return the exit code: 1 if it is doubtful and `strict`, else 0."""
    doubts = list(dict.fromkeys(findings))
    shown = json.dumps(plain, indent=1, allow_nan=False) if as_json else text.rstrip("\n")
    sys.stdout.write(shown + "\n")
    sys.stdout.flush()
    for finding in doubts:
        sys.stderr.write(f"finding {finding}\n")
    sys.stderr.flush()
    if next_step and not as_json:
        sys.stdout.write(f"next: {next_step}\n")
    return 1 if strict and doubts else 0
