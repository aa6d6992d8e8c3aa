"""Multipliers: how much compute the baseline needs for the loss that a variant reaches.

What is fixed beforehand, so that no outcome chooses it:

- the headline is frontier against frontier, at the largest compute that all variants reach; pairs of equal
  settings are the second estimate, shown beside it;
- N and the compute are the first column of `pooled.SIZES` and `pooled.CHARGES` that every table has;
- the law is the surface in size and tokens where every variant's runs tell the two apart, else compute alone;
- E is common, since all are judged on one text; exponents are common unless a test says otherwise
  (`sharing`);
- the growth that decides the verdict always comes from own exponents: under shared ones it is one by
  construction. So do the intervals away from the middle of the data, at measured scales and beyond: taking
  exponents as shared because a test did not deny it gives intervals that hold the truth half of the time
  where a gain fades by 3% a decade (`benchmarks/multipliers.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.multipliers.doubts import find_doubts
from scalescope.fitting.multipliers.fits import OWN, SHARED, Fits, fit_all_forms
from scalescope.fitting.multipliers.floor import floors_at, seed_noise_of
from scalescope.fitting.multipliers.frontiers import Frontiers
from scalescope.fitting.multipliers.intervals import estimate, multipliers_at
from scalescope.fitting.multipliers.matching import Line, Matched, line_through, match
from scalescope.fitting.multipliers.pooled import Pooled, pool
from scalescope.fitting.multipliers.result import (
    UNKNOWN,
    Frontier,
    Lever,
    MatchedPair,
    MultiplierPoint,
    Multipliers,
    SeedNoise,
)
from scalescope.fitting.multipliers.rule import RULE, Rule
from scalescope.points import Array, Estimate, Provenance, Runs
from scalescope.points.provenance import digest_of
from scalescope.units import format_count

BEYOND = (10.0, 100.0)
"""How far the extrapolated points lie beyond the largest measured compute."""
MOST_BUDGETS = 8
CURVE = 48
"""Points of a frontier's curve."""


def compute_multipliers(
    runs: Mapping[str, Runs],
    baseline: str,
    *,
    level: float = 0.9,
    resamples: int = 300,
    seed: int = 0,
    rates: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    metric: str = "loss",
    size: str | None = None,
    compute: str | None = None,
    n_budgets: int | None = None,
    rule: Rule = RULE,
) -> Multipliers:
    """Say what every variant is worth in compute of the baseline, at measured scales and beyond.

    Parameters
    ----------
    runs
        One table a variant, trained on one ladder; held-out rows are not used. `seed` tells repeats apart,
        and rows of one size and seed are taken as branches of one training run.
    baseline
        The key of `runs` that the others are compared with.
    level
        Share of the intervals that should hold the truth.
    resamples
        Fresh sets of losses behind every interval and test.
    seed
        Of their noise.
    rates
        Learning rates tried for each variant, each with its loss; for a finding where the best is the last.
    metric
        `loss`, or `bits_per_byte` where variants have different tokenizers.
    size, compute
        Columns that are N and that are charged; chosen as the module says where not given.
    n_budgets
        Measured computes at which multipliers are given; as many as the ladder has rungs where not given.
    rule
        How a verdict follows.

    Returns
    -------
    Multipliers
        With `findings` for whatever makes it doubtful.

    Raises
    ------
    InputError
        If there is no such baseline, nothing to compare it with, or runs or columns are missing.
    FitError
        If the joint fit failed from every start.
    """
    _check(level, resamples, n_budgets)
    pooled = pool(runs, baseline, metric=metric, size=size, compute=compute)
    measured = _overlap(pooled)
    rungs = len(np.unique(pooled.rung[pooled.of(0)]))
    n_budgets = min(max(rungs, 3), MOST_BUDGETS) if n_budgets is None else n_budgets
    fits = fit_all_forms(pooled, resamples=resamples, seed=seed, alpha=rule.alpha)
    noise = seed_noise_of(pooled, fits, measured[1], level)
    computes = np.append(np.geomspace(*measured, n_budgets), measured[1] * np.array(BEYOND))
    levers = [
        _lever(v, pooled, fits, noise, computes, n_budgets, level, rule) for v in range(1, len(pooled.names))
    ]
    ranked = sorted(range(len(levers)), key=lambda i: -levers[i].headline.multiplier.value)
    curve = np.geomspace(pooled.compute.min(), computes[-1], CURVE)
    made = Multipliers(
        baseline=baseline,
        levers=tuple(levers[i] for i in ranked),
        noise=noise,
        frontiers=tuple(_frontier(v, pooled, fits, curve, level) for v in (0, *(i + 1 for i in ranked))),
        model="surface" if fits.setup.surface else "compute",
        metric=pooled.metric,
        size_column=pooled.size_column,
        compute_column=pooled.compute_column,
        level=level,
        n_clusters=int(pooled.trunks.max()) + 1,
        measured=measured,
        rule=rule,
        provenance=_provenance(runs, pooled, level, resamples, seed),
    )
    return replace(made, findings=find_doubts(made, pooled, fits, rates or {}))


def _check(level: float, resamples: int, n_budgets: int | None) -> None:
    if not 0 < level < 1:
        raise InputError(f"a level lies between 0 and 1, got {level}", hint="Give 0.9, say.")
    if resamples < 20:
        raise InputError(f"{resamples} resamples make no interval", hint="Give 20 or more; 300 are usual.")
    if n_budgets is not None and n_budgets < 2:
        raise InputError(f"{n_budgets} budgets show no trend", hint="Give two or more.")


