"""Parts that a transformer may have beside plain attention and one feed-forward."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from scalescope.errors import InputError, nearest

Mixer = Literal["full", "window", "hashed", "retention", "gated-delta", "mamba2"]
"""What lets tokens of a layer see each other: all pairs, the nearest, those of equal hash, or a state."""

MIXERS: tuple[Mixer, ...] = get_args(Mixer)

Activation = Literal["silu", "gelu", "gelu-tanh", "relu"]
"""Non-linearity of a feed-forward; `gelu-tanh` is the approximation of GPT-2 and of many vision models."""

ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)

Balance = Literal["aux-loss", "bias", "none"]
"""What evens out the load of experts: an auxiliary loss, a bias of each expert's choice, or nothing."""

BALANCES: tuple[Balance, ...] = get_args(Balance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """A feed-forward of which each token uses a part (Shazeer et al. 2017, https://arxiv.org/abs/1701.06538)."""

    count: int
    """Routed experts of one layer."""
    top_k: int
    """Experts that a token is sent to."""
    width: int
    """Hidden width of one expert."""
    shared: int = 0
    """Experts that every token passes, of the same width (DeepSeekMoE, https://arxiv.org/abs/2401.06066)."""
    dense_layers: int = 0
    """First layers that have the plain feed-forward instead."""
    every: int = 1
    """One layer in so many has experts, the last of them; the others have the plain feed-forward."""
    scores: Literal["softmax", "sigmoid"] = "softmax"
    """From the router's logits to an expert's weight; sigmoids are those of DeepSeek-V3."""
    normalised: bool = True
    """Whether the weights of a token's chosen experts are divided by their sum."""
    scale: float = 1.0
    """What the weights are multiplied by after that."""
    balance: Balance = "aux-loss"
    """Switch's loss (https://arxiv.org/abs/2101.03961), or the bias of https://arxiv.org/abs/2408.15664."""
    balance_rate: float | None = None
    """Weight of the auxiliary loss, 0.01 if None, or step of the bias, 0.001 if None."""
    z_loss: float = 0.0
    """Weight of the mean squared log-sum-exp of the router's logits (https://arxiv.org/abs/2202.08906)."""
    capacity: float | None = None
    """Most tokens of a sequence that an expert takes, over the even share; None to drop none."""

    def __post_init__(self) -> None:
        _positive("experts", self, "count", "top_k", "width", "every")
        if self.top_k > self.count:
            raise InputError(f"experts: top_k {self.top_k} exceeds the {self.count} experts")
        if self.shared < 0 or self.dense_layers < 0:
            raise InputError("experts: shared and dense_layers must not be negative")
        for name, known in (("balance", BALANCES), ("scores", ("softmax", "sigmoid"))):
            value = getattr(self, name)
            if value not in known:
                raise InputError(f"experts: no {name} is called {value!r}", hint=nearest(value, known))
        for name in ("scale", "capacity"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"experts: {name} must be positive, got {value:g}")
        if not self.z_loss >= 0 or not self.rate >= 0:
            raise InputError("experts: z_loss and balance_rate must not be negative")

    @property
    def rate(self) -> float:
        """Weight of the auxiliary loss, or step of the bias."""
        if self.balance_rate is not None:
            return self.balance_rate
        return 0.001 if self.balance == "bias" else 0.01

    def has(self, layer: int) -> bool:
        """Whether a layer, counted from 0, has experts."""
        return layer >= self.dense_layers and (layer - self.dense_layers + 1) % self.every == 0

    def layers(self, n_layers: int) -> int:
        """Count the layers that have experts."""
        return max(0, n_layers - self.dense_layers) // self.every


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """Keys and values through one narrow matrix (DeepSeek-V2, https://arxiv.org/abs/2405.04434)."""

    key_value_rank: int
    query_rank: int | None = None
    """None where queries come from the stream directly."""
    nope: int
    """Size of a head's part without positions."""
    rotary: int
    """Size of its rotary part, shared by all heads on the side of the keys."""
    value: int
    """Size of a head's values."""

    def __post_init__(self) -> None:
        _positive("latent attention", self, *(one.name for one in fields(self) if one.name != "query_rank"))
        if self.query_rank is not None and self.query_rank < 1:
            raise InputError(f"latent attention: query_rank must be at least 1, got {self.query_rank}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpace:
    """A Mamba-2 block (https://arxiv.org/abs/2405.21060) in place of attention: `mamba2` layers."""

    state: int = 128
    """Numbers that a channel remembers."""
    expand: int = 2
    """Inner width over the model's."""
    head_size: int = 64
    groups: int = 1
    """Sets of input and output maps that heads share."""
    kernel: int = 4
    """Width of the convolution before it."""
    chunk: int = 256
    """Tokens that are worked on as one block of scores."""

    def __post_init__(self) -> None:
        _positive("state space", self, *(one.name for one in fields(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """Attention without softmax, through a state of a fixed size: `retention` and `gated-delta` layers.

    Retention (Sun et al. 2023, https://arxiv.org/abs/2307.08621) decays by a constant of each head; the gated
    delta rule (Yang et al. 2024, https://arxiv.org/abs/2412.06464) by a gate of each token, and writes the
    difference to what the state holds. Heads and their size are those of the shape.
    """

    expand: int = 1
    """Width of a head's values over that of its keys."""
    kernel: int = 4
    """Width of the convolution before a gated delta."""
    chunk: int = 64
    """Tokens that are worked on as one block of scores."""

    def __post_init__(self) -> None:
        _positive("linear attention", self, *(one.name for one in fields(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashing:
    """Attention within buckets of equal hash (Reformer, Kitaev et al. 2020, https://arxiv.org/abs/2001.04451)."""

    bucket: int = 64
    """Tokens of its own bucket that a token sees, the last ones, itself among them."""
    rounds: int = 1
    """Hashes that are tried and weighed."""

    def __post_init__(self) -> None:
        _positive("hashing", self, "bucket", "rounds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """Images in place of text (ViT, Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929).

    A token is a patch; `Shape.vocabulary` counts the classes, and the head reads the mean over patches.
    """

    side: int
    """Pixels of a square image's side."""
    patch: int
    """Pixels of a square patch's side."""
    channels: int = 1

    def __post_init__(self) -> None:
        _positive("patches", self, "side", "patch", "channels")
        if self.side % self.patch:
            raise InputError(f"patches: {self.patch} pixels do not divide a side of {self.side}")

    @property
    def count(self) -> int:
        """Patches of one image."""
        return (self.side // self.patch) ** 2

    @property
    def numbers(self) -> int:
        """Of one patch."""
        return self.patch**2 * self.channels


def _positive(what: str, part: object, *names: str) -> None:
    for name in names:
        if getattr(part, name) < 1:
            raise InputError(f"{what}: {name} must be at least 1, got {getattr(part, name)}")
