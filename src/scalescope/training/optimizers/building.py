"""From a model and a recipe to optimisers: every parameter gets one, with its peak learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from scalescope.errors import MissingExtraError
from scalescope.training.building import Model
from scalescope.training.optimizers.muon import StackedMuon
from scalescope.training.optimizers.roles import Part, parts_of
from scalescope.training.rates import FALLS, Role, peak
from scalescope.training.recipe import Recipe

MATRICES: tuple[Role, ...] = ("matrix", "expert")
DECAYING: tuple[Role, ...] = ("matrix", "expert", "router", "head")


def build_optimizers(model: Model, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Give every parameter its optimiser and peak learning rate (kept as `peak` in each group).

    Parameters
    ----------
    model
        Either model, or a part of one; its parameters may be sharded over processes.

    Raises
    ------
    MissingExtraError
        If the library of the optimiser is not installed.
    """
    width = model.shape.width
    parts = parts_of(model)
    plain = not any(isinstance(part.param, DTensor) for part in parts)
    if recipe.optimizer != "muon":
        return [OPTIMIZERS[recipe.optimizer](_groups(parts, recipe, width), recipe, plain)]
    matrices = [part for part in parts if part.role in MATRICES]
    rest = [part for part in parts if part.role not in MATRICES]
    built: list[torch.optim.Optimizer] = []
    if matrices:
        built.append(StackedMuon(_muon_groups(matrices, recipe, width), momentum=recipe.momentum))
    if rest:
        built.append(_adamw(_groups(rest, recipe, width), recipe, plain))
    return built


def _peak(role: Role, recipe: Recipe, width: int) -> float:
    fall = FALLS[recipe.optimizer].get(role, 0.0) if recipe.parametrisation == "mup" else 0.0
    return recipe.rate_at(width) * peak(recipe.peaks, role, fall=fall, width=width)


def _decay(role: Role, recipe: Recipe) -> float:
    return recipe.weight_decay if recipe.decay_all or role in DECAYING else 0.0


def _groups(parts: Sequence[Part], recipe: Recipe, width: int) -> list[dict[str, Any]]:
    """Return a group a role."""
    by_role: dict[Role, list[nn.Parameter]] = {}
    for part in parts:
        by_role.setdefault(part.role, []).append(part.param)
    return [
        {
            "params": params,
            "lr": _peak(role, recipe, width),
            "peak": _peak(role, recipe, width),
            "weight_decay": _decay(role, recipe),
            "drawn": width**-0.5 if role in DECAYING else 1.0,
        }
        for role, params in by_role.items()
    ]


def _muon_groups(parts: Sequence[Part], recipe: Recipe, width: int) -> list[dict[str, Any]]:
    """Return a group for each way that a matrix may lie."""
    by_kind: dict[tuple[bool, tuple[int, ...]], list[nn.Parameter]] = {}
    for part in parts:
        by_kind.setdefault((part.inputs_first, part.outputs), []).append(part.param)
    return [
        {
            "params": params,
            "lr": _peak("matrix", recipe, width),
            "peak": _peak("matrix", recipe, width),
            "weight_decay": _decay("matrix", recipe),
            "inputs_first": inputs_first,
            "outputs": outputs,
            "gain": "spectral" if recipe.parametrisation == "mup" else "rms",
        }
        for (inputs_first, outputs), params in by_kind.items()
    ]


Groups = list[dict[str, Any]]


def _adamw(groups: Groups, recipe: Recipe, plain: bool) -> torch.optim.Optimizer:
    # Neither of torch's batched kinds takes sharded and whole parameters together.
    options: dict[str, bool] = {"fused": True} if plain else {"foreach": False}
    return torch.optim.AdamW(groups, betas=(recipe.beta1, recipe.beta2), **options)


def _lion(groups: Groups, recipe: Recipe, plain: bool) -> torch.optim.Optimizer:  # noqa: ARG001
    """Chen et al. 2023, https://arxiv.org/abs/2302.06675."""
    try:
        from lion_pytorch import Lion
    except ImportError:
        raise MissingExtraError("lion-pytorch", "train") from None
    lion: torch.optim.Optimizer = Lion(groups, betas=(recipe.beta1, recipe.beta2))
    return lion


def _adafactor(groups: Groups, recipe: Recipe, plain: bool) -> torch.optim.Optimizer:
    """Shazeer & Stern 2018, https://arxiv.org/abs/1804.04235.

    Its updates are relative to the size of a parameter, and those that start at zero would hardly move. Under
    `mup` they are taken to have at least the size of a drawn matrix, 1/sqrt(width), or of a gain, 1.
    """
    if recipe.parametrisation == "mup":
        groups = [group | {"eps": (None, group["drawn"])} for group in groups]
    return torch.optim.Adafactor(groups, foreach=None if plain else False)


OPTIMIZERS: Mapping[str, Callable[[Groups, Recipe, bool], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "lion": _lion,
    "adafactor": _adafactor,
}
"""Those that take every parameter."""


def set_rate(optimizers: Iterable[torch.optim.Optimizer], share: float) -> None:
    """Set every learning rate to a share of its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
