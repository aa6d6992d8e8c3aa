"""The class of an image that is read as patches.

The vision transformer of Dosovitskiy et al. 2020 (https://arxiv.org/abs/2010.11929) with the mean over
patches in place of a class token. A token is a patch, a sequence an image, D counts patches seen, and a loss
is nats per image. Images come as they are, without augmentation. A set that a package ships is small: runs
read it many times over, so that laws in D have epochs in them, as every point says (`tokens_unique`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalescope.corpora.draws import Order
from scalescope.corpora.images import ImageSet, Records
from scalescope.cost import Patches, Shape
from scalescope.errors import InputError
from scalescope.training.tasks.protocol import Batch


class Images:
    """Images of a set in a seeded order, each once an epoch."""

    def __init__(self, images: ImageSet, shape: Shape, seed: int, evaluation_tokens: int) -> None:
        self._patches = _check(shape, images)
        self._images, self._records = images, images.train()
        self._order = Order(images.train_images, seed)
        n_held_out = min(images.held_out_images, max(1, evaluation_tokens // self._patches.count))
        self._held_out = self._asked(images.held_out()[:n_held_out])

    def batch(self, start: int, n: int) -> Batch:
        """Return training images; see `protocol.Task`."""
        return self._asked(self._records[self._order.take(start, n)])

    def evaluation(self) -> Batch:
        """Return the held-out images, in the order of their hashes."""
        return self._held_out

    def parts(self) -> Mapping[str, slice]:
        """Return nothing: there is one set of images."""
        return {}

    def epoch(self, start: int) -> float:
        """Return the epochs before an image."""
        return start / self._images.train_images

    def columns(self, loss: float, start: int) -> dict[str, Any]:  # noqa: ARG002
        """Return what was seen, in images and in patches."""
        unique = min(start, self._images.train_images)
        return {
            "tokens_unique": unique * self._patches.count,
            "examples": start,
            "examples_unique": unique,
        }

    def _asked(self, records: Records) -> Batch:
        pixels = torch.from_numpy(np.ascontiguousarray(records["pixels"])).float()
        pixels = (pixels / 255 - self._images.mean) / self._images.deviation
        labels = torch.from_numpy(records["label"].astype(np.int64))
        return Batch(cut(pixels, self._patches), labels.unsqueeze(1))


def cut(pixels: Tensor, patches: Patches) -> Tensor:
    """Cut images (n, side, side, channels) into patches (n, count, numbers), row by row."""
    rows = patches.side // patches.patch
    tiles = pixels.view(-1, rows, patches.patch, rows, patches.patch, patches.channels)
    return tiles.transpose(2, 3).reshape(-1, patches.count, patches.numbers)


def _check(shape: Shape, images: ImageSet) -> Patches:
    patches = shape.patches
    if patches is None:
        raise InputError("a task of images needs a shape that reads patches", hint="Give shape.patches.")
    wanted = {"side": images.side, "channels": images.channels, "vocabulary": len(images.classes)}
    found = {"side": patches.side, "channels": patches.channels, "vocabulary": shape.vocabulary}
    for name, value in wanted.items():
        if found[name] != value:
            raise InputError(
                f"the images of {images.name} need a shape with {name} {value}, this one has {found[name]}",
                hint="The vocabulary of a shape that reads images is the number of classes."
                if name == "vocabulary"
                else "Side and channels are those of the images.",
            )
    if shape.causal:
        raise InputError("patches see each other, and this shape is causal", hint="Give causal = false.")
    return patches
