"""Writes docs/studied.md: the model study's own tables, audited. Every number comes from the bundled table.

    python docs/audit.py

Limits of the models are from the registry of the bench; nothing is measured here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path

from scalescope.deployment.audit_limits import Limit, limit_of
from scalescope.deployment.audit_result import SEVERITIES, Audit, Failures
from scalescope.deployment.audit_table import ResultRow, ResultTable
from scalescope.deployment.auditing import audit, published_results
from scalescope.units import format_significant

PAGE = Path(__file__).parent / "studied.md"
PEAK = 28e12
"""FLOP/s that no Mac's GPU exceeded in 32 bits in 2024, from memory: the repository names no model."""
COMMAND = "scalescope bench audit study --peak 28e12"
"""That prints the whole audit: with `PEAK` as the device's."""
LENGTHS = (128, 512, 1024)

HEAD = """# The study behind the bench, audited

The inference bench follows a study of "118 transformer models" at 128 to 2048 tokens. Before we
repeated it, we ran `scalescope bench audit` on the tables that its authors published. This page is
written by `python docs/audit.py`; every number in it is computed from the bundled copy of those tables.

An audit says what cannot be true, what does not mean what it seems to, and what should be looked at.
It does not say what the true figures are: those take a measurement.
"""


def registry_limits() -> dict[str, Limit]:
    """Name of every model of the registry to what its configuration says."""
    from scalescope.inference.registry import list_models

    return {model.name: limit_of(model.anatomy) for model in list_models()}


def write_page(limits: Mapping[str, Limit]) -> str:
    """Put the page together."""
    table = published_results()
    plain = {name: replace(one, flop_per_token=None) for name, one in limits.items()}
    found = audit(table, limits=plain, peak_flop_per_s=PEAK)
    exact = audit(table, limits=limits, peak_flop_per_s=PEAK)
    parts = [
        HEAD,
        _source(),
        _first(table, found),
        _objections(found),
        _shares(table, limits),
        _causes(found),
    ]
    parts += [_speed(table, found, exact), _thresholds(found), _output(exact)]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _source() -> str:
    about = json.loads(
        (resources.files("scalescope.deployment") / "published" / "scalability_wall.json").read_text("utf-8")
    )
    files = ", ".join(f"`{Path(name).name}`" for name in about["files"])
    return (
        f"Source: {about['repository']} at `{about['commit'][:12]}`, {about['licence']} licence; "
        f"{files}, side by "
        f"side in one table, values as written. Device: {about['device']}.\n"
    )


def _first(table: ResultTable, found: Audit) -> str:
    first, second = (_series(found, name) for name in ("", "rerun"))
    words = sorted({run.failed for row in table.rows for run in row.runs if run.failed})
    return (
        f"**In short.** Of {found.n_rows} rows {found.n_rows - found.n_distinct} are copies, so there are "
        f"{found.n_distinct} models. Of the {first.n_failed} cells that failed, "
        f"all called {' or '.join(words)}, "
        f"{first.n_explained} could not have run on any device: {_causes_in_words(first)}. The "
        "configurations alone "
        f"predict how {first.n_agree} of {first.n_known} cells ended, and {second.n_agree} of "
        f"{second.n_known} of a "
        f"second run in the same repository. Not one failure is shown to be a lack of memory.\n"
    )


def _series(found: Audit, name: str) -> Failures:
    return next(one for one in found.failures if one.series == name)


_WORDS = {"position_limit": "the position table ends", "missing_input": "the decoder was given no input"}


def _causes_in_words(one: Failures) -> str:
    return ", ".join(f"{_WORDS[cause]} ({count})" for cause, count in one.causes.items())


def _objections(found: Audit) -> str:
    rows = [
        f"| {check.code} | {check.severity} | {check.title} | {check.affected} of {check.of} "
        f"{check.unit} | "
        f"{check.evidence[0].model}: {check.evidence[0].text} |"
        for severity in SEVERITIES
        for check in found.checks
        if check.severity == severity
    ]
    return _table("What it objects to", "| code | | what | how many | worst |", rows)


def _shares(table: ResultTable, limits: Mapping[str, Limit]) -> str:
    """Share of models that run at each length: as printed, without copies, and of the models that can."""
    rows = []
    distinct = table.distinct().rows
    can = _can(limits)
    for length in LENGTHS:
        able = [row for row in distinct if can(row, length)]
        rows.append(
            f"| {length} | {_ran(table.rows, length)} | {_ran(distinct, length)} | {_ran(able, length)} |"
        )
    text = _table(
        "The share that runs, three times",
        "| tokens | of all rows, as the study counts | of distinct models | of those whose "
        "configuration allows it |",
        rows,
    )
    accept = [sum(can(row, 2048) for row in rows) for rows in (distinct, table.rows)]
    return (
        f"{text}\nAt 2048 tokens the first run has no column at all; the study prints 0% there. By their "
        f"configurations {accept[0]} of {len(distinct)} models ({accept[1]} of {len(table.rows)} "
        "rows) can take 2048 "
        f"tokens, and in the second run {_ran_2048(table)} of the models did.\n"
    )


