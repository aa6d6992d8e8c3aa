"""Tells how transformers scale before you pay for it: each number with an error bar.

The public verbs, in the order of the work: `load_runs` or `study`, `fit`, `compare`, `forecast`, `plan`,
`price`, `diagnose`, `next_run`, `report`, `plot`; `extrapolate` for one curve, `reproduce` for what papers
print, and `demo` for all of it on a bundled table; `bench`, `recommend` and `audit` for models and what they
need; `build_corpus` for the text and `compare_levers` for what a change of the training is worth in compute.
They are imported when they are first used, so that `import scalescope` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalescope.deferring import defer

if TYPE_CHECKING:
    from scalescope.corpora.building import build_corpus
    from scalescope.deployment import audit, recommend
    from scalescope.errors import FitError, InputError, ScalescopeError, WorkError
    from scalescope.fitting import compare, extrapolate, fit
    from scalescope.planning import diagnose, forecast, next_run, plan
    from scalescope.planning.pricing import price
    from scalescope.points import Cells, Runs
    from scalescope.points import read_runs as load_runs
    from scalescope.points import write_runs as save_runs
    from scalescope.reports import plot, report
    from scalescope.reproductions import reproduce
    from scalescope.workflow import bench, compare_levers, demo, study

    __version__: str

__all__ = [
    "Cells",
    "FitError",
    "InputError",
    "Runs",
    "ScalescopeError",
    "WorkError",
    "__version__",
    "audit",
    "bench",
    "build_corpus",
    "compare",
    "compare_levers",
    "demo",
    "diagnose",
    "extrapolate",
    "fit",
    "forecast",
    "load_runs",
    "next_run",
    "plan",
    "plot",
    "price",
    "recommend",
    "report",
    "reproduce",
    "save_runs",
    "study",
]

_HOMES = {
    "Cells": "points:Cells",
    "FitError": "errors:FitError",
    "InputError": "errors:InputError",
    "Runs": "points:Runs",
    "ScalescopeError": "errors:ScalescopeError",
    "WorkError": "errors:WorkError",
    "audit": "deployment:audit",
    "bench": "workflow:bench",
    "build_corpus": "corpora.building:build_corpus",
    "compare": "fitting:compare",
    "compare_levers": "workflow:compare_levers",
    "demo": "workflow:demo",
    "diagnose": "planning:diagnose",
    "extrapolate": "fitting:extrapolate",
    "fit": "fitting:fit",
    "forecast": "planning:forecast",
    "load_runs": "points:read_runs",
    "next_run": "planning:next_run",
    "plan": "planning:plan",
    "plot": "reports:plot",
    "price": "planning.pricing:price",
    "recommend": "deployment:recommend",
    "report": "reports:report",
    "reproduce": "reproductions:reproduce",
    "save_runs": "points:write_runs",
    "study": "workflow:study",
}

_find = defer(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("scalescope")
    return _find(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
