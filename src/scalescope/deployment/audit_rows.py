"""Checks of single rows: copies, memory, parameters, load times, percentiles."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from scalescope.deployment.audit_limits import Limits
from scalescope.deployment.audit_result import Check, Evidence
from scalescope.deployment.audit_table import ResultRow, ResultTable
from scalescope.points.bench import PERCENTILE_SAMPLES
from scalescope.units import format_bytes, format_count, format_factor, format_percent, format_significant

WEIGHTS = {
    **dict.fromkeys(("fp32", "float32", "f32", "torch.float32", "float"), 4.0),
    **dict.fromkeys(
        ("fp16", "float16", "f16", "half", "torch.float16", "bf16", "bfloat16", "torch.bfloat16"), 2.0
    ),
    **dict.fromkeys(("int8", "fp8", "8bit", "q8_0", "w8a8"), 1.0),
    **dict.fromkeys(("int4", "nf4", "fp4", "4bit", "q4_0", "q4_k_m", "awq", "gptq"), 0.5),
}
"""Bytes of one parameter by the name of the type in lower case."""
SAME_SIZE = 0.02
"""Models within this share of each other's parameters are of one size."""
LOAD_RATIO = 3.0
"""Models of one size whose load times are farther apart are named."""
COUNT_TOLERANCE = 0.01
"""Parameters farther off than this share are not those of the architecture."""


def duplicate_rows(table: ResultTable) -> Check:
    """Rows whose cells are all alike."""
    first: dict[tuple[str, ...], ResultRow] = {}
    copies = []
    for row in table.rows:
        original = first.setdefault(row.written, row)
        if original is not row:
            copies.append(_at(row, f"the same as {table.place} {original.place} in every cell"))
    return Check(
        code="BEN071",
        title="rows that repeat another in every cell",
        severity="misleading",
        affected=len(copies),
        of=len(table.rows),
        unit="rows",
        meaning="One measurement counts twice in every average, share and count of models.",
        advice="Drop the copies, and compute the aggregates again.",
        note=f"{len(first)} are distinct" if copies else "",
        evidence=tuple(copies),
    )


def negative_memory(table: ResultTable) -> Check | None:
    """Memory below zero."""
    rows = [row for row in table.rows if row.memory]
    bad = [(min(one.size for one in row.memory), row) for row in rows]
    bad = sorted(((size, row) for size, row in bad if size < 0), key=lambda pair: pair[0])
    rounded = sum(any(one.negative_zero for one in row.memory) for row in rows)
    check = Check(
        code="BEN072",
        title="negative memory",
        severity="impossible",
        affected=len(bad),
        of=len(rows),
        unit="rows",
        meaning="Memory after minus before in one process, which also frees; no reading here is an amount.",
        advice="Take the peak of a fresh process from the kernel or from the device's allocator.",
        note=f"{rounded} more written as minus zero" if bad and rounded else "",
        evidence=tuple(_at(row, f"-{format_bytes(-size)}") for size, row in bad),
    )
    return check if rows else None


def memory_below_weights(table: ResultTable) -> Iterator[Check]:
    """Memory that the weights alone exceed: in the type of the row, else in 16 and in 32 bits."""
    rows = [(row, max(one.size for one in row.memory if one.whole)) for row in table.rows if _weighable(row)]
    stated = [(row, size, WEIGHTS[row.dtype]) for row, size in rows if row.dtype in WEIGHTS]
    unknown = [(row, size) for row, size in rows if row.dtype not in WEIGHTS]
    if stated:
        yield _below("in their type", stated)
    if unknown:
        yield _below("in 16 bits", [(row, size, 2.0) for row, size in unknown])
        yield _below("in 32 bits", [(row, size, 4.0) for row, size in unknown])


def _weighable(row: ResultRow) -> bool:
    return row.params is not None and any(one.whole for one in row.memory)


def _below(how: str, rows: list[tuple[ResultRow, float, float]]) -> Check:
    shares = [(size / (each * (row.params or math.nan)), row, size, each) for row, size, each in rows]
    bad = sorted((one for one in shares if one[0] < 1), key=lambda one: one[0])
    return Check(
        code="BEN073",
        title=f"memory below the weights {how}",
        severity="doubtful" if "32" in how else "impossible",
        affected=len(bad),
        of=len(rows),
        unit="rows",
        meaning="The weights are not in what was read: mapped but untouched, elsewhere, or quantised.",
        advice="Touch every weight before reading; name the type; count device and host memory.",
        evidence=tuple(
            _at(row, f"{_signed_bytes(size)}, the weights {format_bytes(each * (row.params or 0))}")
            for _, row, size, each in bad
        ),
    )


