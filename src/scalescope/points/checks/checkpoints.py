"""Checkpoints of a run that goes on, mixed with runs that ended: before the decay the loss is too high."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from scalescope.points.checks.evidence import Evidence
from scalescope.points.columns import OUTCOMES
from scalescope.points.estimates import Array
from scalescope.points.findings import Finding
from scalescope.units import format_percent

_STEP = re.compile(
    r"[-_/ @.]?(?:global[-_]?)?(?:step|steps|iter|iters|iteration|ckpt|checkpoint)[-_= ]?\d+k?", re.I
)

Trunks = npt.NDArray[np.intp]


def about_checkpoints(table: Evidence) -> Iterable[Finding]:
    """Tell several points of one training run, where nothing says that each was decayed."""
    found = _points(table)
    if found is None:
        return
    what, inner, above = found
    n = len(table.runs)
    text = f"{n} rows hold {what}; {int(inner.sum())} of them are not the last of their run."
    if above is not None:
        text += f" Those lie {format_percent(above)} above the last ones of others at like size and tokens."
    yield Finding(
        code="RUN021",
        text=text,
        hint="Before the learning rate has decayed the loss is too high; keep the last row of each run "
        "unless every row was decayed.",
    )


def _points(table: Evidence) -> tuple[str, npt.NDArray[np.bool_], float | None] | None:
    """What repeats, which rows are not the last of their run, and how far these lie above the others."""
    if table.has("learning_rate", "step") or table.has("curve") or not len(table.runs):
        return None  # a training curve, and known to be one
    if _planned(table):
        return None
    trunks = _trunks(table)
    if trunks is not None and table.has("tokens"):
        inner = _not_last(trunks, table.runs.tokens)
        if inner.any() and table.has("size"):
            shared = int((np.bincount(trunks) > 1).sum())
            return f"several token counts of {shared} run names", inner, _above(table, inner)
    if table.has("step", "size") and not table.has("tokens"):
        steps = table.runs["step"]
        inner = _not_last(_settings(table), steps)
        if inner.any():
            return f"{np.unique(steps[np.isfinite(steps)]).size} steps of training", inner, None
    return None


def _planned(table: Evidence) -> bool:
    """Whether every row ends at the compute of a budget, as runs that were planned to end there do."""
    rows, (budget, compute) = table.known("budget", "compute")
    return len(rows) == len(table.runs) and bool((np.abs(np.log(compute / budget)) < 0.5).all())


def _settings(table: Evidence) -> Trunks:
    """Number the run of every row by all that is the same along a run."""
    names = [name for name in table.setting_columns if name not in ("step", *OUTCOMES)]
    keys: list[Array | Trunks] = [table.runs[name] for name in names]
    keys += [kinds for _, kinds in table.kinds.items()]
    keys += [column for _, column in table.numbers_in_rest() if np.unique(column).size <= len(column) // 10]
    trunks = np.zeros(len(table.runs), dtype=np.intp)
    for key in keys:
        own = np.unique(key, return_inverse=True)[1].reshape(-1)
        trunks = np.unique(trunks * (int(own.max()) + 1) + own, return_inverse=True)[1].reshape(-1)
    return trunks


def _trunks(table: Evidence) -> Trunks | None:
    """Number the run of every row by its name without a step; None where no name repeats."""
    if not table.runs.names:
        return None
    names, seeds = table.runs.names, table.runs.columns.get("seed")
    if any(_STEP.search(name) for name in names[:1000]):
        names = tuple(_STEP.sub("", name) for name in names)
    keys = names if seeds is None else tuple(zip(names, seeds.tolist(), strict=True))
    if not any(names) or len(set(keys)) == len(keys):
        return None
    known: dict[object, int] = {}
    return np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.intp)


def _not_last(trunks: Trunks, tokens: Array) -> npt.NDArray[np.bool_]:
    """Rows with fewer tokens than the longest of their run."""
    longest = np.zeros(int(trunks.max()) + 1)
    np.maximum.at(longest, trunks, np.nan_to_num(tokens))
    return np.asarray(tokens < longest[trunks] * (1 - 1e-6))


def _above(table: Evidence, inner: npt.NDArray[np.bool_]) -> float | None:
    """How far the inner rows lie above a surface through the last ones, where that is clear; else None."""
    if len(table.known("loss", "size", "tokens")[0]) < len(inner) or (~inner).sum() < 8:
        return None
    N, D, L = np.log(table.runs.size), np.log(table.runs.tokens), np.log(table.runs.loss)
    design = np.stack([np.ones(len(N)), N, D], axis=1)
    last, low, high = ~inner, design[~inner].min(axis=0), design[~inner].max(axis=0)
    theta, *_ = np.linalg.lstsq(design[last], L[last], rcond=None)
    inside = inner & (design >= low).all(axis=1) & (design <= high).all(axis=1)
    if inside.sum() < 3 or np.linalg.matrix_rank(design[last]) < 3:
        return None
    off = L - design @ theta
    spread = max(float(off[last].std()), 1e-6)
    middle = float(np.median(off[inside]))
    return float(np.expm1(middle)) if middle > 2 * spread / np.sqrt(inside.sum()) and middle > 3e-3 else None
