"""The general network: any `Shape` as plain modules, a block a layer.

The names of its modules are what tensor parallelism, sharding, pipelines and checkpoints go by. Stages of a
pipeline are the same class with some of its parts taken away, so every part may be None. For the dense
default family `stacked` computes the same function faster at small widths.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.errors import InputError
from scalescope.training.blocks.balance import LossScale
from scalescope.training.blocks.block import Block, make_norm
from scalescope.training.blocks.cross_entropy import IGNORED, cross_entropy, cross_entropy_of_logits
from scalescope.training.blocks.experts import ExpertFeedForward
from scalescope.training.blocks.routing import Load
from scalescope.training.blocks.starts import reads


class Network(nn.Module):
    """Embedding, blocks, norm and head of a shape.

    Raises
    ------
    InputError
        If the shape has positions that are counted and not trained here.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        if shape.positions == "alibi":
            raise InputError(
                "a shape with alibi positions is counted and planned but not trained here",
                hint="Train it with rotary, learned or no positions.",
            )
        self.shape = shape
        self.embedding: nn.Module | None = _embedding(shape)
        self.places: nn.Module | None = _places(shape)
        self.embedding_norm: nn.Module | None = make_norm(shape) if shape.embedding_norm else None
        self.blocks = nn.ModuleDict({str(layer): Block(shape, layer) for layer in range(shape.n_layers)})
        self.norm: nn.Module | None = make_norm(shape)
        self.head: nn.Linear | None = nn.Linear(shape.width, shape.vocabulary, bias=False)
        nn.init.zeros_(self.head.weight)
        if shape.tied:
            self.head.weight = self.embedding.weight  # type: ignore[assignment]
        self.scale = LossScale()
        """Of auxiliary losses; see `blocks.balance`."""
        for _, feed in self.expert_layers():
            feed.scale = self.scale

    def forward(self, inputs: Tensor, positions: Tensor | None = None) -> Tensor:
        """Return logits of (batch, time, vocabulary) for tokens of (batch, time).

        A stage of a pipeline takes and gives the stream, (batch, time, width), where it lacks an end.
        """
        x = self.stream(inputs, positions)
        return x if self.head is None else self.head(x)

    def stream(self, inputs: Tensor, positions: Tensor | None = None) -> Tensor:
        """Return what the head reads, (batch, time, width); of images the mean over patches, time 1."""
        if positions is None:
            positions = torch.arange(inputs.shape[1], device=inputs.device)
        x: Tensor = self._enter(inputs, positions)
        for block in self.blocks.values():
            x = block(x, positions)
        if self.norm is None:
            return x
        x = self.norm(x)
        return x if self.shape.patches is None else x.mean(1, keepdim=True)

    def _enter(self, inputs: Tensor, positions: Tensor) -> Tensor:
        x = inputs if self.embedding is None else self.embedding(inputs)
        x = x if self.places is None else x + self.places(positions)
        return x if self.embedding_norm is None else self.embedding_norm(x)

    def expert_layers(self) -> list[tuple[int, ExpertFeedForward]]:
        """Return the layers that have experts, by number."""
        found = ((int(name), getattr(block, "feed", None)) for name, block in self.blocks.items())
        return [(layer, feed) for layer, feed in found if isinstance(feed, ExpertFeedForward)]

    def end_step(self, add_up: Callable[[Tensor], object] | None = None) -> None:
        """Close the account of every router, and move the biases that balance them.

        To be called after each step of the optimiser.

        Parameters
        ----------
        add_up
            Adds up a tensor over the ranks that share a batch, in place.
        """
        for _, feed in self.expert_layers():
            feed.router.end_step(add_up)

    def routing(self) -> tuple[Load, ...]:
        """Return how the experts of each layer were used in the last step."""
        return tuple(feed.router.account(layer) for layer, feed in self.expert_layers())

    def loss(
        self, inputs: Tensor, targets: Tensor, *, reduction: str = "mean", z_loss: float = 0.0
    ) -> Tensor:
        """Cross-entropy in nats of targets, (batch, time); those of -100 do not count.

        The penalty `z_loss` is in the gradient alone, see `blocks.cross_entropy`. A head that is more than a
        matrix of this process, such as a sharded one, has its logits made by its own forward.
        """
        head = self.head
        if type(head) is nn.Linear and not hasattr(head.weight, "device_mesh"):
            hidden = self.stream(inputs)
            loss = cross_entropy(hidden, head.weight, targets, reduction=reduction, z_loss=z_loss)[0]
        else:
            loss = cross_entropy_of_logits(self(inputs), targets, reduction=reduction, z_loss=z_loss)[0]
        counted = targets.flatten() != IGNORED
        terms: dict[str, Tensor | int] = {"mean": 1, "sum": counted.sum(), "none": counted}
        return self.scale.follow(loss, terms[reduction])


def _embedding(shape: Shape) -> nn.Module:
    """Make the lookup of tokens or the projection of patches.

    A tied lookup starts at one over the width, so that a new model's logits are alike at every width.
    """
    if shape.patches is not None:
        return reads(shape.patches.numbers, shape.width, bias=shape.biases)
    table = nn.Embedding(shape.vocabulary, shape.width)
    if shape.tied:
        nn.init.normal_(table.weight, std=1 / shape.width)
    return table


def _places(shape: Shape) -> nn.Module | None:
    """Make learned positions, at half the spread of what they are added to, as GPT-2 has it."""
    if shape.positions != "learned":
        return None
    table = nn.Embedding(shape.n_positions or shape.context, shape.width)
    nn.init.normal_(table.weight, std=0.5 / (shape.width if shape.tied else 1))
    return table
