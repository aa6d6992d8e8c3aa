"""Which runs a study makes: an IsoFLOP grid or a ladder, from what may be spent.

Both share one idea: a size is trained once, and every token count that is wanted of it is a short branch
off that trunk. Budgets and sizes are spaced geometrically, sizes by the square root of the budgets'
ratio: then the optimal size moves by about one step from budget to budget, and each budget uses a window of
the one list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from scalescope.cost import Shape
from scalescope.errors import InputError
from scalescope.points import from_plain, to_plain
from scalescope.studies.family import family, nearest_shape
from scalescope.training.cost import tokens_trained
from scalescope.training.recipe import Recipe
from scalescope.units import format_count, format_flop, format_seconds

Kind = Literal["isoflop", "ladder"]

TOKENS_PER_PARAM = 25.0
"""Where a budget's optimum is expected before anything is known, N counting blocks and head; only the grid is
laid around it, the fit does not use it."""
BUDGET_RATIO = 2.3
N_BUDGETS = 5
SIZES_PER_BUDGET = 7
HELD_OUT_RATIO = 3.0
"""Compute of the held-out rung over the dearest fitted budget."""
LADDER_TOKENS_PER_PARAM = (6.0, 12.0, 24.0, 48.0)
LADDER_RATIO = 1.6
LADDER_RUNGS = 6
MIN_STEPS = 150
"""A point of fewer optimiser steps than this says more about warm-up than about size."""

Speed = Callable[[Shape], float]
"""Tokens per second of one trial of a shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One trial of the design: a shape, a seed, and the token counts it is measured at."""

    name: str
    shape: Shape
    seed: int
    horizons: tuple[int, ...]
    budgets: tuple[float, ...]
    """Nominal compute of each horizon, FLOP."""
    first_horizon: int
    """The warm-up is a share of this; fixed by the design, so that a shortened trial warms up alike."""

    @property
    def compute(self) -> float:
        """FLOP (6 N D) of the longest horizon."""
        return 6.0 * self.shape.params_matmul * self.horizons[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """All trials of a study but the held-out rung, which is chosen once the fit is there."""

    schema: ClassVar[str] = "scalescope.design/1"

    kind: Kind
    budgets: tuple[float, ...]
    """FLOP; for a ladder the compute of each rung's longest run."""
    rungs: tuple[Rung, ...]
    held_out_compute: float
    vocabulary: int
    context: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Design:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)

    @property
    def n_points(self) -> int:
        """Points that the grid yields."""
        return sum(len(rung.horizons) for rung in self.rungs)

    @property
    def most_tokens(self) -> int:
        """Tokens of the longest run, the held-out rung included."""
        held_out = self.held_out_compute / (6 * self.held_out_guess().params_matmul)
        return max(round(held_out), *(rung.horizons[-1] for rung in self.rungs))

    def held_out_guess(self) -> Shape:
        """The shape that the held-out rung would have if the prior held."""
        if self.kind == "ladder":
            largest = max(rung.shape.params_matmul for rung in self.rungs)
            return nearest_shape(largest * LADDER_RATIO, self.vocabulary, self.context)
        return nearest_shape(expected_size(self.held_out_compute), self.vocabulary, self.context)

    def cost(self, speed: Speed, recipe: Recipe, *, evaluation_tokens: int, held_out_seeds: int) -> float:
        """Core-seconds of everything, the held-out rung included, at a measured speed."""
        guess = self.held_out_guess()
        horizon = self.held_out_compute / (6 * guess.params_matmul)
        held_out = tokens_trained(recipe, guess, (round(horizon),), evaluation_tokens) / speed(guess)
        return held_out_seeds * held_out + sum(
            seconds_of(rung, speed, recipe, evaluation_tokens) for rung in self.rungs
        )

    def summary(self) -> str:
        """The grid as text: a line per size with the tokens of each budget."""
        lines = [
            f"{self.kind} design: {len(self.rungs)} trials, {self.n_points} points",
            f"  {'trial':<14}{'params':>9}  tokens of each point",
        ]
        for rung in self.rungs:
            tokens = " ".join(f"{format_count(horizon):>6}" for horizon in rung.horizons)
            lines.append(f"  {rung.name:<14}{format_count(rung.shape.params_matmul):>9}  {tokens}")
        lines.append(f"  held out: the largest rung, {format_flop(self.held_out_compute)}")
        return "\n".join(lines)


def expected_size(compute: float) -> float:
    """Return the size around which a budget's grid is laid."""
    return float((compute / (6 * TOKENS_PER_PARAM)) ** 0.5)


def seconds_of(rung: Rung, speed: Speed, recipe: Recipe, evaluation_tokens: int) -> float:
    """Core-seconds of a trial at a measured speed, evaluations included."""
    return tokens_trained(recipe, rung.shape, rung.horizons, evaluation_tokens) / speed(rung.shape)


def lowest_compute(vocabulary: int, context: int, recipe: Recipe) -> float:
    """Return the cheapest budget with sizes on both sides of the optimum and enough steps a run."""
    smallest = family(vocabulary, context)[0].params_matmul
    by_size = 6 * TOKENS_PER_PARAM * (smallest * 3.0) ** 2
    compute = by_size
    while len_steps(recipe, compute / (6 * expected_size(compute) * 3.5), context) < MIN_STEPS:
        compute *= 1.1
    return compute


def len_steps(recipe: Recipe, tokens: float, context: int) -> float:
    """Optimiser steps of a run of so many tokens, to within a fifth."""
    return tokens / (recipe.batch(tokens * 0.4, context) * context)


