"""The report of levers: what each is worth in compute, with figures, tables and one page.

altair and jinja2 are imported when something is drawn or written, not with this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalescope.reports.levers.contents import LeverContents

if TYPE_CHECKING:
    from pathlib import Path


def levers_report(contents: LeverContents, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it; see `scalescope.reports.levers.page`."""
    from scalescope.reports.levers.page import levers_report as write

    return write(contents, path)


__all__ = ["LeverContents", "levers_report"]
