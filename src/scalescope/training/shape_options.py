"""What may be changed about every shape of a ladder at once, so that a variant of the family is one line."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scalescope.cost import Shape
from scalescope.cost.parts import MIXERS, Experts, Hashing, Linear, Mixer, StateSpace
from scalescope.errors import InputError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """Experts by number, whatever the width: `16x2+1` is 16 routed, 2 a token, 1 shared."""

    count: int
    top_k: int
    shared: int = 0

    @classmethod
    def parse(cls, text: str) -> Routed:
        """Read `8x2` or `16x2+1`."""
        try:
            routed, _, shared = text.partition("+")
            count, top_k = (int(part) for part in routed.split("x"))
            found = cls(count=count, top_k=top_k, shared=int(shared or 0))
        except ValueError:
            raise InputError(
                f"experts: cannot read {text!r}",
                hint="Write experts x of them a token + shared, such as 8x2 or 16x2+1.",
            ) from None
        if not 1 <= found.top_k <= found.count:
            raise InputError(
                f"experts: {text!r} sends a token to {found.top_k} of {found.count} experts",
                hint="Send a token to at least one and at most all of them.",
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeOptions:
    """Changes to a shape; the default changes nothing."""

    qk_norm: bool = False
    """A norm of queries and one of keys."""
    attention: tuple[Mixer, ...] = ()
    """Pattern of mixers, repeated over the depth; full attention if empty."""
    window: int = 0
    """Tokens that a `window` layer sees; a quarter of the context if 0."""
    experts: Routed | None = None
    """In place of the feed-forward, at equal active parameters."""
    tied: bool = False
    kv_heads: int = 0
    """At most this many key/value heads; as many as heads if 0."""
    depth: float = 1.0
    """Layers over the family's; the width gives way so that the blocks keep their size."""

    def apply(self, shape: Shape) -> Shape:
        """Return a shape with these changes.

        Raises
        ------
        InputError
            If the changes do not fit the shape.
        """
        shape = shape if self.depth == 1.0 else _deepen(shape, self.depth)
        if self.qk_norm:
            shape = replace(shape, head_norms=True)
        if self.tied:
            shape = replace(shape, tied=True)
        if self.kv_heads:
            shape = replace(shape, n_kv_heads=_divisor(shape.n_heads, self.kv_heads))
        if set(self.attention) - {"full"}:
            shape = replace(_equipped(shape, self.attention, self.window), pattern=self.attention)
        return shape if self.experts is None else replace(shape, experts=_experts(shape, self.experts))


def parse_pattern(text: str) -> tuple[Mixer, ...]:
    """Read mixers such as `window+full`, or `3*mamba2+full` where one repeats."""
    mixers: list[Mixer] = []
    for part in text.split("+"):
        times, star, name = part.rpartition("*")
        if star and not times.isdigit():
            raise InputError(f"attention: cannot read {part!r}", hint="Write 3*window for three such layers.")
        known = next((mixer for mixer in MIXERS if mixer == name), None)
        if known is None:
            raise InputError(f"attention: no mixer is called {name!r}", hint=nearest(name, MIXERS))
        mixers += [known] * int(times or 1)
    return tuple(mixers)


def _equipped(shape: Shape, pattern: tuple[Mixer, ...], window: int) -> Shape:
    """Return a shape with what the mixers of a pattern need and it lacks."""
    if "window" in pattern:
        shape = replace(shape, window=window or max(1, shape.context // 4))
    if "hashed" in pattern and shape.hashing is None:
        shape = replace(shape, hashing=Hashing(bucket=min(64, max(1, shape.context // 4))))
    if {"retention", "gated-delta"} & set(pattern) and shape.linear is None:
        shape = replace(shape, linear=Linear())
    if "mamba2" in pattern and shape.state_space is None:
        size = shape.head_size
        space = StateSpace(state=min(128, max(16, size)), head_size=size, chunk=min(256, shape.context))
        shape = replace(shape, state_space=space)
    return shape


def _experts(shape: Shape, routed: Routed) -> Experts:
    """Split the feed-forward over the experts that one token meets."""
    met = routed.top_k + routed.shared
    width = max(1, round(shape.feed_forward / met))
    return Experts(count=routed.count, top_k=routed.top_k, width=width, shared=routed.shared)


def _divisor(number: int, most: int) -> int:
    return max(one for one in range(1, min(number, most) + 1) if number % one == 0)


def _deepen(shape: Shape, factor: float) -> Shape:
    """Return the shape of so many times the layers whose blocks are nearest in size."""
    layers = max(1, round(shape.n_layers * factor))
    share = shape.feed_forward / shape.width
    wanted = shape.n_layers * shape.width**2
    options = []
    for width in range(4, 2 * shape.width + 1, 4):
        heads = [n for n in range(1, width) if width % n == 0 and (width // n) % 2 == 0]
        n_heads = min(heads, key=lambda n: (abs(width / n - shape.head_size), n))
        options.append((abs(layers * width**2 / wanted - 1), width, n_heads))
    _, width, n_heads = min(options)
    return replace(
        shape,
        width=width,
        n_layers=layers,
        n_heads=n_heads,
        n_kv_heads=n_heads,
        feed_forward=max(8, round(width * share / 8) * 8),
    )
