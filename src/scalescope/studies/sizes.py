"""The shapes of one arm of a study: the family, with what the arm changes about all of its members."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

from scalescope.cost import Shape
from scalescope.cost.parts import Patches
from scalescope.studies.family import nearest_shape
from scalescope.training.shape_options import ShapeOptions
from scalescope.training.trial_settings import TaskName

_ROUNDS = 4
"""Corrections of the size that is looked up, where a member of the family changes its size."""


@lru_cache(maxsize=4096)
def size_of(shape: Shape) -> int:
    """Return N: parameters of blocks and head, of experts only those that one token meets."""
    return shape.params_matmul - shape.params_matrices + shape.params_matrices_active


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The family of shapes as one arm has it."""

    vocabulary: int
    context: int
    options: ShapeOptions = field(default_factory=ShapeOptions)
    task: TaskName = "next-token"
    patches: Patches | None = None
    """How images are read; their classes are the vocabulary."""

    def like(self, plain: Shape) -> Shape:
        """Return what a shape of the plain family is in this arm."""
        if self.task != "next-token":
            plain = replace(plain, causal=False, patches=self.patches)
        return self.options.apply(plain)

    def nearest(self, size: float) -> Shape:
        """Return the member whose size is closest in ratio, or nearly so."""
        wanted, tried = size, []
        for _ in range(1 if self._plain else _ROUNDS):
            found = self.like(nearest_shape(wanted, self.vocabulary, self.context))
            ratio = size_of(found) / size
            tried.append((max(ratio, 1 / ratio), found))
            wanted /= ratio
        return min(tried, key=lambda one: one[0])[1]

    @property
    def _plain(self) -> bool:
        return self.options == ShapeOptions() and self.patches is None
