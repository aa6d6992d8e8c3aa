"""The configuration of our own trainer as TOML: what `torchrun` and SkyPilot start reads it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from scalescope.planning.emitting.job import RECIPE, Emitted, Job, Notes, head

OPTIMISERS = ("adamw", "muon", "lion", "adafactor")
"""Those that the trainer has."""
MOST_STEPS = 500
"""Between two checkpoints; a twentieth of a shorter run."""


def emit_training(job: Job) -> Emitted:
    """Write the configuration; the text to train on is to be filled in."""
    notes = Notes("training")
    lines = [
        head(job),
        'corpus = "corpus"  # what `scalescope corpus build` left, or any text',
        f'name = "{job.name}"',
        f"sequences = {job.global_batch}",
        f"steps = {job.steps}",
        f'precision = "{_precision(job, notes)}"',
        f'device = "{job.device}"',
        *_table("shape", job.shape),
        "",
        "[recipe]",
        f'optimizer = "{_optimiser(job, notes)}"',
        "",
        "[checkpoint]",
        f"every = {max(1, min(MOST_STEPS, job.steps // 20))}  # steps; the same command goes on",
    ]
    return notes.emitted(lines)


def _precision(job: Job, notes: Notes) -> str:
    if job.precision in ("bf16", "fp32"):
        return job.precision
    notes.lack(RECIPE, f"products are not computed in {job.precision} over processes; bf16 stands there.")
    return "bf16"


def _optimiser(job: Job, notes: Notes) -> str:
    if job.optimiser in OPTIMISERS:
        return job.optimiser
    notes.lack(RECIPE, f"there is no optimiser {job.optimiser!r}; AdamW stands there.")
    return "adamw"


def _table(name: str, value: Any) -> list[str]:
    """Write what is said of a dataclass, its own parts as tables after it."""
    said = {one.name: getattr(value, one.name) for one in fields(value)}
    said = {key: one for key, one in said.items() if one is not None and one != ()}
    parts = {key: one for key, one in said.items() if is_dataclass(one)}
    lines = ["", f"[{name}]"]
    lines += [f"{key} = {_value(one)}" for key, one in said.items() if key not in parts]
    for key, part in parts.items():
        lines += _table(f"{name}.{key}", part)
    return lines


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value)
