"""The report of a transfer study: what pre-training is worth, with figures, tables and one page.

altair and jinja2 are imported when something is drawn or written, not with this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalescope.reports.transfer.contents import TransferContents

if TYPE_CHECKING:
    from pathlib import Path


def transfer_report(contents: TransferContents, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it; see `scalescope.reports.transfer.page`."""
    from scalescope.reports.transfer.page import transfer_report as write

    return write(contents, path)


__all__ = ["TransferContents", "transfer_report"]
