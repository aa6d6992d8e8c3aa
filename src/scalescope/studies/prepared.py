"""What a study knows once it is prepared, and what its design costs with that."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scalescope.cost import Shape
from scalescope.studies.arms import Arm
from scalescope.studies.design import Design, Rung, expected_size
from scalescope.studies.machine import Machine
from scalescope.studies.making import Maker
from scalescope.studies.planned import Planned
from scalescope.studies.sizes import size_of
from scalescope.studies.tune import Tuned, tuning_cost
from scalescope.training.cost import tokens_trained
from scalescope.training.recipe import Recipe

EXTENDED = 1.4
"""Cost of a tuning whose rates are extended once, over that of one whose are not."""

Speeds = Callable[[Arm, Shape], float]
"""Tokens per second, or per FLOP, at which an arm trains a shape of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Arms with the speed and the recipe of each, the first the baseline."""

    arms: tuple[Arm, ...]
    machines: Mapping[str, Machine]
    tuned: Mapping[str, Tuned]
    maker: Maker
    held_out_seeds: int

    @property
    def machine(self) -> Machine:
        """The baseline's."""
        return self.machines[self.arms[0].name]

    @property
    def recipe(self) -> Recipe:
        """The baseline's."""
        return self.tuned[self.arms[0].name].recipe

    def seconds(self, arm: Arm, shape: Shape) -> float:
        """Tokens per second of one trial."""
        return self.machines[arm.name].speed(shape)

    @staticmethod
    def per_flop(arm: Arm, shape: Shape) -> float:  # noqa: ARG004 (all arms cost alike)
        """Tokens per FLOP, so that what is counted in it comes out in FLOP."""
        return 1 / (6 * size_of(shape))

    def cost(self, design: Design, speeds: Speeds) -> float:
        """Core-seconds, or FLOP, of all arms, the held-out rung included."""
        return sum(
            design.cost(
                lambda shape, arm=arm: speeds(arm, self.maker.shape(arm, shape)),  # type: ignore[misc]
                self.tuned[arm.name].recipe,
                evaluation_tokens=self.maker.settings.evaluation_tokens,
                held_out_seeds=self.held_out_seeds,
            )
            for arm in self.arms
        )

    def tuning_cost(self, rungs: tuple[Rung, ...], speeds: Speeds) -> float:
        """Core-seconds, or FLOP, of measuring the rates of all arms."""
        once = sum(
            tuning_cost(
                rungs,
                lambda shape, arm=arm: speeds(arm, self.maker.shape(arm, shape)),  # type: ignore[misc]
                arm.variant.recipe,
                self.maker.settings.evaluation_tokens,
            )
            for arm in self.arms
        )
        return once * (EXTENDED if len(rungs) > 1 else 1.0)

    def tokens(self, shape: Shape, horizons: tuple[int, ...]) -> float:
        """Tokens that the baseline trains for a shape's horizons."""
        return tokens_trained(self.recipe, shape, horizons, self.maker.settings.evaluation_tokens)

    def planned(self, design: Design) -> list[Planned]:
        """Trials in the order to run.

        First those that do not reach the dearest budget, cheapest first: they give the live estimate and the
        noise early. Then those that do, from the expected optimum outwards: what may be given up comes last.
        The arms of a rung follow each other, so that whatever stops a study leaves them even.
        """

        def order(rung: Rung) -> tuple[bool, float]:
            dearest = rung.budgets[-1]
            if design.kind == "isoflop" and dearest >= design.budgets[-1] * 0.999:
                return True, abs(math.log(size_of(rung.shape) / expected_size(dearest)))
            return False, self.tokens(rung.shape, rung.horizons) / self.seconds(self.arms[0], rung.shape)

        return [
            self.maker.rung(arm, rung, self.tuned[arm.name].at(rung.shape.width))
            for rung in sorted(design.rungs, key=order)
            for arm in self.arms
        ]
