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
    from scalescope.workflow.mixing import run_mixture, write_mixtures
    from scalescope.workflow.opening import requested
    from scalescope.workflow.progress import Progress, Watch
    from scalescope.workflow.repeating import run_repetition, write_repetition
    from scalescope.workflow.transferring import draft_transfer, run_transfer, write_transfer

__all__ = [
    "Progress",
    "Watch",
    "bench",
    "bench_contents",
    "compare_levers",
    "contents_of",
    "demo",
    "draft",
    "draft_transfer",
    "positions_of",
    "predict_bench",
    "requested",
    "run_comparison",
    "run_mixture",
    "run_repetition",
    "run_study",
    "run_transfer",
    "study",
    "suggest",
    "write_all",
    "write_bench",
    "write_levers",
    "write_mixtures",
    "write_repetition",
    "write_transfer",
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
        "run_mixture": "mixing:run_mixture",
        "run_repetition": "repeating:run_repetition",
        "run_transfer": "transferring:run_transfer",
        "draft_transfer": "transferring:draft_transfer",
        "write_transfer": "transferring:write_transfer",
        "run_study": "job:run_study",
        "study": "job:study",
        "suggest": "job:suggest",
        "write_all": "analysis:write_all",
        "write_bench": "benching:write_bench",
        "write_levers": "comparing:write_levers",
        "write_mixtures": "mixing:write_mixtures",
        "write_repetition": "repeating:write_repetition",
    },
)
