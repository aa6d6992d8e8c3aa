"""Which runs a study makes: an IsoFLOP grid or a ladder, from what may be spent.

Both share one idea: a size is trained once, and every token count that is wanted of it is a short branch
off that trunk. Budgets and sizes are spaced geometrically, sizes by the square root of the budgets'
ratio: then the optimal size moves by about one step from budget to budget, and each budget uses a window of
the one list. `comparing` lays the ladder that several arms share, `choosing` finds what can be paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from scalescope.corpora.reading import Reading
from scalescope.cost import Shape
from scalescope.cost.parts import Patches
from scalescope.points import from_plain, to_plain
from scalescope.studies.sizes import Sizes, size_of
from scalescope.training.cost import tokens_trained
from scalescope.training.recipe import Recipe
from scalescope.training.shape_options import ShapeOptions
from scalescope.training.trial_settings import TaskName
from scalescope.units import format_count, format_flop, format_percent

Kind = Literal["isoflop", "ladder", "comparison", "mixture", "repetition", "transfer"]

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
    reading: Reading = field(default_factory=Reading)
    """How it reads the corpus."""

    @property
    def compute(self) -> float:
        """FLOP (6 N D) of the longest horizon."""
        return 6.0 * size_of(self.shape) * self.horizons[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """All trials of a study but the held-out rung, which is chosen once the fit is there."""

    schema: ClassVar[str] = "scalescope.design/1"

    kind: Kind
    budgets: tuple[float, ...]
    """FLOP; for a ladder the compute of each rung's longest run."""
    rungs: tuple[Rung, ...]
    held_out_compute: float
    """0 where no rung is held out, or `n_held_out` of those that it has are."""
    n_held_out: int = 0
    """Trials as dear as its dearest that are held out in a study over data."""
    vocabulary: int
    context: int
    options: ShapeOptions = field(default_factory=ShapeOptions)
    """What all shapes have in place of the family's."""
    task: TaskName = "next-token"
    patches: Patches | None = None

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
    def sizes(self) -> Sizes:
        """The shapes that it takes from."""
        return Sizes(
            vocabulary=self.vocabulary,
            context=self.context,
            options=self.options,
            task=self.task,
            patches=self.patches,
        )

    @property
    def most_tokens(self) -> int:
        """Tokens of the longest run, the held-out rung included."""
        longest = max(rung.horizons[-1] for rung in self.rungs)
        if not self.held_out_compute:
            return longest
        return max(round(self.held_out_compute / (6 * size_of(self.held_out_guess()))), longest)

    def held_out_guess(self) -> Shape:
        """The shape that the held-out rung would have if the prior held."""
        if self.kind == "ladder":
            largest = max(size_of(rung.shape) for rung in self.rungs)
            return self.sizes.nearest(largest * LADDER_RATIO)
        return self.sizes.nearest(expected_size(self.held_out_compute))

    def cost(self, speed: Speed, recipe: Recipe, *, evaluation_tokens: int, held_out_seeds: int) -> float:
        """Core-seconds of everything, the held-out rung included, at a measured speed."""
        grid = sum(seconds_of(rung, speed, recipe, evaluation_tokens) for rung in self.rungs)
        if self.n_held_out:
            return grid + self.held_out_seconds(speed, recipe, evaluation_tokens)
        if not self.held_out_compute:
            return grid
        guess = self.held_out_guess()
        horizon = self.held_out_compute / (6 * size_of(guess))
        held_out = tokens_trained(recipe, guess, (round(horizon),), evaluation_tokens) / speed(guess)
        return held_out_seeds * held_out + grid

    def held_out_seconds(self, speed: Speed, recipe: Recipe, evaluation_tokens: int) -> float:
        """Core-seconds of what a study over data holds out: as many trials of its dearest size and length."""
        dearest = max(seconds_of(rung, speed, recipe, evaluation_tokens) for rung in self.rungs)
        return self.n_held_out * dearest

    def summary(self) -> str:
        """The grid as text: a line per size with the tokens of each budget."""
        wide = max(14, *(len(rung.name) + 1 for rung in self.rungs))
        lines = [
            f"{self.kind} design: {len(self.rungs)} trials, {self.n_points} points",
            f"  {'trial':<{wide}}{'params':>9}  tokens of each point",
        ]
        for rung in self.rungs:
            tokens = " ".join(f"{format_count(horizon):>6}" for horizon in rung.horizons)
            of = told_reading(rung.reading)
            lines.append(f"  {rung.name:<{wide}}{format_count(size_of(rung.shape)):>9}  {tokens}{of}")
        if self.held_out_compute:
            lines.append(f"  held out: the largest rung, {format_flop(self.held_out_compute)}")
        if self.n_held_out:
            lines.append(f"  held out: {self.n_held_out} trials, forecast before they are trained")
        return "\n".join(lines)


