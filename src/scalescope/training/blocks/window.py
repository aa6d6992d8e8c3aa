"""Attention to the nearest tokens alone (Beltagy et al. 2020, https://arxiv.org/abs/2004.05150).

A token sees itself and `window` - 1 before it (Mistral, https://arxiv.org/abs/2310.06825); in an encoder
`window` // 2 on either side (ModernBERT, https://arxiv.org/abs/2412.13663).
"""

from __future__ import annotations

from torch import Tensor

from scalescope.cost import Shape
from scalescope.training.blocks.attention import Attention
from scalescope.training.blocks.bands import banded_attention


class WindowAttention(Attention):
    """Softmax attention in a band; its parameters are those of full attention."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        assert shape.window is not None
        self.before = shape.window - 1 if shape.causal else shape.window // 2
        self.after = 0 if shape.causal else self.before

    def attend(self, query: Tensor, key: Tensor, value: Tensor, positions: Tensor) -> Tensor:
        """See `Attention.attend`; tokens must lie one place apart."""
        if query.shape[-2] <= self.before + 1:
            return super().attend(query, key, value, positions)
        return banded_attention(query, key, value, before=self.before, after=self.after)
