"""Weights that someone brings: a folder with safetensors, one file or sharded; pickles are refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scalescope.errors import InputError
from scalescope.inference.models import Model
from scalescope.inference.skeletons import ATTENTION, STORED_AS, slots, torch_dtype
from scalescope.inference.tensor_files import read_table
from scalescope.points import Attention, Dtype, Finding

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Endings of files that can run code when they are read."""

_INDEX = "model.safetensors.index.json"


def weight_files(weights: Path) -> tuple[Path, ...]:
    """Name the safetensors of a model, each checked to be whole.

    Parameters
    ----------
    weights
        A safetensors file, or a folder with `model.safetensors` or its shards and their index.

    Raises
    ------
    InputError
        If there are none, one is missing or damaged, or they are pickled.
    """
    files = _shards(weights) if weights.is_dir() else [weights]
    for file in files:
        if file.suffix in PICKLES:
            raise _pickled(file)
        read_table(file)
    return tuple(files)


def _shards(folder: Path) -> list[Path]:
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    index = folder / _INDEX
    if index.is_file():
        try:
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"cannot use {index}: it is no index of shards") from error
        if outside := [name for name in names if not isinstance(name, str) or Path(name).name != name]:
            raise InputError(f"cannot use {index}: {outside[0]} is not in the folder")
        return [folder / name for name in sorted(names)]
    pickled = sorted(path for path in folder.iterdir() if path.suffix in PICKLES)
    if pickled:
        raise _pickled(pickled[0])
    raise InputError(f"{folder} has no model.safetensors", hint="Random weights need no folder.")


def _pickled(file: Path) -> InputError:
    return InputError(
        f"{file} is pickled, and reading it could run any code",
        hint="Save the model as safetensors, or measure it with random weights.",
    )


def load_folder(
    model: Model, kind: type[Any], folder: Path, *, dtype: Dtype, attention: Attention
) -> tuple[Any, tuple[Finding, ...]]:
    """Load a folder of weights with the loader of transformers, offline and without code of others.

    A part of which the file holds nothing at all, such as a pooler or a head, is drawn at random and noted.

    Raises
    ------
    InputError
        If a tensor is missing, unknown or of another shape.
    """
    module, told = kind.from_pretrained(
        folder,
        config=kind.config_class(**model.config),
        dtype=torch_dtype(STORED_AS[dtype]),
        attn_implementation=ATTENTION[attention],
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    for name, stored, wanted in sorted(told["mismatched_keys"]):
        raise InputError(
            f"{_holder(folder, name)}: {name} is {list(stored)}, the model has {list(wanted)}",
            hint="Do config.json and the weights belong together?",
        )
    base = getattr(module, "base_model_prefix", "")
    known = {_part(name, base) for name in module.state_dict()}
    absent = set(told["missing_keys"])
    stored_names = [slot.names for slot in slots(module, dtype)]
    found = {_part(names[0], base) for names in stored_names if absent.isdisjoint(names)}
    for name in sorted(absent):
        if _part(name, base) in found or not found:
            raise InputError(f"{folder} has no tensor {name}", hint="Is the download complete?")
    unused = sorted(told["unexpected_keys"])
    for name in unused:
        if _part(name, base) in known:
            raise InputError(
                f"{_holder(folder, name)}: the model has no place for {name}",
                hint="Do config.json and the weights belong together?",
            )
    return module.eval().requires_grad_(False), tuple(_notes(absent, unused, base))


def _part(name: str, base: str) -> str:
    """Name the part of a model that a tensor belongs to: its outermost module below the bare model."""
    return name.removeprefix(f"{base}.").partition(".")[0]


def _notes(absent: Iterable[str], unused: Iterable[str], base: str) -> list[Finding]:
    drawn = sorted({_part(name, base) for name in absent})
    idle = sorted({_part(name, base) for name in unused})
    notes = []
    if drawn:
        text = f"The weights hold nothing for {', '.join(drawn)}; it was drawn at random."
        notes.append(Finding(code="BEN010", text=text, hint="Speed and memory do not depend on it."))
    if idle:
        text = f"The weights hold {', '.join(idle)}, which this class does not use."
        notes.append(Finding(code="BEN011", text=text, hint="Measure the model with its head to use it."))
    return notes


def _holder(folder: Path, name: str) -> Path:
    """Find the file that holds a tensor, else the folder."""
    for file in weight_files(folder):
        if name in read_table(file).tensors:
            return file
    return folder
