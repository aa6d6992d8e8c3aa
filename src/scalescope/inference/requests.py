"""What one cell is asked to do, and within which limits: all that crosses to the process that measures it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from scalescope.inference.models import Model
from scalescope.points import Attention, Dtype, Expectation, Workload, name_cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a cell may use before it is ended."""

    memory_bytes: int | None = None
    """Of the process, its libraries included; None for no limit."""
    seconds: float | None = None
    """Wall time of the whole cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long a call is repeated."""

    target: float = 0.03
    """Repeats end when the 90% interval of the median is within this share of it, on either side."""
    fewest: int = 5
    most: int = 200
    seconds: float = 4.0
    """Of repeats; past it they end as soon as there is one after the warm-up, whatever `fewest` says."""
    warmup: int = 8
    """Most repeats before the samples; fewer if two successive ones agree within `target`, one at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRequest:
    """One cell to measure."""

    model: Model
    workload: Workload
    dtype: Dtype = "fp32"
    attention: Attention = "sdpa"
    compiled: bool = False
    device: str = "cpu"
    threads: int = 1
    cold: bool = False
    """Whether the page cache forgets the weights before they are loaded."""
    cache: Path
    """Folder of generated weights."""
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    effort: Effort = field(default_factory=Effort)
    matmul_flop_per_s: float | None = None
    """Ceiling of this machine for the dtype, for the physics gate."""
    watts: float | None = None
    """Stated power, where nothing meters it."""
    grid: str | None = None
    """Country whose electricity it is, for carbon."""
    expected: Expectation | None = None

    @property
    def key(self) -> str:
        """Of the cell that comes of it, unique in a bench."""
        return name_cell(
            self.model.name,
            self.workload,
            self.dtype,
            self.attention,
            compiled=self.compiled,
            device=self.device,
        )

    @property
    def setting(self) -> str:
        """The same for requests that differ in length alone."""
        _, _, setting = self.at_length(0).key.partition(" | ")
        return setting

    def at_length(self, length: int) -> CellRequest:
        """Return the same request at another length; nothing is predicted for it."""
        return replace(self, workload=replace(self.workload, length=length, lengths=()), expected=None)
