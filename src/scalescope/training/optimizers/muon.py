"""Muon over all matrices at once (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Replicate

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Quintic coefficients of the page above."""

LEAST_FAST_ROWS = 64
"""Below this size matrix units gain nothing: starting each bfloat16 product costs more than it saves."""

Gain = Literal["spectral", "rms"]
"""How long an update is: a spectral norm of sqrt(max(1, outputs / inputs)), the same at every width, or 0.2 a
number as AdamW's are (Liu et al. 2025, https://arxiv.org/abs/2502.16982)."""


class StackedMuon(torch.optim.Optimizer):
    """Muon with one batched Newton–Schulz iteration for all matrices of equal shape.

    The update is that of `torch.optim.Muon`, which takes one matrix at a time: on one core that costs
    as much as the rest of a step of a 25k-parameter model (`benchmarks/speed.py` measures it). Parameters
    are (..., rows, columns). In each group `inputs_first` says that rows are inputs and columns outputs,
    `outputs` cuts a fused matrix into those that are orthogonalised on their own, and `gain` is a `Gain`.

    A parameter that is sharded over processes is gathered as an update, orthogonalised whole by everyone, and
    each process takes its own part.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], *, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        defaults = {"lr": 0.02, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(groups, defaults | {"inputs_first": False, "outputs": (), "gain": "spectral"})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Update every matrix by its orthogonalised Nesterov momentum."""
        pending = _Pending()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self.state[param]
                if not state:
                    state["momentum"] = torch.zeros_like(param)
                state["momentum"].lerp_(param.grad, 1 - group["momentum"])
                update = param.grad.lerp(state["momentum"], group["momentum"])
                if group["weight_decay"]:
                    param.mul_(1 - group["lr"] * group["weight_decay"])
                pending.add(update, param, group)
        pending.apply()


@dataclass(slots=True)
class _Pending:
    """Updates by size, so that equal sizes are orthogonalised in one call."""

    by_size: dict[tuple[int, int], list[tuple[Tensor, Tensor, float]]] = field(default_factory=dict)
    sharded: list[tuple[DTensor, Tensor]] = field(default_factory=list)

    def add(self, update: Tensor, param: Tensor, group: dict[str, Any]) -> None:
        if isinstance(update, DTensor):
            assert isinstance(param, DTensor)
            update = update.full_tensor()
            target = torch.zeros_like(update)
            self.sharded.append((param, target))
        else:
            target = param
        for part, whole in _split(update, target, group["outputs"], 2 if group["inputs_first"] else 1):
            rows, columns = part.shape[1:]
            inputs, outputs = (rows, columns) if group["inputs_first"] else (columns, rows)
            rate = group["lr"] * _length(inputs, outputs, group["gain"])
            item = (part, whole) if rows <= columns else (part.mT, whole.mT)
            size = (min(rows, columns), max(rows, columns))
            self.by_size.setdefault(size, []).append((*item, rate))

    def apply(self) -> None:
        for items in self.by_size.values():
            directions = orthogonalise(torch.cat([part for part, _, _ in items]))
            sizes = [len(part) for part, _, _ in items]
            for direction, (_, target, rate) in zip(torch.split(directions, sizes), items, strict=True):
                target.add_(direction, alpha=-rate)
        for param, moved in self.sharded:
            param.add_(_like(moved, param))


def _length(inputs: int, outputs: int, gain: Gain) -> float:
    if gain == "rms":
        return float(0.2 * max(inputs, outputs) ** 0.5)
    return float(max(1.0, outputs / inputs) ** 0.5)


def _split(
    update: Tensor, param: Tensor, outputs: tuple[int, ...], dim: int
) -> Iterable[tuple[Tensor, Tensor]]:
    """Cut both into matrices, as stacks of three axes; what comes of `param` are views."""
    stacks = tuple(each.view(-1, *each.shape[-2:]) for each in (update, param))
    if not outputs:
        return [(stacks[0], stacks[1])]
    return zip(*(torch.split(stack, list(outputs), dim) for stack in stacks), strict=True)


def _like(whole: Tensor, param: DTensor) -> DTensor:
    """Return this process's part of what all have whole; nothing is sent."""
    mesh = param.device_mesh
    everywhere = DTensor.from_local(whole, mesh, [Replicate()] * mesh.ndim, run_check=False)
    return everywhere.redistribute(placements=param.placements)


def orthogonalise(matrices: Tensor, *, iterations: int = 5) -> Tensor:
    """Push the singular values of each (rows <= columns) matrix of a stack towards 1.

    In bfloat16, like `torch.optim.Muon`, where the machine is faster with it.
    """
    a, b, c = NEWTON_SCHULZ
    x: Tensor = matrices / matrices.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    if x.is_cuda or (x.shape[-2] >= LEAST_FAST_ROWS and x.dtype == torch.float32 and _has_matrix_units()):
        x = x.bfloat16()
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.to(matrices.dtype)


@cache
def _has_matrix_units() -> bool:
    """Whether this processor multiplies bfloat16 tiles, as newer torch can tell."""
    capabilities: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    return bool(capabilities().get("amx_bf16", False))
