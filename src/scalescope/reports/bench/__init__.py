"""The report of a bench: figures, tables and one page made of cells.

altair and jinja2 are imported when something is drawn or written, not with this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalescope.reports.bench.contents import BenchContents

if TYPE_CHECKING:
    from pathlib import Path


def bench_report(contents: BenchContents, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it; see `scalescope.reports.bench.page`."""
    from scalescope.reports.bench.page import bench_report as write

    return write(contents, path)


__all__ = ["BenchContents", "bench_report"]
