"""The runs of all variants in one set of columns: what is compared and charged, which runs share luck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scalescope.errors import InputError, nearest
from scalescope.fitting.clusters import Labels
from scalescope.fitting.multipliers.family import Index
from scalescope.points import Array, Runs

METRICS = ("loss", "bits_per_byte")
SIZES = ("params_active", "params_matmul", "params_nonembedding", "params")
"""Columns that can be N here, in the order of preference: what a token meets comes first."""
CHARGES = ("compute_exact", "compute")
"""Columns that can be charged, in the order of preference."""
FEWEST = 4
"""Runs of a variant, at least."""
EQUAL = 0.02
"""Settings closer than this in log size or tokens are one."""
ACROSS = 0.1
"""Spread of log tokens at equal size (and of log size) below which sizes and tokens cannot be told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Rows of all variants, shape (n,) each.  Built by `pool`."""

    names: tuple[str, ...]
    """Variants, the baseline first."""
    metric: str
    size_column: str
    compute_column: str
    variant: Index
    size: Array
    tokens: Array
    compute: Array
    loss: Array
    seed: Array
    """nan where not known."""
    rung: Index
    """Step of the ladder: the same for equal sizes, or for equal ranks where variants differ in size."""
    horizon: Index
    """Token count: the same for equal tokens, or for equal ranks within a rung."""
    rungs_match: bool
    """Whether a rung means the same for all variants."""

    def of(self, variant: int) -> Index:
        """Rows of one variant."""
        return np.flatnonzero(self.variant == variant)

    @property
    def trunks(self) -> Labels:
        """Training run of every row: variant, rung and seed."""
        return joined(self.variant, self.rung, self._seeds)

    @property
    def pairs(self) -> Labels:
        """Rung and seed of every row, over all variants; the training run where rungs do not match."""
        return joined(self.rung, self._seeds) if self.rungs_match else self.trunks

    @property
    def _seeds(self) -> Array:
        return np.nan_to_num(self.seed, nan=-1.0)

    @property
    def cells(self) -> Labels:
        """Setting of every row: variant, rung and horizon."""
        return joined(self.variant, self.rung, self.horizon)


def joined(*keys: Index | Array) -> Labels:
    """Number the distinct combinations."""
    label = np.zeros(len(keys[0]), dtype=np.intp)
    for key in keys:
        own = np.unique(key, return_inverse=True)[1].reshape(-1)
        label = np.unique(label * (int(own.max(initial=0)) + 1) + own, return_inverse=True)[1].reshape(-1)
    return label


def pool(
    runs: Mapping[str, Runs], baseline: str, *, metric: str, size: str | None, compute: str | None
) -> Pooled:
    """Check the tables of the variants and put them together.

    Raises
    ------
    InputError
        If there is no baseline, nothing to compare it with, or a column or runs are missing.
    """
    _check(runs, baseline, metric)
    names = (baseline, *(name for name in runs if name != baseline))
    tables = [runs[name].fitted() for name in names]
    size = _column(names, tables, SIZES, size)
    charged = _column(names, tables, CHARGES, compute)
    for name, table in zip(names, tables, strict=True):
        _check_rows(name, table, (metric, size, "tokens", charged))
    variant = np.repeat(np.arange(len(names)), [len(table) for table in tables])
    sizes = np.concatenate([table[size] for table in tables])
    tokens = np.concatenate([table.tokens for table in tables])
    rung, match = _matching(variant, np.zeros(len(variant), dtype=np.intp), np.log(sizes))
    horizon, _ = _matching(variant, rung, np.log(tokens))
    seeds = [table.columns.get("seed", np.full(len(table), np.nan)) for table in tables]
    return Pooled(
        names=names,
        metric=metric,
        size_column=size,
        compute_column=charged,
        variant=variant,
        size=sizes,
        tokens=tokens,
        compute=np.concatenate([table[charged] for table in tables]),
        loss=np.concatenate([table[metric] for table in tables]),
        seed=np.concatenate(seeds),
        rung=rung,
        horizon=horizon,
        rungs_match=match,
    )


def _check(runs: Mapping[str, Runs], baseline: str, metric: str) -> None:
    if metric not in METRICS:
        raise InputError(f"variants cannot be compared by {metric!r}", hint=nearest(metric, METRICS))
    if baseline not in runs:
        raise InputError(f"no variant is called {baseline!r}", hint=nearest(baseline, runs))
    if len(runs) < 2:
        raise InputError(
            f"{baseline!r} is the only variant", hint="A multiplier compares it with another; add one."
        )


def _column(names: tuple[str, ...], tables: list[Runs], known: tuple[str, ...], asked: str | None) -> str:
    """The column asked for, or the first that every table has without gaps."""
    if asked is not None and asked not in known:
        raise InputError(f"{asked!r} is none of the columns for this", hint=nearest(asked, known))
    for column in known if asked is None else (asked,):
        if all(column in table and np.isfinite(table[column]).all() for table in tables):
            return column
    lacking = [n for n, table in zip(names, tables, strict=True) if not any(c in table for c in known)]
    raise InputError(
        f"no column of {', '.join(known if asked is None else (asked,))} is complete in every variant",
        hint=f"Add one to {', '.join(lacking or names)}.",
    )


def _check_rows(name: str, table: Runs, columns: tuple[str, ...]) -> None:
    if len(table) < FEWEST:
        raise InputError(
            f"variant {name!r} has {len(table)} runs that a fit may use, {FEWEST} are needed",
            hint="Train more rungs of it, or leave it out.",
        )
    for column in columns:
        bad = np.flatnonzero(~(np.isfinite(table[column]) & (table[column] > 0)))
        if bad.size:
            raise InputError(
                f"variant {name!r}, run {int(bad[0]) + 1}: {column} is {float(table[column][bad[0]])!r}",
                hint="Every run of a comparison needs a positive number there; leave diverged runs out.",
            )


def _matching(variant: Index, within: Index, log_value: Array) -> tuple[Index, bool]:
    """Number the steps of a value within groups, alike over the variants; whether all variants have them.

    Equal values are one step. Where variants have as many values but other ones, steps are counted by rank.
    """
    out = np.zeros(len(variant), dtype=np.intp)
    whole = True
    for group in np.unique(within):
        rows = np.flatnonzero(within == group)
        values = _levels(log_value[rows])
        steps = _step_of(values, log_value[rows])
        found = [set(steps[variant[rows] == v].tolist()) for v in np.unique(variant[rows])]
        if all(one == found[0] for one in found):
            out[rows] = steps
            continue
        ranks = np.zeros(len(rows), dtype=np.intp)
        counts = []
        for v in np.unique(variant[rows]):
            own = variant[rows] == v
            levels = _levels(log_value[rows][own])
            counts.append(len(levels))
            ranks[own] = _step_of(levels, log_value[rows][own])
        alike = len(set(counts)) == 1 and not any(one & other for one, other in _neighbours(found))
        out[rows] = ranks if alike else steps
        whole = whole and (alike or bool(set.intersection(*found)))
    return out, whole


def _neighbours(found: list[set[int]]) -> list[tuple[set[int], set[int]]]:
    return [(found[0], other) for other in found[1:]]


def _levels(log_value: Array) -> Array:
    """Lowest value of every step, in order: values within a step are closer than `EQUAL`."""
    ordered = np.sort(log_value)
    first = np.concatenate([[True], np.diff(ordered) > EQUAL])
    return np.asarray(ordered[first])


def _step_of(levels: Array, log_value: Array) -> Index:
    return np.searchsorted(levels, log_value, side="right") - 1


def is_surface(pooled: Pooled) -> bool:
    """Whether every variant has the sizes and token counts that tell the two terms of a surface apart."""
    for v in range(len(pooled.names)):
        rows = pooled.of(v)
        log_n, log_d = np.log(pooled.size[rows]), np.log(pooled.tokens[rows])
        if min(len(_levels(log_n)), len(_levels(log_d))) < 3 or min(_beside(log_n, log_d)) < ACROSS:
            return False
    return True


def _beside(one: Array, other: Array) -> tuple[float, float]:
    """Standard deviation of each logarithm about its line in the other."""
    spread = (float(one.std()), float(other.std()))
    r = float(np.corrcoef(one, other)[0, 1])
    rest = float(np.sqrt(max(1 - r * r, 0.0)))
    return spread[0] * rest, spread[1] * rest
