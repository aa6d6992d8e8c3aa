"""One study in its folder: corpora, machine, recipes and design, its grid and its held-out rung.

The order of the work, and what of it is fitted, is `workflow`'s business: a study only produces runs. A study
that varies something has several arms, which share the design; any other has one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from scalescope.cost import Shape
from scalescope.executors import Executor
from scalescope.ledgers.ledger import Ledger
from scalescope.metering import Power
from scalescope.points import Finding, Runs
from scalescope.studies.arms import Arm
from scalescope.studies.choosing import choose_design
from scalescope.studies.collect import collect_curves, collect_findings, collect_runs
from scalescope.studies.data import Data, doubts_of_leaks, patches_of, tokens_of, vocabulary_of
from scalescope.studies.design import HELD_OUT_RATIO, Design, Rung
from scalescope.studies.doubts import check_epochs, doubts_of_arms, doubts_of_epochs, doubts_of_span
from scalescope.studies.driver import Driver
from scalescope.studies.machines import machines_of
from scalescope.studies.making import Maker
from scalescope.studies.over_data import OVER_DATA, check_data, doubts_of_data, layout_of
from scalescope.studies.planned import Ground, Planned
from scalescope.studies.prepared import Ready
from scalescope.studies.settings import Settings
from scalescope.studies.sizes import Sizes, size_of
from scalescope.studies.status import Status, Watch
from scalescope.studies.telling import facts_of, told_arms, told_cost
from scalescope.studies.tune import EXTENSIONS, Tuned, tune, tuned_rungs
from scalescope.training.recipe import Recipe
from scalescope.training.shape_options import ShapeOptions
from scalescope.units import format_flop, format_seconds

RESERVE_SECONDS = 15.0
"""Of a time budget, kept for fitting and the report."""
USED_SHARE = 0.93
"""Of a time budget, what the design plans to use: trials do not pack perfectly into the slots."""
SPENT_EVERY_SECONDS = 5.0
LATE = 1.18
"""Share of a time budget at which held-out trials are cut: finishing late beats no hold-out."""


@dataclass(slots=True, kw_only=True)
class Study:
    """A study at work.  Built by `open_study`; the ledger holds all that must outlive it."""

    folder: Path
    settings: Settings
    arms: tuple[Arm, ...]
    """The baseline first; one in a study that varies nothing."""
    data: Mapping[str, Data]
    """By the name of the arm, all with the held-out text of the baseline."""
    ledger: Ledger
    executor: Executor
    cores: int
    watch: Watch
    started: float
    """On `time.monotonic`, moved back by what earlier sessions of the same study spent."""
    slowdown: float = 1.0
    """Actual over predicted seconds of the trials so far."""
    power: Power = field(default_factory=Power)
    _saved: float = 0.0
    _later: float = 0.0
    """Predicted wall seconds of the phases after the one under way."""

    @property
    def corpus(self) -> Data:
        """The baseline's."""
        return self.data[self.arms[0].name]

    @property
    def maker(self) -> Maker:
        """What makes its trials."""
        return Maker(settings=self.settings, sizes={arm.name: self._sizes(arm) for arm in self.arms})

    @property
    def sizes(self) -> Sizes:
        """The shapes that the design takes from: the arm's, or those that arms are made of."""
        sizes = self._sizes(self.arms[0])
        return replace(sizes, options=ShapeOptions()) if self.settings.vary else sizes

    def prepare(self) -> tuple[Design, Ready]:
        """Measure, tune and lay the design, or take all three from the ledger.

        Raises
        ------
        InputError
            If the budget is too small for any grid, or a corpus for the design.
        """
        ready = self._tuned(self._measured())
        stored = self.ledger.meta("design")
        if stored is not None:
            return Design.from_dict(stored), ready
        design = self.lay(ready)
        self.ledger.set_meta("laid_for", asked(self.settings))
        self.ledger.set_meta("design", design.to_dict())
        return design, ready

    def lay(self, ready: Ready) -> Design:
        """Choose the design for the budget and check the corpora against it."""
        budget = self.settings.budget
        in_seconds = budget.seconds is not None
        speeds = ready.seconds if in_seconds else ready.per_flop
        tuned = self.ledger.meta(self._tuned_name) is not None

        def cost(design: Design) -> float:
            grid = ready.cost(design, speeds)
            if in_seconds and tuned:  # the clock has counted it
                return grid
            return grid + ready.tuning_cost(tuned_rungs(design), speeds)

        per_second = USED_SHARE * ready.machine.slots
        gone = self.seconds_spent + RESERVE_SECONDS
        layout = layout_of(self.settings, self.corpus)
        design = choose_design(
            self.settings.design,
            lay=layout.lay,
            extents=layout.extents,
            cost=cost,
            available=max(1.0, ((budget.seconds or 0.0) - gone) * per_second)
            if in_seconds
            else float(budget.flop or 0.0),
            sizes=self.sizes,
            recipe=ready.recipe,
            seed=self.settings.seed,
            show=(lambda seconds: format_seconds(math.ceil(seconds / per_second + gone)))
            if in_seconds
            else format_flop,
        )
        if design.kind in OVER_DATA:
            check_data(self.settings, self.corpus, design)
        else:
            check_epochs(self._least_tokens, design, self.settings.max_epochs)
        return design

    def grid(self, design: Design, ready: Ready) -> None:
        """Train everything but the held-out rung."""
        deadline = self._grid_deadline(design, ready)
        self._later = self._later_seconds(design, ready)
        self._run(ready, ready.planned(design), deadline)
        over_data = design.kind in OVER_DATA
        doubts = doubts_of_data(self.settings, self.corpus, design) if over_data else []
        doubts += [] if over_data else doubts_of_epochs(self._least_tokens, design)
        if self.settings.vary:
            doubts += [*doubts_of_span(design), *doubts_of_leaks(self.data)]
            doubts += doubts_of_arms(self.ledger, ready.planned(design), self.arms)
        for finding in doubts:
            self.ledger.record_finding(finding)

    def held_out_compute(self, design: Design, ready: Ready) -> float:
        """Return the compute of the held-out rung that the time still allows, FLOP; 0 if none does."""
        wanted = design.held_out_compute
        if design.kind == "isoflop":  # the dearest budgets may have been given up
            runs = self.runs()
            wanted = min(wanted, float(runs["budget"][~runs.held_out].max()) * HELD_OUT_RATIO)
        if self.settings.budget.seconds is None:
            return wanted
        left = self.settings.budget.seconds - self.seconds_spent - RESERVE_SECONDS
        seconds = self._held_out_seconds(wanted, design, ready) * self.slowdown
        return wanted * min(1.0, 0.95 * left / seconds) if left > 0 else 0.0

    def held_out(self, ready: Ready) -> None:
        """Train the held-out rung that the ledger names: one shape and token count, a seed a slot."""
        rung = self.ledger.meta("held_out")
        self._later = 0.0
        shape, arm = msgspec.convert(rung["shape"], Shape), self.arms[0]
        planned = [
            ready.maker.held_out(arm, shape, rung, self.settings.seed + extra, ready.tuned[arm.name].recipe)
            for extra in range(ready.held_out_seeds)
        ]
        deadline = None
        if self.settings.budget.seconds is not None:
            deadline = self.started + LATE * self.settings.budget.seconds - RESERVE_SECONDS
        self._run(ready, planned, deadline)

    def more(self, ready: Ready, rungs: Sequence[Rung]) -> None:
        """Train rungs of a study over data that no fit may use."""
        arm, self._later = self.arms[0], 0.0
        deadline = None
        if self.settings.budget.seconds is not None:
            deadline = self.started + LATE * self.settings.budget.seconds - RESERVE_SECONDS
        tuned = ready.tuned[arm.name]
        planned = [ready.maker.more(arm, rung, tuned.at(rung.shape.width)) for rung in rungs]
        self._run(ready, planned, deadline)

    def draft(self) -> tuple[Design, str]:
        """Measure the machine and lay the design; return it and what it will cost, in words."""
        ready = self._measured()
        design = self.lay(ready)
        return design, self.told(design, ready)

    def told(self, design: Design, ready: Ready) -> str:
        """Say what a design will cost, and what its arms are."""
        return "\n".join([*told_arms(design, ready), told_cost(design, ready, RESERVE_SECONDS)])

    def runs(self, arm: str = "") -> Runs:
        """All points so far, of one arm where there are several."""
        return collect_runs(self.ledger, arm)

    def curves(self) -> list[dict[str, Any]]:
        """Learning curves so far."""
        return collect_curves(self.ledger)

    def findings(self) -> tuple[Finding, ...]:
        """What went wrong or was left out so far."""
        read = [finding for one in self.data.values() for finding in getattr(one, "findings", ())]
        return (*dict.fromkeys(read), *collect_findings(self.ledger))

    @property
    def seconds_spent(self) -> float:
        """Wall seconds of this study, earlier sessions included."""
        return time.monotonic() - self.started

    def facts(self, design: Design, ready: Ready) -> Mapping[str, str]:
        """How it was computed, for the report."""
        return {
            **facts_of(self.ledger, self.settings, self.data, design, ready),
            "Time": format_seconds(self.seconds_spent),
        }

    def _sizes(self, arm: Arm) -> Sizes:
        return Sizes(
            vocabulary=vocabulary_of(self.corpus, self.settings.task),
            context=self.settings.context,
            options=arm.variant.shape,
            task=self.settings.task,
            patches=patches_of(self.corpus, self.settings.context),
        )

    @property
    def _least_tokens(self) -> int:
        """Training tokens of the smallest data."""
        return min(tokens_of(one, self.settings.context) for one in self.data.values())

    def _measured(self) -> Ready:
        """Measure the machine, or take it from the ledger; no rate is measured yet."""
        machines = machines_of(self.ledger, self.executor, self.arms, self.maker.sizes, cores=self.cores)
        slots = machines[self.arms[0].name].slots
        return Ready(
            arms=self.arms,
            machines=machines,
            tuned={arm.name: Tuned(recipe=arm.variant.recipe) for arm in self.arms},
            maker=self.maker,
            held_out_seeds=max(1, min(self.settings.held_out_seeds, slots // self.settings.layout.devices)),
        )

    @property
    def _tuned_name(self) -> str:
        return "tuned" if self.settings.vary else "recipe"

    def _tuned(self, ready: Ready) -> Ready:
        """Measure the rates on rungs of the design that the untuned recipes would get, or take them."""
        name = self._tuned_name
        stored = self.ledger.meta(name)
        if stored is not None and self.settings.vary:
            return replace(ready, tuned=msgspec.convert(stored, dict[str, Tuned], strict=False))
        if stored is not None:
            return replace(ready, tuned={"": Tuned(recipe=msgspec.convert(stored, Recipe))})
        tuned = self._tune(ready)
        kept = tuned if self.settings.vary else tuned[""].recipe
        self.ledger.set_meta(name, msgspec.to_builtins(kept))
        return replace(ready, tuned=tuned)

    def _tune(self, ready: Ready) -> dict[str, Tuned]:
        draft = self.lay(ready)
        stored = self.ledger.meta("tuned_on")
        rungs = (
            tuned_rungs(draft) if stored is None else msgspec.convert(stored, tuple[Rung, ...], strict=False)
        )
        self.ledger.set_meta("tuned_on", msgspec.to_builtins(rungs))
        self._later = ready.cost(draft, ready.seconds) / ready.machine.slots
        extensions = EXTENSIONS if self.settings.vary else 0
        return tune(self._driver(ready), self.arms, rungs, ready.maker.tuning, extensions=extensions)

    def _grid_deadline(self, design: Design, ready: Ready) -> float | None:
        """Return when the grid must end, so that the held-out rung has its share of the time."""
        if self.settings.budget.seconds is None:
            return None
        held_out = self._later_seconds(design, ready)
        left = self.settings.budget.seconds - self.seconds_spent - RESERVE_SECONDS
        seeds = ready.held_out_seeds * self.settings.layout.devices
        side_by_side = ready.machine.slots if design.n_held_out else seeds
        share = 1 - held_out * side_by_side / ready.cost(design, ready.seconds)
        return time.monotonic() + max(1.0, left * share)

    def _later_seconds(self, design: Design, ready: Ready) -> float:
        """Wall seconds of what is held out."""
        if not design.n_held_out:
            return self._held_out_seconds(design.held_out_compute, design, ready)
        in_all = design.held_out_seconds(
            lambda shape: ready.seconds(self.arms[0], shape), ready.recipe, self.settings.evaluation_tokens
        )
        return in_all / ready.machine.slots

    def _held_out_seconds(self, compute: float, design: Design, ready: Ready) -> float:
        """Seconds of one trial of a held-out rung; 0 where none is held out."""
        if not compute:
            return 0.0
        size = size_of(design.held_out_guess()) * (compute / design.held_out_compute) ** 0.5
        shape = design.sizes.nearest(size)
        tokens = ready.tokens(shape, (round(compute / (6 * size_of(shape))),))
        return tokens / ready.seconds(self.arms[0], shape) / self.settings.layout.devices

    def _run(self, ready: Ready, planned: list[Planned], deadline: float | None) -> None:
        driver = self._driver(ready)
        driver.run(planned, deadline=deadline)
        self.slowdown = driver.pace.slowdown

    def _driver(self, ready: Ready) -> Driver:
        grounds = {
            arm.name: Ground(corpus=self.data[arm.name], machine=ready.machines[arm.name])
            for arm in self.arms
        }
        return Driver(
            self.ledger, self.executor, self.corpus, ready.machine, self._watch, self.power, grounds
        )

    def _watch(self, status: Status) -> None:
        if time.monotonic() - self._saved > SPENT_EVERY_SECONDS:
            self._saved = time.monotonic()
            self.ledger.set_meta("seconds_spent", self.seconds_spent)
        self.watch(replace(status, seconds_left=status.seconds_left + self._later * status.slowdown))


def asked(settings: Settings) -> dict[str, Any]:
    """Return what was asked of the design."""
    return {"kind": settings.design, "budget": msgspec.to_builtins(settings.budget)}
