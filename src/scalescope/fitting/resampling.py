"""Refits to resampled runs: what intervals are made of.

Five kinds, all solved as one batch from the optima of the fit:

- `residual`: the law plus fresh noise that looks like the residuals (see `noise`), alike at every run;
- `wild`: the law plus each run's own residual, made wider for what the fit took in, with a random sign common
  to its cluster: keeps noise that differs from place to place;
- `noise`: the law plus normal noise of a known standard deviation;
- `pairs`: runs drawn with replacement, the convention of published scaling-law fits;
- `cluster`: whole training runs drawn with replacement (see `clusters`).

The default is `cluster` where clusters are plentiful, else `residual` (see `clusters.plentiful`); both are
measured in `benchmarks/coverage.py`.

The draws come in chunks with a seed each, so that they are the same on one core and on a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from scalescope.errors import InputError, nearest
from scalescope.executors import JSON, Executor
from scalescope.fitting.clusters import FEWEST, Labels, cluster_labels, plentiful, resample_weights
from scalescope.fitting.inputs import target_of
from scalescope.fitting.noise import column_space, estimate_noise, free_slopes
from scalescope.fitting.objective import Objective
from scalescope.fitting.refit import refit
from scalescope.fitting.remote import objective_from_plain, objective_to_plain, run_everywhere
from scalescope.points import Array, Runs

Kind = Literal["residual", "wild", "noise", "pairs", "cluster"]
CHUNK, CHUNK_NUMBERS = 500, 20_000_000
"""Resamples, and resamples times runs, drawn and solved together at most; part of what a seed means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resamples:
    """Refits of one fit."""

    theta: Array
    """Shape (up to the number asked for, k), natural units."""
    kind: Kind
    weights: Array | None = None
    """How often each run was drawn, shape (len(theta), n_runs); None where that was not asked or not so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """All that a chunk of resamples needs, here or elsewhere."""

    objective: Objective
    y: Array
    """Target on the scale of the fit, shape (n,)."""
    optima: Array
    """Fitted coordinates to start from, the optimum first, shape (n_optima, k)."""
    kind: Kind
    labels: Labels
    noise_sd: Array | None
    """On the scale of the fit, shape (n,)."""
    seed: int
    keep_weights: bool


def resample_fit(
    objective: Objective,
    runs: Runs,
    warm: Array,
    *,
    resamples: int,
    seed: int,
    kind: Kind | None = None,
    executor: Executor | None = None,
) -> Array:
    """Refit to resampled runs with the clusters of the table, shape (up to resamples, k), natural units.

    `cluster` becomes `pairs` where there are too few clusters to draw.
    """
    labels = cluster_labels(runs)
    if kind == "cluster" and labels.max() + 1 < FEWEST:
        kind = "pairs"
    target = target_of(objective.law, runs)
    return resample(
        objective, target, warm, labels=labels, kind=kind, resamples=resamples, seed=seed, executor=executor
    ).theta


def resample(
    objective: Objective,
    target: Array,
    optima: Array,
    *,
    labels: Labels | None = None,
    kind: Kind | None = None,
    resamples: int = 300,
    seed: int = 0,
    noise_sd: float | Array | None = None,
    keep_weights: bool = False,
    executor: Executor | None = None,
) -> Resamples:
    """Refit to resampled data.

    Parameters
    ----------
    objective
        What was minimised.
    target
        What the law predicts, in the unit of its column, shape (n,).
    optima
        Fitted coordinates of the optima that every refit starts from, the best first, shape (n_optima, k).
    labels
        Cluster of every run, numbered from zero without gaps; every run by itself where not given.
    kind
        See the module; by default `default_kind`.
    resamples
        How many to draw. `pairs` and `cluster` may give fewer: draws that cannot determine the law are left
        out.
    seed
        The same seed gives the same resamples, wherever they are computed.
    noise_sd
        For `noise`: standard deviation on the scale of the fit, one for all or one a run; by default the
        known standard errors of the objective.
    keep_weights
        Whether the result says how often each run was drawn; they take far more memory than the rest.
    executor
        Where to compute; here and now without one.

    Raises
    ------
    InputError
        If the kind is unknown, or is `noise` and nothing says how much.
    WorkError
        If a task failed elsewhere.
    """
    n, optima = len(target), np.atleast_2d(optima)
    labels = np.arange(n) if labels is None else labels
    kind = default_kind(labels, n_moving(objective)) if kind is None else kind
    if kind not in get_args(Kind):
        raise InputError(f"no resampling is called {kind!r}", hint=nearest(kind, get_args(Kind)))
    known = objective.errors if noise_sd is None else noise_sd
    if kind == "noise" and known is None:
        raise InputError(
            "resampling known noise needs its standard deviation",
            hint="Give noise_sd, or a column of standard errors.",
        )
    source = Source(
        objective=objective,
        y=objective.transform(target),
        optima=optima,
        kind=kind,
        labels=np.arange(n) if kind == "pairs" else labels,
        noise_sd=None if known is None else np.broadcast_to(np.asarray(known, dtype=np.float64), n),
        seed=seed,
        keep_weights=keep_weights,
    )
    step = max(1, min(CHUNK, CHUNK_NUMBERS // max(n, 1)))
    sizes = [min(step, resamples - done) for done in range(0, resamples, step)]
    if executor is None or len(sizes) < 2:
        parts = [_chunk(source, index, size) for index, size in enumerate(sizes)]
    else:
        parts = _chunks_elsewhere(source, sizes, executor)
    theta = np.concatenate([np.zeros((0, optima.shape[1])), *[part[0] for part in parts]])
    drawn = [part[1] for part in parts if part[1] is not None]
    return Resamples(theta=theta, kind=kind, weights=np.concatenate(drawn) if drawn else None)


def default_kind(labels: Labels, n_free: int) -> Kind:
    """Return `cluster` where clusters are plentiful, else `residual`."""
    return "cluster" if plentiful(labels, n_free) else "residual"


def n_moving(objective: Objective) -> int:
    """How many coefficients are free, tied ones counted once."""
    low, high = objective.coordinates.limits()
    return int((low < high).sum())


def leave_out(
    objective: Objective, target: Array, optima: Array, *, labels: Labels | None = None, most: int = 250
) -> Array:
    """Refit without each cluster in turn: the jackknife, shape (n_clusters, k), natural units.

    More than `most` clusters are left out in `most` groups of neighbours in their numbering, so that the cost
    stays linear in the runs.
    """
    labels = np.arange(len(target)) if labels is None else labels
    count = int(labels.max()) + 1
    groups = labels if count <= most else labels * most // count
    kept = (groups[None, :] != np.unique(groups)[:, None]).astype(np.float64)
    y = objective.transform(target)
    return objective.natural(refit(objective, np.atleast_2d(optima), y[None], kept, target=y).phi)


def _chunk(source: Source, index: int, size: int) -> tuple[Array, Array | None]:
    """Draw and solve one chunk: coefficients, and how often each run was drawn."""
    rng, objective = np.random.default_rng([source.seed, index]), source.objective
    y, weights, drawn = source.y[None], np.ones((1, len(source.y))), None
    if source.kind in ("pairs", "cluster"):
        weights = resample_weights(
            source.labels,
            tuple(objective.x.values()),
            settings=n_moving(objective),
            resamples=size,
            rng=rng,
        )
        drawn = weights if source.keep_weights else None
        if not len(weights):
            return np.zeros((0, source.optima.shape[1])), drawn
    else:
        y = _fresh(source, size, rng)
    return objective.natural(refit(objective, source.optima, y, weights, target=source.y).phi), drawn


def _fresh(source: Source, size: int, rng: np.random.Generator) -> Array:
    """The law at the optimum plus noise, on the scale of the fit, shape (size, n)."""
    objective, phi = source.objective, source.optima[0]
    law = objective.predicted(phi[None])[0]
    if source.kind == "noise" and source.noise_sd is not None:
        return np.asarray(law + source.noise_sd * rng.standard_normal((size, len(law))))
    residuals = objective.residuals(phi[None], source.y[None])[0]
    if source.kind == "wild":
        basis = column_space(free_slopes(objective, phi)[0])
        wide = residuals / np.maximum(1 - (basis**2).sum(axis=1), 0.05)
        signs = rng.choice([-1.0, 1.0], size=(size, int(source.labels.max()) + 1))
        noise = signs[:, source.labels] * wide
    else:
        noise = estimate_noise(objective, phi, residuals, source.labels).draw(size, rng)
    return np.asarray(law + (noise if objective.errors is None else noise * objective.errors))


def _chunks_elsewhere(
    source: Source, sizes: list[int], executor: Executor
) -> list[tuple[Array, Array | None]]:
    plain = {
        "objective": objective_to_plain(source.objective),
        "y": source.y.tolist(),
        "optima": source.optima.tolist(),
        "kind": source.kind,
        "labels": source.labels.tolist(),
        "noise_sd": None if source.noise_sd is None else source.noise_sd.tolist(),
        "seed": source.seed,
        "keep_weights": source.keep_weights,
    }
    payloads = [{"source": plain, "index": index, "size": size} for index, size in enumerate(sizes)]
    found = run_everywhere(executor, "scalescope.fitting.resampling:run_chunk", payloads)
    k, n = source.optima.shape[1], len(source.y)
    return [
        (
            np.array(one["theta"], dtype=np.float64).reshape(-1, k),
            None if one["drawn"] is None else np.array(one["drawn"], dtype=np.float64).reshape(-1, n),
        )
        for one in found
    ]


def run_chunk(payload: JSON, _emit: object) -> JSON:
    """Draw and solve one chunk in a worker."""
    plain: Mapping[str, Any] = payload["source"]
    source = Source(
        objective=objective_from_plain(plain["objective"]),
        y=np.array(plain["y"]),
        optima=np.array(plain["optima"]),
        kind=plain["kind"],
        labels=np.array(plain["labels"], dtype=np.intp),
        noise_sd=None if plain["noise_sd"] is None else np.array(plain["noise_sd"]),
        seed=plain["seed"],
        keep_weights=plain["keep_weights"],
    )
    theta, drawn = _chunk(source, payload["index"], payload["size"])
    return {"theta": theta.tolist(), "drawn": None if drawn is None else drawn.tolist()}
