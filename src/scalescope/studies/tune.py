"""The one setting that a study measures: how fast to learn.

A study of one recipe measures it on its smallest rung, and the recipe transfers it to every width. Arms
that are compared measure it on two rungs each, since a recipe that transfers under one lever need not under
another. Their trials take turns, so that a study that is stopped has measured as much of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scalescope.ledgers.ledger import Ledger
from scalescope.points import Finding
from scalescope.studies.arms import Arm
from scalescope.studies.collect import TUNE
from scalescope.studies.design import Design, Rung, Speed, seconds_of
from scalescope.studies.driver import Driver
from scalescope.studies.mixing import tuned_mixture
from scalescope.studies.planned import Planned
from scalescope.studies.repeating import tuned_repetition
from scalescope.studies.sizes import size_of
from scalescope.training.recipe import Recipe
from scalescope.units import format_count, format_factor

RATES: tuple[float, ...] = (0.4, 0.63, 1.0, 1.6, 2.5)
"""Multiples of the recipe's learning rates, evenly spaced in the logarithm."""
EXTENSIONS = 2
"""Times that the rates of an arm are extended by two where the best is at their edge."""
MOVED = 1.6
"""Ratio of the best rates of two sizes beyond which it is told: a step between two rates."""

Tried = list[tuple[float, float]]
"""Rates, as multiples of the recipe's, with the loss of each; slowest first."""
Make = Callable[[Arm, Rung, str, Recipe], Planned]
"""Makes a trial of tuning: of an arm and a rung, under a name, with a recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """An arm's recipe with the rates that were measured for it."""

    recipe: Recipe
    rates: tuple[tuple[int, float], ...] = ()
    """Width and best multiple of the recipe's rate, narrowest first; the recipe's own holds if empty."""

    def at(self, width: int) -> Recipe:
        """Return the recipe at a width.

        Between measured widths the rate goes along the logarithm, beyond them it stays.
        """
        if not self.rates:
            return self.recipe
        widths, rates = np.log(np.array(self.rates, dtype=float)).T
        multiple = float(np.exp(np.interp(np.log(width), widths, rates)))
        return replace(self.recipe, rate=self.recipe.rate * multiple)


def tuned_rung(design: Design) -> Rung:
    """Return the smallest rung whose first run is not absurdly long for its size, with that run alone."""
    rung = next(rung for rung in design.rungs if rung.horizons[0] <= size_of(rung.shape) * 60)
    return _only(rung, 0)