def told_reading(reading: Reading) -> str:
    """Say which mixture or how much text a rung reads; empty for the whole corpus at its own shares."""
    if reading.weights:
        shares = ", ".join(f"{name} {format_percent(share)}" for name, share in reading.weights.items())
        return f"  of {shares}"
    return f"  of {format_count(reading.unique_tokens)}" if reading.unique_tokens else ""


def expected_size(compute: float) -> float:
    """Return the size around which a budget's grid is laid."""
    return float((compute / (6 * TOKENS_PER_PARAM)) ** 0.5)


def seconds_of(rung: Rung, speed: Speed, recipe: Recipe, evaluation_tokens: int) -> float:
    """Core-seconds of a trial at a measured speed, evaluations included."""
    return tokens_trained(recipe, rung.shape, rung.horizons, evaluation_tokens) / speed(rung.shape)


def lowest_compute(sizes: Sizes, recipe: Recipe) -> float:
    """Return the cheapest budget with sizes on both sides of the optimum and enough steps a run."""
    smallest = size_of(sizes.nearest(1.0))
    by_size = 6 * TOKENS_PER_PARAM * (smallest * 3.0) ** 2
    compute = by_size
    while len_steps(recipe, compute / (6 * expected_size(compute) * 3.5), sizes.context) < MIN_STEPS:
        compute *= 1.1
    return compute


def len_steps(recipe: Recipe, tokens: float, context: int) -> float:
    """Optimiser steps of a run of so many tokens, to within a fifth."""
    return tokens / (recipe.batch(tokens * 0.4, context) * context)


def lay_isoflop(lowest: float, *, n_budgets: int, sizes: Sizes, seeds: int, seed: int) -> Design:
    """Lay an IsoFLOP grid whose cheapest budget is `lowest` FLOP."""
    budgets = tuple(lowest * BUDGET_RATIO**k for k in range(n_budgets))
    step = BUDGET_RATIO**0.5
    half = (SIZES_PER_BUDGET - 1) / 2
    targets = [expected_size(lowest) * step ** (i - half) for i in range(n_budgets + SIZES_PER_BUDGET - 1)]
    rungs: list[Rung] = []
    for index, target in enumerate(targets):
        shape = sizes.nearest(target)
        if any(rung.shape == shape for rung in rungs):
            continue
        mine = [c for k, c in enumerate(budgets) if k <= index < k + SIZES_PER_BUDGET]
        rungs.append(rung_of(shape, seed, mine))
    # Seeds on the two cheapest budgets, the three sizes around the expected optimum, give the noise.
    middle = sorted(rungs, key=lambda rung: abs(size_of(rung.shape) / expected_size(budgets[0] * 1.5) - 1))[
        :3
    ]
    for extra in range(1, seeds):
        for rung in middle:
            cheap = [c for c in rung.budgets if c <= budgets[min(1, n_budgets - 1)] * 1.01]
            if cheap:
                rungs.append(rung_of(rung.shape, seed + extra, cheap))
    return Design(
        kind="isoflop",
        budgets=budgets,
        rungs=tuple(rungs),
        held_out_compute=budgets[-1] * HELD_OUT_RATIO,
        **of_sizes(sizes),
    )


def lay_ladder(lowest: float, *, n_budgets: int, sizes: Sizes, seeds: int, seed: int) -> Design:
    """Lay a ladder: every size at the same tokens per parameter, the smallest at `lowest` FLOP at 24."""
    rungs: list[Rung] = []
    first = expected_size(lowest)
    for index in range(n_budgets + LADDER_RUNGS - N_BUDGETS):
        shape = sizes.nearest(first * LADDER_RATIO**index)
        if any(rung.shape == shape for rung in rungs):
            continue
        size = size_of(shape)
        rungs.append(rung_of(shape, seed, [6 * size**2 * ratio for ratio in LADDER_TOKENS_PER_PARAM]))
    for extra in range(1, seeds):
        rungs.extend(rung_of(rung.shape, seed + extra, list(rung.budgets[:2])) for rung in rungs[:2])
    above = sizes.nearest(max(size_of(rung.shape) for rung in rungs) * LADDER_RATIO)
    return Design(
        kind="ladder",
        budgets=tuple(rung.compute for rung in rungs if rung.seed == seed),
        rungs=tuple(rungs),
        held_out_compute=6 * size_of(above) ** 2 * LADDER_TOKENS_PER_PARAM[-1],
        **of_sizes(sizes),
    )


def of_sizes(sizes: Sizes) -> dict[str, Any]:
    """Return what a design keeps of the shapes it takes from."""
    return {one.name: getattr(sizes, one.name) for one in fields(sizes)}


def rung_of(shape: Shape, seed: int, budgets: list[float]) -> Rung:
    """Return the trial of a shape that is measured at some budgets, FLOP."""
    horizons = tuple(round(c / (6 * size_of(shape)) / shape.context) * shape.context for c in budgets)
    return Rung(
        name=f"d{shape.width}-L{shape.n_layers}-s{seed}",
        shape=shape,
        seed=seed,
        horizons=horizons,
        budgets=tuple(budgets),
        first_horizon=horizons[0],
    )
