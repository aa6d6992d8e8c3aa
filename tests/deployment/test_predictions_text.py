from __future__ import annotations

from scalescope.deployment import predictions_text
from scalescope.points import Cell, Cells, Expectation, Workload


def cell(length, state, **expected):
    cause = expected.pop("cause", "")
    return Cell(
        model="lab/small",
        workload=Workload(length=length),
        state=state,
        cause=cause,
        expected=Expectation(state=state, cause=cause, **expected),
    )


def test_time_and_memory_stand_where_it_would_run_and_the_reason_where_not():
    text = predictions_text(
        Cells(
            cells=(
                cell(128, "ok", seconds=0.25, memory_bytes=2**30, spread=1.3),
                cell(512, "not_applicable", cause="position table ends at 256"),
                cell(1024, "skipped", cause="memory: 40 GiB predicted", memory_bytes=40 * 2**30),
            )
        )
    )
    head, lengths, row, note = text.splitlines()
    assert head.startswith("predicted, not run: 1 models, 3 cells (1 would run, ")
    assert lengths.split() == ["128", "512", "1024"]
    assert row.split() == ["small", "0.2", "s", "1", "GiB", "n/a", "memory", "40", "GiB"]
    assert "factor 1.30" in note
