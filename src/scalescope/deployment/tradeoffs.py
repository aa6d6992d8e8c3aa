"""What one choice costs against another: the front that nothing beats, and its steps as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scalescope.units import format_factor

if TYPE_CHECKING:
    from scalescope.deployment.recommendation_results import Option


MOST = 6
"""Sentences at most."""


def pareto_front(options: Sequence[Option]) -> tuple[str, ...]:
    """Name the models that no other beats in throughput, memory and parameters at once, fastest first.

    More parameters count as better, as the only sign of quality that a bench has. Options without a memory or
    a size are left out.
    """
    known = [one for one in options if one.memory is not None and one.params is not None]
    return tuple(one.model for one in known if not any(_beats(other, one) for other in known))


def _beats(one: Option, other: Option) -> bool:
    mine, theirs = _merits(one), _merits(other)
    return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))


def _merits(one: Option) -> tuple[float, float, float]:
    assert one.memory is not None
    return one.tokens_per_s.value, -one.memory.value, float(one.params or 0)


def trade_offs(options: Sequence[Option], others: Sequence[Option] = ()) -> tuple[str, ...]:
    """Say what the fastest model costs against the leanest and the largest, and what its settings change.

    Parameters
    ----------
    options
        One a model, fastest first.
    others
        Other settings of the same models.
    """
    if not options:
        return ()
    first = options[0]
    said = [_against(first, other) for other in _alternatives(options)]
    said += [_settings(first, other) for other in others if other.model == first.model]
    return tuple(dict.fromkeys(text for text in said if text))[:MOST]


def _alternatives(options: Sequence[Option]) -> list[Option]:
    """The leanest, the largest and the next on the way to the leanest."""
    known = [one for one in options[1:] if one.memory is not None]
    if not known:
        return list(options[1:2])
    leanest = min(known, key=lambda one: one.memory.value if one.memory else 0.0)
    largest = max(known, key=lambda one: one.params or 0)
    return [one for i, one in enumerate(known) if one in (leanest, largest) or i == 0]


def _against(one: Option, other: Option) -> str:
    """Compare throughput, memory and size of two models."""
    if one.params and other.params and other.params > one.params and _apart(one, other):
        return _growth(one, other)
    size = _ratio(float(one.params), float(other.params)) if one.params and other.params else ""
    costs = [text for text in (_memory(one, other), f"{size} the parameters" * bool(size)) if text]
    price = f" with {' and '.join(costs)}" if costs else ""
    return f"{one.short} is {_speed(one, other)} {other.short}{price}."


def _growth(small: Option, large: Option) -> str:
    """Say what more parameters cost."""
    size = _ratio(float(large.params or 0), float(small.params or 0))
    time = format_factor(small.tokens_per_s.value / large.tokens_per_s.value)
    costs = [text for text in (f"{time} the time", _memory(large, small)) if text]
    return f"{large.short} has {size} the parameters of {small.short} for {' and '.join(costs)}."


def _memory(one: Option, other: Option) -> str:
    if one.memory is None or other.memory is None:
        return ""
    ratio = _ratio(one.memory.value, other.memory.value)
    return f"{ratio} the memory" if ratio else ""


def _settings(one: Option, other: Option) -> str:
    """Compare two settings of one model."""
    memory = _memory(one, other)
    price = f" with {memory}" if memory else ""
    return f"{one.short} with {one.setting.name} is {_speed(one, other)} with {other.setting.name}{price}."


def _speed(one: Option, other: Option) -> str:
    """Say how many times as fast, or that nobody can tell."""
    if not _apart(one, other):
        return "as fast, within noise, as"
    return f"{format_factor(one.tokens_per_s.value / other.tokens_per_s.value)} as fast as"


def _apart(one: Option, other: Option) -> bool:
    """Whether the intervals of their throughput do not touch."""
    mine, theirs = one.tokens_per_s, other.tokens_per_s
    return mine.low > theirs.high or theirs.low > mine.high


def _ratio(mine: float, theirs: float) -> str:
    return format_factor(mine / theirs) if mine > 0 and theirs > 0 else ""
