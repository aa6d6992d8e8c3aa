"""The targets by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scalescope.errors import InputError, nearest
from scalescope.planning.emitting.job import Emitted, Job
from scalescope.planning.emitting.megatron import emit_megatron
from scalescope.planning.emitting.skypilot import emit_skypilot
from scalescope.planning.emitting.torchrun import emit_torchrun
from scalescope.planning.emitting.torchtitan import emit_torchtitan
from scalescope.planning.emitting.training import emit_training

TARGETS: Mapping[str, Callable[[Job], Emitted]] = {
    "torchrun": emit_torchrun,
    "training": emit_training,
    "torchtitan": emit_torchtitan,
    "megatron": emit_megatron,
    "skypilot": emit_skypilot,
}
"""Name to what writes it, in the order of `planning.decision.Decision.commands`."""


def emit(job: Job, target: str) -> Emitted:
    """Write what starts a job under one program.

    Parameters
    ----------
    job
        What is trained, and how it is spread.
    target
        A key of `TARGETS`.

    Raises
    ------
    InputError
        If the target is unknown.
    """
    if target not in TARGETS:
        raise InputError(f"no target is called {target!r}", hint=nearest(target, TARGETS))
    return TARGETS[target](job)


def emit_all(job: Job) -> dict[str, Emitted]:
    """Write a job for every target."""
    return {name: write(job) for name, write in TARGETS.items()}
