"""Scalability classes, capacity and capability apart, and the share of models that run against length.

Capacity is the longest length that ran here; capability is how far the configuration reaches on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scalescope.cost import Positions
from scalescope.deployment.choosing import choose_series
from scalescope.deployment.columns import Column
from scalescope.deployment.series import Series, is_usable
from scalescope.points import TRIED, Cells, Finding, Provenance, from_plain, to_plain
from scalescope.units import format_percent

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalabilityClass:
    """One class of the study."""

    least: int
    """Shortest longest length in it, tokens."""
    definition: str


CLASSES: Mapping[str, ScalabilityClass] = {
    "high": ScalabilityClass(least=1024, definition="1024 tokens or more"),
    "medium": ScalabilityClass(least=512, definition="512 to 1023 tokens"),
    "low": ScalabilityClass(least=128, definition="128 to 511 tokens"),
    "very low": ScalabilityClass(least=1, definition="fewer than 128 tokens"),
    "failed": ScalabilityClass(least=0, definition="ran at no length"),
}
"""Best first."""

NOT_TRIED = "not tried"


def class_of(longest: int | None) -> str:
    """Name the class of a longest length; None is one that never ran."""
    return next(name for name, one in CLASSES.items() if (longest or 0) >= one.least)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelClass:
    """Where one model stands."""

    model: str
    category: str
    capacity: str
    """Class by the longest length that ran; `not tried` where no cell was really run."""
    longest_ok: int | None
    open: bool
    """Whether nothing stopped it: it may run further than was measured."""
    capability: str | None = None
    """Class by its configuration; None where that is not known."""
    limit: int | None = None
    """Longest length that its configuration allows; None for no limit, or not known."""


def classes_of(
    series: Iterable[Series], limits: Mapping[str, Positions] | None = None
) -> tuple[ModelClass, ...]:
    """Classify every model by its longest length, and by its configuration where that is given."""
    return tuple(_class_of(one, (limits or {}).get(one.model)) for one in series)


def _class_of(one: Series, positions: Positions | None) -> ModelClass:
    limit = positions.limit if positions is not None else None
    far = None if positions is None else "high" if limit is None else class_of(limit)
    return ModelClass(
        model=one.model,
        category=one.category,
        capacity=class_of(one.longest_ok) if one.tried else NOT_TRIED,
        longest_ok=one.longest_ok,
        open=one.longest_ok is not None and one.stop is None,
        capability=far,
        limit=limit,
    )


def class_measures(
    limits: Mapping[str, Positions] | None = None,
) -> list[tuple[Column, Callable[[Sequence[Series]], float | None]]]:
    """Table V: count and share of every class, and by configuration where limits are given."""
    counts = [pair for name in (*CLASSES, NOT_TRIED) for pair in _capacity_measures(name, name in CLASSES)]
    if limits is None:
        return counts
    return counts + [_capability_measure(name, limits) for name in CLASSES if name != "failed"]


def _capacity_measures(
    name: str, study: bool
) -> list[tuple[Column, Callable[[Sequence[Series]], float | None]]]:
    said = CLASSES[name].definition if study else "no cell was really run"
    slug = name.replace(" ", "_")

    def count(group: Sequence[Series]) -> float:
        return float(sum(one.capacity == name for one in classes_of(group)))

    number = Column(
        name=f"{slug}_models",
        title=name.capitalize(),
        unit="models",
        definition=f"Models: {said}.",
        study=study,
    )
    share = Column(
        name=f"{slug}_share",
        title=f"{name.capitalize()}, share",
        unit="share",
        definition=f"Share of the models: {said}.",
        study=study,
    )
    return [(number, count), (share, lambda group: count(group) / len(group) if group else None)]


def _capability_measure(
    name: str, limits: Mapping[str, Positions]
) -> tuple[Column, Callable[[Sequence[Series]], float | None]]:
    column = Column(
        name=f"{name.replace(' ', '_')}_by_configuration",
        title=f"{name.capitalize()} by configuration",
        unit="models",
        definition=f"Models whose configuration allows {CLASSES[name].definition}, on any machine.",
    )
    return column, lambda group: float(sum(one.capability == name for one in classes_of(group, limits)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthShare:
    """How the models of one category fared at one length."""

    category: str
    length: int
    n_models: int
    """With a cell at this length."""
    ran: int
    doubtful: int
    """Of those that ran."""
    failed: int
    not_applicable: int
    """Excluded by their configuration: no failure."""
    skipped: int
    """Predicted not to fit; not tried."""
    unmeasured: int
    """Models of the category without a cell at this length."""

    @property
    def share(self) -> float | None:
        """Models that ran over all with a cell."""
        return self.ran / self.n_models if self.n_models else None

    @property
    def share_of_tried(self) -> float | None:
        """Models that ran over those really run."""
        tried = self.ran + self.failed
        return self.ran / tried if tried else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Share of models that run against length: the study's figure.  Built by `share_by_length`."""

    schema: ClassVar[str] = "scalescope.bench-shares/1"

    shares: tuple[LengthShare, ...]
    """Categories in the order of the cells, then `all`; lengths ascending."""
    mask: str
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def at(self, length: int, category: str = "all") -> LengthShare:
        """Find one of them."""
        return next(one for one in self.shares if (one.length, one.category) == (length, category))

    def frame(self) -> list[Row]:
        """Tidy rows, one a category and length."""
        names = "category length n_models ran doubtful failed not_applicable skipped unmeasured"
        return [
            {name: getattr(one, name) for name in names.split()}
            | {"share": one.share, "share_of_tried": one.share_of_tried}
            for one in self.shares
        ]

    def summary(self) -> str:
        """One line a length for all models, for a terminal."""
        lines = [
            f"  {one.length:>6} tokens: {one.ran} of {one.n_models} run ({format_percent(one.share or 0)}), "
            f"{one.failed} failed, {one.not_applicable} not applicable, {one.skipped} skipped"
            for one in self.shares
            if one.category == "all" and one.n_models
        ]
        return "\n".join(["Models that run, by length", *lines, f"  {self.mask}"])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Shares:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def share_by_length(cells: Cells, *, lengths: Sequence[int] | None = None) -> Shares:
    """Count how many models run at each length, by category, with those that cannot by configuration apart.

    Parameters
    ----------
    cells
        Of a bench. Architectures count once.
    lengths
        By default those that at least half of the models have a cell for.
    """
    chosen = choose_series(cells)
    groups = {**chosen.categories, "all": chosen.series}
    return Shares(
        shares=tuple(
            _share_at(name, group, length)
            for name, group in groups.items()
            for length in lengths or chosen.lengths
        ),
        mask=chosen.mask.text,
        findings=chosen.findings,
        provenance=cells.provenance,
    )


def _share_at(category: str, group: Sequence[Series], length: int) -> LengthShare:
    found = [cell for one in group if (cell := one.at(length)) is not None]
    return LengthShare(
        category=category,
        length=length,
        n_models=len(found),
        ran=sum(cell.ok for cell in found),
        doubtful=sum(cell.ok and not is_usable(cell) for cell in found),
        failed=sum(cell.state in TRIED and not cell.ok for cell in found),
        not_applicable=sum(cell.state == "not_applicable" for cell in found),
        skipped=sum(cell.state == "skipped" for cell in found),
        unmeasured=len(group) - len(found),
    )