def _signed_bytes(size: float) -> str:
    return f"-{format_bytes(-size)}" if size < 0 else format_bytes(size)


def params_of_architecture(table: ResultTable, limits: Limits) -> Check | None:
    """Parameters that are not those of the architecture of that name, with or without its head."""
    known, bad = 0, []
    for row in table.rows:
        limit = limits.find(row.model)
        counts = [] if limit is None else [n for n in (limit.params, limit.params_with_head) if n]
        if row.params is None or not counts:
            continue
        known += 1
        off = min((row.params / count - 1 for count in counts), key=abs)
        if abs(off) > COUNT_TOLERANCE:
            text = f"{format_count(row.params)}, its architecture has {format_count(row.params / (1 + off))}"
            bad.append((abs(off), _at(row, f"{text} ({'+' if off > 0 else '-'}{format_percent(abs(off))})")))
    check = Check(
        code="BEN078",
        title="parameters unlike the architecture's",
        severity="doubtful",
        affected=len(bad),
        of=known,
        unit="rows",
        meaning="Another model was loaded, a part was counted twice or left out, or the unit is wrong.",
        advice="Count once over the loaded model, tied weights once, and say whether the head is in it.",
        evidence=tuple(one for _, one in sorted(bad, key=lambda pair: -pair[0])),
    )
    return check if known else None


def load_times(table: ResultTable) -> Check | None:
    """Models of one size that load at very different speed."""
    rows = sorted((row for row in table.rows if row.params and row.load_s), key=lambda row: row.params or 0)
    once = list({row.model: row for row in rows}.values())
    groups: dict[float, list[ResultRow]] = defaultdict(list)
    start = 0.0
    for row in once:
        start = row.params or 0.0 if not start or (row.params or 0) > start * (1 + SAME_SIZE) else start
        groups[start].append(row)
    several = [group for group in groups.values() if len(group) > 1]
    bad = []
    for group in several:
        fast, slow = min(group, key=_load), max(group, key=_load)
        if (ratio := _load(slow) / _load(fast)) > LOAD_RATIO:
            speed = format_bytes(4 * (slow.params or 0) / _load(slow))
            text = f"{format_significant(_load(slow))} s, {fast.model} {format_significant(_load(fast))} s: "
            bad.append((ratio, _at(slow, f"{text}{format_factor(ratio)}; {speed}/s of 32-bit weights")))
    check = Check(
        code="BEN080",
        title=f"load times more than {LOAD_RATIO:g}x apart at equal size",
        severity="doubtful",
        affected=len(bad),
        of=len(several),
        unit="groups of models of one size",
        meaning="Downloads, the first import or a cold cache are in the time, not only the loading.",
        advice="Download first; import before the clock; name cold and warm; time the parts by themselves.",
        evidence=tuple(one for _, one in sorted(bad, key=lambda pair: -pair[0])),
    )
    return check if several else None


def _load(row: ResultRow) -> float:
    return row.load_s or math.nan


def percentiles_without_samples(table: ResultTable) -> Check | None:
    """Percentiles that the number of samples, where it is given at all, does not support."""
    rows = [row for row in table.rows if any(percent > 50 for percent in row.percentiles)]
    bad = []
    for row in rows:
        highest = max(row.percentiles)
        needed = max((n for percent, n in PERCENTILE_SAMPLES.items() if percent <= highest), default=1)
        if row.samples is None:
            bad.append(_at(row, f"p{highest:g} without a number of samples; it takes {needed}"))
        elif row.samples < needed:
            bad.append(_at(row, f"p{highest:g} from {row.samples:g} samples; it takes {needed}"))
    check = Check(
        code="BEN079",
        title="percentiles without enough samples",
        severity="doubtful",
        affected=len(bad),
        of=len(rows),
        unit="rows",
        meaning="The highest of a few samples is called a percentile; the next measurement gives another.",
        advice="Give the number of samples; 64 for p90 and 662 for p99 (rules of MLPerf inference).",
        evidence=tuple(bad),
    )
    return check if rows else None


def _at(row: ResultRow, text: str) -> Evidence:
    return Evidence(place=row.place, model=row.model, text=text)
