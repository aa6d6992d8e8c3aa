r"""The IsoFLOP method, "approach 2" of Hoffmann et al. (2022): a parabola a budget, then power laws.

1. At every budget, least squares of the loss by a parabola in :math:`\ln N`; its minimum is :math:`N^*, L^*`.
2. :math:`\ln N^* = \ln G + a \ln C` by least squares weighted with the inverse variance of the minima.
3. :math:`L^* = E + K C^{-\gamma}` through the minima, in log loss, weighted alike, with :math:`E \ge 0`.
4. One curvature :math:`\kappa` for the surface: the weighted mean of the budgets' curvatures.

Budgets whose parabola opens downwards, or whose minimum is not between the sampled sizes, are left out and
named in a finding. Intervals come from resampled residuals (`residual_losses`), with all four steps repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError
from scalescope.fitting.budgets import Group, budget_groups
from scalescope.fitting.clusters import Labels, cluster_labels, setting_labels
from scalescope.fitting.criterion import Criterion
from scalescope.fitting.objective import Objective
from scalescope.fitting.solver import minimise
from scalescope.fitting.valleys import Valley
from scalescope.laws import get_law
from scalescope.points import Array, Finding, Runs

FEWEST = 3
"""Budgets, and sizes in each."""
WIDEST = 1.5
"""Highest over lowest compute of a budget that no column names."""
SQUARES = Criterion(delta=1e6)
"""A Huber threshold that no residual reaches: least squares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surfaces:
    """Coefficients of the law `isoflop`, one row a resample, and the minima behind them."""

    theta: Array
    """Shape (batch, 6); nan where fewer than three budgets have a minimum."""
    log_size: Array
    """Of the minima, shape (batch, n_budgets)."""
    log_tokens: Array
    loss: Array
    bends: tuple[Array, ...]
    """Parabola coefficients about the mean, (batch, 3) a budget."""
    fitted: tuple[Array, ...]
    """Parabola values, (batch, n) a budget."""


def find_valleys(runs: Runs) -> tuple[tuple[Valley, ...], tuple[Finding, ...]]:
    """Return the budgets whose minimum lies between their sizes, and what was left out.

    Raises
    ------
    InputError
        If fewer than three budgets remain.
    """
    valleys: list[Valley] = []
    findings: list[Finding] = []
    groups = budget_groups(runs)
    whole = [group for group in groups if n_sizes(runs, group) >= FEWEST]
    if len(whole) < len(groups):
        text = f"{len(groups) - len(whole)} of {len(groups)} budgets have fewer than {FEWEST} sizes."
        findings.append(Finding(code="FIT014", text=text, hint="They are not used; give each several sizes."))
    for group in whole:
        found = _valley_or_doubt(runs, group)
        if isinstance(found, Finding):
            findings.append(found)
        else:
            valleys.append(found)
    if len(valleys) < FEWEST:
        raise InputError(
            f"isoflop needs {FEWEST} budgets with a minimum between their sizes, got {len(valleys)}",
            hint=" ".join(finding.text for finding in findings[:3])
            or "Group runs of equal compute, at least three sizes each, in a column `budget`.",
        )
    return tuple(valleys), tuple(findings)


def n_sizes(runs: Runs, group: Group) -> int:
    """How many different sizes a budget has."""
    return int(setting_labels(runs.size[group.rows]).max()) + 1


def _valley_or_doubt(runs: Runs, group: Group) -> Valley | Finding:
    from scalescope.units import format_count, format_factor, format_flop

    size, compute = runs.size[group.rows], runs.compute[group.rows]
    at, hint = format_flop(group.compute), "Add sizes on both sides of the minimum."
    spread = float(compute.max() / compute.min())
    if "budget" not in runs and spread > WIDEST:
        text = (
            f"Computes around {at} run over a factor {format_factor(spread)} without a gap: not one budget."
        )
        return Finding(code="FIT015", text=text, hint="They are not used; name budgets in a column `budget`.")
    valley = Valley.build(
        compute=group.compute,
        rows=group.rows,
        log_size=np.log(size),
        log_tokens=np.log(runs.tokens[group.rows]),
    )
    bend = valley.bend(runs.loss[group.rows][None])
    if not np.isfinite(bend.log_size[0]):
        text = f"The parabola at {at} opens downwards and is not used."
        return Finding(code="FIT007", text=text, hint=hint)
    if not valley.log_size.min() <= bend.log_size[0] <= valley.log_size.max():
        span = f"{format_count(float(size.min()))} to {format_count(float(size.max()))}"
        text = f"The minimum at {at} lies outside its sizes ({span}) and is not used."
        return Finding(code="FIT008", text=text, hint=hint)
    return valley


