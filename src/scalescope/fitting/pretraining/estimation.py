r"""From points of a transfer study to gains, their worth in text, and the law :math:`D_T = k D_F^α N^β`.

Noise is the spread between seeds, pooled over all settings. Points of one training run share its luck, so a
draw moves whole curves. Intervals of the law put two errors together: residuals of the fit, drawn again, and
the luck of the scratch curves, which the points of a shape share and residuals therefore do not show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import t as student

from scalescope.errors import FitError, InputError
from scalescope.fitting.estimation import fit
from scalescope.fitting.pretraining.curves import (
    Row,
    ScratchCurve,
    is_tuned,
    scratch_curve,
    shape_key,
    table_of,
    transferred,
)
from scalescope.fitting.pretraining.result import Gain, Pretraining, TunedForecast
from scalescope.fitting.result import Fit
from scalescope.points import Array, Estimate, Finding, Provenance, digest_of

LAW = "data-transferred"
NO_LAW, NO_NOISE = "STU060", "STU061"


@dataclass(frozen=True, slots=True)
class _Setting:
    """Fine-tuned points of one shape on one text, with the scratch curve of the shape."""

    rows: list[Row]
    curve: ScratchCurve

    @property
    def loss(self) -> float:
        return float(np.mean([row["loss"] for row in self.rows]))

    @property
    def text(self) -> float:
        return float(self.rows[0]["characters"])

    @property
    def size(self) -> float:
        return float(self.rows[0]["params_nonembedding"])


def worth_of_pretraining(
    points: Sequence[Row],
    *,
    resamples: int = 300,
    level: float = 0.9,
    seed: int = 0,
    provenance: Provenance | None = None,
) -> Pretraining:
    """Estimate what pre-training is worth.

    Parameters
    ----------
    points
        Of fine-tuning, with `tokens_pretraining`, and from scratch; those with `held_out` above 0 are not
        fitted.
    resamples
        Behind every interval.
    level
        Share of the resamples inside.
    seed
        Of the resamples.

    Raises
    ------
    InputError
        If no fine-tuned point has a scratch curve of its shape.
    """
    table = transferred(points)
    settings = _settings(points)
    noise, freedom = seed_noise(points)
    rng = np.random.default_rng(seed)
    found, doubts = _fitted(points, resamples=resamples, level=level, seed=seed)
    if found is not None and np.isfinite(noise):
        found = _widened(found, [one for one in settings if not _held(one)], noise, rng)
    if not freedom:
        doubts.append(
            Finding(
                code=NO_NOISE,
                text="No setting was trained with two seeds, so the noise between runs is not known.",
                hint="Whether pre-training helps cannot be told without it; give a larger budget.",
            )
        )
    gains = tuple(_gain(one, noise, freedom, level, rng, resamples) for one in settings)
    whole = table_of([*points])
    return Pretraining(
        runs=whole,
        worth=table,
        gains=gains,
        fit=found,
        noise=noise,
        noise_freedom=freedom,
        level=level,
        findings=tuple(dict.fromkeys((*table.findings, *doubts, *(found.findings if found else ())))),
        provenance=provenance or Provenance(source="scalescope study", digest=digest_of(_bytes(points))),
    )


def _bytes(points: Sequence[Row]) -> bytes:
    return repr([(row["characters"], row["loss"], row.get("seed")) for row in points]).encode()


def _held(setting: _Setting) -> bool:
    return any(row.get("held_out", 0) for row in setting.rows)


def seed_noise(points: Sequence[Row]) -> tuple[float, int]:
    """Return the pooled standard deviation of the log loss between seeds, and its degrees of freedom."""
    groups: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for row in points:
        groups[*shape_key(row), is_tuned(row), row["characters"]].append(float(np.log(row["loss"])))
    several = [np.array(one) for one in groups.values() if len(one) > 1]
    freedom = sum(len(one) - 1 for one in several)
    if not freedom:
        return float("nan"), 0
    return float(np.sqrt(sum(((one - one.mean()) ** 2).sum() for one in several) / freedom)), freedom


def _settings(points: Sequence[Row]) -> list[_Setting]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in points:
        if is_tuned(row):
            groups[*shape_key(row), float(row["characters"])].append(row)
    found = []
    for rows in groups.values():
        curve = scratch_curve(points, rows[0])
        if curve is not None:
            found.append(_Setting(rows, curve))
    return sorted(found, key=lambda one: (one.size, one.text))


def _gain(
    one: _Setting, noise: float, freedom: int, level: float, rng: np.random.Generator, resamples: int
) -> Gain:
    n_tuned, n_scratch = len(one.rows), one.curve.n_seeds
    scratch = float(one.curve.loss_at(np.array([one.text]))[0])
    value = scratch - one.loss
    reach = float(student.ppf((1 + level) / 2, freedom)) if freedom else float("nan")
    half = reach * noise * scratch * (1 / n_tuned + 1 / n_scratch) ** 0.5
    wobble = noise if np.isfinite(noise) else 0.0
    tuned = one.loss * np.exp(rng.normal(0, wobble / n_tuned**0.5, resamples))
    curves = rng.normal(0, wobble / n_scratch**0.5, resamples)
    samples = [
        one.curve.shifted(float(by)).text_for(float(loss)) - one.text
        for by, loss in zip(curves, tuned, strict=True)
    ]
    worth = one.curve.text_for(one.loss) - one.text
    # With infinite samples, one between two of them is not known: the nearest is taken.
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], method="nearest")
    return Gain(
        size=one.size,
        tokens=float(one.rows[0]["tokens"]),
        characters=one.text,
        n_seeds=n_tuned,
        difference=Estimate(value=value, low=value - half, high=value + half),
        worth=Estimate(value=worth, low=float(min(low, worth)), high=float(max(high, worth))),
        reached=float(one.curve.text[-1]) - one.text,
    )


def _fitted(
    points: Sequence[Row], *, resamples: int, level: float, seed: int
) -> tuple[Fit | None, list[Finding]]:
    """Fit the law to what is not held out and has a worth."""
    rows = [row for row in points if not row.get("held_out", 0)]
    try:
        table = transferred(rows)
        kept = table.select(np.isfinite(table["characters_transferred"]))
        return fit(kept, LAW, resamples=resamples, level=level, seed=seed), []
    except (InputError, FitError) as error:
        doubt = Finding(
            code=NO_LAW,
            text=f"No law could be fitted to what pre-training is worth: {error}.",
            hint="It holds for the shapes and texts that were measured; a larger budget gives more of them.",
        )
        return None, [doubt]


def _widened(found: Fit, settings: list[_Setting], noise: float, rng: np.random.Generator) -> Fit:
    """Add the luck of the scratch curves to the resamples of a fit."""
    logs = np.log(np.maximum(found.resamples[:, 0], 1e-300))
    base = _straight(settings, {})
    moved = []
    for k, alpha, beta in zip(logs, found.resamples[:, 1], found.resamples[:, 2], strict=True):
        shifts = {one.size: float(rng.normal(0, noise / one.curve.n_seeds**0.5)) for one in settings}
        off = _straight(settings, shifts) - base
        off = np.where(np.isfinite(off), off, 0.0)
        moved.append((np.exp(k + off[0]), alpha + off[1], beta + off[2]))
    resampled = np.array(moved)
    coefficients = {
        name: Estimate.from_samples(one.value, resampled[:, place], found.level)
        for place, (name, one) in enumerate(found.coefficients.items())
    }
    told = f"{found.bootstrap}; with the luck of the scratch curves"
    return replace(found, resamples=resampled, coefficients=coefficients, bootstrap=told)


def _straight(settings: list[_Setting], shifts: dict[float, float]) -> Array:
    """Return log k, alpha and beta by least squares of logarithms under moved scratch curves."""
    rows, worths = [], []
    for one in settings:
        worth = one.curve.shifted(shifts.get(one.size, 0.0)).text_for(one.loss) - one.text
        if 0 < worth < np.inf:
            rows.append((1.0, np.log(one.text), np.log(one.size)))
            worths.append(np.log(worth))
    if len(rows) < 3 or np.linalg.matrix_rank(np.array(rows)) < 3:
        return np.full(3, np.nan)
    return np.asarray(np.linalg.lstsq(np.array(rows), np.array(worths), rcond=None)[0])


def forecast_tuned(
    found: Pretraining, curve: ScratchCurve, *, size: float, tokens: float, characters: float, n_seeds: int
) -> TunedForecast | None:
    """Forecast the mean loss of fine-tuned runs that are still to be made; None without a law.

    Parameters
    ----------
    curve
        From scratch, of their shape.
    size, tokens, characters
        N without embeddings, and the text of the target.
    n_seeds
        Runs whose mean is forecast.
    """
    if found.fit is None:
        return None
    rng = np.random.default_rng(found.provenance.seed or 0)
    at = {"N": np.array([size]), "D_F": np.array([characters])}
    worth, samples = float(found.fit.value(**at)[0]), found.fit.samples(**at)[:, 0]
    scatter = samples * np.exp(rng.normal(0, found.fit.residual_sd / n_seeds**0.5, len(samples)))
    noise = found.noise if np.isfinite(found.noise) else 0.0
    luck = rng.normal(0, noise * (1 / n_seeds + 1 / curve.n_seeds) ** 0.5, len(samples))
    losses = curve.loss_at(characters + scatter) * np.exp(luck)
    return TunedForecast(
        size=size,
        tokens=tokens,
        characters=characters,
        worth=Estimate.from_samples(worth, samples, found.level),
        loss=Estimate.from_samples(
            float(curve.loss_at(np.array([characters + worth]))[0]), losses, found.level
        ),
        beyond=bool(characters + worth > curve.text[-1]),
    )
