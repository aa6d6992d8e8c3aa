"""What `scalescope plan --out` leaves: the page, the decision as JSON, and files that start the run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from scalescope.errors import InputError
from scalescope.points.files import replacing

if TYPE_CHECKING:
    from scalescope.planning.decision import Decision

NAMES: Mapping[str, str] = {
    "torchrun": "torchrun.sh",
    "training": "training.toml",
    "torchtitan": "torchtitan.toml",
    "megatron": "megatron.sh",
    "skypilot": "skypilot.yaml",
}
"""Program to the name of its file."""


def make_folder(folder: Path) -> None:
    """Make the folder of `--out` before anything is computed for it.

    Raises
    ------
    InputError
        If the operating system refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror}", hint="Give another --out.") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder} cannot be written to", hint="Give another --out.")


def write_decision(decision: Decision, folder: Path) -> Path:
    """Write all files into a folder that there is, and return the page."""
    from scalescope.reports import plan_page

    for program, text in decision.commands.items():
        with replacing(folder / NAMES[program]) as part:
            part.write_text(text, encoding="utf-8")
    return plan_page(decision, folder / "plan.html")
