"""Plausibility of anybody's table of benchmark results: what cannot be, what misleads, what is doubtful.

The first case is the model study whose tables `published` bundles; `docs/studied.md` says what came out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path

from scalescope.deployment.audit_failures import (
    explain,
    failures_by_configuration,
    ran_beyond_the_table,
    unexplained_failures,
)
from scalescope.deployment.audit_limits import Limit, Limits
from scalescope.deployment.audit_reading import read_results, results_of_cells
from scalescope.deployment.audit_result import SEVERITIES, Audit, Check, Failures
from scalescope.deployment.audit_rows import (
    duplicate_rows,
    load_times,
    memory_below_weights,
    negative_memory,
    params_of_architecture,
    percentiles_without_samples,
)
from scalescope.deployment.audit_speed import (
    above_the_device,
    cells,
    decode_beyond_bandwidth,
    flat_latency,
    implied_flop_per_s,
    measured_twice,
    rate_and_latency,
)
from scalescope.deployment.audit_table import ResultTable
from scalescope.errors import InputError
from scalescope.points import Cells, Finding, Provenance

PUBLISHED = "scalability_wall.csv"
"""The model study's tables, one row for each of theirs; its JSON beside it has source and licence."""

_NEEDS: Mapping[str, str] = {
    "negative memory": "the table has no memory",
    "memory below the weights": "it takes memory and parameters",
    "rates against the device": "give its peak in FLOP/s",
    "decoding against bandwidth": "give the device's bytes/s; it takes decode rates and parameters",
    "latency against length": "it takes one model at two lengths, one four times the other",
    "failures against the configurations": "no configuration of these models is known, or nothing failed",
    "lengths against the position tables": "no configuration of these models is known",
    "parameters against the architectures": "no configuration of these models is known",
    "load times at equal size": "it takes load times and parameters of models of one size",
    "percentiles against samples": "the table has none",
}
"""Check to what it takes, where it could not look."""


