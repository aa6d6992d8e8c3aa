"""Which cells the tables of a bench rest on: one series a model, all under one setting, the rest counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from scalescope.deployment.series import Series, Setting, count_of, is_usable, series_of, some_names
from scalescope.points import TRIED, Cells, Finding

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """Which cells a table rests on, and which it leaves out."""

    setting: str
    n_names: int
    """Models by name."""
    n_models: int
    """Architectures, each once, under the setting of the table."""
    n_cells: int
    """Of these."""
    n_ok: int
    n_doubtful: int
    """Ran, but look impossible: counted as running, left out of every figure."""
    n_failed: int
    n_not_applicable: int
    n_skipped: int
    n_other: int
    """Cells under another setting, left out."""

    @property
    def text(self) -> str:
        """In one line."""
        parts = {
            "ran": self.n_ok - self.n_doubtful,
            "ran, doubtful and left out of figures": self.n_doubtful,
            "failed": self.n_failed,
            "not applicable": self.n_not_applicable,
            "skipped": self.n_skipped,
        }
        states = ", ".join(f"{count} {name}" for name, count in parts.items() if count)
        names = f" ({self.n_names} names, equal architectures once)" if self.n_names != self.n_models else ""
        other = f"; {self.n_other} cells of other settings left out" if self.n_other else ""
        what = f"{count_of(self.n_models, 'model')}{names}, {count_of(self.n_cells, 'cell')}"
        return f"{what}: {states}; {self.setting}{other}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One series a model, comparable with each other, and what was left out."""

    series: tuple[Series, ...]
    mask: Mask
    findings: tuple[Finding, ...] = ()

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths that at least half of the models have a cell for; all where none has that many."""
        counts = Counter(cell.workload.length for one in self.series for cell in one.cells)
        shared = [length for length, count in counts.items() if 2 * count >= len(self.series)]
        return tuple(sorted(shared or counts))

    @property
    def categories(self) -> Mapping[str, tuple[Series, ...]]:
        """Series by category, in the order of the cells."""
        groups: dict[str, list[Series]] = {}
        for one in self.series:
            groups.setdefault(one.category or "no category", []).append(one)
        return {name: tuple(group) for name, group in groups.items()}


def choose_series(cells: Cells, *, distinct: bool = True) -> Chosen:
    """Choose the one series of every model that its tables rest on.

    Type, device, threads, batch, head and compilation are those that most models share; attention too, but a
    model that does not offer it keeps its own. Encoders encode and decoders prefill; decoding counts only in
    a bench that has nothing else.

    Parameters
    ----------
    cells
        Of a bench.
    distinct
        Whether models of one architecture count once.
    """
    kept = cells.distinct() if distinct else cells
    plain = [one for one in series_of(kept) if one.setting.plain]
    every = [one for one in plain if one.setting.kind != "decode"] or plain or list(series_of(kept))
    shared = _most_common(_shape(one.setting) for one in every)
    same = [one for one in every if _shape(one.setting) == shared]
    attention = _most_common(one.setting.attention for one in same)
    by_model: dict[str, Series] = {}
    for one in sorted(same, key=lambda one: (one.setting.attention != attention, -len(one.cells))):
        by_model.setdefault(one.model, one)
    series = tuple(by_model[model] for model in kept.models if model in by_model)
    mask = _mask(cells, kept, series)
    return Chosen(series=series, mask=mask, findings=_findings(kept, series, mask))


def _shape(setting: Setting) -> tuple[object, ...]:
    """Everything but attention and kind, which depend on the model."""
    kind = "decode" if setting.kind == "decode" else "pass"
    own = setting
    return (kind, own.dtype, own.compiled, own.device, own.threads, own.batch, own.head, own.task, own.mixed)


def _most_common(values: Iterable[T]) -> T | None:
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else None


def _mask(cells: Cells, kept: Cells, series: tuple[Series, ...]) -> Mask:
    inside = [cell for one in series for cell in one.cells]
    kinds = dict.fromkeys(one.setting.kind for one in series)
    states = Counter(cell.state for cell in inside)
    settings = Counter(replace(one.setting, kind="encode").name.removeprefix("encode ") for one in series)
    return Mask(
        setting=f"{' or '.join(kinds)} {_named(settings)}",
        n_names=len(cells.models),
        n_models=len(series),
        n_cells=len(inside),
        n_ok=states["ok"],
        n_doubtful=sum(cell.ok and not is_usable(cell) for cell in inside),
        n_failed=sum(cell.state in TRIED and not cell.ok for cell in inside),
        n_not_applicable=states["not_applicable"],
        n_skipped=states["skipped"],
        n_other=len(kept) - len(inside),
    )


def _named(settings: Counter[str]) -> str:
    if len(settings) <= 2:
        return " or ".join(settings)
    return f"{settings.most_common(1)[0][0]} and {len(settings) - 1} like it"


def _findings(kept: Cells, series: tuple[Series, ...], mask: Mask) -> tuple[Finding, ...]:
    found = []
    lost = [model for model in kept.models if model not in {one.model for one in series}]
    if mask.n_other:
        without = (
            f" {count_of(len(lost), 'model')} without a cell under it: {some_names(lost)}." if lost else ""
        )
        found.append(
            Finding(
                code="BEN050",
                text=f"The bench has several settings; these figures rest on {mask.setting}.{without}",
                hint="Select the cells of another one to see it.",
            )
        )
    if mask.n_doubtful:
        names = [one.short for one in series if any(cell.ok and not is_usable(cell) for cell in one.cells)]
        found.append(
            Finding(
                code="BEN051",
                text=f"{count_of(mask.n_doubtful, 'cell')} ran but cannot be right and stand in no figure: "
                f"{some_names(names)}.",
                hint="Read their doubts; measure again with the device synchronised and nothing else on.",
            )
        )
    return tuple(found)
