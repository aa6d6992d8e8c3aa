"""The general network: any `Shape` as plain modules, a block a layer.

The names of its modules are what tensor parallelism, sharding, pipelines and checkpoints go by. Stages of a
pipeline are the same class with some of its parts taken away, so every part may be None. For the dense
default family `stacked` computes the same function faster at small widths.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.training.blocks.block import Block, make_norm


class Network(nn.Module):
    """Embedding, blocks, norm and head of a shape."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding: nn.Module | None = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleDict({str(layer): Block(shape, layer) for layer in range(shape.n_layers)})
        self.norm: nn.Module | None = make_norm(shape)
        self.head: nn.Linear | None = nn.Linear(shape.width, shape.vocabulary, bias=False)
        nn.init.zeros_(self.head.weight)
        if shape.tied:
            self.head.weight = self.embedding.weight

    def forward(self, inputs: Tensor, positions: Tensor | None = None) -> Tensor:
        """Return logits of (batch, time, vocabulary) for tokens of (batch, time).

        A stage of a pipeline takes and gives the stream, (batch, time, width), where it lacks an end.
        """
        if positions is None:
            positions = torch.arange(inputs.shape[1], device=inputs.device)
        x = inputs if self.embedding is None else self.embedding(inputs)
        for block in self.blocks.values():
            x = block(x, positions)
        x = x if self.norm is None else self.norm(x)
        return x if self.head is None else self.head(x)  # type: ignore[no-any-return]

    def loss(self, inputs: Tensor, targets: Tensor, *, reduction: str = "mean") -> Tensor:
        """Cross-entropy in nats of targets, (batch, time); those of -100 do not count."""
        logits = self(inputs)
        return F.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), reduction=reduction)
