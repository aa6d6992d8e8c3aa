"""Cells of a known law for every test of the room."""

from __future__ import annotations

import made_cells
import pytest

from scalescope.points import Cells


@pytest.fixture
def made() -> Cells:
    """Return five models of three categories with 2% noise."""
    return made_cells.make_cells(noise=0.02)
