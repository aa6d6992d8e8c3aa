"""The one setting that a study measures: how fast to learn, on its smallest rung."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scalescope.points import Finding
from scalescope.studies.collect import TUNE
from scalescope.studies.design import Design, Rung, Speed, seconds_of
from scalescope.studies.driver import Driver, Planned
from scalescope.studies.settings import Settings
from scalescope.training.recipe import Recipe
from scalescope.training.trial_settings import Trial

RATES = (0.4, 0.63, 1.0, 1.6, 2.5)
"""Multiples of the recipe's learning rates, evenly spaced in the logarithm."""


def tuned_rung(design: Design) -> Rung:
    """Return the smallest rung whose first run is not absurdly long for its size."""
    return next(rung for rung in design.rungs if rung.horizons[0] <= rung.shape.params_matmul * 60)


def tuning_cost(rung: Rung, speed: Speed, recipe: Recipe, evaluation_tokens: int) -> float:
    """Core-seconds of `tune_rate` at a measured speed."""
    first = replace(rung, horizons=rung.horizons[:1], budgets=rung.budgets[:1])
    return len(RATES) * seconds_of(first, speed, recipe, evaluation_tokens)


def tune_rate(driver: Driver, rung: Rung, settings: Settings) -> Recipe:
    """Train the first horizon of a rung at five rates, and take the minimum of a parabola through the losses.

    All five share seed and data, so that most of the noise is common. A minimum at the edge is kept to the
    edge and told as a finding; the rate is then transferred to every width by the recipe.
    """
    trials = [
        Trial(
            name=f"tune-{rate:g}",
            shape=rung.shape,
            seed=rung.seed,
            horizons=rung.horizons[:1],
            recipe=replace(settings.recipe, rate=rate),
            precision=settings.precision,
            evaluation_tokens=settings.evaluation_tokens,
        )
        for rate in RATES
    ]
    driver.run(
        [Planned(key=trial.name, phase=TUNE, trial=trial, budgets=rung.budgets[:1]) for trial in trials]
    )
    losses = {
        point.data["name"]: float(point.data["loss"])
        for point in driver.ledger.points()
        if point.data["phase"] == TUNE
    }
    tried = [(rate, losses[f"tune-{rate:g}"]) for rate in RATES if f"tune-{rate:g}" in losses]
    rate = best_rate(tried)
    if tried and not min(RATES) < rate < max(RATES):
        driver.ledger.record_finding(
            Finding(
                code="STU005",
                text=f"The smallest rung learns best at the edge of the rates tried ({rate:g}x).",
                hint="Rungs may be less well tuned than usual; change the recipe's rates.",
            )
        )
    driver.ledger.note("rate", {"tried": tried, "chosen": rate})
    return replace(settings.recipe, rate=rate)


def best_rate(tried: list[tuple[float, float]]) -> float:
    """Return the minimum of the parabola through the lowest loss and its neighbours, against log rate."""
    if not tried:
        return 1.0
    lowest = min(range(len(tried)), key=lambda index: tried[index][1])
    if lowest in (0, len(tried) - 1):
        return float(tried[lowest][0])
    x, y = np.array(tried[lowest - 1 : lowest + 2]).T
    c2, c1, _ = np.polyfit(np.log(x), y, 2)
    vertex = float(np.exp(-c1 / (2 * c2)))
    return round(min(max(vertex, float(x[0])), float(x[-1])), 2)
