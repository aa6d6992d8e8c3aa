"""Axes with an explicit domain and with ticks that `units` wrote: 10k, 1M, 3e15, never 1G."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable

import altair as alt

from scalescope.units import format_count, format_flop, format_significant

COUNT_WORDS: dict[str, str] = {
    "params": "all",
    "params_nonembedding": "blocks only",
    "params_matmul": "blocks + head",
    "params_active": "active for one token",
}
"""What N counts, in words short enough for an axis."""

Domain = tuple[float, float]


def size_title(count: str) -> str:
    """Title of an axis of sizes: what N counts is part of it."""
    return f"Parameters N ({COUNT_WORDS.get(count, count)})"


TOKENS_TITLE = "Tokens D"
COMPUTE_TITLE = "Compute C, FLOP"
LOSS_TITLE = "Loss L, nats/token"


def bare_flop(value: float) -> str:
    """Write compute for an axis whose title already has the unit."""
    return format_flop(value).removesuffix(" FLOP")


def padded(values: Iterable[float], share: float = 0.06) -> Domain:
    """Span of positive values on a log axis, widened by a share of itself at both ends."""
    finite = [value for value in values if math.isfinite(value) and value > 0]
    low, high = math.log(min(finite)), math.log(max(finite))
    pad = max((high - low) * share, 0.02)
    return math.exp(low - pad), math.exp(high + pad)


def padded_linear(values: Iterable[float], share: float = 0.06) -> Domain:
    """Span of values on a linear axis, widened by a share of itself at both ends."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite), max(finite)
    pad = max((high - low) * share, 1e-6)
    return low - pad, high + pad


def log_ticks(domain: Domain, most: int = 7) -> list[float]:
    """At most about `most` round values inside a log domain: 1-2-5, 1-3, decades, or every k-th decade.

    A domain well below one decade gets evenly spaced values instead.
    """
    low, high = domain
    if high / low < 4:
        return even_ticks(domain, most)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        ticks = [digit * 10.0**decade for decade in decades for digit in digits]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= most:
            return inside
    step = math.ceil(len(inside) / most)
    return inside[::step]


def even_ticks(domain: Domain, most: int = 7) -> list[float]:
    """At most about `most` evenly spaced round values inside a domain."""
    low, high = domain
    rough = (high - low) / most
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _labels(ticks: list[float], show: Callable[[float], str]) -> str:
    """Vega expression that looks the text of a tick up, since only `units` may write numbers."""
    texts = [show(tick) for tick in ticks]
    return f"{json.dumps(texts)}[indexof({json.dumps(ticks)}, datum.value)]"


def axis(title: str, ticks: list[float], show: Callable[[float], str], *, grid: bool) -> alt.Axis:
    """Build an axis with these ticks, each written by `show`."""
    return alt.Axis(title=title, values=ticks, labelExpr=_labels(ticks, show), grid=grid)


def log_x(field: str, title: str, domain: Domain, show: Callable[[float], str] = format_count) -> alt.X:
    """Logarithmic horizontal axis."""
    scale = alt.Scale(type="log", domain=list(domain), nice=False)
    return alt.X(f"{field}:Q", scale=scale, axis=axis(title, log_ticks(domain), show, grid=False))


def log_y(field: str, title: str, domain: Domain, show: Callable[[float], str] = format_count) -> alt.Y:
    """Logarithmic vertical axis."""
    scale = alt.Scale(type="log", domain=list(domain), nice=False)
    return alt.Y(f"{field}:Q", scale=scale, axis=axis(title, log_ticks(domain), show, grid=True))


def loss_text(value: float) -> str:
    """Write a loss at a tick."""
    return format_significant(value, 3 if round(value, 1) != value else 2)


def loss_y(field: str, domain: Domain, *, log: bool = True, title: str = LOSS_TITLE) -> alt.Y:
    """Vertical axis of losses; ticks are evenly spaced below a factor of four."""
    if log:
        return log_y(field, title, domain, loss_text)
    scale = alt.Scale(domain=list(domain), nice=False, zero=False)
    return alt.Y(f"{field}:Q", scale=scale, axis=axis(title, even_ticks(domain, 6), loss_text, grid=True))