def fit_surfaces(valleys: tuple[Valley, ...], losses: list[Array], starts: Array | None = None) -> Surfaces:
    """Run all four steps for losses of shape (batch, n) at each budget.

    `starts`, of shape (n_starts, 3), are tried for E, K and gamma; without them, the starts of the law.
    """
    bends = [valley.bend(loss) for valley, loss in zip(valleys, losses, strict=True)]
    log_C = np.log([valley.compute for valley in valleys])
    log_size = np.stack([bend.log_size for bend in bends], axis=1)
    loss = np.stack([bend.loss for bend in bends], axis=1)
    usable = np.isfinite(log_size) & (loss > 0)
    enough = usable.sum(axis=1) >= FEWEST
    log_G, a = power_line(log_C, log_size, np.stack([bend.size_variance for bend in bends], axis=1), usable)
    variance = np.stack([bend.loss_variance for bend in bends], axis=1) / np.where(usable, loss, 1.0) ** 2
    frontier = _frontier(log_C, np.where(usable, loss, 1.0), _weights(variance, usable), starts)
    curvature = np.stack([bend.coefficients[:, 2] for bend in bends], axis=1)
    precision = np.where(usable, 1 / np.array([valley.inverse[2, 2] for valley in valleys]), 0.0)
    with np.errstate(invalid="ignore"):
        kappa = (precision * curvature).sum(axis=1) / precision.sum(axis=1)
    theta = np.column_stack([frontier, np.exp(log_G), a, kappa])
    return Surfaces(
        theta=np.where(enough[:, None], theta, np.nan),
        log_size=log_size,
        log_tokens=np.stack([bend.log_tokens for bend in bends], axis=1),
        loss=loss,
        bends=tuple(bend.coefficients for bend in bends),
        fitted=tuple(bend.fitted for bend in bends),
    )


def _weights(variance: Array, usable: npt.NDArray[np.bool_]) -> Array:
    """Inverse variances with mean one over what is usable; the residual variance is common and cancels."""
    weights = np.where(usable, 1 / np.where(usable, variance, 1.0), 0.0)
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(weights * weights.shape[1] / np.where(total > 0, total, 1.0))


def power_line(x: Array, y: Array, variance: Array, usable: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Intercept and slope of weighted least squares, one a resample: a power law where both are logs.

    Parameters
    ----------
    x
        Shape (n,).
    y, variance
        Shape (batch, n), the variance up to a common factor.
    usable
        Which points count, shape (batch, n).
    """
    w, y = _weights(variance, usable), np.where(usable, y, 0.0)
    with np.errstate(all="ignore"):
        middle_x = (w * x).sum(axis=1) / w.sum(axis=1)
        middle_y = (w * y).sum(axis=1) / w.sum(axis=1)
        off = x - middle_x[:, None]
        slope = (w * off * (y - middle_y[:, None])).sum(axis=1) / (w * off**2).sum(axis=1)
    return middle_y - slope * middle_x, slope


def _frontier(log_C: Array, loss: Array, weights: Array, starts: Array | None) -> Array:
    """E, K and gamma of the minima, shape (batch, 3)."""
    law, C = get_law("loss-compute"), np.exp(log_C)
    objective = Objective(law=law, x={"C": C}, criterion=SQUARES)
    from_law = law.starts(loss[0], C=C) if starts is None else starts
    tried = objective.fitted(from_law)
    batch, n_starts = len(loss), len(tried)
    solution = minimise(
        objective,
        np.tile(tried, (batch, 1)),
        np.repeat(np.log(loss), n_starts, axis=0),
        np.repeat(weights, n_starts, axis=0),
        tolerance=1e-9,
    )
    best = solution.objective.reshape(batch, n_starts).argmin(axis=1)
    phi = solution.phi.reshape(batch, n_starts, tried.shape[1])[np.arange(batch), best]
    return objective.natural(phi)


def residual_losses(
    valleys: tuple[Valley, ...], runs: Runs, surfaces: Surfaces, *, resamples: int, rng: np.random.Generator
) -> list[Array]:
    """Losses of every resample at each budget: the parabola plus residuals of random sign (wild bootstrap).

    A residual is divided by one minus its leverage, since three coefficients over five to eight runs take
    much of the noise in. Where no run is left over at any budget the noise is unknown and the losses stay.
    """
    labels: Labels = cluster_labels(runs)
    signs = rng.choice([-1.0, 1.0], size=(resamples, int(labels.max()) + 1))
    out = []
    for valley, fitted in zip(valleys, surfaces.fitted, strict=True):
        residual = runs.loss[valley.rows] - fitted[0]
        wide = residual / np.maximum(1 - valley.leverage, 0.05)
        out.append(fitted[0] + signs[:, labels[valley.rows]] * wide)
    return out
