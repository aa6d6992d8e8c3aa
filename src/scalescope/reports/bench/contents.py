"""All that the page of a bench shows, gathered by the workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scalescope.deployment.advice import Strategies
from scalescope.deployment.recommendation_results import Recommendation
from scalescope.deployment.scaling_results import MemoryWall, Scaling
from scalescope.deployment.tables import BenchTables
from scalescope.deployment.walls import Walls
from scalescope.points import Finding, from_plain, to_plain
from scalescope.points.bench import Cells


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchContents:
    """Everything between cells and their report; only the cells must be there."""

    schema: ClassVar[str] = "scalescope.bench-contents/1"

    cells: Cells
    tables: BenchTables | None = None
    """The five tables, by category."""
    scaling: Scaling | None = None
    """Fits of time and memory against length."""
    memory_walls: tuple[MemoryWall, ...] = ()
    """Where memory ends, on this machine and on others."""
    walls: Walls | None = None
    """Where every model stops, and why."""
    strategies: Strategies | None = None
    """What to deploy for short, medium and long texts, and where memory is scarce."""
    recommendations: tuple[Recommendation, ...] = ()
    """What fits a need that somebody stated."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """How it was measured, beyond what the cells say."""
    command: str = ""
    """That repeats it; of the cells where empty."""
    findings: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BenchContents:
        """Read what `to_dict` wrote.

        Raises
        ------
        InputError
            If the data has another schema or a field of the wrong type.
        """
        return from_plain(cls, data, cls.schema)
