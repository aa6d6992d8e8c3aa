"""From the rungs of a design to trials of an arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scalescope.corpora.reading import Reading
from scalescope.cost import Shape
from scalescope.studies.arms import Arm
from scalescope.studies.collect import GRID, HELD_OUT, TUNE
from scalescope.studies.design import Rung
from scalescope.studies.planned import Planned
from scalescope.studies.settings import Settings
from scalescope.studies.sizes import Sizes
from scalescope.training.distributed.support import check_layout, check_numbers
from scalescope.training.recipe import Recipe
from scalescope.training.trial_settings import Trial
from scalescope.units import format_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Makes the trials of a study; the same asked gives the same trial, under the same key."""

    settings: Settings
    sizes: Mapping[str, Sizes]
    """By the name of the arm."""

    def shape(self, arm: Arm, shape: Shape) -> Shape:
        """Return what a shape of the design is in an arm: where arms are compared it is the plain one's."""
        return self.sizes[arm.name].like(shape) if self.settings.vary else shape

    def rung(self, arm: Arm, rung: Rung, recipe: Recipe) -> Planned:
        """Return the trial of a rung."""
        trial = self._trial(
            arm,
            rung.name,
            rung.shape,
            rung.seed,
            rung.horizons,
            recipe,
            first_horizon=rung.first_horizon,
            reading=rung.reading,
        )
        key = arm.key(f"{rung.name}-{format_count(rung.horizons[-1])}")
        return Planned(key=key, phase=GRID, trial=trial, budgets=rung.budgets, arm=arm.name)

    def more(self, arm: Arm, rung: Rung, recipe: Recipe) -> Planned:
        """Return the trial of a rung that is held out."""
        planned = self.rung(arm, rung, recipe)
        return replace(planned, key=f"held-out-{planned.key}", phase=HELD_OUT)

    def tuning(self, arm: Arm, rung: Rung, name: str, recipe: Recipe) -> Planned:
        """Return a trial that measures a rate."""
        trial = self._trial(arm, name, rung.shape, rung.seed, rung.horizons, recipe)
        return Planned(key=arm.key(name), phase=TUNE, trial=trial, budgets=rung.budgets, arm=arm.name)

    def held_out(self, arm: Arm, shape: Shape, rung: Mapping[str, Any], seed: int, recipe: Recipe) -> Planned:
        """Return a trial of the rung that the ledger holds out."""
        name = f"d{shape.width}-L{shape.n_layers}-s{seed}"
        trial = self._trial(arm, name, shape, seed, (int(rung["horizon"]),), recipe)
        key = f"held-out-{name}-{format_count(rung['horizon'])}"
        return Planned(key=key, phase=HELD_OUT, trial=trial, budgets=(float(rung["compute"]),), arm=arm.name)

    def _trial(
        self,
        arm: Arm,
        name: str,
        shape: Shape,
        seed: int,
        horizons: tuple[int, ...],
        recipe: Recipe,
        *,
        first_horizon: int = 0,
        reading: Reading | None = None,
    ) -> Trial:
        layout, shape = self.settings.layout, self.shape(arm, shape)
        if layout.devices > 1:
            check_layout(shape, layout)
            check_numbers(recipe.optimizer, arm.variant.precision, layout)
        return Trial(
            name=name,
            shape=shape,
            layout=layout,
            seed=seed,
            horizons=horizons,
            first_horizon=first_horizon,
            recipe=recipe,
            task=self.settings.task,
            precision=arm.variant.precision,
            reading=reading if reading is not None and not reading.plain else arm.variant.reading,
            evaluation_tokens=self.settings.evaluation_tokens,
        )
