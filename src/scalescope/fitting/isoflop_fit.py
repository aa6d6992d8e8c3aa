"""From runs to the law `isoflop` with intervals: the steps of `isoflop`, once and on every resample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalescope.fitting.isoflop import Surfaces, find_valleys, fit_surfaces, residual_losses
from scalescope.fitting.result import Parabola
from scalescope.fitting.valleys import Valley
from scalescope.laws import get_law
from scalescope.points import Array, Estimate, Finding, Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoflopFit:
    """What the method found."""

    theta: Array
    """Shape (6,)."""
    resamples: Array
    """Shape (up to n_resamples, 6)."""
    parabolas: tuple[Parabola, ...]
    used: npt.NDArray[np.bool_]
    """Which runs belong to a budget that was used."""
    findings: tuple[Finding, ...]


def fit_isoflop(runs: Runs, *, resamples: int, level: float, seed: int) -> IsoflopFit:
    """Fit parabolas and power laws; see the module `isoflop`."""
    valleys, findings = find_valleys(runs)
    point = fit_surfaces(valleys, [runs.loss[valley.rows][None] for valley in valleys])
    draws = _resampled(valleys, runs, point, resamples, seed)
    used = np.zeros(len(runs), dtype=np.bool_)
    used[np.concatenate([valley.rows for valley in valleys])] = True
    return IsoflopFit(
        theta=point.theta[0],
        resamples=draws.theta[np.isfinite(draws.theta).all(axis=1)],
        parabolas=tuple(
            _parabola(runs, valley, index, point, draws, level) for index, valley in enumerate(valleys)
        ),
        used=used,
        findings=(*findings, *_doubts(valleys, point.theta[0])),
    )


def _resampled(
    valleys: tuple[Valley, ...], runs: Runs, point: Surfaces, resamples: int, seed: int
) -> Surfaces:
    """Repeat everything on resampled losses, from the optimum and from the two ends of the floor."""
    rng = np.random.default_rng(seed)
    losses = residual_losses(valleys, runs, point, resamples=resamples, rng=rng)
    compute = np.array([valley.compute for valley in valleys])
    grid = get_law("loss-compute").starts(point.loss[0], C=compute)
    starts = np.stack([point.theta[0, :3], grid[0], grid[-1]])
    return fit_surfaces(valleys, losses, starts)


def _parabola(
    runs: Runs, valley: Valley, index: int, point: Surfaces, draws: Surfaces, level: float
) -> Parabola:
    loss = runs.loss[valley.rows]
    missed = float(((loss - point.fitted[index][0]) ** 2).sum())

    def estimate(one: Array, many: Array) -> Estimate:
        return Estimate.from_samples(float(one[0, index]), many[:, index], level)

    return Parabola(
        budget=valley.compute,
        coefficients=valley.raw_coefficients(point.bends[index][0]),
        size=estimate(np.exp(point.log_size), np.exp(draws.log_size)),
        tokens=estimate(np.exp(point.log_tokens), np.exp(draws.log_tokens)),
        loss=estimate(point.loss, draws.loss),
        n_runs=len(valley.rows),
        r_squared=1 - missed / float(((loss - loss.mean()) ** 2).sum()),
    )


def _doubts(valleys: tuple[Valley, ...], theta: Array) -> list[Finding]:
    findings = []
    if len(valleys) < 6:
        text = f"E, K and gamma rest on {len(valleys)} minima."
        hint = "Their intervals include that; a forecast far beyond the dearest budget leans on the form."
        findings.append(Finding(code="FIT012", text=text, hint=hint))
    if not any(valley.n_free for valley in valleys):
        text = "Every budget has just three runs: its parabola leaves nothing over to tell the noise."
        hint = "Intervals are empty; add a fourth size or a second seed."
        findings.append(Finding(code="FIT013", text=text, hint=hint))
    if theta[0] <= 0:
        text = "At a limit of its range: E."
        hint = "The minima would rather have it below zero; do not read it as measured."
        findings.append(Finding(code="FIT002", text=text, hint=hint))
    return findings
