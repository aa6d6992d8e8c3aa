"""What makes a multiplier doubtful, as findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from scalescope.fitting.multipliers.fits import OWN, Fits
from scalescope.fitting.multipliers.frontiers import best_size
from scalescope.fitting.multipliers.pooled import Pooled
from scalescope.fitting.multipliers.result import Lever, Multipliers
from scalescope.points import Finding
from scalescope.units import format_count, format_factor, format_flop, format_percent, format_significant

LEAST_SPAN = 10.0
"""Factor of compute below which growth over scale is not seen."""
LEAST_RUNGS = 3
FEW_TRUNKS = 12
"""Training runs of both below which intervals rest on an assumed shape of the noise."""
FAR_OFF = 5.0
"""Residuals, in robust standard deviations, that are no noise."""
OTHER_RATIO = 1.5
"""Factor between the median tokens per parameter of two variants that is told."""
OUTSIDE = 2.0
"""Factor by which the best size may leave the ladder untold."""
DISAGREE = 1.05
"""Factor between the two estimates that is told where their draws leave out 1."""

Rates = Mapping[str, Sequence[tuple[float, float]]]


def find_doubts(made: Multipliers, pooled: Pooled, fits: Fits, rates: Rates) -> tuple[Finding, ...]:
    """Look at the result, the runs and the rates; in the order of their weight."""
    return (
        *_scale(made, pooled),
        *_noise(made),
        *_exponents(made),
        *_rates(rates, pooled.names),
        *_ratios(pooled),
        *_agreement(made),
        *_outliers(pooled, fits),
        *_edges(made, pooled, fits),
        *_many(made),
    )


def _scale(made: Multipliers, pooled: Pooled) -> Iterator[Finding]:
    span = made.measured[1] / made.measured[0]
    rungs = min(len(np.unique(pooled.rung[pooled.of(v)])) for v in range(len(pooled.names)))
    if span < LEAST_SPAN or rungs < LEAST_RUNGS:
        yield Finding(
            code="FIT060",
            text=f"The variants share {format_factor(span)} of compute and {rungs} sizes: too little to see "
            "whether a gain grows or fades.",
            hint="Add rungs: a decade of compute and three sizes at least.",
        )
    if made.model == "compute":
        yield Finding(
            code="FIT061",
            text="Sizes and tokens cannot be told apart in these runs, so the law is of compute alone.",
            hint="It compares the variants along this ladder, not at their best sizes; add horizons to a "
            "rung.",
        )


def _noise(made: Multipliers) -> Iterator[Finding]:
    if not made.noise.known:
        yield Finding(
            code="FIT062",
            text="No setting has two seeds, so the noise floor is unknown; intervals rest on what the fit "
            f"leaves over, {format_percent(made.noise.relative)} of the loss.",
            hint="Train the cheapest rungs with a second seed.",
        )
    for lever in made.levers:
        one = lever.headline.multiplier
        size = max(one.value, 1 / one.value)
        if made.noise.known and size < made.noise.floor and not one.low <= 1 <= one.high:
            yield Finding(
                code="FIT063",
                text=f"{lever.name}: {factor(size)} is below the floor of one pair of cells, "
                f"{factor(made.noise.floor)}; only all cells together show it.",
                hint="It rests on the shape of the law and of the noise; more seeds would show it directly.",
            )
    if made.n_clusters < FEW_TRUNKS:
        yield Finding(
            code="FIT064",
            text=f"Only {made.n_clusters} training runs stand behind the points.",
            hint="Intervals hold for normal noise only; add rungs or seeds.",
        )


def _exponents(made: Multipliers) -> Iterator[Finding]:
    for lever in made.levers:
        if lever.sharing is not None and not lever.sharing.shared:
            yield Finding(
                code="FIT065",
                text=f"{lever.name} does not share the exponents of the rest "
                f"(p {format_significant(lever.sharing.p_value, 2)}), so its multiplier depends on the "
                "scale.",
                hint="Read it at the scale that matters, and extrapolate with care.",
            )
        elif lever.sharing is not None and lever.verdict in ("grows", "fades"):
            own = lever.alternatives[OWN]
            yield Finding(
                code="FIT073",
                text=f"{lever.name}: that it {lever.verdict} is seen with exponents of its own, which give "
                f"{factor(own.value)} ({factor(own.low)} to {factor(own.high)}) at the largest compute; the "
                "multipliers above share exponents, which the test allows (p "
                f"{format_significant(lever.sharing.p_value, 2)}).",
                hint="The two hardly differ in fit; larger rungs or more seeds would decide between them.",
            )


def _rates(rates: Rates, names: Sequence[str]) -> Iterator[Finding]:
    for name in names:
        # One that diverged bounds the range as well as one that was worse.
        tried = sorted((rate, loss if np.isfinite(loss) else np.inf) for rate, loss in rates.get(name, ()))
        if len(tried) < 2:
            continue
        best = min(tried, key=lambda pair: pair[1])[0]
        if best in (tried[0][0], tried[-1][0]):
            side = "lowest" if best == tried[0][0] else "highest"
            yield Finding(
                code="FIT066",
                text=f"{name}: its best learning rate, {format_count(best)}, is the {side} that was tried.",
                hint="It may be undertuned, which moves the multiplier; widen its range.",
            )


def _ratios(pooled: Pooled) -> Iterator[Finding]:
    middle = [
        float(np.exp(np.median(np.log(pooled.tokens[rows] / pooled.size[rows]))))
        for rows in map(pooled.of, range(len(pooled.names)))
    ]
    for name, ratio in list(zip(pooled.names, middle, strict=True))[1:]:
        if max(ratio / middle[0], middle[0] / ratio) > OTHER_RATIO:
            yield Finding(
                code="FIT067",
                text=f"{name} was trained on {format_count(ratio)} tokens per parameter in the middle, "
                f"{pooled.names[0]} on {format_count(middle[0])}.",
                hint="Part of a difference is then the ratio; the frontiers correct for it, pairs do not.",
            )


def _agreement(made: Multipliers) -> Iterator[Finding]:
    for lever in made.levers:
        one, other = lever.headline.multiplier, lever.headline.matched
        if not np.isfinite(other.value):
            yield Finding(
                code="FIT068",
                text=f"{lever.name} and {made.baseline} have no setting in common.",
                hint="The multiplier rests on the law alone; train both on one ladder.",
            )
        elif (one.low > other.high or other.low > one.high) and _apart(one.value, other.value):
            yield Finding(
                code="FIT069",
                text=f"{lever.name}: the frontiers say {factor(one.value)}, pairs of equal settings "
                f"{factor(other.value)}, and their intervals do not meet.",
                hint="The law does not have the shape of these runs, or the best ratio of tokens differs; "
                "look at the pairs.",
            )


def _apart(one: float, other: float) -> bool:
    return max(one / other, other / one) > DISAGREE


def _outliers(pooled: Pooled, fits: Fits) -> Iterator[Finding]:
    left = fits.residuals
    spread = 1.4826 * float(np.median(np.abs(left - np.median(left))))
    off = np.flatnonzero(np.abs(left) > FAR_OFF * spread)
    if spread > 0 and off.size:
        worst = int(off[np.argmax(np.abs(left[off]))])
        yield Finding(
            code="FIT070",
            text=f"{off.size} of {len(left)} runs lie far off the fit, the farthest "
            f"{pooled.names[pooled.variant[worst]]} with N {format_count(float(pooled.size[worst]))} by "
            f"{format_percent(abs(float(left[worst])))}.",
            hint="A run that spiked or diverged moves the multiplier; look at it, or leave it out.",
        )


def _edges(made: Multipliers, pooled: Pooled, fits: Fits) -> Iterator[Finding]:
    if not fits.setup.surface:
        return
    outside = []
    for v, name in enumerate(pooled.names):
        sizes = pooled.size[pooled.of(v)]
        best = best_size(fits.setup, fits.family, fits.u, v, made.measured[1])
        if not sizes.min() / OUTSIDE <= best <= sizes.max() * OUTSIDE:
            told = f"{format_count(float(sizes.min()))} to {format_count(float(sizes.max()))}"
            outside.append(f"{name} {format_count(best)} (ladder {told})")
    if outside:
        yield Finding(
            code="FIT071",
            text=f"The best size at {format_flop(made.measured[1])} lies far outside the ladder: "
            f"{'; '.join(outside)}.",
            hint="The frontier there is an extrapolation in size; move the horizons towards the best ratio.",
        )


def _many(made: Multipliers) -> Iterator[Finding]:
    n = len(made.levers)
    if n > 1:
        yield Finding(
            code="FIT072",
            text=f"{n} variants were compared, each at a level of {format_percent(made.level)}: by chance "
            "alone "
            f"one interval or more misses in up to {format_percent(1 - made.level**n)} of such studies.",
            hint="The best of several looks better than it is; confirm it with fresh seeds.",
        )


def factor(value: float) -> str:
    """Write a multiplier: `1.43x`."""
    return f"{format_significant(value, 3)}x"


def loses(lever: Lever) -> bool:
    """Whether the variant needs more compute than the baseline."""
    return lever.headline.multiplier.value < 1
