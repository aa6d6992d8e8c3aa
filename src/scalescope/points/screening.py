"""What a reader of someone's table should know: names guessed, columns ignored, numbers that look wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from scalescope.points.columns import SIZES
from scalescope.points.findings import Finding
from scalescope.points.naming import Match
from scalescope.points.runs import Runs
from scalescope.units import format_factor, format_significant

_LEAST = {"tokens": 1e3, "compute": 1e6, **dict.fromkeys(SIZES, 1e2)}
_MOST_LOSS = 12.0
"""Nats per token: what guessing among 160,000 tokens costs."""


def screen(runs: Runs, *, matches: Iterable[Match], ignored: Sequence[str]) -> tuple[Finding, ...]:
    """Return what is worth knowing about a table that was read, none of it an error."""
    taken = list(matches)
    return (
        *_about_names(taken, ignored),
        *_about_count(runs, taken),
        *_about_compute(runs, {match.ours for match in taken}),
        *_about_repeats(runs),
        *_about_units(runs),
    )


def _about_names(taken: Sequence[Match], ignored: Sequence[str]) -> Iterable[Finding]:
    guessed = [match for match in taken if match.guessed]
    if guessed:
        pairs = ", ".join(
            f"{match.theirs!r} as {match.ours}" + (f" x {match.scale:g}" if match.scale != 1 else "")
            for match in guessed
        )
        yield Finding(code="RUN001", text=f"Took {pairs}.", hint="Map the columns by name to be sure.")
    if ignored:
        shown = ", ".join(repr(name) for name in ignored[:8]) + (", ..." if len(ignored) > 8 else "")
        columns = "1 column" if len(ignored) == 1 else f"{len(ignored)} columns"
        yield Finding(code="RUN002", text=f"Ignored {columns}: {shown}.")


def _about_count(runs: Runs, taken: Sequence[Match]) -> Iterable[Finding]:
    present = [match.ours for match in taken if match.ours in SIZES]
    if len(present) > 1:
        yield Finding(
            code="RUN005",
            text=f"The table counts N as {', '.join(present)}; {runs.count} is used.",
            hint="Exponents differ between counts; choose one with `count`.",
        )
    elif present and present[0] != "params":
        yield Finding(
            code="RUN005",
            text=f"N counts {runs.count}, the only count in the table.",
            hint="Compare only with results that count the same.",
        )


def _about_compute(runs: Runs, present: set[str]) -> Iterable[Finding]:
    derived = [name for name in (runs.count, "tokens", "compute") if name not in present]
    if derived:
        formula = {"tokens": "C / (6 N)", "compute": "6 N D"}.get(derived[0], "C / (6 D)")
        yield Finding(code="RUN003", text=f"Computed {derived[0]} as {formula}; the table has none.")
        return
    ratio = float(np.median(runs.compute / (6 * runs.size * runs.tokens)))
    if not 1 / 1.2 < ratio < 1.2:
        yield Finding(
            code="RUN004",
            text=f"The compute of the table is {format_factor(ratio)} 6 N D in the median.",
            hint="Plans use 6 N D; leave out the compute column, or choose the count that multiplies.",
        )


def _about_repeats(runs: Runs) -> Iterable[Finding]:
    keys = np.stack([runs.size, runs.tokens, runs.loss], axis=1)
    repeats = len(keys) - len(np.unique(keys, axis=0))
    if repeats:
        yield Finding(
            code="RUN006",
            text=f"{repeats} of {len(keys)} rows repeat the size, tokens and loss of another.",
            hint="Repeated rows make intervals too narrow.",
        )


def _about_units(runs: Runs) -> Iterable[Finding]:
    for name in (runs.count, "tokens", "compute"):
        column = runs[name]
        if column.min() < _LEAST[name]:
            least, most = (format_significant(float(value)) for value in (column.min(), column.max()))
            yield Finding(
                code="RUN007",
                text=f"{name} runs from {least} to {most}, which is implausibly little.",
                hint="Base units are meant, not millions or billions: write 7B or 7e9.",
            )
    worst = float(np.median(runs.loss))
    if worst > _MOST_LOSS:
        yield Finding(
            code="RUN007",
            text=f"The median loss is {format_significant(worst)}, which is implausibly much.",
            hint="Nats per token are meant, not perplexity.",
        )
