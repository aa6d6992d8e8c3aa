"""The reports of studies over data: the best mixture of sources, and what repeated tokens are worth.

altair and jinja2 are imported when something is drawn or written, not with this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalescope.reports.data_study.contents import MixtureContents, RepetitionContents

if TYPE_CHECKING:
    from pathlib import Path


def mixture_report(contents: MixtureContents, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it; see `data_study.pages`."""
    from scalescope.reports.data_study.pages import mixture_report as write

    return write(contents, path)


def repetition_report(contents: RepetitionContents, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it; see `data_study.pages`."""
    from scalescope.reports.data_study.pages import repetition_report as write

    return write(contents, path)


__all__ = ["MixtureContents", "RepetitionContents", "mixture_report", "repetition_report"]