def audit(
    table: str | Path | ResultTable | Cells,
    *,
    limits: Mapping[str, Limit] | None = None,
    peak_flop_per_s: float | None = None,
    bytes_per_s: float | None = None,
    columns: Mapping[str, str] | None = None,
) -> Audit:
    """Check a table of benchmark results for what cannot be true.

    All checks but that for copies look at distinct rows.

    Parameters
    ----------
    table
        A file (CSV, TSV, JSON, JSONL, Parquet, Markdown table, our own cells), or what was read from one.
    limits
        Name of a model to what its configuration says; hub names are found by their last part too.
    peak_flop_per_s
        Most that the device can do, in the type that was used.
    bytes_per_s
        Memory bandwidth of the device.
    columns
        A column's name to a name that says it better, such as `{"A": "latency_ms_512"}`.

    Raises
    ------
    InputError
        If the table cannot be read or its columns say too little, or a limit of the device is not above zero.
    """
    for what, value in (("the peak of the device", peak_flop_per_s), ("its bandwidth", bytes_per_s)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{what} must be above zero and finite, got {value:g}", hint="Such as 28e12.")
    whole = _table(table, columns)
    distinct, known = whole.distinct(), Limits(limits or {})
    failures = explain(distinct, known)
    looked = dict(_checks(distinct, known, failures, peak_flop_per_s, bytes_per_s))
    checks = [duplicate_rows(whole), *(check for found in looked.values() for check in found)]
    objecting = sorted((check for check in checks if check.affected), key=_rank)
    return Audit(
        source=whole.source,
        place=whole.place,
        n_rows=len(whole.rows),
        n_distinct=len(distinct.rows),
        n_models=len({row.model for row in whole.rows}),
        columns={column.theirs: column.text for column in whole.columns},
        checks=tuple(objecting),
        passed=tuple(check.title for check in checks if not check.affected),
        not_checked={
            title: _NEEDS[title] for title, found in looked.items() if not found and title in _NEEDS
        },
        failures=failures,
        largest_flop_per_s=_largest(distinct, known),
        findings=(*_reading(whole), *(_as_finding(check) for check in objecting)),
        provenance=Provenance(
            source=whole.source,
            digest=whole.digest,
            options={"peak_flop_per_s": peak_flop_per_s, "bytes_per_s": bytes_per_s},
        ),
    )


def published_results() -> ResultTable:
    """Return the model study's tables as bundled: 118 rows, its first run and, for 34 models, its second."""
    with resources.as_file(resources.files("scalescope.deployment") / "published" / PUBLISHED) as path:
        return read_results(path)


def _table(table: str | Path | ResultTable | Cells, columns: Mapping[str, str] | None) -> ResultTable:
    if isinstance(table, ResultTable):
        return table
    return results_of_cells(table) if isinstance(table, Cells) else read_results(table, columns=columns)


def _checks(
    table: ResultTable,
    limits: Limits,
    failures: tuple[Failures, ...],
    peak: float | None,
    bandwidth: float | None,
) -> Iterator[tuple[str, list[Check]]]:
    """Yield every check by what it looks at; an empty list if it could not look."""
    yield "negative memory", _made([negative_memory(table)])
    yield "memory below the weights", _made(memory_below_weights(table))
    yield "rates against the device", _made([above_the_device(table, limits, peak)] if peak else [])
    yield (
        "decoding against bandwidth",
        _made([decode_beyond_bandwidth(table, bandwidth)] if bandwidth else []),
    )
    yield "latency against length", _made(flat_latency(table))
    yield "one cell against another", _made(measured_twice(table))
    yield "rate against latency", _made([rate_and_latency(table)])
    yield "load times at equal size", _made([load_times(table)])
    yield "percentiles against samples", _made([percentiles_without_samples(table)])
    yield "lengths against the position tables", _made([ran_beyond_the_table(table, limits)])
    yield "parameters against the architectures", _made([params_of_architecture(table, limits)])
    yield "failures against the configurations", _made(failures_by_configuration(table, limits))
    yield "failures left", _made(unexplained_failures(failures))


def _made(checks: Iterable[Check | None]) -> list[Check]:
    return [check for check in checks if check is not None]


def _rank(check: Check) -> tuple[int, float]:
    """Worst first: by severity, then by the share that it objects to."""
    return SEVERITIES.index(check.severity), -check.affected / max(check.of, 1)


def _largest(table: ResultTable, limits: Limits) -> float | None:
    rates = (implied_flop_per_s(row, run, limits) for row, run in cells(table))
    return max((rate for rate in rates if rate is not None), default=None)


def _as_finding(check: Check) -> Finding:
    return Finding(code=check.code, text=check.text, hint=f"{check.meaning} {check.advice}")


def _reading(table: ResultTable) -> Iterator[Finding]:
    """Say how the columns were taken, and which cells could not be read."""
    guessed = [f"{column.theirs} = {column.text}" for column in table.columns if column.role != "ignored"]
    if guessed:
        yield Finding(
            code="BEN070",
            text=f"Columns were taken for: {'; '.join(guessed)}.",
            hint="Map those that are wrong.",
        )
    assumed = [column for column in table.columns if column.assumed and column.role != "ignored"]
    if assumed:
        yield Finding(
            code="BEN084",
            text="Units were assumed: "
            + "; ".join(f"{one.theirs} in {one.assumed}" for one in assumed)
            + ".",
            hint="Map the column to a name with its unit.",
        )
    left = [column.theirs for column in table.columns if column.role == "ignored"]
    if left:
        yield Finding(
            code="BEN086",
            text=f"Columns were ignored: {_listed(left)}.",
            hint="Scores and quotients are not checked.",
        )
    if unread := table.unreadable:
        yield Finding(
            code="BEN087",
            text=f"{len(unread)} cells could not be read and were left out: {_listed(unread)}.",
            hint="A cell is a number with or without a unit, a word for a failure, or empty.",
        )


def _listed(names: Iterable[str], most: int = 6) -> str:
    found = list(names)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")
