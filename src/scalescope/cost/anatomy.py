"""What a model is made of, as far as memory and time depend on it: matrices, attention, cache, positions.

A `Shape` is a dense decoder that we lay out ourselves. An `Anatomy` is read off any model's modules: every
matrix with how often a token meets it, every kind of attention layer, what a position table allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Side = Literal["encoder", "decoder", "head", "image"]
"""Which tokens a part sees; a decoder-only model is all `decoder`, a BERT all `encoder`."""

Span = Literal["full", "causal", "window", "block", "hashed", "cross", "linear", "recurrent"]
"""What a query looks at; `window` is local (causal in a decoder), `block` BigBird's, `hashed` Reformer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Equal weight matrices that tokens are multiplied by."""

    rows: int
    """Width in."""
    columns: int
    """Width out."""
    count: int
    share: float = 1.0
    """How often one token meets each: 1; active over all experts; above 1 where layers share weights."""
    side: Side = "decoder"

    @property
    def params(self) -> int:
        """Of all of them."""
        return self.rows * self.columns * self.count

    @property
    def flop_per_token(self) -> float:
        """Two for every parameter that a token meets."""
        return 2.0 * self.params * self.share


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionLayers:
    """Equal attention (or state-space) layers."""

    count: int
    span: Span
    n_heads: int
    head_size: int
    """Of queries and keys."""
    n_kv_heads: int
    value_size: int | None = None
    """Of values, where it is not `head_size`."""
    window: int | None = None
    """Tokens a query sees at most (window, block, hashed)."""
    state: int = 0
    """Elements of recurrent state per sequence and layer (recurrent, linear)."""
    cache_width: int | None = None
    """Elements cached per token and layer where it is not keys plus values (latent attention)."""
    side: Side = "decoder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """How far a model reaches, as its configuration says."""

    kind: str
    """`table`, `rope`, `alibi`, `relative`, `sinusoidal`, `none`, ..."""
    limit: int | None
    """Longest text that runs at all; None if nothing in the configuration stops it."""
    trained: int | None = None
    """Length that it was trained for, where it is known."""
    decoder_limit: int | None = None
    """Of the decoder of an encoder-decoder, if it differs."""
    multiple_of: int = 1
    """Lengths that run are multiples of this once they pass `padded_to` (Reformer's axial shape, windows)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """One architecture.  Built by `scalescope.inference.anatomy`; the registry ships those of its models."""

    model_type: str
    """Name of the configuration in `transformers`."""
    bare_class: str
    """Class without a head."""
    head_class: str
    """Class with the head of its main task; empty if there is none."""
    params: int
    """Of the bare model, tied ones once."""
    params_with_head: int
    groups: Mapping[str, int] = field(default_factory=dict)
    """Parameters of the bare model by group: embedding, attention, feed-forward, experts, norm, other."""
    hidden: int
    n_layers: int
    """Blocks, of both sides together."""
    feed_forward: int
    vocabulary: int
    """Width of the logits; 0 where there are none."""
    matrices: tuple[Matrix, ...] = ()
    """Of the bare model and, with side `head`, of its head."""
    attention: tuple[AttentionLayers, ...] = ()
    positions: Positions
    encoder_decoder: bool = False
    causal: bool = True
    """Whether it generates."""
    inputs: tuple[str, ...] = ("input_ids",)
    """What a call needs: `input_ids`, `decoder_input_ids`, `pixel_values`, ..."""
    image_tokens: int = 0
    """Patches (with class token) of one image; 0 without images."""
    flop_per_call: float = 0.0
    """FLOP of one call whatever its length: a pooler, projections of relative positions."""
    launches: int = 0
    """Modules that do work in one call: what the fixed cost per operation multiplies."""
    attention_kinds: tuple[str, ...] = ("eager",)
    """Implementations that the class offers: eager, sdpa, flex."""

    @property
    def flop_per_token(self) -> float:
        """FLOP of the matrices per token of the bare model; attention scores come on top."""
        return sum(matrix.flop_per_token for matrix in self.matrices if matrix.side != "head")

    @property
    def params_active(self) -> float:
        """Parameters that one token uses: all but the experts that it does not meet."""
        idle = sum(matrix.params * max(0.0, 1 - matrix.share) for matrix in self.matrices)
        return self.params - idle
