"""Columns that seem to be each other: distinct and all tokens, size and tokens, an outcome that rises."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from scalescope.points.checks.evidence import Evidence, rank_correlation, sampled
from scalescope.points.findings import Finding
from scalescope.units import format_significant

_UNITS = 1e-3
"""Tokens per parameter below which units are wrong, not columns."""


def about_unique_tokens(table: Evidence) -> Iterable[Finding]:
    """Tell more distinct tokens than tokens."""
    if not table.has("tokens", "tokens_unique"):
        return
    rows = np.flatnonzero(table.runs["tokens_unique"] > table.runs.tokens * (1 + 1e-9))
    if not rows.size:
        return
    n = len(table.runs)
    unique, total = table.theirs("tokens_unique"), table.theirs("tokens")
    swapped = rows.size > n / 2
    yield Finding(
        code="RUN016",
        text=f"{rows.size} of {n} rows have more distinct tokens than tokens"
        + ("; the two columns are probably swapped." if swapped else f": {table.labels(rows)}."),
        hint=f"Map them by name: {unique}=tokens,{total}=tokens_unique."
        if swapped
        else "Correct these rows, or leave the column of distinct tokens out.",
    )


def about_size_and_tokens_swapped(table: Evidence) -> Iterable[Finding]:
    """Tell far fewer tokens than parameters in every row."""
    _, (N, D) = table.known("size", "tokens")
    if table.derived in (table.runs.count, "tokens") or not len(N):
        return
    low, middle, high = np.quantile(D / N, [0.0, 0.5, 0.9])
    if high < 1 and middle < 0.2 and low > 0:
        size, tokens = table.theirs(table.runs.count), table.theirs("tokens")
        # Below a thousandth it is rather a question of units.
        hint = (
            "Size and tokens may be swapped; if so, map them by name: "
            f"{size}=tokens,{tokens}={table.runs.count}."
            if middle > _UNITS
            else f"One of them may be in another unit; if so, say so, such as units {size}=k or {tokens}=M."
        )
        yield Finding(
            code="RUN017",
            text=f"There are {format_significant(float(middle), 2)} tokens per parameter in the median.",
            hint=hint,
        )


def about_rising_loss(table: Evidence) -> Iterable[Finding]:
    """Tell a loss that rises with everything that should lower it."""
    factors = [name for name in ("size", "tokens") if table.has(name)]
    factors = factors or [name for name in ("compute", "examples") if table.has(name)][:1]
    rows, (loss, *columns) = table.known("loss", *factors)
    few = sampled(len(rows))
    logs = {name: np.log(column[few]) for name, column in zip(factors, columns, strict=True)}
    logs = {name: log for name, log in logs.items() if np.unique(log).size > 2}
    if len(few) < 6 or not logs:
        return
    y = np.log(loss[few])
    slopes = np.linalg.lstsq(np.stack([np.ones(len(few)), *logs.values()], axis=1), y, rcond=None)[0][1:]
    rank = rank_correlation(np.sum(list(logs.values()), axis=0), y)
    if (slopes > 0).all() and rank > 0.6:
        yield Finding(
            code="RUN018",
            text=f"The loss rises with {' and '.join(logs)}, rank correlation {format_significant(rank, 2)}.",
            hint=f"Columns may be swapped; if it is an accuracy, map it: {table.theirs('loss')}=accuracy.",
        )
