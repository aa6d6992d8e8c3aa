"""What chains the verbs: train, fit, forecast, train the held-out rung, compare, plan, report; and the bench.

Names are imported when they are first used: a bench needs no fits, and a study no models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalescope.workflow.analysis import contents_of, demo, write_all
    from scalescope.workflow.benching import bench, bench_contents, positions_of, predict_bench, write_bench
    from scalescope.workflow.job import draft, study, suggest
    from scalescope.workflow.progress import Progress, Watch

__all__ = [
    "Progress",
    "Watch",
    "bench",
    "bench_contents",
    "contents_of",
    "demo",
    "draft",
    "positions_of",
    "predict_bench",
    "study",
    "suggest",
    "write_all",
    "write_bench",
]

_HOMES = {
    "analysis": ("contents_of", "demo", "write_all"),
    "benching": ("bench", "bench_contents", "positions_of", "predict_bench", "write_bench"),
    "job": ("draft", "study", "suggest"),
    "progress": ("Progress", "Watch"),
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"scalescope.workflow.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'scalescope.workflow' has no attribute {name!r}")
