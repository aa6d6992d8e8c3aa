"""A recommendation as tidy rows and as text for a terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from scalescope.deployment.columns import format_duration
from scalescope.deployment.series import count_of
from scalescope.units import format_bytes, format_count, format_factor

if TYPE_CHECKING:
    from scalescope.deployment.recommendation_results import Option, Recommendation

_SHOWN = 12
"""Rows of each list."""


def recommendation_rows(found: Recommendation) -> list[dict[str, Any]]:
    """What fits by rank, then the rest with its reason."""
    front = set(found.front)
    return [
        *(_option_row(one) | {"front": one.model in front} for one in found.options),
        *(
            {
                "model": one.model,
                "category": one.category,
                "fits": False,
                "reason": one.reason,
                "why": one.text,
            }
            for one in found.rejected
        ),
    ]


def _option_row(one: Option) -> dict[str, Any]:
    return {
        "model": one.model,
        "category": one.category,
        "fits": True,
        "rank": one.rank,
        "setting": one.setting.name,
        "params": one.params,
        "seconds": one.seconds.value,
        "seconds_low": one.seconds.low,
        "seconds_high": one.seconds.high,
        "tokens_per_s": one.tokens_per_s.value,
        "tokens_per_s_low": one.tokens_per_s.low,
        "tokens_per_s_high": one.tokens_per_s.high,
        "memory": one.memory.value if one.memory else None,
        "joules_per_token": one.joules,
        "source": one.source,
        "reach": one.reach,
        "random_weights": one.random_weights,
    }


def recommendation_text(found: Recommendation) -> str:
    """What fits, trade-offs, counts of why the rest does not with examples, and findings."""
    n = len(found.options)
    lines = [f"For {found.wanted.text}: {n} of {n + len(found.rejected)} models fit"]
    lines += [f"  {_line(one, found)}" for one in found.options[:_SHOWN]]
    lines += _more(n)
    if found.front and n > 1:
        lines.append(
            f"  * nothing beats it in throughput, memory and parameters at once ({len(found.front)})"
        )
    lines += [f"  {text}" for text in found.trade_offs]
    if found.rejected:
        reasons = Counter(one.reason for one in found.rejected)
        lines.append(f"Not: {', '.join(f'{count} {reason}' for reason, count in reasons.items())}")
        lines += [f"  {one.model.rpartition('/')[2]}: {one.text}" for one in found.rejected[:_SHOWN]]
        lines += _more(len(found.rejected))
    lines += [f"  {note}" for note in found.notes]
    return "\n".join([*lines, *(f"  {finding}" for finding in found.findings)])


def _more(count: int) -> list[str]:
    return [f"  and {count - _SHOWN} more"] if count > _SHOWN else []


def _line(one: Option, found: Recommendation) -> str:
    mark = "*" if one.model in found.front else " "
    parts = [
        one.seconds.text(format_duration),
        f"{format_count(one.tokens_per_s.value)} tokens/s",
        f"{format_bytes(one.memory.value)}" if one.memory else "memory unknown",
        f"{format_count(one.params)} parameters" if one.params else "size unknown",
        one.setting.name,
    ]
    parts += [f"{one.source} {format_factor(one.reach)}" if one.reach > 1 else one.source] * (
        one.source != "measured"
    )
    parts += [f"like {count_of(len(one.same), 'more model')}"] if one.same else []
    return f"{one.rank:>3}{mark} {one.short}: {', '.join(parts)}"
