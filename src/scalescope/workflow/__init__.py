"""What chains the verbs: train, fit, forecast, train the held-out rung, compare, plan, report; and the bench.

Names are imported when they are first used: a bench needs no fits, and a study no models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalescope.deferring import defer

if TYPE_CHECKING:
    from scalescope.workflow.analysis import contents_of, demo, write_all
    from scalescope.workflow.benching import bench, bench_contents, positions_of, predict_bench, write_bench
    from scalescope.workflow.comparing import compare_levers, run_comparison, write_levers
    from scalescope.workflow.job import draft, run_study, study, suggest
    from scalescope.workflow.opening import requested
    from scalescope.workflow.progress import Progress, Watch

__all__ = [
    "Progress",
    "Watch",
    "bench",
    "bench_contents",
    "compare_levers",
    "contents_of",
    "demo",
    "draft",
    "positions_of",
    "predict_bench",
    "requested",
    "run_comparison",
    "run_study",
    "study",
    "suggest",
    "write_all",
    "write_bench",
    "write_levers",
]

__getattr__ = defer(
    __name__,
    {
        "Progress": "progress:Progress",
        "Watch": "progress:Watch",
        "bench": "benching:bench",
        "bench_contents": "benching:bench_contents",
        "compare_levers": "comparing:compare_levers",
        "contents_of": "analysis:contents_of",
        "demo": "analysis:demo",
        "draft": "job:draft",
        "positions_of": "benching:positions_of",
        "predict_bench": "benching:predict_bench",
        "requested": "opening:requested",
        "run_comparison": "comparing:run_comparison",
        "run_study": "job:run_study",
        "study": "job:study",
        "suggest": "job:suggest",
        "write_all": "analysis:write_all",
        "write_bench": "benching:write_bench",
        "write_levers": "comparing:write_levers",
    },
)
