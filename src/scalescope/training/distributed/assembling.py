"""From the files of a checkpoint to the parts that a rank needs, cut as they may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from scalescope.errors import InputError
from scalescope.training.distributed.parts import WEIGHTS, Part, local, names_in, part_of


class Files:
    """The files of a checkpoint while they are read; they are mapped, and only what is needed is copied."""

    def __init__(
        self,
        place: Path,
        shapes: Mapping[str, tuple[int, ...]],
        parts: Mapping[str, Sequence[tuple[str, Part]]],
    ) -> None:
        self.place, self.shapes, self.parts = place, shapes, parts
        self._open: dict[str, Any] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def copy_to(self, target: Tensor, wanted: Part) -> None:
        """Fill a tensor, which is a part of a whole one.

        Raises
        ------
        InputError
            If the checkpoint does not have all of it.
        """
        copied = 0
        for file, part in self.parts.get(wanted.name, ()):
            overlap = _overlap(part, wanted)
            if overlap is None:
                continue
            here = tuple(slice(a - at, b - at) for (a, b), at in zip(overlap, wanted.offset, strict=True))
            there = tuple(slice(a - at, b - at) for (a, b), at in zip(overlap, part.offset, strict=True))
            target[here].copy_(self._read(file, wanted.name, there))
            copied += torch.Size([b - a for a, b in overlap]).numel()
        if copied != wanted.count:
            raise InputError(f"the checkpoint {self.place} does not have all of {wanted.name}")

    def whole(self, name: str) -> Tensor:
        """Return a whole tensor."""
        made = torch.empty(self.shapes[name], dtype=self.dtype(name))
        self.copy_to(made, Part(name=name, offset=(0,) * made.ndim, size=tuple(made.shape)))
        return made

    def dtype(self, name: str) -> torch.dtype:
        """Return the type of a tensor's numbers."""
        file, part = self.parts[name][0]
        nothing = tuple(slice(0, 0) for _ in part.size)
        return self._read(file, name, nothing).dtype

    def kinds(self) -> dict[str, list[str]]:
        """Return what is kept of every parameter beside its weights."""
        kinds: dict[str, list[str]] = {}
        for key in self.shapes:
            kind, _, name = key.partition("/")
            if kind != WEIGHTS:
                kinds.setdefault(name, []).append(kind)
        return kinds

    def _read(self, file: str, name: str, where: tuple[slice, ...]) -> Tensor:
        from safetensors import safe_open

        if file not in self._open:
            self._open[file] = self._stack.enter_context(safe_open(self.place / file, framework="pt"))
        source = self._open[file]
        found: Tensor = source.get_slice(name)[where] if where else source.get_tensor(name)
        return found


@torch.no_grad()
def fill(target: Tensor, name: str, files: Files) -> None:
    """Bring what this rank has of a tensor from a checkpoint.

    Raises
    ------
    InputError
        If it is not there or has another shape.
    """
    found = files.shapes.get(name)
    if found != tuple(target.shape):
        raise InputError(
            f"the checkpoint {files.place}: {name} is {found or 'not there'}, the model needs "
            f"{tuple(target.shape)}",
            hint="Go on with the shape that was trained.",
        )
    part = part_of(name, target)
    if part.count:
        files.copy_to(local(target), part)


def fill_optimizer(optimizer: torch.optim.Optimizer, networks: Sequence[nn.Module], files: Files) -> None:
    """Bring what an optimiser remembers of its parameters."""
    names = {key: name for network in networks for key, name in names_in(network).items()}
    kinds = files.kinds()
    state: dict[int, dict[str, Tensor]] = {}
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for number, param in enumerate(params):
        name = names[id(param)]
        if name in kinds:
            state[number] = {kind: _remembered(param, f"{kind}/{name}", files) for kind in kinds[name]}
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _remembered(param: Tensor, name: str, files: Files) -> Tensor:
    """Make a tensor cut as the optimiser would have made it, and fill it."""
    shape, dtype = files.shapes[name], files.dtype(name)
    if not shape:
        made = torch.empty((), dtype=dtype)
    elif shape == tuple(param.shape):
        made = torch.zeros_like(param.detach(), dtype=dtype)
    else:
        made = param.detach().new_zeros(shape, dtype=dtype)
    fill(made, name, files)
    return made


def _overlap(one: Part, other: Part) -> list[tuple[int, int]] | None:
    """Return first and last plus one of what two boxes share along each axis; None if they share nothing."""
    edges = [
        (max(a, b), min(a + m, b + n))
        for a, m, b, n in zip(one.offset, one.size, other.offset, other.size, strict=True)
    ]
    return edges if all(first < last for first, last in edges) else None