def _overlap(pooled: Pooled) -> tuple[float, float]:
    """Compute that all variants reach."""
    spans = [pooled.compute[pooled.of(v)] for v in range(len(pooled.names))]
    low, high = max(float(one.min()) for one in spans), min(float(one.max()) for one in spans)
    if low >= high:
        raise InputError(
            f"the variants have no compute in common: one starts at {low:.3g} FLOP, another ends at "
            f"{high:.3g}",
            hint="Train all of them over one range of compute.",
        )
    return low, high


def _lever(
    variant: int,
    pooled: Pooled,
    fits: Fits,
    noise: SeedNoise,
    computes: Array,
    n_budgets: int,
    level: float,
    rule: Rule,
) -> Lever:
    matched = match(pooled, variant)
    worth = multipliers_at(variant, fits, computes, level)
    pair_value, pair_draws = _matched_at(pooled, matched, fits, computes)
    floors = floors_at(fits, noise, computes, level)
    top = computes[n_budgets - 1]
    losses = fits.final.value.loss(variant, computes)[0]
    points = tuple(
        MultiplierPoint(
            compute=float(c),
            multiplier=worth[i],
            matched=estimate(pair_value[i], pair_draws[:, i], level)
            if len(matched) and i < n_budgets
            else UNKNOWN,
            reach=float(c / top) if i >= n_budgets else 1.0,
            floor=float(floors[i]),
            loss=float(losses[i]),
        )
        for i, c in enumerate(computes)
    )
    free = fits.free
    growth = estimate(
        np.log(10) * free.value.log_growth(variant)[0], np.log(10) * free.draws.log_growth(variant), level
    )
    test = fits.tests[variant - 1]
    return Lever(
        name=pooled.names[variant],
        points=points,
        verdict=rule.verdict(
            [one.multiplier for one in points[:n_budgets]],
            growth,
            [one.matched for one in points[:n_budgets]],
        ),
        growth=growth,
        form="shared" if test.shared else "own",
        sharing=test,
        alternatives={
            name: estimate(
                one.value.log_multiplier(variant, np.array([top]))[0, 0],
                one.draws.log_multiplier(variant, np.array([top]))[:, 0],
                level,
            )
            for name, one in (fits.forms | {SHARED if test.shared else OWN: fits.final}).items()
        },
        pairs=_pairs(pooled, matched, fits, noise, level),
    )


def _matched_at(pooled: Pooled, matched: Matched, fits: Fits, computes: Array) -> tuple[Array, Array]:
    if not len(matched):
        return np.full(len(computes), np.nan), np.full((len(fits.losses), len(computes)), np.nan)
    value = line_through(pooled, matched, fits.final.value, fits.log_loss[None])
    draws = line_through(pooled, matched, fits.final.draws, fits.losses)
    return value.at(computes)[0], draws.at(computes)


def _pairs(
    pooled: Pooled, matched: Matched, fits: Fits, noise: SeedNoise, level: float
) -> tuple[MatchedPair, ...]:
    from scipy.stats import t

    if not len(matched):
        return ()
    line: Line = line_through(pooled, matched, fits.final.value, fits.log_loss[None])
    wide = float(t.ppf((1 + level) / 2, noise.freedom or fits.luck.freedom))
    out = []
    for cell in np.unique(matched.cells):
        of = matched.cells == cell
        rows, base = matched.theirs[of], matched.mine[of]
        gap = float((pooled.loss[rows] - pooled.loss[base]).mean())
        half = wide * noise.relative * float(pooled.loss[base].mean()) * float(np.sqrt(2 / of.sum()))
        size, tokens = float(pooled.size[rows[0]]), float(pooled.tokens[rows[0]])
        out.append(
            MatchedPair(
                setting=f"{format_count(size)} on {format_count(tokens)} tokens",
                rung=int(pooled.rung[rows[0]]),
                size=size,
                tokens=tokens,
                compute=float(pooled.compute[rows].mean()),
                n_seeds=int(of.sum()),
                difference=Estimate(value=gap, low=gap - half, high=gap + half),
                multiplier=float(np.exp(np.mean(line.each[0, of]))),
            )
        )
    return tuple(out)


def _frontier(variant: int, pooled: Pooled, fits: Fits, curve: Array, level: float) -> Frontier:
    value: Frontiers = fits.final.value
    drawn = fits.final.draws
    losses = drawn.loss(variant, curve)
    low, high = np.nanquantile(losses, [(1 - level) / 2, (1 + level) / 2], axis=0)
    own = pooled.compute[pooled.of(variant)]
    return Frontier(
        name=pooled.names[variant],
        irreducible=float(value.floor[0, variant]),
        scale=float(np.exp(value.log_scale[0, variant])),
        exponent=Estimate.from_samples(float(value.exponent[0, variant]), drawn.exponent[:, variant], level),
        coefficients=fits.coefficients(variant),
        compute=curve,
        loss=value.loss(variant, curve)[0],
        low=low,
        high=high,
        span=(float(own.min()), float(own.max())),
    )


def _provenance(
    runs: Mapping[str, Runs], pooled: Pooled, level: float, resamples: int, seed: int
) -> Provenance:
    sources = sorted({one.provenance.source for one in runs.values() if one.provenance.source})
    columns = (pooled.variant.astype(float), pooled.size, pooled.tokens, pooled.compute, pooled.loss)
    return Provenance(
        source=", ".join(sources),
        digest=digest_of(*(np.ascontiguousarray(one).tobytes() for one in columns)),
        options={
            "level": level,
            "resamples": resamples,
            "metric": pooled.metric,
            "N": pooled.size_column,
            "compute": pooled.compute_column,
        },
        seed=seed,
    )
