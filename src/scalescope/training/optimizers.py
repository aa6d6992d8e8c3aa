"""The optimisers of a rung: Muon for the stacked matrices, AdamW for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from scalescope.training.recipe import Recipe
from scalescope.training.stacked.transformer import StackedTransformer

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Quintic coefficients of Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/."""

LEAST_FAST_ROWS = 64
"""Below this size matrix units gain nothing: starting each bfloat16 product costs more than it saves."""


class StackedMuon(torch.optim.Optimizer):
    """Muon over stacks of matrices: one batched Newton–Schulz iteration per shape.

    The update is that of `torch.optim.Muon`, which takes one matrix at a time: on one core that costs
    as much as the rest of a step of a 25k-parameter model (`benchmarks/speed.py` measures it). Parameters
    are (..., rows, columns). In each group `splits` cuts the columns of a fused matrix into those that are
    orthogonalised on their own, and `reads` says that rows are inputs and columns outputs.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], *, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(groups, {"lr": 0.02, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Update every stack by its orthogonalised Nesterov momentum."""
        pending: dict[tuple[int, int], list[tuple[Tensor, Tensor, float]]] = {}
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
                for part, target in _split(update, param, group["splits"]):
                    rows, columns = part.shape[1:]
                    gain = max(1.0, columns / rows if group["reads"] else rows / columns) ** 0.5
                    item = (part, target) if rows <= columns else (part.mT, target.mT)
                    size = (min(rows, columns), max(rows, columns))
                    pending.setdefault(size, []).append((*item, group["lr"] * gain))
        for items in pending.values():
            directions = orthogonalise(torch.cat([part for part, _, _ in items]))
            sizes = [len(part) for part, _, _ in items]
            for direction, (_, target, rate) in zip(torch.split(directions, sizes), items, strict=True):
                target.add_(direction, alpha=-rate)


def _split(update: Tensor, param: Tensor, splits: list[int]) -> Iterable[tuple[Tensor, Tensor]]:
    stacks = (each.view(-1, *each.shape[-2:]) for each in (update, param))
    return zip(*(torch.split(stack, splits, -1) for stack in stacks), strict=True)


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


def build_optimizers(model: StackedTransformer, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Give every parameter its optimiser and peak learning rate (kept as `peak` in each group)."""
    shape, d = model.shape, model.shape.width
    key_value, f = shape.n_kv_heads * shape.head_size, shape.feed_forward
    stacks: list[tuple[Tensor, list[int], bool]] = [
        (model.qkv, [d, key_value, key_value], True),
        (model.attention_out, [d], False),
        (model.gate_up, [f], True),
        (model.down, [f], False),
    ]
    head = recipe.head_rate * 64 / d
    rate = recipe.rate_at(d)
    adam: list[dict[str, Any]] = [
        {"params": [model.embedding], "peak": rate * (head if shape.tied else recipe.embedding_rate)},
        {"params": [model.norms], "peak": rate * recipe.norm_rate},
    ]
    if not shape.tied:
        adam.append({"params": [model.head], "peak": rate * head})
    optimizers: list[torch.optim.Optimizer] = []
    if recipe.optimizer == "muon":
        groups = [
            {"params": [param], "splits": splits, "reads": reads, "peak": rate * recipe.matrix_rate}
            for param, splits, reads in stacks
        ]
        optimizers.append(StackedMuon(groups, momentum=recipe.momentum, weight_decay=recipe.weight_decay))
    else:
        peak = rate * recipe.matrix_rate_adamw * 64 / d
        adam.append({"params": [param for param, _, _ in stacks], "peak": peak})
    betas = (recipe.beta1, recipe.beta2)
    optimizers.append(torch.optim.AdamW(adam, betas=betas, weight_decay=recipe.weight_decay, fused=True))
    return optimizers


def set_rate(optimizers: Iterable[torch.optim.Optimizer], share: float) -> None:
    """Set every learning rate to a share of its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
