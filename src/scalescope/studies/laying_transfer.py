"""The dearest transfer study that what may be spent, and the two texts, allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from scalescope.errors import InputError
from scalescope.studies.design import Rung, Speed, len_steps
from scalescope.studies.sizes import Sizes, size_of
from scalescope.studies.transfer import FINE_TUNE, SCRATCH, Legs, Transfer
from scalescope.studies.tune import EXTENSIONS, tuning_cost
from scalescope.training.cost import tokens_trained
from scalescope.units import format_count

SIZES = (0.5, 1.0, 2.0)
"""Of the shapes, over that in the middle."""
TOKENS_PER_PARAM = (1.5, 3.0, 6.0, 12.0)
"""Of fine-tuning, over the size in the middle."""
PRETRAINING = 20.0
"""Tokens a parameter, about the best ratio for text."""
SMALLEST = 2.0
"""Least size in the middle, over the smallest shape of the family."""
FEWEST_STEPS = 25
"""Optimiser steps of the shortest run."""
TRIED_MORE = 1.0 + 0.4 * EXTENSIONS
"""Rates that are tried where the best lies at an edge, over those of the first round."""

Show = Callable[[float], str]


def lay_transfer(middle: float, plain: Transfer, sizes: Sizes, *, source: int, target: int) -> Transfer:
    """Lay a design around a size, as far as `source` and `target` tokens go without being read twice."""
    shapes = tuple(dict.fromkeys(sizes.nearest(middle * ratio) for ratio in SIZES))
    context = sizes.context
    longest = target / plain.reach
    scale = min(1.0, longest / (TOKENS_PER_PARAM[-1] * middle))
    tokens = [max(1, int(ratio * middle * scale / context)) * context for ratio in TOKENS_PER_PARAM]
    before = [min(round(PRETRAINING * size_of(shape) / context), source // context) for shape in shapes]
    return replace(
        plain,
        shapes=shapes,
        pretraining=tuple(max(1, n) * context for n in before),
        tokens=tuple(dict.fromkeys(tokens)),
    )


def cost_of(design: Transfer, speed: Speed) -> float:
    """Core-seconds, or FLOP, of all trials, those that try rates included."""
    rates = sum(
        tuning_cost((tried_rung(design, arm),), speed, design.recipe, design.evaluation_tokens)
        for arm in (SCRATCH, FINE_TUNE)
    )
    return seconds_of_all(design.legs(), speed) + TRIED_MORE * rates


def seconds_of_all(legs: Legs, speed: Speed) -> float:
    """Core-seconds of the trials but those that try rates."""
    every = (*legs.pretrained, *legs.fine_tuned, *legs.scratch, *legs.held_out)
    return sum(
        tokens_trained(one.recipe, one.shape, one.horizons, one.evaluation_tokens) / speed(one.shape)
        for one in (leg.trial for leg in every)
    )


def tried_rung(design: Transfer, arm: str) -> Rung:
    """Return what the rates of an arm are tried on."""
    leg = design.trying(arm, "tune", design.recipe)
    trial = leg.trial
    return Rung(
        name=trial.name,
        shape=trial.shape,
        seed=trial.seed,
        horizons=trial.horizons,
        budgets=leg.budgets,
        first_horizon=trial.horizons[0],
    )


def choose_transfer(
    plain: Transfer,
    sizes: Sizes,
    *,
    cost: Callable[[Transfer], float],
    available: float,
    source: int,
    target: int,
    show: Show,
) -> Transfer:
    """Return the dearest design that fits.

    Parameters
    ----------
    plain
        With recipe and seeds; its shapes and tokens are replaced.
    cost
        What a design costs, in the unit of `available`: core-seconds or FLOP.
    source, target
        Training tokens of the two texts.
    show
        Writes the budget that leaves such an amount for training, for the error.

    Raises
    ------
    InputError
        If not even the smallest design fits into the budget, or the target has too little text for it.
    """

    def at(middle: float) -> Transfer:
        return lay_transfer(middle, plain, sizes, source=source, target=target)

    floor = SMALLEST * size_of(sizes.nearest(1.0))
    while len_steps(plain.recipe, TOKENS_PER_PARAM[0] * floor, sizes.context) < FEWEST_STEPS:
        floor *= 1.1
    needed = floor * TOKENS_PER_PARAM[-1] * plain.reach
    if target < needed:
        raise InputError(
            f"the new corpus has {format_count(target)} training tokens, and the smallest transfer study "
            f"trains from scratch on {format_count(needed)}",
            hint="Give more text of it, or a shorter context.",
        )
    if cost(at(floor)) > available:
        raise InputError(
            "the budget is too small for a transfer study; the smallest that works is about "
            f"{show(1.02 * cost(at(floor)))}",
            hint="Give that much or more, or use a smaller vocabulary or a shorter context.",
        )
    low, high = floor, max(floor, target / (TOKENS_PER_PARAM[-1] * plain.reach))
    if cost(at(high)) <= available:
        return at(high)
    for _ in range(50):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if cost(at(middle)) <= available else (low, middle)
    return at(low)
