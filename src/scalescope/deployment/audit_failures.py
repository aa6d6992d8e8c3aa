"""Failed cells against what the configurations say: a position table that ends is not a lack of memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from scalescope.deployment.audit_limits import Limits
from scalescope.deployment.audit_result import Check, Evidence, Failures
from scalescope.deployment.audit_speed import cells
from scalescope.deployment.audit_table import ResultRow, ResultTable, Run
from scalescope.points import STATES, State

_SAID: dict[State, str] = {
    "position_limit": "its position table ends at {limit}",
    "missing_input": "its decoder needs an input of its own",
}
_STATED = frozenset(STATES) - {"other"}
"""Words for a failure that say why, as our own cells have them."""


def explain(table: ResultTable, limits: Limits) -> tuple[Failures, ...]:
    """Count the failed cells of every series and what the configurations say about them."""
    series: dict[str, list[tuple[ResultRow, Run]]] = defaultdict(list)
    for row, run in cells(table):
        if run.ran or run.failed:
            series[run.series].append((row, run))
    return tuple(_explain(name, found, limits) for name, found in series.items())


def _explain(series: str, found: list[tuple[ResultRow, Run]], limits: Limits) -> Failures:
    causes: Counter[State] = Counter()
    unexplained, known, agree = [], 0, 0
    for row, run in found:
        limit = limits.find(row.model)
        cause = limit.cause(run.length) if limit and run.length else None
        known += limit is not None
        agree += limit is not None and (cause is None) == run.ran
        if run.failed and cause is not None:
            causes[cause] += 1
        elif run.failed and run.failed not in _STATED:
            text = f"{run.failed} at {run.length} tokens{'' if limit else '; configuration unknown'}"
            unexplained.append(Evidence(place=row.place, model=row.model, text=text))
    return Failures(
        series=series,
        n_cells=len(found),
        n_failed=sum(bool(run.failed) for _, run in found),
        causes=dict(causes.most_common()),
        unexplained=tuple(unexplained),
        n_known=known,
        n_agree=agree,
    )


def failures_by_configuration(table: ResultTable, limits: Limits) -> Iterator[Check]:
    """Failures that the configuration alone explains, whatever the table calls them, by series."""
    failed: dict[str, list[tuple[ResultRow, Run]]] = defaultdict(list)
    for row, run in cells(table):
        if run.failed and limits.find(row.model):
            failed[run.series].append((row, run))
    for series, found in failed.items():
        yield _by_configuration(series, found, limits)


def _by_configuration(series: str, failed: list[tuple[ResultRow, Run]], limits: Limits) -> Check:
    explained = []
    for row, run in failed:
        limit = limits.find(row.model)
        cause = limit.cause(run.length) if limit and run.length else None
        if limit is not None and cause is not None and run.failed != cause:
            text = f"{run.failed} at {run.length} tokens: {_SAID[cause].format(limit=limit.positions)}"
            explained.append(Evidence(place=row.place, model=row.model, text=text))
    return Check(
        code="BEN077",
        title=f"failures that the configuration explains{_which(series)}",
        severity="misleading",
        affected=len(explained),
        of=len(failed),
        unit="failed cells",
        meaning="The call could not run on any device with any memory; it says nothing about capacity.",
        advice="Report them as not applicable, with the limit; keep class and message of the others.",
        note=_words(failed),
        evidence=tuple(explained),
    )


def _which(series: str) -> str:
    return f" ({series})" if series else ""


def _words(failed: Iterable[tuple[ResultRow, Run]]) -> str:
    common = Counter(run.failed[:30] for _, run in failed).most_common(2)
    return "the table says " + ", ".join(f"{word!r} {count} times" for word, count in common)


def unexplained_failures(failures: Iterable[Failures]) -> Iterator[Check]:
    """Failures for which neither the configuration nor the table gives a reason, by series."""
    for each in failures:
        if not each.n_failed:
            continue
        yield Check(
            code="BEN081",
            title=f"failures without an explanation{_which(each.series)}",
            severity="doubtful",
            affected=len(each.unexplained),
            of=each.n_failed,
            unit="failed cells",
            meaning="Memory, a missing operation or a fault of the harness: the table does not tell which.",
            advice="Run them again and keep class and message; out of memory is for an allocator to say.",
            evidence=each.unexplained,
        )


def ran_beyond_the_table(table: ResultTable, limits: Limits) -> Check | None:
    """Cells that ran at a length for which the model has no positions."""
    known = [(row, run, limits.find(row.model)) for row, run in cells(table) if run.ran and run.length]
    bad = [
        Evidence(
            place=row.place,
            model=row.model,
            text=f"ran at {run.length} tokens; its position table ends at {limit.positions}",
        )
        for row, run, limit in known
        if limit is not None and limit.positions is not None and (run.length or 0) > limit.positions
    ]
    check = Check(
        code="BEN082",
        title="ran beyond the end of the position table",
        severity="impossible",
        affected=len(bad),
        of=sum(limit is not None for *_, limit in known),
        unit="cells that ran",
        meaning="The text was cut to what the model takes, so the rate counts tokens that it never saw.",
        advice="Count the tokens that reach the model; switch truncation off and let it fail.",
        evidence=tuple(bad),
    )
    return check if check.of else None