def tuned_rungs(design: Design) -> tuple[Rung, ...]:
    """Return the rungs on which a study measures its rates, each with one run."""
    if design.kind == "mixture":
        return (tuned_mixture(design),)
    if design.kind == "repetition":
        return (tuned_repetition(design),)
    if design.kind != "comparison":
        return (tuned_rung(design),)
    rungs = [rung for rung in design.rungs if rung.seed == design.rungs[0].seed]
    chosen = dict.fromkeys((0, (len(rungs) - 1) // 2))
    return tuple(_only(rungs[index], len(rungs[index].horizons) // 2) for index in chosen)


def _only(rung: Rung, index: int) -> Rung:
    part = slice(index, index + 1)
    return replace(rung, horizons=rung.horizons[part], budgets=rung.budgets[part])


def tuning_cost(rungs: Iterable[Rung], speed: Speed, recipe: Recipe, evaluation_tokens: int) -> float:
    """Core-seconds of `tune` for one arm at a measured speed, if no rate is added."""
    return len(RATES) * sum(seconds_of(rung, speed, recipe, evaluation_tokens) for rung in rungs)


def tune(
    driver: Driver, arms: Sequence[Arm], rungs: Sequence[Rung], make: Make, *, extensions: int = 0
) -> dict[str, Tuned]:
    """Train rungs at several rates in every arm, and take the minimum of a parabola through the losses.

    All rates of a rung share seed and data, so that most of the noise is common. Rates are added where the
    best is at the edge, as often as `extensions` says; what then is at the edge still is told as a finding.

    Parameters
    ----------
    driver
        Runs the trials.
    arms
        Their recipes are where the rates begin.
    rungs
        Each with the one run that is tuned on.
    make
        Makes a trial.
    extensions
        Times that rates may be added.

    Returns
    -------
    dict
        What was measured, by the name of the arm.
    """
    asked = {(arm.name, rung.name): RATES for arm in arms for rung in rungs}
    _run(driver, arms, rungs, asked, make)
    for _ in range(extensions):
        more = {key: _beyond(driver.ledger, *key, rates, one=len(rungs) == 1) for key, rates in asked.items()}
        if not any(more.values()):
            break
        asked = {key: tuple(sorted((*rates, *more[key]))) for key, rates in asked.items()}
        _run(driver, arms, rungs, asked, make)
    return {arm.name: _settle(driver.ledger, arm, rungs, asked) for arm in arms}


def _run(
    driver: Driver,
    arms: Sequence[Arm],
    rungs: Sequence[Rung],
    asked: Mapping[tuple[str, str], tuple[float, ...]],
    make: Make,
) -> None:
    """Run what is not done yet: rung by rung and rate by rate, the arms in turn."""
    planned = []
    for rung in rungs:
        for rate in sorted({rate for key, rates in asked.items() if key[1] == rung.name for rate in rates}):
            for arm in arms:
                if rate in asked[arm.name, rung.name]:
                    recipe = arm.variant.recipe
                    name = _name(rung.name, rate, one=len(rungs) == 1)
                    planned.append(make(arm, rung, name, replace(recipe, rate=recipe.rate * rate)))
    driver.run(planned)


def _name(rung: str, rate: float, *, one: bool) -> str:
    return f"tune-{rate:g}" if one else f"tune-{rung}-{rate:g}"


def _tried(ledger: Ledger, arm: str, rung: str, rates: Iterable[float], *, one: bool) -> Tried:
    losses = {
        point.trial: float(point.data["loss"]) for point in ledger.points() if point.data["phase"] == TUNE
    }
    keys = {rate: Arm(name=arm).key(_name(rung, rate, one=one)) for rate in rates}
    return [(rate, losses[key]) for rate, key in sorted(keys.items()) if key in losses]


def _beyond(ledger: Ledger, arm: str, rung: str, rates: tuple[float, ...], *, one: bool) -> tuple[float, ...]:
    """Return two rates beyond the edge if that is best; none where what is beyond diverged."""
    tried = _tried(ledger, arm, rung, rates, one=one)
    if not tried:
        return ()
    best = min(tried, key=lambda each: each[1])[0]
    if best == max(rates):
        return tuple(round(best * step, 6) for step in (1.6, 2.5))
    return tuple(round(best / step, 6) for step in (1.6, 2.5)) if best == min(rates) else ()


def _settle(
    ledger: Ledger, arm: Arm, rungs: Sequence[Rung], asked: Mapping[tuple[str, str], tuple[float, ...]]
) -> Tuned:
    """Take the best rate of every rung, note it, and tell what is doubtful about it."""
    one, best = len(rungs) == 1, []
    for rung in rungs:
        rates = asked[arm.name, rung.name]
        tried = _tried(ledger, arm.name, rung.name, rates, one=one)
        chosen = best_rate(tried, points=3 if one else 5)
        if tried and not min(rates) < chosen < max(rates):
            ledger.record_finding(_at_edge(arm, rung, chosen))
        said = {} if one else {"arm": arm.name, "rung": rung.name, "size": size_of(rung.shape)}
        ledger.note("rate", {**said, "tried": tried, "chosen": chosen})
        best.append((rung.shape.width, chosen))
    if one:
        return Tuned(recipe=replace(arm.variant.recipe, rate=arm.variant.recipe.rate * best[0][1]))
    low, high = sorted((best[0][1], best[-1][1]))
    if high > MOVED * low:
        ledger.record_finding(_moved(arm, rungs, best))
    return Tuned(recipe=arm.variant.recipe, rates=tuple(sorted(best)))


def _at_edge(arm: Arm, rung: Rung, rate: float) -> Finding:
    if not arm.name:
        return Finding(
            code="STU005",
            text=f"The smallest rung learns best at the edge of the rates tried ({rate:g}x).",
            hint="Rungs may be less well tuned than usual; change the recipe's rates.",
        )
    return Finding(
        code="STU012",
        text=f"{arm.name} learns best at the edge of the rates tried ({rate:g}x, {rung.name}).",
        hint="It may be worth more than measured here; change the rates of its recipe.",
    )


def _moved(arm: Arm, rungs: Sequence[Rung], best: Sequence[tuple[int, float]]) -> Finding:
    sizes = " and ".join(format_count(size_of(rung.shape)) for rung in rungs)
    small, large = best[0][1], best[-1][1]
    apart = format_factor(max(small, large) / min(small, large))
    return Finding(
        code="STU013",
        text=f"The best rate of {arm.name} moves with size: {small:g}x and {large:g}x at {sizes} parameters, "
        f"{apart} apart.",
        hint="Sizes in between take rates in between, larger ones that of the larger; these may be mistuned.",
    )


def best_rate(tried: Tried, *, points: int = 3) -> float:
    """Return the minimum of a parabola against log rate, between the neighbours of the lowest loss.

    Parameters
    ----------
    tried
        Rates and losses.
    points
        How many the parabola goes through or between: the lowest and those around it.
    """
    if not tried:
        return 1.0
    tried = sorted(tried)
    lowest = min(range(len(tried)), key=lambda index: tried[index][1])
    if lowest in (0, len(tried) - 1):
        return float(tried[lowest][0])
    start = max(0, min(lowest - points // 2, len(tried) - points))
    x, y = np.array(tried[start : start + points]).T
    c2, c1, _ = np.polyfit(np.log(x), y, 2)
    vertex = float(np.exp(-c1 / (2 * c2))) if c2 > 0 else float(tried[lowest][0])
    return float(f"{min(max(vertex, tried[lowest - 1][0]), tried[lowest + 1][0]):.3g}")
