"""What each stage did, as JSON and as a page of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scalescope.corpora.building.stages import Stage
from scalescope.corpora.built import BuiltCorpus
from scalescope.points import Finding, write_json
from scalescope.units import format_bytes, format_percent, format_seconds

SCHEMA = "scalescope.corpus-report/1"
REPORT, PAGE = "report.json", "report.md"

_HEAD = (
    "| stage | documents in | removed | bytes in | removed | seconds | MB/s |\n|---|---|---|---|---|---|---|"
)


def report_as_plain(name: str, stages: Sequence[Stage], findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the records of all stages as JSON-ready values."""
    return {
        "schema": SCHEMA,
        "name": name,
        "stages": [_stage_as_plain(stage) for stage in stages],
        "findings": [
            {"code": finding.code, "text": finding.text, "hint": finding.hint} for finding in findings
        ],
    }


def write_report(folder: Path, corpus: BuiltCorpus, stages: Sequence[Stage]) -> None:
    """Write the report twice, for programs and for people."""
    write_json(folder / REPORT, report_as_plain(corpus.name, stages, corpus.findings))
    (folder / PAGE).write_text(_page(corpus, stages), encoding="utf-8")


def table(stages: Sequence[Stage]) -> str:
    """Write the stages as a Markdown table."""
    return "\n".join([_HEAD, *(_row(stage) for stage in stages)])


def _stage_as_plain(stage: Stage) -> dict[str, Any]:
    numbers = ("documents_in", "documents_out", "bytes_in", "bytes_out")
    samples = [
        {name: getattr(sample, name) for name in ("digest", "source", "reason", "n_bytes", "excerpt")}
        for sample in stage.samples
    ]
    return {
        "name": stage.name,
        **{name: getattr(stage, name) for name in numbers},
        "seconds": round(stage.seconds, 4),
        "mb_per_second": round(stage.bytes_per_second / 1e6, 3),
        "reasons": dict(stage.reasons),
        "samples": samples,
    }


def _row(stage: Stage) -> str:
    n_bytes = stage.bytes_in - stage.bytes_out
    cells = [
        stage.name,
        f"{stage.documents_in:,}",
        f"{stage.n_removed:,}{_share(stage.n_removed, stage.documents_in)}",
        format_bytes(stage.bytes_in),
        format_bytes(n_bytes) + _share(n_bytes, stage.bytes_in),
        format_seconds(stage.seconds),
        f"{stage.bytes_per_second / 1e6:,.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _share(part: int, whole: int) -> str:
    return f" ({format_percent(part / whole)})" if part and whole else ""


def _page(corpus: BuiltCorpus, stages: Sequence[Stage]) -> str:
    first, *rest = corpus.summary().splitlines()
    parts = [
        f"# {first}",
        "```\n" + "\n".join(line[2:] for line in rest) + "\n```",
        "## Stages",
        table(stages),
    ]
    parts.append(
        "Seconds are those of work, summed over processes; MB are 1e6 bytes of text that came in. "
        "Views that several filters share, such as the words, are charged to the first of them."
    )
    for stage in stages:
        if stage.reasons or stage.samples:
            parts += [f"## Removed by {stage.name}", _reasons(stage), _samples(stage)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _reasons(stage: Stage) -> str:
    return "\n".join(f"- {count:,}: {reason}" for reason, count in stage.reasons.items())


def _samples(stage: Stage) -> str:
    if not stage.samples:
        return ""
    rows = []
    for sample in stage.samples:
        size, told = format_bytes(sample.n_bytes), (_cell(sample.reason), _cell(sample.excerpt))
        rows.append(f"| {' | '.join([_cell(sample.source), sample.digest, size, *told])} |")
    return "\n".join(["| source | document | size | why | beginning |", "|---|---|---|---|---|", *rows])


def _cell(text: str) -> str:
    """Keep a text from ending its cell or becoming markup."""
    marks = {"|": "\\|", "<": "&lt;", "`": "'", "*": "\\*", "_": "\\_", "[": "\\["}
    return "".join(marks.get(character, character) for character in text)
