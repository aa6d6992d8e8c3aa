"""Checkpoints of a run over many processes, that any other layout, and one process, can go on from.

A checkpoint is a folder `step-000000500` with a safetensors file a rank, each with the parts that the rank
wrote (see `parts`), and `checkpoint.json`: where the run stands, whose it is, the size and SHA-256 of every
file, and which part of which tensor is in it. Loading is slicing: a rank reads from the files what lies in
its own parts, whatever cut them before. torch's own distributed checkpoints keep their plan as a pickle, and
their safetensors form leaves names and parts of what optimisers remember to the caller.

The folder must be one that all ranks see. Batches need no state, nor do random numbers: a sequence follows
from its number, and nothing is drawn once a run has begun.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import torch
import torch.distributed as dist
from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.errors import InputError, MissingExtraError, RunError
from scalescope.executors.cache import digest_file
from scalescope.points import Finding
from scalescope.training.distributed.assembling import Files, fill, fill_optimizer
from scalescope.training.distributed.parts import (
    WEIGHTS,
    Part,
    from_plain,
    held_by,
    local,
    part_of,
    shapes_of,
    to_plain,
    told_by_all,
    writers,
)
from scalescope.training.sealed import (
    MANIFEST,
    found_in,
    passed_over,
    place_of,
    put_in_place,
    read_sealed,
    sync,
    write_sealed,
)
from scalescope.training.sealed import part_of as unfinished
from scalescope.training.weights import About, weights_of

SCHEMA = "scalescope.checkpoint.parts/1"
HOST = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a run stands, and whose it is."""

    step: int
    """Optimiser steps done."""
    sequences: int
    """Number of the next training sequence."""
    about: About
    """Shape, tokens so far, text and tokenizer."""
    optimizer: str
    layout: str = ""
    """That it was written under; another may go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A checkpoint on the disk whose files are what was written.  Built by `newest` and `opened`."""

    schema: ClassVar[str] = SCHEMA

    place: Path
    position: Position
    shapes: Mapping[str, tuple[int, ...]]
    """Of whole tensors, by kind and name."""
    parts: Mapping[str, tuple[tuple[str, Part], ...]]
    """File and part, by kind and name."""
    findings: tuple[Finding, ...] = field(default=())
    """Newer checkpoints that were passed over."""

    def check(self, position: Position) -> None:
        """Refuse to go on with another run.

        Raises
        ------
        InputError
            If shape, optimiser or text are others.
        """
        had, has = self.position, position
        changes = [
            *_changes(had.about.shape, has.about.shape),
            *_changed("optimizer", had.optimizer, has.optimizer),
            *_changed("text", had.about.corpus_digest[:8], has.about.corpus_digest[:8]),
        ]
        if changes:
            raise InputError(
                f"the checkpoint {self.place} is of another run: {'; '.join(changes)}",
                hint="Name another folder for checkpoints, or go on with what the run had.",
            )

    def put(self, networks: Sequence[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> None:
        """Bring networks, or the stages of one, and their optimisers to this step, however they are cut.

        Raises
        ------
        InputError
            If a tensor is missing or has another shape.
        """
        with Files(self.place, self.shapes, self.parts) as files:
            for network in networks:
                for name, value in weights_of(network).items():
                    fill(value, f"{WEIGHTS}/{name}", files)
            for optimizer in optimizers:
                fill_optimizer(optimizer, networks, files)

    def weights(self) -> dict[str, Tensor]:
        """Return whole weights by name."""
        with Files(self.place, self.shapes, self.parts) as files:
            names = [name for name in self.shapes if name.startswith(f"{WEIGHTS}/")]
            return {name.removeprefix(f"{WEIGHTS}/"): files.whole(name) for name in names}


def save(
    folder: Path,
    networks: Sequence[nn.Module],
    optimizers: Iterable[torch.optim.Optimizer],
    position: Position,
    device: torch.device = HOST,
) -> Path:
    """Write a checkpoint and remove those before the last two; all ranks call it.

    Raises
    ------
    RunError
        On all ranks, if one of them cannot write; the checkpoints before are still there.
    """
    held = held_by(networks, optimizers)
    own = {name: part_of(name, value) for name, value in held.items()}
    everyone = told_by_all([to_plain(part) for part in own.values() if part.count], device)
    chosen = writers([[from_plain(one) for one in parts] for parts in everyone])
    rank = dist.get_rank() if dist.is_initialized() else 0
    mine = {name: held[name] for name, part in own.items() if chosen.get(part) == rank}
    place = place_of(folder, position.step)
    _agree(place, device, lambda: _make_room(unfinished(place), rank))
    written = _agree(place, device, lambda: _write(unfinished(place), rank, mine))
    shapes = told_by_all(shapes_of(held), device)
    _agree(place, device, lambda: _finish(place, rank, position, written, shapes, chosen))
    return place


def newest(folder: Path, device: torch.device = HOST) -> Stored | None:
    """Find the newest whole checkpoint of a run; None where none was ever written. All ranks call it.

    Each rank reads some of the files. One that is damaged is passed over and named in `findings`.

    Raises
    ------
    RunError
        If there are some and none is whole.
    """
    causes: list[tuple[str, str]] = []
    for name in told_by_all([place.name for place in found_in(folder)], device)[0]:
        cause = next((one for one in told_by_all(_damage(folder / name), device) if one), "")
        if not cause:
            return _opened(folder / name, tuple(passed_over(causes, folder / name)))
        causes.append((name, cause))
    if causes:
        told = "; ".join(f"{name}: {cause}" for name, cause in causes)
        raise RunError(
            f"no checkpoint in {folder} is whole ({told})", hint="Remove the folder to begin anew."
        )
    return None


def opened(place: Path) -> Stored:
    """Open one checkpoint, in one process.

    Raises
    ------
    InputError
        If it is none, or damaged.
    """
    cause = _damage(place)
    if cause:
        raise InputError(
            f"{place} is no whole checkpoint: {cause}", hint="Give a folder such as step-000000500."
        )
    return _opened(place, ())


def _opened(place: Path, findings: tuple[Finding, ...]) -> Stored:
    data = read_sealed(place / MANIFEST, SCHEMA)
    parts: dict[str, list[tuple[str, Part]]] = {}
    for file, said in data["files"].items():
        for one in map(from_plain, said["parts"]):
            parts.setdefault(one.name, []).append((file, one))
    return Stored(
        place=place,
        position=msgspec.convert(data["position"], Position, strict=False),
        shapes={name: tuple(shape) for name, shape in data["shapes"].items()},
        parts={name: tuple(found) for name, found in parts.items()},
        findings=findings,
    )


def _damage(place: Path) -> str:
    """Say what is wrong with this rank's share of the files; empty if nothing is."""
    rank, ranks = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    try:
        files = read_sealed(place / MANIFEST, SCHEMA)["files"]
        for number, (name, said) in enumerate(files.items()):
            if number % ranks == rank and (place / name).stat().st_size != said["bytes"]:
                raise ValueError(f"{name} has another size than was written")
            if number % ranks == rank and digest_file(place / name) != said["sha256"]:
                raise ValueError(f"{name} is not what was written")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return " ".join(str(error).split())[:200] or type(error).__name__
    return ""


def _make_room(part: Path, rank: int) -> None:
    if rank == 0:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)


def _write(part: Path, rank: int, mine: Mapping[str, Tensor]) -> dict[str, Any]:
    """Write this rank's parts; return the file's name, size and digest."""
    try:
        from safetensors.torch import save_file
    except ImportError:
        raise MissingExtraError("safetensors", "train") from None
    if not mine:
        return {}
    path = part / f"rank-{rank:05d}.safetensors"
    save_file({name: local(value).to("cpu", copy=True).contiguous() for name, value in mine.items()}, path)
    sync(path)
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest_file(path)}


