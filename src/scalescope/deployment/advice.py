"""The model study's four strategies, short, medium, long and constrained, as advice drawn from the cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from scalescope.cost import Positions
from scalescope.deployment.choosing import Chosen, choose_series
from scalescope.deployment.recommendation import recommend
from scalescope.deployment.recommendation_results import TASKS, Option, Recommendation
from scalescope.points import Cells, Finding, Provenance, from_plain, to_plain
from scalescope.units import format_bytes, format_count

Row = dict[str, Any]

LENGTHS: Mapping[str, int] = {"short": 128, "medium": 512, "long": 1024}
"""Lengths of the study's strategies; the nearest measured ones stand in for the first two."""

_NOTHING = Finding(
    code="BEN064",
    text="No model of the bench ran with figures that count, so there is nothing to advise.",
    hint="Read the causes and doubts of its cells.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """What to deploy in one situation."""

    name: str
    length: int
    memory_bytes: float | None
    """Cap; None for none."""
    why: str
    """How the situation was taken."""
    n_fit: int
    n_models: int
    fastest: Mapping[str, tuple[str, ...]]
    """`encoder` and `decoder` to the models whose throughput nothing beats beyond noise, fastest first."""
    leanest: Mapping[str, str]
    """The same, to the model that fits with the least memory."""
    by_category: Mapping[str, int]
    """Models that fit."""
    text: str
    """The advice in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategies:
    """Advice for every situation.  Built by `strategies`."""

    schema: ClassVar[str] = "scalescope.bench-strategies/1"

    strategies: tuple[Strategy, ...]
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def of(self, name: str) -> Strategy:
        """Find one by its name: short, medium, long or constrained."""
        return next(one for one in self.strategies if one.name == name)

    def frame(self) -> list[Row]:
        """Tidy rows, one a situation and kind of model."""
        return [
            {
                "strategy": one.name,
                "length": one.length,
                "memory_bytes": one.memory_bytes,
                "kind": kind,
                "fastest": ", ".join(one.fastest[kind]),
                "leanest": one.leanest[kind],
                "n_fit": one.n_fit,
                "n_models": one.n_models,
            }
            for one in self.strategies
            for kind in one.fastest
        ]

    def summary(self) -> str:
        """One paragraph a situation, for a terminal."""
        lines = [f"{one.name.capitalize()} ({one.why}): {one.text}" for one in self.strategies]
        return "\n".join([*lines, *(f"  {finding}" for finding in self.findings)])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Strategies:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def strategies(
    cells: Cells, *, memory_bytes: float | None = None, limits: Mapping[str, Positions] | None = None
) -> Strategies:
    """Say what to deploy for short, medium and long texts, and where memory is scarce.

    Parameters
    ----------
    cells
        Of a bench.
    memory_bytes
        What a constrained environment has for the model; by default what the leanest quarter of the models
        needs at the medium length.
    limits
        Positions of every model by its name, where they are known.

    Returns
    -------
    Strategies
        Without any where no model ran with figures that count; a finding says so.

    Raises
    ------
    InputError
        If the memory is not above zero.
    """
    chosen = choose_series(cells)
    lengths = sorted({cell.workload.length for one in chosen.series for cell in one.usable})
    if not lengths:
        return Strategies(strategies=(), findings=(_NOTHING,), provenance=cells.provenance)
    short, medium = (min(lengths, key=lambda at: abs(at - LENGTHS[name])) for name in ("short", "medium"))
    long = max(lengths)
    # Under the setting of the tables, so that the situations can be compared with them and with each other.
    same = cells.only(cell for one in chosen.series for cell in one.cells)
    free = recommend(same, length=medium, limits=limits)
    cap = memory_bytes or _quarter(free)
    situations: list[tuple[str, int, float | None, str]] = [
        ("short", short, None, f"{short} tokens"),
        ("medium", medium, None, f"{medium} tokens"),
        ("long", long, None, f"{long} tokens, the longest that any model ran at"),
    ]
    if cap is not None:
        which = "" if memory_bytes else ", what the leanest quarter needs"
        situations.append(("constrained", medium, cap, f"{medium} tokens in {format_bytes(cap)}{which}"))
    made = tuple(_strategy(same, chosen, *one, limits=limits) for one in situations)
    findings = tuple(one for one in free.findings if one.code == "BEN057")
    return Strategies(strategies=made, findings=findings, provenance=cells.provenance)


def _quarter(found: Recommendation) -> float | None:
    needs = [one.memory.value for one in found.options if one.memory is not None]
    return float(np.quantile(needs, 0.25, method="higher")) if needs else None


def _strategy(
    cells: Cells,
    chosen: Chosen,
    name: str,
    length: int,
    cap: float | None,
    why: str,
    *,
    limits: Mapping[str, Positions] | None,
) -> Strategy:
    found = recommend(cells, length=length, memory_bytes=cap, limits=limits)
    options = [one for one in found.options if one.source != "extrapolated"]
    kinds = {
        kind: [one for one in options if one.setting.kind in TASKS[kind]] for kind in ("encoder", "decoder")
    }
    kinds = {kind: group for kind, group in kinds.items() if group}
    counts = {
        category: sum(one.category == category for one in options)
        for category in dict.fromkeys(one.category for one in options)
    }
    return Strategy(
        name=name,
        length=length,
        memory_bytes=cap,
        why=why,
        n_fit=len(options),
        n_models=len(chosen.series),
        fastest={kind: tuple(one.model for one in _leaders(group)) for kind, group in kinds.items()},
        leanest={kind: _leanest(group).model for kind, group in kinds.items()},
        by_category=counts,
        text=_words(options, kinds, len(chosen.series)),
    )


def _leaders(group: list[Option]) -> list[Option]:
    """The fastest and those that cannot be told from it."""
    return [one for one in group if one.tokens_per_s.high >= group[0].tokens_per_s.low]


def _leanest(group: list[Option]) -> Option:
    return min(group, key=lambda one: one.memory.value if one.memory is not None else float("inf"))


def _words(options: list[Option], kinds: Mapping[str, list[Option]], n: int) -> str:
    if not options:
        return f"none of {n} models fits."
    said = [f"{len(options)} of {n} models fit."]
    for kind, group in kinds.items():
        first, lean = group[0], _leanest(group)
        memory = f" in {format_bytes(first.memory.value)}" if first.memory is not None else ""
        ties = len(_leaders(group)) - 1
        tied = f" ({ties} more within noise)" if ties else ""
        text = (
            f"Fastest {kind} {first.short}{tied}: {format_count(first.tokens_per_s.value)} tokens/s{memory}"
        )
        if lean is not first and lean.memory is not None:
            share = lean.tokens_per_s.value / first.tokens_per_s.value
            text += f"; leanest {lean.short}: {format_bytes(lean.memory.value)} at {share:.0%} of that speed"
        said.append(f"{text}.")
    return " ".join(said)