def lay_isoflop(
    lowest: float, *, n_budgets: int, vocabulary: int, context: int, seeds: int, seed: int
) -> Design:
    """Lay an IsoFLOP grid whose cheapest budget is `lowest` FLOP."""
    budgets = tuple(lowest * BUDGET_RATIO**k for k in range(n_budgets))
    step = BUDGET_RATIO**0.5
    half = (SIZES_PER_BUDGET - 1) / 2
    targets = [expected_size(lowest) * step ** (i - half) for i in range(n_budgets + SIZES_PER_BUDGET - 1)]
    rungs: list[Rung] = []
    for index, target in enumerate(targets):
        shape = nearest_shape(target, vocabulary, context)
        if any(rung.shape == shape for rung in rungs):
            continue
        mine = [c for k, c in enumerate(budgets) if k <= index < k + SIZES_PER_BUDGET]
        rungs.append(_rung(shape, seed, mine))
    # Seeds on the two cheapest budgets, the three sizes around the expected optimum, give the noise.
    middle = sorted(
        rungs, key=lambda rung: abs(rung.shape.params_matmul / expected_size(budgets[0] * 1.5) - 1)
    )[:3]
    for extra in range(1, seeds):
        for rung in middle:
            cheap = [c for c in rung.budgets if c <= budgets[min(1, n_budgets - 1)] * 1.01]
            if cheap:
                rungs.append(_rung(rung.shape, seed + extra, cheap))
    return Design(
        kind="isoflop",
        budgets=budgets,
        rungs=tuple(rungs),
        held_out_compute=budgets[-1] * HELD_OUT_RATIO,
        vocabulary=vocabulary,
        context=context,
    )


def lay_ladder(
    lowest: float, *, n_budgets: int, vocabulary: int, context: int, seeds: int, seed: int
) -> Design:
    """Lay a ladder: every size at the same tokens per parameter, the smallest at `lowest` FLOP at 24."""
    rungs: list[Rung] = []
    first = expected_size(lowest)
    for index in range(n_budgets + LADDER_RUNGS - N_BUDGETS):
        shape = nearest_shape(first * LADDER_RATIO**index, vocabulary, context)
        if any(rung.shape == shape for rung in rungs):
            continue
        size = shape.params_matmul
        rungs.append(_rung(shape, seed, [6 * size**2 * ratio for ratio in LADDER_TOKENS_PER_PARAM]))
    for extra in range(1, seeds):
        rungs.extend(_rung(rung.shape, seed + extra, list(rung.budgets[:2])) for rung in rungs[:2])
    largest = max((rung.shape for rung in rungs), key=lambda shape: shape.params_matmul)
    above = nearest_shape(largest.params_matmul * LADDER_RATIO, vocabulary, context)
    return Design(
        kind="ladder",
        budgets=tuple(rung.compute for rung in rungs if rung.seed == seed),
        rungs=tuple(rungs),
        held_out_compute=6 * above.params_matmul**2 * LADDER_TOKENS_PER_PARAM[-1],
        vocabulary=vocabulary,
        context=context,
    )


LAYOUTS: dict[Kind, Callable[..., Design]] = {"isoflop": lay_isoflop, "ladder": lay_ladder}


def _rung(shape: Shape, seed: int, budgets: list[float]) -> Rung:
    horizons = tuple(round(c / (6 * shape.params_matmul) / shape.context) * shape.context for c in budgets)
    return Rung(
        name=f"d{shape.width}-L{shape.n_layers}-s{seed}",
        shape=shape,
        seed=seed,
        horizons=horizons,
        budgets=tuple(budgets),
        first_horizon=horizons[0],
    )


def choose_design(
    kind: Kind,
    *,
    cost: Callable[[Design], float],
    available: float,
    vocabulary: int,
    context: int,
    recipe: Recipe,
    seed: int = 0,
    show: Callable[[float], str] = format_seconds,
) -> Design:
    """Return the dearest design that fits into what is available.

    First the number of budgets, five if they fit, else four or three; then the cheapest budget is raised as
    far as the rest allows.

    Parameters
    ----------
    cost
        What a design costs, in the unit of `available`: core-seconds or FLOP.
    available
        What may be spent on training.
    show
        Writes the budget that leaves such an amount for training, for the error.

    Raises
    ------
    InputError
        If not even the smallest grid fits; the message has the smallest budget that does.
    """
    lay = LAYOUTS[kind]
    floor = lowest_compute(vocabulary, context, recipe)

    def at(lowest: float, n_budgets: int, seeds: int) -> Design:
        return lay(
            lowest, n_budgets=n_budgets, vocabulary=vocabulary, context=context, seeds=seeds, seed=seed
        )

    for n_budgets, seeds in ((N_BUDGETS, 2), (N_BUDGETS - 1, 2), (N_BUDGETS - 2, 2), (N_BUDGETS - 2, 1)):
        if cost(at(floor, n_budgets, seeds)) <= available:
            break
    else:
        least = cost(at(floor, N_BUDGETS - 2, 1))
        raise InputError(
            f"the budget is too small for any grid; the smallest that works is about {show(1.02 * least)}",
            hint="Give that much or more, or use a smaller vocabulary or a shorter context.",
        )
    low, high = floor, floor * 1e9
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if cost(at(middle, n_budgets, seeds)) <= available else (low, middle)
    return at(low, n_budgets, seeds)
