"""How the cells of a bench are looked at: by setting, by category, by model and length, by size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from scalescope.deployment.choosing import choose_series
from scalescope.points.bench import Cell, Cells, State
from scalescope.reports.figures import theme
from scalescope.units import format_count

SIZES = (1e8, 3e8, 1e9, 3e9)
"""Parameters at which one class of sizes ends and the next begins."""

MOST_VIEWS = 6
"""Settings that are drawn apart; the cells of further ones are in the JSON file only."""

OUTCOMES = ("ran", "failed", "predicted not to fit", "not applicable by configuration")
"""What a share of models is made of; every state is in one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Cells of one setting: at most one a model and length."""

    label: str
    """Type, attention and whatever else tells it from a plain call."""
    cells: Cells

    @property
    def lengths(self) -> tuple[int, ...]:
        """Ascending."""
        return self.cells.lengths

    @property
    def models(self) -> tuple[str, ...]:
        """In the order of the cells."""
        return self.cells.models

    def by_model(self) -> dict[str, dict[int, Cell]]:
        """Model to length to cell; the first where there are two."""
        found: dict[str, dict[int, Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.model, {}).setdefault(cell.workload.length, cell)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A bench as the page looks at it, each part computed once."""

    cells: Cells
    distinct: Cells
    """Every architecture once."""
    views: tuple[View, ...]
    """Of all cells."""
    main: View | None
    """The setting that the answer rests on, every architecture once; None without cells."""

    @classmethod
    def at(cls, cells: Cells) -> Look:
        """Look at a bench."""
        distinct = cells.distinct()
        found = views(distinct)
        return cls(cells=cells, distinct=distinct, views=views(cells), main=found[0] if found else None)


def setting(cell: Cell) -> str:
    """Say under which setting a cell ran: all but model and length; a pass is a pass, causal or not."""
    work = cell.workload
    words = [f"decode of {work.new_tokens}"] if work.kind == "decode" else []
    words += [cell.dtype, cell.attention]
    words += ["compiled"] if cell.compiled else []
    words += [f"batch {work.batch}"] if work.batch > 1 else []
    words += [work.batching] if work.batching != "single" else []
    words += [work.task] if work.task != "length" else []
    words += ["with head"] if work.head else []
    return " ".join([*words, cell.device] if cell.device != "cpu" else words)


def views(cells: Cells) -> tuple[View, ...]:
    """Split a bench by setting, first the one that the tables rest on.

    A model that does not offer the attention of the others stands with them under its own.
    """
    found: list[View] = []
    rest = cells
    while len(rest) and len(found) < MOST_VIEWS:
        chosen = [cell for one in choose_series(rest, distinct=False).series for cell in one.cells]
        label = Counter(setting(cell) for cell in chosen).most_common(1)[0][0]
        kept = {id(cell) for cell in chosen}
        found.append(View(label=label, cells=rest.only(cell for cell in rest if id(cell) in kept)))
        rest = rest.only(cell for cell in rest if id(cell) not in kept)
    return tuple(found)


def short_names(cells: Cells) -> dict[str, str]:
    """Model to its name without the owner, where that tells it from the others."""
    counts = Counter(model.rpartition("/")[2] for model in cells.models)
    bare = {model: model.rpartition("/")[2] for model in cells.models}
    return {model: name if name and counts[name] == 1 else model for model, name in bare.items()}


def category_name(category: str) -> str:
    """Write a category as words."""
    return category.replace("_", " ").replace(" llm", " LLM").replace("bert ", "BERT ") or "no category"


def by_category(cells: Cells) -> dict[str, Cells]:
    """Category in words to its cells, in the order of the bench."""
    names = dict.fromkeys(category_name(cell.category) for cell in cells)
    return {name: cells.only(c for c in cells if category_name(c.category) == name) for name in names}


def by_size(cells: Cells, models: Iterable[str]) -> list[str]:
    """Models from small to large; those of unknown size last."""
    params = {cell.model: cell.params for cell in cells if cell.params}
    return sorted(models, key=lambda model: params.get(model) or float("inf"))


def outcome(state: State) -> str:
    """Which part of a share a state belongs to."""
    known = {"ok": OUTCOMES[0], "skipped": OUTCOMES[2], "not_applicable": OUTCOMES[3]}
    return known.get(state, OUTCOMES[1])


def size_class(params: int | None) -> str:
    """Say between which sizes a model lies."""
    if not params:
        return "size unknown"
    index = sum(params >= edge for edge in SIZES)
    if index == 0:
        return f"below {format_count(SIZES[0])}"
    if index == len(SIZES):
        return f"{format_count(SIZES[-1])} and more"
    return f"{format_count(SIZES[index - 1])} to {format_count(SIZES[index])}"


def size_colours(cells: Iterable[Cell]) -> dict[str, theme.Colour]:
    """Class of size to its colour, small to large, of the classes that occur."""
    classes = [size_class(int(edge) - 1) for edge in SIZES] + [size_class(int(SIZES[-1]))]
    shades = dict(zip(classes, theme.ordered(len(classes)), strict=True)) | {"size unknown": theme.MUTED}
    present = {size_class(cell.params) for cell in cells}
    return {name: colour for name, colour in shades.items() if name in present}


def chunks(names: Sequence[str], most: int) -> list[list[str]]:
    """Cut a list into parts of nearly equal length, none longer than `most`."""
    n = -(-len(names) // most)
    ends = [round(index * len(names) / n) for index in range(n + 1)] if n else []
    return [list(names[low:high]) for low, high in pairwise(ends)]


def sound(cells: Iterable[Cell]) -> list[Cell]:
    """Cells that ran, were timed, and look possible."""
    return [cell for cell in cells if cell.ok and cell.timing is not None and not cell.doubts]
