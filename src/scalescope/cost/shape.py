r"""An architecture as numbers, and what it counts: parameters and FLOP under named conventions.

Parameters are counted in three parts, because papers disagree about which of them is "N":

* ``embedding``: the input lookup, which multiplies nothing;
* ``block``: attention, feed-forward and norms, Kaplan's non-embedding N;
* ``head``: the output matrix, which multiplies like a block does but grows with the vocabulary.

FLOP per token of one training step, forward and backward, with causal attention at context :math:`T`:

.. math:: F = 6 (N_\text{matrix}) + 6\, n_\text{layer}\, T\, h\, e

where :math:`N_\text{matrix}` are the matrix parameters of blocks and head, and :math:`h e` is the
width of all query heads. The causal convention halves the score term of Narayanan et al. (2021,
https://arxiv.org/abs/2104.04473), since half of the scores are never needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scalescope.errors import InputError

Count = Literal["params", "params_nonembedding", "params_matmul"]
"""Which parameters N counts: all; without embedding and head (Kaplan); blocks and head (what multiplies)."""

COUNTS: tuple[Count, ...] = ("params", "params_nonembedding", "params_matmul")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A dense decoder-only transformer: RMSNorm, rotary positions, gated feed-forward, grouped heads."""

    width: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    feed_forward: int
    """Hidden width of the gated feed-forward."""
    vocabulary: int
    context: int
    """Sequence length in tokens."""
    tied: bool = False
    """Whether the head is the transposed embedding."""

    def __post_init__(self) -> None:
        for name in ("width", "n_layers", "n_heads", "n_kv_heads", "feed_forward", "vocabulary", "context"):
            if getattr(self, name) < 1:
                raise InputError(f"shape: {name} must be at least 1, got {getattr(self, name)}")
        if self.width % self.n_heads or (self.width // self.n_heads) % 2:
            raise InputError(
                f"shape: width {self.width} over {self.n_heads} heads is not an even head size",
                hint="Rotary positions need a width that is an even multiple of the heads.",
            )
        if self.n_heads % self.n_kv_heads:
            raise InputError(
                f"shape: {self.n_heads} heads cannot share {self.n_kv_heads} key/value heads",
                hint="Choose a number of key/value heads that divides the heads.",
            )

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.width // self.n_heads

    @property
    def params_embedding(self) -> int:
        """Parameters of the input lookup."""
        return self.vocabulary * self.width

    @property
    def params_head(self) -> int:
        """Parameters of the output matrix; they are the embedding's when `tied`."""
        return self.vocabulary * self.width

    @property
    def params_norms(self) -> int:
        """Parameters of the norms: two a block and one before the head."""
        return (2 * self.n_layers + 1) * self.width

    @property
    def params_matrices(self) -> int:
        """Matrix parameters of the blocks."""
        key_value = self.n_kv_heads * self.head_size
        attention = 2 * self.width * (self.width + key_value)
        return self.n_layers * (attention + 3 * self.width * self.feed_forward)

    @property
    def params_nonembedding(self) -> int:
        """Parameters without embedding and head: Kaplan's N."""
        return self.params_matrices + self.params_norms

    @property
    def params_matmul(self) -> int:
        """Parameters of blocks and head: all that a token is multiplied by."""
        return self.params_nonembedding + self.params_head

    @property
    def params(self) -> int:
        """All parameters."""
        return self.params_nonembedding + self.params_head + (0 if self.tied else self.params_embedding)

    @property
    def flop_per_token(self) -> int:
        """Exact FLOP per token of a training step: matrices and causal attention, backward twice forward."""
        attention = self.n_layers * self.context * self.width
        return 6 * (self.params_matrices + self.params_head + attention)

    def count(self, count: Count) -> int:
        """Return the parameters under a named convention."""
        return int(getattr(self, count))
