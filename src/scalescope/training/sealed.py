"""What checkpoints of every kind share: a manifest that notices damage, numbered folders, the disk's word.

A manifest is two lines: the SHA-256 of the second, and JSON. A run has a folder for each of its last
checkpoints, named after the step; one that is damaged is passed over and told.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scalescope.points import Finding, digest_of

MANIFEST = "checkpoint.json"
KEPT = 2
"""Checkpoints that stay."""
DAMAGED = "TRN130"
"""A checkpoint was damaged and the one before it used."""


def write_sealed(path: Path, data: Mapping[str, Any]) -> None:
    """Write a manifest; it is on the disk when this returns."""
    text = json.dumps(data, allow_nan=False)
    path.write_text(f'"{digest_of(text.encode())}"\n{text}\n', encoding="utf-8")
    sync(path)


def read_sealed(path: Path, schema: str) -> dict[str, Any]:
    """Read a manifest.

    Raises
    ------
    ValueError
        If it is not what was written, or of another kind.
    """
    digest, text, *_ = path.read_text(encoding="utf-8").split("\n")
    if json.loads(digest) != digest_of(text.encode()):
        raise ValueError(f"{path.name} is not what was written")
    data: dict[str, Any] = json.loads(text)
    if data["schema"] != schema:
        raise ValueError(f"it is a {data['schema']}, not a {schema}")
    return data


def place_of(folder: Path, step: int) -> Path:
    """Return the folder of the checkpoint of a step."""
    return folder / f"step-{step:09d}"


def part_of(place: Path) -> Path:
    """Return where a checkpoint is written before it gets its name."""
    return place.with_name(f".{place.name}.part")


def found_in(folder: Path) -> list[Path]:
    """Return the folders of checkpoints, the newest first."""
    return sorted((path for path in folder.glob("step-*") if path.is_dir()), reverse=True)


def put_in_place(part: Path, place: Path) -> None:
    """Give a whole checkpoint its name, and remove those before the last two."""
    if place.exists():
        shutil.rmtree(place)
    part.rename(place)
    sync(place.parent)
    for old in found_in(place.parent)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def passed_over(causes: Sequence[tuple[str, str]], used: Path) -> Iterator[Finding]:
    """Tell of checkpoints, by name and cause, in whose place another is used."""
    for name, cause in causes:
        yield Finding(
            code=DAMAGED,
            text=f"The checkpoint {name} is damaged ({cause}); {used.name} was used.",
            hint="The steps between are trained again; check the disk.",
        )


def sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