def _can(limits: Mapping[str, Limit]) -> Callable[[ResultRow, int], bool]:
    from scalescope.deployment.audit_limits import Limits

    known = Limits(limits)

    def can(row: ResultRow, length: int) -> bool:
        limit = known.find(row.model)
        return limit is not None and limit.cause(length) is None

    return can


def _ran(rows: Iterable[ResultRow], length: int) -> str:
    runs = [run for row in rows for run in row.runs if run.length == length and not run.series]
    n = sum(run.ran for run in runs)
    return f"{n} of {len(runs)} ({n / len(runs):.1%})"


def _ran_2048(table: ResultTable) -> str:
    runs = [run for row in table.distinct().rows for run in row.runs if run.length == 2048]
    return f"{sum(run.ran for run in runs)} of {len(runs)}"


def _causes(found: Audit) -> str:
    rows = []
    for one in found.failures:
        name = "second run" if one.series else "first run"
        causes = [one.causes.get(cause, 0) for cause in ("position_limit", "missing_input")]
        agree = f"{one.n_agree} of {one.n_known}"
        rows.append(
            f"| {name} | {one.n_cells} | {one.n_failed} | {causes[0]} | {causes[1]} | "
            f"{len(one.unexplained)} | {agree} |"
        )
    text = _table(
        "Why cells failed",
        "| | cells | failed | position table ends | decoder input missing | no reason in the "
        "configuration | "
        "predicted by the configurations |",
        rows,
    )
    left = sorted({one.model for each in found.failures for one in each.unexplained})
    return (
        f"{text}\nWithout a reason in the configuration: {', '.join(left)}. The error text was not "
        "kept, so nothing tells "
        "a missing operation of the device from a lack of memory.\n"
    )


def _speed(table: ResultTable, found: Audit, exact: Audit) -> str:
    above = next(check for check in found.checks if check.code == "BEN074")
    again = next(check for check in found.checks if check.code == "BEN083")
    slower, both = _slower(table)
    flat = sum(check.affected for check in found.checks if check.code == "BEN075" and _RERUN in check.title)
    beyond = sum(_RERUN in one.text for one in above.evidence)
    return (
        "## Why the speeds cannot be right\n\n"
        f"The fastest figure implies {_tflop(found.largest_flop_per_s)} at two FLOP per parameter and "
        "token, and "
        f"{_tflop(exact.largest_flop_per_s)} by the matrices that a token meets. {above.affected} of "
        f"{above.of} "
        f"cells are above {_tflop(PEAK)}, more than the GPU of any Mac of that time (from memory: the "
        f"repository does not name its device). The second run is slower in {slower} of the {both} "
        "cells that both "
        f"have, {again.note}; {beyond} of its figures are above the device and {flat} of its "
        "latencies are flat. "
        "The paper prints the first.\n"
    )


_RERUN = "(rerun)"


def _slower(table: ResultTable) -> tuple[int, int]:
    """Count the cells of both runs, and those in which the second is slower."""
    slower = both = 0
    for row in table.distinct().rows:
        rates = {(run.series, run.length): run.tokens_per_s for run in row.runs if run.ran}
        for (series, length), rate in rates.items():
            first = rates.get(("", length))
            if series and rate and first:
                both += 1
                slower += rate < first
    return slower, both


def _tflop(rate: float | None) -> str:
    return f"{format_significant((rate or 0) / 1e12)} TFLOP/s"


def _thresholds(found: Audit) -> str:
    memory = [check.affected for check in found.checks if check.code == "BEN073"]
    return (
        "## Where a judgement enters\n\n"
        f"- GB is read as 1e9 bytes: {memory[0]} models then read less than their weights in 16 bits and "
        f"{memory[1]} in 32 bits. {_in_gib()} if GiB was meant.\n"
        "- A latency is called flat below 1.15 times that of a quarter of the tokens, or 1.25 times "
        "that of an "
        "eighth. A small model on a large device can be flat honestly, bound by launches; with rates "
        "above the "
        "device beside it, it is not.\n"
        "- A failure counts as explained when the configuration alone forbids the call: text only, "
        "no decoder input, "
        "nothing cut off.\n"
        "- Minus zero is not counted as negative.\n"
    )


def _in_gib() -> str:
    from scalescope.deployment.audit_reading import read_results

    with resources.as_file(
        resources.files("scalescope.deployment") / "published" / "scalability_wall.csv"
    ) as path:
        found = audit(read_results(path, columns={"memory_gb": "memory GiB"}))
    low, high = sorted(check.affected for check in found.checks if check.code == "BEN073")
    return f"It is {low} and {high}"


def _output(found: Audit) -> str:
    return (
        "## The whole audit\n\n"
        "With FLOP counted by the matrices that a token meets, as the command does with models that it "
        "knows; the table above counts two for every parameter, as a table alone allows.\n\n"
        f"<!-- output: {COMMAND} -->\n```text\n{found.summary()}\n```\n"
    )


def _table(title: str, header: str, rows: Iterable[str]) -> str:
    rule = "| --- " * (header.count("|") - 1) + "|"
    return "\n".join([f"## {title}\n", header, rule, *rows, ""])


if __name__ == "__main__":
    PAGE.write_text(write_page(registry_limits()), encoding="utf-8")
