"""Checkpoints of one process: a run may end anywhere and go on as if it had not.

A run's folder has one folder a checkpoint, `step-000000120`, and keeps the last two. Each holds
`weights.safetensors` (see `weights`), `state.safetensors` (what the optimisers remember and the state of
torch's generator) and `checkpoint.json`, which is written last and has the SHA-256 of the others and of
itself. It is written under another name and renamed, so that there is never half of one; one that was damaged
later is named and refused, and the one before is used. Batches need no state: a sequence follows from its
number.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from scalescope.errors import InputError, RunError
from scalescope.executors.cache import digest_file
from scalescope.points import Finding
from scalescope.training.sealed import (
    DAMAGED,
    KEPT,
    MANIFEST,
    found_in,
    part_of,
    passed_over,
    place_of,
    put_in_place,
    read_sealed,
    sync,
    write_sealed,
)
from scalescope.training.trees import join_tree, split_tree
from scalescope.training.weights import About, load_weights, put_weights, save_weights, weights_of

__all__ = ["DAMAGED", "KEPT", "MANIFEST", "Checkpoint", "Resumable", "load_checkpoint", "save_checkpoint"]

WEIGHTS, STATE = "weights.safetensors", "state.safetensors"


class Resumable(Protocol):
    """What can be saved: an engine of one process."""

    @property
    def model(self) -> nn.Module:
        """Its parameters have the names of the checkpoint."""
        ...

    def snapshot(self) -> Any:
        """Return the list of all weights, and after it trees of what else there is."""
        ...

    def restore(self, kept: Any) -> None:
        """Go back to a snapshot."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A run at one step."""

    schema: ClassVar[str] = "scalescope.checkpoint/1"

    step: int
    """Optimiser steps done."""
    sequences: int
    """Number of the next training sequence."""
    about: About
    weights: Mapping[str, Tensor]
    state: Any
    """The rest of the engine's snapshot."""
    generator: Tensor
    """State of torch's random numbers."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What else its writer wants back: recipe, curve; JSON."""
    findings: tuple[Finding, ...] = ()
    """Newer checkpoints that were passed over."""

    def put(self, engine: Resumable) -> None:
        """Bring an engine of the same shape and recipe to this step, and torch's random numbers too."""
        put_weights(engine.model, self.weights, f"the checkpoint of step {self.step}")
        weights, *_ = engine.snapshot()
        engine.restore((weights, *self.state))
        torch.set_rng_state(self.generator)


def save_checkpoint(
    folder: Path,
    engine: Resumable,
    *,
    about: About,
    step: int,
    sequences: int,
    notes: Mapping[str, Any] | None = None,
) -> Path:
    """Write a checkpoint and remove those before the last two.

    Parameters
    ----------
    folder
        Of the run; made where it is not there.
    engine
        Its weights and the state of its optimisers are taken.
    about
        What is trained, on what.
    step, sequences
        Where the run stands; see `Checkpoint`.
    notes
        JSON-ready values to have back.

    Raises
    ------
    RunError
        If it cannot be written; those before are still there.
    """
    place = place_of(folder, step)
    part = part_of(place)
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _write(part, engine, about, {"step": step, "sequences": sequences, "notes": dict(notes or {})})
        put_in_place(part, place)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise RunError(
            f"cannot write the checkpoint {place}: {error.strerror or error}",
            hint="Free some space, or keep checkpoints elsewhere.",
        ) from None
    return place


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest whole checkpoint of a run; None where none was ever written.

    One that is damaged is passed over and named in `findings`.

    Raises
    ------
    RunError
        If there are some and none is whole.
    """
    causes: list[tuple[str, str]] = []
    for place in found_in(folder):
        try:
            return _read(place, tuple(passed_over(causes, place)))
        except (InputError, OSError, ValueError, KeyError, TypeError) as error:
            causes.append((place.name, " ".join(str(error).split())[:200]))
    if causes:
        told = "; ".join(f"{name}: {cause}" for name, cause in causes)
        raise RunError(
            f"no checkpoint in {folder} is whole ({told})", hint="Remove the folder to begin anew."
        )
    return None


def _write(place: Path, engine: Resumable, about: About, plain: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    _, *state = engine.snapshot()
    save_weights(place / WEIGHTS, weights_of(engine.model), about)
    tree, tensors = split_tree({"state": tuple(state), "generator": torch.get_rng_state()}, "run")
    save_file(tensors, place / STATE)
    files = {name: digest_file(place / name) for name in (WEIGHTS, STATE)}
    for name in files:
        sync(place / name)
    write_sealed(place / MANIFEST, {"schema": Checkpoint.schema, **plain, "files": files, "tree": tree})
    sync(place)


def _read(place: Path, findings: tuple[Finding, ...]) -> Checkpoint:
    from safetensors.torch import load_file

    data = read_sealed(place / MANIFEST, Checkpoint.schema)
    for name, written in data["files"].items():
        if digest_file(place / name) != written:
            raise ValueError(f"{name} is not what was written")
    weights, about = load_weights(place / WEIGHTS)
    tree = join_tree(data["tree"], load_file(place / STATE))
    return Checkpoint(
        step=data["step"],
        sequences=data["sequences"],
        about=about,
        weights=weights,
        state=tree["state"],
        generator=tree["generator"],
        notes=data["notes"],
        findings=findings,
    )
