"""What chains the verbs: train, fit, forecast, train the held-out rung, compare, plan, report."""

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
