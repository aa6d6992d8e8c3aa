r"""Approach 1 of Hoffmann et al. (2022, https://arxiv.org/abs/2203.15556, section 3.1): the lower envelope.

Every training curve is the loss of one size against compute. At each of some 1500 log-spaced computes the
lowest curve names the best size and its tokens; power laws through those,

.. math:: \ln N^* = \ln G + a \ln C, \qquad \ln D^* = \ln H + b \ln C,

are least squares in logs. Curves are interpolated linearly in log loss against log compute. Three ways to
find the envelope, by what the table holds:

* `curves`: sizes that were measured at several computes, as above;
* `budgets`: IsoFLOP grids, where each size is met once a budget: the best run of every budget;
* `hull`: the lower convex hull of log loss against log compute, as McLeish et al. (2025,
  https://arxiv.org/abs/2502.06857) do: few points, but no run wins only because nothing else was near.

The ends are censored: where the smallest size wins a smaller one might have won, and likewise the largest.
Those stretches pull both exponents and are left out of the power laws unless `whole` is asked for.
Intervals come from whole curves (or, of budgets, runs) drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError
from scalescope.fitting.budgets import budget_groups
from scalescope.fitting.clusters import Labels, cluster_labels, setting_labels
from scalescope.fitting.frontier import falling_hull
from scalescope.points import Array, Estimate, Finding, Provenance, Runs, from_plain, to_plain
from scalescope.units import format_count, format_flop, format_percent, format_significant

Method = Literal["curves", "budgets", "hull"]
N_POINTS = 1500
"""Computes at which the envelope of curves is read, as in the paper."""
FEWEST = 3
"""Distinct sizes on the envelope, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The best size and tokens at every compute, and power laws through them.  Built by `envelope`."""

    schema: ClassVar[str] = "scalescope.envelope/1"

    method: Method
    compute: Array
    """FLOP of the points on the envelope, shape (n,), lowest first."""
    size: Array
    """N of the lowest curve there."""
    tokens: Array
    loss: Array
    used: Array
    """1 where a point enters the power laws, 0 at the censored ends."""
    size_exponent: Estimate
    """a of N* = G C^a."""
    token_exponent: Estimate
    """b of D* = H C^b."""
    lines: Array
    """ln G, a, ln H, b; row 0 the estimate, then one row a resample, shape (1 + n_resamples, 4)."""
    n_curves: int
    n_sizes: int
    """Distinct sizes among the points used."""
    level: float
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def size_at(self, compute: float) -> Estimate:
        """N* at a compute in FLOP."""
        return self._at(compute, 0)

    def tokens_at(self, compute: float) -> Estimate:
        """D* at a compute in FLOP."""
        return self._at(compute, 2)

    def _at(self, compute: float, first: int) -> Estimate:
        every = np.exp(self.lines[:, first] + self.lines[:, first + 1] * np.log(compute))
        return Estimate.from_samples(float(every[0]), every[1:], self.level)

    def summary(self) -> str:
        """A few lines for a terminal."""
        span = f"{format_flop(float(self.compute.min()))} to {format_flop(float(self.compute.max()))}"
        sizes = f"{format_count(float(self.size.min()))} to {format_count(float(self.size.max()))}"
        lines = [
            f"Lower envelope of {self.n_curves} curves by {self.method}, {span}",
            f"  N* grows as C^a, a {self.size_exponent.text(format_significant)}",
            f"  D* grows as C^b, b {self.token_exponent.text(format_significant)}",
            f"  from {int(self.used.sum())} of {len(self.compute)} points at {self.n_sizes} sizes, {sizes}",
        ]
        return "\n".join(lines + [str(finding) for finding in self.findings])

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one a point of the envelope."""
        columns = (self.compute, self.size, self.tokens, self.loss, self.used)
        names = ("compute", "params", "tokens", "loss", "used")
        return [dict(zip(names, map(float, row), strict=True)) for row in zip(*columns, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Envelope:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Points:
    """Candidates at every compute: row a curve (or run), column a compute; inf where there is none."""

    log_compute: Array
    log_loss: Array
    """Shape (n_curves, n_points)."""
    log_size: Array
    log_tokens: Array


def envelope(
    runs: Runs,
    *,
    method: Method | None = None,
    compute: str = "compute",
    n_points: int = N_POINTS,
    whole: bool = False,
    resamples: int = 200,
    level: float = 0.9,
    seed: int = 0,
) -> Envelope:
    """Find the lower envelope of training curves or runs and draw power laws through it.

    Parameters
    ----------
    runs
        Points of training curves, or finished runs; held-out rows are not used.
    method
        See the module; chosen by what the table holds if not given.
    compute
        Column that C is read from, such as `compute_exact`.
    n_points
        Log-spaced computes of the method `curves`.
    whole
        Whether the censored ends, where the smallest or the largest size wins, enter the power laws too.
    resamples
        Behind every interval; 0 gives intervals that are nan.
    level
        Share of the resamples inside every interval.
    seed
        Of the resamples.

    Raises
    ------
    InputError
        If fewer than three sizes are on the envelope.
    """
    free = runs.fitted()
    C = free[compute]
    labels = curve_labels(free)
    chosen = method or _choose(free, labels)
    if chosen == "hull":
        rows = _hull_draws(C, free, labels, whole, resamples, seed)
    else:
        points = _curves(free, C, labels, n_points) if chosen == "curves" else _budgets(free)
        rows = _drawn_minima(points, labels, chosen, whole, resamples, seed)
    best, lines = rows
    n_sizes = int(setting_labels(best.size[best.used > 0]).max(initial=-1)) + 1
    if n_sizes < FEWEST or not np.isfinite(lines[0]).all():
        raise InputError(
            f"only {n_sizes} sizes are on the lower envelope where it is not censored, and it needs {FEWEST}",
            hint="Train more sizes at each compute, or ask for the whole envelope.",
        )
    kept = lines[np.isfinite(lines).all(axis=1)]
    return Envelope(
        method=chosen,
        compute=best.compute,
        size=best.size,
        tokens=best.tokens,
        loss=best.loss,
        used=best.used,
        size_exponent=Estimate.from_samples(float(lines[0, 1]), kept[1:, 1], level),
        token_exponent=Estimate.from_samples(float(lines[0, 3]), kept[1:, 3], level),
        lines=kept,
        n_curves=int(labels.max()) + 1,
        n_sizes=n_sizes,
        level=level,
        findings=_doubts(best, n_sizes),
        provenance=Provenance(
            source=runs.provenance.source,
            options={"method": chosen, "compute": compute, "whole": whole, "resamples": resamples},
            seed=seed,
        ),
    )


def curve_labels(runs: Runs) -> Labels:
    """Number the curve of every row: by the column `curve`, by run where names repeat, else by size."""
    if "curve" in runs and not np.isnan(runs["curve"]).any():
        return np.unique(runs["curve"], return_inverse=True)[1].reshape(-1)
    trunks = cluster_labels(runs)
    return trunks if trunks.max() + 1 < len(runs) else setting_labels(runs.size)


def _choose(runs: Runs, labels: Labels) -> Method:
    """Curves where most rows share theirs with others, budgets where there are some, else the hull."""
    if "budget" not in runs and len(runs) >= 3 * (int(labels.max()) + 1):
        return "curves"
    groups = budget_groups(runs)
    return "budgets" if 3 <= len(groups) <= len(runs) // 3 else "hull"


def _curves(runs: Runs, C: Array, labels: Labels, n_points: int) -> _Points:
    """Read every curve at log-spaced computes; a curve says nothing outside its own range."""
    grid = np.linspace(np.log(C.min()), np.log(C.max()), n_points)
    shape = (int(labels.max()) + 1, n_points)
    log_loss, log_size, log_tokens = np.full(shape, np.inf), np.zeros(shape), np.zeros(shape)
    for label in range(shape[0]):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(C[rows], kind="stable")]
        at = np.log(C[rows])
        log_loss[label] = np.interp(grid, at, np.log(runs.loss[rows]), left=np.inf, right=np.inf)
        log_size[label] = np.interp(grid, at, np.log(runs.size[rows]))
        log_tokens[label] = np.interp(grid, at, np.log(runs.tokens[rows]))
    return _Points(log_compute=grid, log_loss=log_loss, log_size=log_size, log_tokens=log_tokens)


def _budgets(runs: Runs) -> _Points:
    """Every run is a candidate at its own budget."""
    groups = budget_groups(runs)
    log_loss = np.full((len(runs), len(groups)), np.inf)
    for column, group in enumerate(groups):
        log_loss[group.rows, column] = np.log(runs.loss[group.rows])
    return _Points(
        log_compute=np.log([group.compute for group in groups]),
        log_loss=log_loss,
        log_size=np.tile(np.log(runs.size)[:, None], len(groups)),
        log_tokens=np.tile(np.log(runs.tokens)[:, None], len(groups)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Best:
    """The envelope itself."""

    compute: Array
    size: Array
    tokens: Array
    loss: Array
    used: Array


def _drawn_minima(
    points: _Points, labels: Labels, method: Method, whole: bool, resamples: int, seed: int
) -> tuple[_Best, Array]:
    """The lowest candidate at every compute, for all of them and for every draw of them."""
    units = np.arange(len(points.log_loss)) if method == "curves" else labels
    best, line = _minimum(points, np.ones(len(points.log_loss), dtype=np.bool_), whole)
    drawn = _draw_units(units, resamples, seed)
    return best, np.array([line, *(_minimum(points, keep, whole)[1] for keep in drawn)])


def _draw_units(units: Labels, resamples: int, seed: int) -> npt.NDArray[np.bool_]:
    """Which rows are in each draw of units with replacement, shape (resamples, n_rows)."""
    rng, n_units = np.random.default_rng(seed), int(units.max()) + 1
    weights = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=resamples)
    return np.asarray(weights[:, units] > 0)


def _minimum(points: _Points, keep: npt.NDArray[np.bool_], whole: bool) -> tuple[_Best, Array]:
    loss, size, tokens = points.log_loss[keep], points.log_size[keep], points.log_tokens[keep]
    there = np.isfinite(loss)
    columns = np.flatnonzero(there.any(axis=0))
    winner = loss[:, columns].argmin(axis=0)
    N, D = size[winner, columns], tokens[winner, columns]
    smallest = np.where(there, size, np.inf).min(axis=0)[columns]
    largest = np.where(there, size, -np.inf).max(axis=0)[columns]
    used = np.ones(len(columns)) if whole else ((smallest < N) & (largest > N)).astype(np.float64)
    log_C = points.log_compute[columns]
    best = _Best(
        compute=np.exp(log_C),
        size=np.exp(N),
        tokens=np.exp(D),
        loss=np.exp(loss[winner, columns]),
        used=used,
    )
    return best, _lines(log_C, N, D, used > 0)


def _hull_draws(
    C: Array, runs: Runs, labels: Labels, whole: bool, resamples: int, seed: int
) -> tuple[_Best, Array]:
    """The hull of all rows, and of every draw of curves."""
    best, line = _hull(C, runs, np.ones(len(runs), dtype=np.bool_), whole)
    drawn = _draw_units(labels, resamples, seed)
    return best, np.array([line, *(_hull(C, runs, keep, whole)[1] for keep in drawn)])


def _hull(C: Array, runs: Runs, keep: npt.NDArray[np.bool_], whole: bool) -> tuple[_Best, Array]:
    rows = np.flatnonzero(keep)
    rows = rows[falling_hull(np.log(C[rows]), np.log(runs.loss[rows]))]
    N = runs.size[rows]
    inside = (runs.size[keep].min() < N) & (runs.size[keep].max() > N)
    used = np.ones(len(rows)) if whole else inside.astype(np.float64)
    best = _Best(compute=C[rows], size=N, tokens=runs.tokens[rows], loss=runs.loss[rows], used=used)
    return best, _lines(np.log(C[rows]), np.log(N), np.log(runs.tokens[rows]), used > 0)


def _lines(log_C: Array, log_N: Array, log_D: Array, used: npt.NDArray[np.bool_]) -> Array:
    """Return ln G, a, ln H, b by least squares; nan where the points used do not spread in compute."""
    if used.sum() < 2 or np.ptp(log_C[used]) < 1e-9:
        return np.full(4, np.nan)
    middle = log_C[used].mean()
    off = log_C[used] - middle
    out = []
    for y in (log_N[used], log_D[used]):
        slope = float(off @ y / (off @ off))
        out += [float(y.mean()) - slope * middle, slope]
    return np.array(out)


def _doubts(best: _Best, n_sizes: int) -> tuple[Finding, ...]:
    findings = []
    left_out = 1 - float(best.used.mean())
    if left_out > 0.5:
        text = f"The smallest or largest size wins at {format_percent(left_out)} of the computes."
        hint = "The envelope is censored there and not used; train sizes on both sides of the optimum."
        findings.append(Finding(code="FIT051", text=text, hint=hint))
    if n_sizes < 2 * FEWEST:
        text = f"The lower envelope rests on {n_sizes} sizes."
        hint = "Its exponents are those of a coarse staircase; approaches 2 and 3 use every run."
        findings.append(Finding(code="FIT052", text=text, hint=hint))
    return tuple(findings)