def _finish(
    place: Path,
    rank: int,
    position: Position,
    written: Sequence[dict[str, Any]],
    shapes: Sequence[dict[str, list[int]]],
    chosen: Mapping[Part, int],
) -> None:
    """Write the manifest once all files are there, and give the checkpoint its name."""
    if rank:
        return
    part = unfinished(place)
    files = {
        said["file"]: {
            "bytes": said["bytes"],
            "sha256": said["sha256"],
            "parts": [to_plain(one) for one, who in chosen.items() if who == writer],
        }
        for writer, said in enumerate(written)
        if said
    }
    for name, said in files.items():
        if not (part / name).is_file() or (part / name).stat().st_size != said["bytes"]:
            raise OSError(f"{name} does not arrive in this folder, which all ranks must share")
    whole = {name: shape for one in shapes for name, shape in one.items()}
    data = {"schema": SCHEMA, "position": msgspec.to_builtins(position), "shapes": whole, "files": files}
    write_sealed(part / MANIFEST, data)
    sync(part)
    put_in_place(part, place)


def _agree(place: Path, device: torch.device, work: Any) -> list[Any]:
    """Do something on every rank and return what all got; where one fails, all do and leave nothing."""
    from safetensors import SafetensorError

    done, failed = None, ""
    try:
        done = work()
    except (OSError, SafetensorError) as error:
        failed = getattr(error, "strerror", None) or " ".join(str(error).split())
    told = told_by_all([done, failed], device)
    wrong = [(rank, cause) for rank, (_, cause) in enumerate(told) if cause]
    if not wrong:
        return [result for result, _ in told]
    shutil.rmtree(unfinished(place), ignore_errors=True)
    rank, cause = wrong[0]
    by = f" (rank {rank})" if len(told) > 1 else ""
    raise RunError(
        f"cannot write the checkpoint {place}: {cause}{by}",
        hint="Free some space, or keep checkpoints elsewhere; those before are still there.",
    )


def _changes(had: Shape, has: Shape) -> list[str]:
    pairs = ((one.name, getattr(had, one.name), getattr(has, one.name)) for one in fields(Shape))
    return [told for name, before, now in pairs for told in _changed(name, before, now)]


def _changed(name: str, had: object, has: object) -> list[str]:
    return [] if had == has else [f"{name} was {had} and is {has}"]
