r"""Hold-outs inside the runs at hand: fit the cheaper ones, predict the dearer, note the error.

A cut divides the runs by compute. Below it a law is fitted, points only; above it every run is predicted.
With the prediction come its linear response to the noise of the fitted runs,

.. math:: \mathrm{d}\log\hat L = J_t (J_f^\top J_f)^{-1} J_f^\top\, \mathrm{d}\log L

with the Jacobians of the fitted and of the predicted runs, and a half-width from it and the residuals. That
costs nothing beside resampling, which matters when ten laws are fitted at five cuts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError
from scalescope.fitting.budgets import compute_rungs
from scalescope.fitting.clusters import seed_noise
from scalescope.fitting.criterion import HUBER, Criterion
from scalescope.fitting.frontier import used_by
from scalescope.fitting.holdout import Holdout
from scalescope.fitting.inputs import target_of, variables_of
from scalescope.fitting.isoflop_fit import fit_isoflop
from scalescope.fitting.objective import Objective
from scalescope.fitting.solver import gradient_norm, minimise
from scalescope.fitting.suitability import absent_columns, reason_against, whole_rows
from scalescope.laws import Law, get_law
from scalescope.points import Array, Runs

TRIED = 6
"""Starts, the best by their objective, from which a rolled fit sets out."""
UNSETTLED = 1e-6
"""Relative gradient above which the best of them is polished, where there is no noise."""
NOISELESS = 1e-9
"""Objective a run below which the runs have no noise to speak of."""
LAD_SPREAD = float(np.sqrt(np.pi / 2))
"""How much more an absolute objective passes on of normal noise than least squares do."""
LOWEST = 1e-3
"""Predictions are kept above this share of the lowest target fitted, and below the highest over it."""

Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Runs in steps of compute, cheapest first; what is held out by the table comes last."""

    of_run: npt.NDArray[np.int64]
    """Step of every run, shape (n_runs,)."""
    position: Array
    """Geometric mean of the compute of every step."""

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One law fitted below one cut, and what it says of the runs above."""

    law: str
    cut: int
    """Steps below it were fitted."""
    n_fitted: int
    fitted: Rows
    """Rows that were fitted."""
    target: Rows
    """Rows that were predicted."""
    log_error: Array
    """log of predicted over measured, shape (n_target,)."""
    error: Array
    """Predicted minus measured, in the unit of the target."""
    half_width: Array
    """Of the interval of one run at one standard deviation, in log, shape (n_target,)."""
    residual_sd: float
    """Of the log residuals of the runs fitted."""
    freedom: int
    """Runs fitted beyond the coefficients."""
    response: Array
    """Of the log predictions to the log targets fitted, shape (n_target, n_fitted)."""
    largest: float
    """Highest compute fitted, FLOP."""


def group_runs(runs: Runs, cut: float | None = None, *, fewest: int = 1) -> Groups:
    """Put runs into steps of compute: the budgets, or bins of a factor 3 where there are none.

    Runs above `cut` (FLOP), or those that the table holds out, make the last step. Other steps with fewer
    than `fewest` runs are joined to the next cheaper one.
    """
    apart = runs.held_out if cut is None else runs.compute > cut
    free = np.flatnonzero(~apart)
    rungs = compute_rungs(runs.select(~apart)) if free.size else ()
    steps = _joined([free[group.rows] for group in rungs], fewest)
    if apart.any():
        steps.append(np.flatnonzero(apart))
    of_run = np.zeros(len(runs), dtype=np.int64)
    for index, rows in enumerate(steps):
        of_run[rows] = index
    middles = [float(np.exp(np.log(runs.compute[rows]).mean())) for rows in steps]
    return Groups(of_run=of_run, position=np.array(middles))


def _joined(steps: list[Rows], fewest: int) -> list[Rows]:
    """Join steps that are too small, the dearest first."""
    out: list[Rows] = []
    waiting = np.zeros(0, dtype=np.intp)
    for rows in reversed(steps):
        waiting = np.concatenate([rows, waiting])
        if len(waiting) >= fewest:
            out.append(waiting)
            waiting = np.zeros(0, dtype=np.intp)
    if waiting.size:
        out.append(waiting)
    return out[::-1]


def predict_beyond(
    form: Law, runs: Runs, groups: Groups, cuts: Sequence[int], *, criterion: Criterion = HUBER
) -> tuple[Prediction, ...]:
    """Fit a law to the steps below each cut and predict every run above it.

    Cuts below which the runs cannot determine the law, or above which it has nothing to predict, are left
    out.

    Parameters
    ----------
    form
        The law. One of a single factor is judged only on runs that are on the lower envelope.
    runs, groups
        All of them.
    cuts
        At each, steps with a lower number are fitted.
    criterion
        What is minimised; `isoflop` has its own.
    """
    if absent_columns(form, runs):
        return ()
    table = _freed(runs)
    sides = [_sides(form, table, groups, cut) for cut in cuts]
    usable = [(cut, *side) for cut, side in zip(cuts, sides, strict=True) if side is not None]
    if not usable:
        return ()
    optima = _fit_all(form, table, np.array([below for _, below, _ in usable]), criterion)
    return tuple(
        _assess(form, table, np.flatnonzero(below), np.flatnonzero(above), theta, cut)
        for (cut, below, above), theta in zip(usable, optima, strict=True)
        if theta is not None
    )


def _sides(form: Law, runs: Runs, groups: Groups, cut: int) -> tuple[Mask, Mask] | None:
    """Which runs a cut fits and which it predicts; None where that is impossible."""
    whole = whole_rows(form, runs)
    below, above = whole & (groups.of_run < cut), whole & (groups.of_run >= cut)
    spare = 2
    if form.family == "one-factor" and below.any():
        spare = 1
        above &= _on_envelope(runs, groups, form)
        below[below] = used_by(runs.select(below), form.name)
    if not above.any() or reason_against(form, runs.select(below), spare=spare):
        return None
    return below, above


def _freed(runs: Runs) -> Runs:
    """Without the column of held-out rows: the cut has said which are."""
    columns = {name: column for name, column in runs.columns.items() if name != "held_out"}
    return Runs(columns=columns, names=runs.names, count=runs.count)


def _on_envelope(runs: Runs, groups: Groups, form: Law) -> Mask:
    """Runs that improve on all up to their own step."""
    on = np.zeros(len(runs), dtype=np.bool_)
    for step in range(len(groups)):
        seen = np.flatnonzero(groups.of_run <= step)
        best = seen[used_by(runs.select(groups.of_run <= step), form.name)]
        on[best[groups.of_run[best] == step]] = True
    return on


def _fit_all(form: Law, runs: Runs, masks: Mask, criterion: Criterion) -> list[Array | None]:
    """The optimum for every mask, natural units; None where there is none.

    All cuts and all starts are one batch of the solver: runs above a cut weigh nothing.
    """
    if form.name == "isoflop":
        return [_fit_isoflop(runs.select(mask)) for mask in masks]
    objective = Objective(law=form, x=variables_of(form, runs), criterion=criterion)
    target = target_of(form, runs)
    y = np.log(target) if (criterion.scale or form.scale) == "log" else target
    starts = np.concatenate([_starts(objective, target, y, mask) for mask in masks])
    weights = np.repeat(masks.astype(np.float64), len(starts) // len(masks), axis=0)
    solution = minimise(objective, starts, y[None], weights, tolerance=1e-8)
    shape = (len(masks), -1)
    best = solution.objective.reshape(shape).argmin(axis=1)
    every = solution.phi.reshape(*shape, starts.shape[1])[np.arange(len(masks)), best]
    reached = solution.objective.reshape(shape).min(axis=1)
    return [
        _settle(objective, phi, y, mask, value) if np.isfinite(value) else None
        for phi, mask, value in zip(every, masks, reached.tolist(), strict=True)
    ]


def _fit_isoflop(runs: Runs) -> Array | None:
    try:
        return fit_isoflop(runs, resamples=0, level=0.9, seed=0).theta
    except InputError:
        return None


def _starts(objective: Objective, target: Array, y: Array, mask: Mask) -> Array:
    """The few starts with the lowest objective, fitted coordinates, shape (TRIED, k)."""
    x = {name: column[mask] for name, column in objective.x.items()}
    starts = objective.fitted(objective.law.starts(target[mask], **x))
    value = objective.value(y - objective.log_loss(starts), mask[None].astype(np.float64))
    return starts[np.resize(np.argsort(value, kind="stable")[:TRIED], TRIED)]


def _settle(objective: Objective, phi: Array, y: Array, mask: Mask, value: float) -> Array:
    """Natural units; polished where there is no noise.

    With noise the last digits of an optimum are far below what it predicts wrongly; without, they are all.
    """
    weights = mask.astype(np.float64)
    exact = value < NOISELESS * mask.sum()
    if exact and gradient_norm(objective, phi, y, weights)[1] > UNSETTLED:
        phi = minimise(objective, phi[None], y[None], weights[None], tolerance=1e-15, max_iterations=800).phi[
            0
        ]
    return np.asarray(objective.natural(phi[None])[0])


def _assess(form: Law, runs: Runs, fitted: Rows, target: Rows, theta: Array, cut: int) -> Prediction:
    """Errors, half-widths and the response to noise at an optimum."""
    every = variables_of(form, runs)
    known, asked = ({name: column[rows] for name, column in every.items()} for rows in (fitted, target))
    measured = target_of(form, runs)
    at_known, at_asked = form.value(theta, **known), form.value(theta, **asked)
    low, high = LOWEST * float(measured[fitted].min()), float(measured[fitted].max()) / LOWEST
    at_known, at_asked = (np.clip(np.nan_to_num(one, nan=high), low, high) for one in (at_known, at_asked))
    residuals = np.log(measured[fitted]) - np.log(at_known)
    response = _response(form, theta, known, asked)
    freedom = max(len(fitted) - len(theta), 1)
    residual_sd = float(np.sqrt((residuals**2).sum() / freedom))
    sd = max(residual_sd, _seed_noise(runs, fitted))
    return Prediction(
        law=form.name,
        cut=cut,
        n_fitted=len(fitted),
        fitted=fitted,
        target=target,
        log_error=np.log(at_asked) - np.log(measured[target]),
        error=at_asked - measured[target],
        half_width=sd * np.sqrt(1 + (response**2).sum(axis=1)),
        residual_sd=residual_sd,
        freedom=freedom,
        response=response,
        largest=float(runs.compute[fitted].max()),
    )


def _seed_noise(runs: Runs, rows: Rows) -> float:
    mask = np.zeros(len(runs), dtype=np.bool_)
    mask[rows] = True
    return seed_noise(runs.select(mask)) or 0.0


def _response(form: Law, theta: Array, known: Mapping[str, Array], asked: Mapping[str, Array]) -> Array:
    """Linear response of the log predictions to the log targets, with the loss of an absolute objective."""
    here, there = (_log_slopes(form, theta, x) for x in (known, asked))
    low, high = form.bounds()
    free = (theta > low) & (theta < high) & np.isfinite(here).all(axis=1) & np.isfinite(there).all(axis=1)
    size = np.sqrt((here[free] ** 2).mean(axis=1, keepdims=True))
    size = np.where(size > 0, size, 1.0)
    inverse = np.linalg.pinv((here[free] / size).T, rcond=1e-7)
    return np.asarray(LAD_SPREAD * (there[free] / size).T @ inverse)


def _log_slopes(form: Law, theta: Array, x: Mapping[str, Array]) -> Array:
    """Derivative of the log value by the logarithm of each scale, or by the coefficient, shape (k, n)."""
    every = zip(theta, form.coefficients.values(), strict=True)
    scale = np.array([value if one.positive else 1.0 for value, one in every])
    with np.errstate(all="ignore"):
        return np.asarray(form.gradient(theta, **x) / form.value(theta, **x) * scale[:, None])


def holdouts_of(prediction: Prediction, groups: Groups) -> dict[int, Holdout]:
    """Step above the cut to one record of how far off the law was there."""
    steps = groups.of_run[prediction.target]
    return {int(step): _holdout(prediction, groups, steps == step, int(step)) for step in np.unique(steps)}


def _holdout(prediction: Prediction, groups: Groups, rows: npt.NDArray[np.bool_], step: int) -> Holdout:
    error = prediction.log_error[rows]
    return Holdout(
        law=prediction.law,
        n_fitted=prediction.n_fitted,
        n_predicted=len(error),
        ratio=float(groups.position[step]) / prediction.largest,
        log_error=float(error.mean()),
        rms_error=float(np.sqrt((error**2).mean())),
    )


def roll(runs: Runs, law: str) -> tuple[Holdout, ...]:
    """Fit the runs below every cut in compute and forecast the next dearer group.

    Cuts are the budgets of an IsoFLOP grid, or bins of a factor 3 in compute where there are none. Only
    points are fitted, no intervals. A law of one factor is judged on the runs of
    the next group that are on the lower envelope. Cuts that leave too little to fit are skipped, so few runs
    can give none at all.
    """
    form, free = get_law(law), runs.fitted()
    if len(free) == 0:
        return ()
    groups = group_runs(free)
    predictions = predict_beyond(form, free, groups, range(1, len(groups)))
    records = ((one.cut, holdouts_of(one, groups)) for one in predictions)
    return tuple(steps[cut] for cut, steps in records if cut in steps)
