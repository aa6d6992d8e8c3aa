"""What a bench means: classes, tables, walls, scaling with length, recommendation, audit; pure arithmetic."""

from scalescope.deployment.advice import Strategies, Strategy, strategies
from scalescope.deployment.audit_limits import Limit, limit_of
from scalescope.deployment.audit_reading import read_results
from scalescope.deployment.audit_result import Audit
from scalescope.deployment.auditing import audit, published_results
from scalescope.deployment.choosing import Chosen, Mask, choose_series
from scalescope.deployment.classes import (
    CLASSES,
    LengthShare,
    ModelClass,
    Shares,
    classes_of,
    share_by_length,
)
from scalescope.deployment.columns import Column
from scalescope.deployment.difference import BenchDifference, CellDifference, StateChange, compare_benches
from scalescope.deployment.overview import bench_text, doubts_of
from scalescope.deployment.predictions_text import predictions_text
from scalescope.deployment.recommendation import recommend
from scalescope.deployment.recommendation_results import TASKS, Option, Recommendation, Rejected, Wanted
from scalescope.deployment.scaling import MemoryWall, Scaling, ScalingFit, fit_scaling, memory_wall
from scalescope.deployment.series import Series, Setting, series_of
from scalescope.deployment.tables import BenchTable, BenchTables, TableRow, bench_tables
from scalescope.deployment.walls import STOPS, LengthAnswer, ModelWall, Walls, find_walls

__all__ = [
    "CLASSES",
    "STOPS",
    "TASKS",
    "Audit",
    "BenchDifference",
    "BenchTable",
    "BenchTables",
    "CellDifference",
    "Chosen",
    "Column",
    "LengthAnswer",
    "LengthShare",
    "Limit",
    "Mask",
    "MemoryWall",
    "ModelClass",
    "ModelWall",
    "Option",
    "Recommendation",
    "Rejected",
    "Scaling",
    "ScalingFit",
    "Series",
    "Setting",
    "Shares",
    "StateChange",
    "Strategies",
    "Strategy",
    "TableRow",
    "Walls",
    "Wanted",
    "audit",
    "bench_tables",
    "bench_text",
    "choose_series",
    "classes_of",
    "compare_benches",
    "doubts_of",
    "find_walls",
    "fit_scaling",
    "limit_of",
    "memory_wall",
    "predictions_text",
    "published_results",
    "read_results",
    "recommend",
    "series_of",
    "share_by_length",
    "strategies",
]
