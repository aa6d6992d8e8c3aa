"""What a recommendation is made of: what was asked, what fits, what does not and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scalescope.deployment.columns import format_duration
from scalescope.deployment.readings import Reason, Source
from scalescope.deployment.series import Setting
from scalescope.points import Estimate, Finding, Kind, Provenance, from_plain, to_plain
from scalescope.units import format_bytes, format_count

Row = dict[str, Any]

TASKS: Mapping[str, tuple[Kind, ...]] = {
    "any": ("encode", "prefill"),
    "encoder": ("encode",),
    "decoder": ("prefill",),
    "generation": ("decode",),
}
"""What is asked for, beside the tasks of the bench's own workloads, and the kinds of call that answer it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a deployment must meet."""

    length: int
    memory_bytes: float | None = None
    """Beside the libraries."""
    latency_s: float | None = None
    """Of a call; of an output token for generation."""
    task: str = "any"
    least_params: float | None = None
    most_params: float | None = None
    dtype: str | None = None
    attention: str | None = None
    threads: int | None = None
    batch: int | None = None

    @property
    def text(self) -> str:
        """In a few words."""
        parts = [f"{self.length} tokens"]
        parts += [self.task] * (self.task != "any")
        parts += [f"at most {format_bytes(self.memory_bytes)}"] if self.memory_bytes else []
        parts += [f"at most {format_duration(self.latency_s)}"] if self.latency_s else []
        parts += [f"at least {format_count(self.least_params)} parameters"] if self.least_params else []
        parts += [f"at most {format_count(self.most_params)} parameters"] if self.most_params else []
        parts += [f"{name} {value}" for name, value in self._asked().items() if value is not None]
        return ", ".join(parts)

    def _asked(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in ("dtype", "attention", "threads", "batch")}

    def allows(self, setting: Setting) -> bool:
        """Whether a setting is one of those asked for."""
        if self.task in TASKS:
            fits = setting.plain and setting.kind in TASKS[self.task]
        else:
            fits = setting.task == self.task
        return fits and all(
            value is None or getattr(setting, name) == value for name, value in self._asked().items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One model under one setting that meets everything."""

    rank: int
    """From 1; options whose throughput cannot be told apart from the first of their rank share it."""
    model: str
    category: str
    same: tuple[str, ...] = ()
    """Other models of the same architecture: they run alike."""
    setting: Setting
    params: int | None
    seconds: Estimate
    """Of a call; of an output token for generation."""
    tokens_per_s: Estimate
    memory: Estimate | None
    """Bytes beside the libraries, loading included."""
    joules: float | None = None
    """Per token."""
    source: Source
    reach: float = 1.0
    """Times beyond the measured lengths."""
    random_weights: bool
    marginal: tuple[str, ...] = ()
    """Limits that lie inside the interval of what was measured."""

    @property
    def short(self) -> str:
        """Last part of the model's name."""
        return self.model.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """One model that does not fit."""

    model: str
    category: str
    reason: Reason
    text: str
    """Of its setting that comes nearest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What fits, ranked by throughput, and why the rest does not.  Built by `recommend`."""

    schema: ClassVar[str] = "scalescope.recommendation/1"

    wanted: Wanted
    options: tuple[Option, ...]
    """The fastest setting of every model that fits, by rank."""
    others: tuple[Option, ...] = ()
    """Slower settings of the same models that fit too."""
    rejected: tuple[Rejected, ...]
    front: tuple[str, ...]
    """Models that no other beats in throughput, memory and parameters at once (more parameters count as
    better: they are the only sign of quality here)."""
    trade_offs: tuple[str, ...]
    """In sentences."""
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def frame(self) -> list[Row]:
        """Tidy rows: what fits by rank, then the rest with its reason."""
        from scalescope.deployment.recommendation_text import recommendation_rows

        return recommendation_rows(self)

    def summary(self) -> str:
        """What fits, trade-offs, why the rest does not, and findings, for a terminal."""
        from scalescope.deployment.recommendation_text import recommendation_text

        return recommendation_text(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recommendation:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)
