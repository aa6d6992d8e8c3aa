"""Random numbers for weights, fast: a few megabytes are drawn, then copied from shifting offsets.

Throughput, memory and loading do not depend on the values of weights, but the values must be of ordinary
size: zeros and denormal numbers run at other speeds, and infinities tell nothing. So each class initialises
itself, with these draws in place of torch's slower ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

TILE = 1_048_573
"""Numbers drawn of each kind: a prime, so that no row of a matrix repeats another."""


class Noise:
    """Normal and uniform numbers from one seed."""

    def __init__(self, seed: int) -> None:
        import torch

        self._source = torch.Generator().manual_seed(seed)
        self._tiles = {
            "normal": torch.randn(TILE, generator=self._source).clamp_(-3, 3),
            "uniform": torch.rand(TILE, generator=self._source),
        }
        self._scaled: dict[tuple[str, float, float, Any], torch.Tensor] = {}

    def fill(
        self,
        tensor: torch.Tensor,
        kind: Literal["normal", "uniform"] = "normal",
        scale: float = 0.02,
        shift: float = 0.0,
    ) -> torch.Tensor:
        """Overwrite a tensor with `scale` times the kind's numbers plus `shift`."""
        import torch

        if tensor.is_meta or not tensor.numel():
            return tensor
        tile = self._tile(kind, scale, shift, tensor.dtype)
        chunk = TILE // 2
        with torch.no_grad():
            whole = tensor if tensor.is_contiguous() else torch.empty_like(tensor).contiguous()
            flat = whole.view(-1)
            for start in range(0, flat.numel(), chunk):
                part = flat[start : start + chunk]
                offset = int(torch.randint(TILE - chunk, (), generator=self._source))
                part.copy_(tile[offset : offset + part.numel()])
            return tensor if whole is tensor else tensor.copy_(whole)

    def _tile(self, kind: str, scale: float, shift: float, dtype: torch.dtype) -> torch.Tensor:
        key = (kind, scale, shift, dtype)
        if key not in self._scaled:
            if len(self._scaled) >= 4:
                self._scaled.clear()
            self._scaled[key] = (self._tiles[kind] * scale + shift).to(dtype)
        return self._scaled[key]

    @contextmanager
    def in_place_of_torch(self) -> Iterator[None]:
        """Let the initialisation of transformers' classes draw from here."""
        from transformers import initialization

        known = initialization.TORCH_INIT_FUNCTIONS
        before = dict(known)
        known.update({name: one for name, one in self._functions().items() if name in known})
        try:
            yield
        finally:
            known.update(before)

    def _functions(self) -> dict[str, Callable[..., torch.Tensor]]:
        """Stand-ins for functions of `torch.nn.init`, by their names."""

        def normal(tensor: Any, mean: float = 0.0, std: float = 1.0, **_: Any) -> torch.Tensor:
            return self.fill(tensor, "normal", std, mean)

        def uniform(tensor: Any, a: float = 0.0, b: float = 1.0, **_: Any) -> torch.Tensor:
            return self.fill(tensor, "uniform", b - a, a)

        def by_width(tensor: Any, gain: float = 1.0, **_: Any) -> torch.Tensor:
            return self.fill(tensor, "normal", gain / math.sqrt(max(tensor.shape)))

        return {"normal_": normal, "trunc_normal_": normal, "uniform_": uniform, "orthogonal_": by_width}
