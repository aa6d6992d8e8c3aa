"""How parameters begin where the recipe does not leave it to the blocks.

The blocks start matrices at unit spectral scale and what writes into the stream at zero. The classical start,
`normal`, draws everything: matrices with one over the root of their inputs, those that write divided by the
root of twice the depth (Radford et al. 2019, GPT-2), embedding and head with 0.02 under `standard`;
under `mup` the embedding keeps its unit size and the head gets one over the width. A head that is the
embedding cannot start at zero and is drawn like a head.
"""

from __future__ import annotations

import torch

from scalescope.cost import Shape
from scalescope.training.building import Model
from scalescope.training.optimizers.roles import Part, parts_of
from scalescope.training.recipe import Recipe

SMALL = 0.02


@torch.no_grad()
def start(model: Model, recipe: Recipe) -> None:
    """Draw again, from torch's generator, what the recipe wants otherwise than the blocks do."""
    for part in parts_of(model):
        std = _spread(part, recipe, model.shape)
        if std is not None:
            part.param.normal_(std=std)


def _spread(part: Part, recipe: Recipe, shape: Shape) -> float | None:
    """Return the standard deviation to draw with; None leaves a parameter as it is."""
    standard = recipe.parametrisation == "standard"
    if part.role == "embedding":
        return SMALL if standard else None
    if part.role == "head" and (shape.tied or not recipe.zero_out):
        return SMALL if standard else 1 / shape.width
    if part.role in ("matrix", "expert") and part.writes and not recipe.zero_out:
        return float((part.fan_in * 2 * shape.n_layers) ** -0.5)
    return None
