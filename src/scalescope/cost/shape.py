r"""An architecture as numbers, and what it counts: parameters and FLOP under named conventions.

Parameters are counted in three parts, because papers disagree about which of them is "N":

* ``embedding``: the input lookup and learned positions, which multiply nothing;
* ``block``: attention, feed-forward and norms, Kaplan's non-embedding N;
* ``head``: the output matrix, which multiplies like a block does but grows with the vocabulary.

`groups` splits them further. FLOP per token are those of `scalescope.cost.flop`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scalescope.cost.groups import Group, groups_of
from scalescope.cost.parts import (
    ACTIVATIONS,
    MIXERS,
    Activation,
    Experts,
    Hashing,
    LatentAttention,
    Linear,
    Mixer,
    Patches,
    StateSpace,
)
from scalescope.errors import InputError, nearest

Count = Literal["params", "params_nonembedding", "params_matmul"]
"""Which parameters N counts: all; without embedding and head (Kaplan); blocks and head (what multiplies)."""

COUNTS: tuple[Count, ...] = ("params", "params_nonembedding", "params_matmul")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A decoder-only transformer or one of its successors.

    What is left out is the family that scalescope trains: RMSNorm before each block, rotary positions, gated
    feed-forward, no biases.

    Raises
    ------
    InputError
        If the numbers do not fit together.
    """

    width: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    feed_forward: int
    """Hidden width of the plain feed-forward; 0 where blocks have none."""
    vocabulary: int
    context: int
    """Sequence length in tokens."""
    tied: bool = False
    """Whether the head is the transposed embedding."""
    own_head_size: int | None = None
    """Width of one head where it is not the model's over the heads."""
    gated: bool = True
    """Three matrices in a feed-forward, not two."""
    activation: Activation | None = None
    """Of the feed-forward; SiLU where it is gated and GELU where not if None."""
    norm: Literal["rms", "layer"] = "rms"
    """LayerNorm has a bias, RMSNorm has none."""
    biases: bool = False
    """Of every matrix of attention and feed-forward."""
    query_biases: bool = False
    """Of queries, keys and values alone."""
    head_norms: bool = False
    """A norm of queries and one of keys in every layer."""
    embedding_norm: bool = False
    positions: Literal["rotary", "learned", "alibi", "none"] = "rotary"
    n_positions: int | None = None
    """Rows of the learned positions; the context if None."""
    window: int | None = None
    """Tokens that a token sees; None for all before it."""
    causal: bool = True
    """Whether a token sees only those before it; an encoder sees all."""
    pattern: tuple[Mixer, ...] = ()
    """What mixes tokens, layer by layer, repeated over the depth; if empty, all layers have `mamba2` where
    there is a `state_space`, attention in a window where there is a `window`, and else full attention."""
    experts: Experts | None = None
    latent: LatentAttention | None = None
    state_space: StateSpace | None = None
    """Of `mamba2` layers."""
    linear: Linear | None = None
    """Of `retention` and `gated-delta` layers."""
    hashing: Hashing | None = None
    """Of `hashed` layers."""
    patches: Patches | None = None
    """Where images are read and not text."""

    def __post_init__(self) -> None:
        for name in ("width", "n_layers", "n_heads", "n_kv_heads", "vocabulary", "context"):
            if getattr(self, name) < 1:
                raise InputError(f"shape: {name} must be at least 1, got {getattr(self, name)}")
        if self.feed_forward < (0 if self.experts or self.state_space else 1):
            raise InputError(f"shape: feed_forward must be at least 1, got {self.feed_forward}")
        for name in ("own_head_size", "n_positions", "window"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"shape: {name} must be at least 1, got {value}")
        if self.activation is not None and self.activation not in ACTIVATIONS:
            raise InputError(
                f"shape: no activation is called {self.activation!r}",
                hint=nearest(self.activation, ACTIVATIONS),
            )
        self._check_heads()
        self._check_pattern()
        space = self.state_space
        if space is not None and space.expand * self.width % space.head_size:
            raise InputError(
                f"shape: {space.expand * self.width} channels of a state space are not a multiple of its "
                f"head size {space.head_size}"
            )

    def _check_pattern(self) -> None:
        needed = {"window": "window", "hashed": "hashing", "mamba2": "state_space"}
        needed |= {"retention": "linear", "gated-delta": "linear"}
        for mixer in self.pattern:
            if mixer not in MIXERS:
                raise InputError(f"shape: no mixer is called {mixer!r}", hint=nearest(mixer, MIXERS))
            if mixer in needed and getattr(self, needed[mixer]) is None:
                raise InputError(f"shape: {mixer} layers need {needed[mixer]}")
        one_way = [mixer for mixer in self.mixers if mixer in ("retention", "gated-delta", "mamba2")]
        if one_way and not self.causal:
            raise InputError(
                f"shape: {one_way[0]} layers see only earlier tokens, an encoder sees all",
                hint="Give an encoder full, window or hashed layers.",
            )
        self._check_patches()

    def _check_patches(self) -> None:
        if self.patches is not None and self.tied:
            raise InputError("shape: patches have no vocabulary that the head could be tied to")
        if self.patches is not None and self.patches.count != self.context:
            raise InputError(
                f"shape: an image of {self.patches.count} patches is no context of {self.context}",
                hint="Let the context be the number of patches.",
            )

    def _check_heads(self) -> None:
        uneven = self.own_head_size is None and self.width % self.n_heads
        turned = self.positions == "rotary" and self.latent is None
        if uneven or (turned and self.head_size % 2):
            raise InputError(
                f"shape: width {self.width} over {self.n_heads} heads is not "
                f"{'an even' if turned else 'a whole'} head size",
                hint="Choose a width that is a multiple of the heads; rotary positions need an even one.",
            )
        if self.n_heads % self.n_kv_heads:
            raise InputError(
                f"shape: {self.n_heads} heads cannot share {self.n_kv_heads} key/value heads",
                hint="Choose a number of key/value heads that divides the heads.",
            )

    @property
    def mixers(self) -> tuple[Mixer, ...]:
        """What mixes tokens, a layer each."""
        if self.pattern:
            return tuple(self.pattern[layer % len(self.pattern)] for layer in range(self.n_layers))
        plain: Mixer = "full" if self.window is None else "window"
        return (plain if self.state_space is None else "mamba2",) * self.n_layers

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.own_head_size or self.width // self.n_heads

    @property
    def groups(self) -> tuple[Group, ...]:
        """The parameters by what they are for."""
        return groups_of(self)

    @property
    def params_embedding(self) -> int:
        """Parameters of the input lookup, learned positions included."""
        return sum(group.params for group in self.groups if group.role in ("embedding", "positions"))

    @property
    def params_head(self) -> int:
        """Parameters of the output matrix; they are the embedding's when `tied`."""
        return self.vocabulary * self.width

    @property
    def params_norms(self) -> int:
        """Parameters of the norms."""
        return sum(group.params for group in self.groups if group.role == "norms")

    @property
    def params_matrices(self) -> int:
        """Matrix parameters of the blocks, and of the projection of patches."""
        return sum(group.params for group in self.groups if group.multiplies and group.role != "head")

    @property
    def params_matrices_active(self) -> int:
        """Matrix parameters of the blocks that one token meets."""
        return sum(group.active for group in self.groups if group.multiplies and group.role != "head")

    @property
    def params_nonembedding(self) -> int:
        """Parameters without embedding and head: Kaplan's N; a projection of patches counts."""
        return self.params - self.params_embedding - (0 if self.tied else self.params_head)

    @property
    def params_matmul(self) -> int:
        """Parameters of blocks and head: all that a token is multiplied by."""
        return self.params_nonembedding + self.params_head

    @property
    def params(self) -> int:
        """All parameters."""
        return sum(group.params for group in self.groups)

    @property
    def params_active(self) -> int:
        """Parameters that one token meets, embedding and head included; a tied matrix once."""
        met = sum(group.active for group in self.groups)
        return met - (self.params_head if self.tied else 0)

    @property
    def flop_per_token(self) -> int:
        """FLOP per token of a training step under the causal convention, the project's own."""
        from scalescope.cost.flop import flop_per_token

        return int(flop_per_token(self, "causal"))

    def count(self, count: Count) -> int:
        """Return the parameters under a named convention."""
        return int(getattr(self, count))
