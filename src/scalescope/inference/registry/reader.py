"""Reads the registry: fast, without torch.

`entries.csv` holds one row per model: its configuration as published, and what that was checked against. We
downloaded nothing of it. Sureness A: the configuration makes exactly as many parameters as were published
independently (the exceptions are noted); B: widths as published, no count was at hand. `architectures.json`
holds the anatomy of every distinct architecture; `docs/registry.py` makes it from the modules.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec

from scalescope.cost import Anatomy
from scalescope.errors import InputError, nearest
from scalescope.inference.models import Model

SETS: Mapping[str, str] = {
    "core": "the 118 entries of the model study's seven categories",
    "study": "further models of the study's raw tables",
    "next": "successors and other kinds: state-space, linear, hybrid, experts, latent attention, images",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """All models known by name.  Made by `load_registry`."""

    models: tuple[Model, ...]

    def __len__(self) -> int:
        return len(self.models)

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models)

    @property
    def names(self) -> tuple[str, ...]:
        """Hub names, in the order of the registry."""
        return tuple(model.name for model in self.models)

    @property
    def categories(self) -> tuple[str, ...]:
        """Each once, in the order of the registry."""
        return tuple(dict.fromkeys(model.category for model in self.models))

    def matching(self, text: str) -> tuple[Model, ...]:
        """Return models whose name, or else whose last part of the name, is `text`, whatever the case."""
        wanted = text.strip().casefold()
        whole = tuple(model for model in self.models if model.name.casefold() == wanted)
        return whole or tuple(model for model in self.models if model.short.casefold() == wanted)


class _Row(msgspec.Struct):
    name: str
    set: str
    category: str
    family: str
    model_type: str
    architecture: str
    sureness: str
    published: str
    note: str
    config: str


@lru_cache(maxsize=1)
def load_registry() -> Registry:
    """Read the registry; the second call costs nothing."""
    folder = resources.files(__package__)
    anatomies = msgspec.json.decode((folder / "architectures.json").read_bytes(), type=dict[str, Anatomy])
    lines = (folder / "entries.csv").read_text(encoding="utf-8").splitlines()
    rows = msgspec.convert(list(csv.DictReader(lines)), list[_Row])
    return Registry(models=tuple(_model(row, anatomies[row.architecture]) for row in rows))


def list_models(
    *,
    category: str | None = None,
    set: str | None = None,  # noqa: A002  # the registry's own word, and the command line's
    name: str | None = None,
    max_params: float | None = None,
    min_length: int | None = None,
) -> tuple[Model, ...]:
    """List models of the registry.

    Parameters
    ----------
    category
        Only this one, such as `generative` or `state-space`.
    set
        `core`, `study` or `next`.
    name
        Part of the name or of the family, whatever the case.
    max_params
        Largest number of parameters, head included.
    min_length
        Tokens that the configuration must allow.

    Raises
    ------
    InputError
        If the category or set is unknown.
    """
    registry = load_registry()
    if set is not None and set not in SETS:
        raise InputError(f"unknown set {set!r}", hint=nearest(set, SETS))
    if category is not None and category not in registry.categories:
        raise InputError(f"unknown category {category!r}", hint=nearest(category, registry.categories))
    return tuple(
        model
        for model in registry
        if category in (None, model.category)
        and set in (None, model.set)
        and (name is None or name.casefold() in f"{model.name} {model.family}".casefold())
        and (max_params is None or model.anatomy.params_with_head <= max_params)
        and (min_length is None or (model.anatomy.positions.limit or min_length) >= min_length)
    )


def _model(row: _Row, anatomy: Anatomy) -> Model:
    config: dict[str, Any] = msgspec.json.decode(row.config)
    return Model(
        name=row.name,
        set=row.set,
        category=row.category,
        family=row.family,
        architecture=row.architecture,
        model_type=row.model_type,
        config=config,
        source=f"https://huggingface.co/{row.name}/blob/main/config.json",
        sureness=_sureness(row, anatomy),
        anatomy=anatomy,
    )


def _sureness(row: _Row, anatomy: Anatomy) -> str:
    if not row.published:
        said = "widths as published, count not checked" if row.sureness == "B" else "checked"
    elif int(row.published) in (anatomy.params, anatomy.params_with_head):
        said = f"parameters equal the published {int(row.published):,}"
    else:
        said = f"published {int(row.published):,}"
    return f"{row.sureness}: " + "; ".join(part for part in (said, row.note) if part)
