"""One study in its folder: corpus, machine, recipe and design, its grid and its held-out rung.

The order of the work, and what of it is fitted, is `workflow`'s business: a study only produces runs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from scalescope.corpora.corpus import Corpus, epochs
from scalescope.corpora.preparing import prepare_corpus
from scalescope.cost import Shape
from scalescope.errors import InputError
from scalescope.executors import Executor
from scalescope.ledgers.ledger import Ledger
from scalescope.metering import Power
from scalescope.points import Finding, Runs
from scalescope.studies.collect import GRID, HELD_OUT, collect_curves, collect_findings, collect_runs
from scalescope.studies.design import HELD_OUT_RATIO, Design, Speed, choose_design, expected_size
from scalescope.studies.driver import Driver, Planned, Status, Watch
from scalescope.studies.family import nearest_shape
from scalescope.studies.machine import Machine, measure_machine
from scalescope.studies.settings import Settings
from scalescope.studies.tune import tune_rate, tuned_rung, tuning_cost
from scalescope.training.cost import tokens_trained
from scalescope.training.recipe import Recipe
from scalescope.training.trial_settings import Trial
from scalescope.units import format_count, format_factor, format_flop, format_seconds

RESERVE_SECONDS = 15.0
"""Of a time budget, kept for fitting and the report."""
USED_SHARE = 0.93
"""Of a time budget, what the design plans to use: trials do not pack perfectly into the slots."""
SPENT_EVERY_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class Study:
    """A study at work.  Built by `workflow.study`; the ledger holds all that must outlive it."""

    folder: Path
    settings: Settings
    corpus: Corpus
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

    def prepare(self) -> tuple[Design, Machine, Recipe]:
        """Measure, tune and lay the design, or take all three from the ledger.

        Raises
        ------
        InputError
            If the budget is too small for any grid, or the corpus for the design.
        """
        machine = self._machine()
        recipe = self.ledger.meta("recipe")
        if recipe is None:
            tuned = self._tune(machine)
            self.ledger.set_meta("recipe", msgspec.to_builtins(tuned))
        else:
            tuned = msgspec.convert(recipe, Recipe)
        stored = self.ledger.meta("design")
        if stored is not None:
            return Design.from_dict(stored), machine, tuned
        design = self.lay(machine, tuned)
        self.ledger.set_meta("laid_for", _asked(self.settings))
        self.ledger.set_meta("design", design.to_dict())
        return design, machine, tuned

    def lay(self, machine: Machine, recipe: Recipe) -> Design:
        """Choose the design for the budget and check the corpus against it."""
        settings = self.settings
        in_seconds = settings.budget.seconds is not None
        untuned = self.ledger.meta("recipe") is None

        def speed(shape: Shape) -> float:
            return machine.speed(shape) if in_seconds else 1 / (6 * shape.params_matmul)

        def cost(design: Design) -> float:
            grid = self._core_seconds(design, machine, recipe, speed)
            if in_seconds and not untuned:  # the clock has counted it
                return grid
            return grid + tuning_cost(tuned_rung(design), speed, recipe, settings.evaluation_tokens)

        per_second = USED_SHARE * machine.slots
        gone = self.seconds_spent + RESERVE_SECONDS
        design = choose_design(
            settings.design,
            cost=cost,
            available=max(1.0, ((settings.budget.seconds or 0.0) - gone) * per_second)
            if in_seconds
            else float(settings.budget.flop or 0.0),
            vocabulary=self.corpus.vocabulary,
            context=settings.context,
            recipe=recipe,
            seed=settings.seed,
            show=(lambda seconds: format_seconds(math.ceil(seconds / per_second + gone)))
            if in_seconds
            else format_flop,
        )
        self._check_corpus(design)
        return design

    def grid(self, design: Design, machine: Machine, recipe: Recipe) -> None:
        """Train everything but the held-out rung."""
        deadline = self._grid_deadline(design, machine, recipe)
        self._later = self._held_out_seconds(design.held_out_compute, design, machine, recipe)
        self._run(machine, self._planned(design, machine, recipe), deadline)
        for finding in self._repeats(design):
            self.ledger.record_finding(finding)

    def held_out_compute(self, design: Design, machine: Machine, recipe: Recipe) -> float:
        """Return the compute of the held-out rung that the time still allows, FLOP; 0 if none does."""
        wanted = design.held_out_compute
        if design.kind == "isoflop":  # the dearest budgets may have been given up
            runs = self.runs()
            wanted = min(wanted, float(runs["budget"][~runs.held_out].max()) * HELD_OUT_RATIO)
        if self.settings.budget.seconds is None:
            return wanted
        left = self.settings.budget.seconds - self.seconds_spent - RESERVE_SECONDS
        seconds = self._held_out_seconds(wanted, design, machine, recipe) * self.slowdown
        return wanted * min(1.0, 0.95 * left / seconds) if left > 0 else 0.0

    def held_out(self, machine: Machine, recipe: Recipe) -> None:
        """Train the held-out rung that the ledger names: one shape and token count, a seed a slot."""
        rung = self.ledger.meta("held_out")
        self._later = 0.0
        shape = msgspec.convert(rung["shape"], Shape)
        planned = []
        for extra in range(self._held_out_seeds(machine)):
            trial = Trial(
                name=f"d{shape.width}-L{shape.n_layers}-s{self.settings.seed + extra}",
                shape=shape,
                seed=self.settings.seed + extra,
                horizons=(int(rung["horizon"]),),
                recipe=recipe,
                precision=self.settings.precision,
                evaluation_tokens=self.settings.evaluation_tokens,
            )
            key = f"held-out-{trial.name}-{format_count(rung['horizon'])}"
            planned.append(Planned(key=key, phase=HELD_OUT, trial=trial, budgets=(float(rung["compute"]),)))
        deadline = None
        if self.settings.budget.seconds is not None:
            # The rung was cut to fit; should the machine slow down now, finishing late beats no hold-out.
            deadline = self.started + 1.18 * self.settings.budget.seconds - RESERVE_SECONDS
        self._run(machine, planned, deadline)

    def draft(self) -> tuple[Design, str]:
        """Measure the machine and lay the design; return it and what it will cost, in words."""
        machine = self._machine()
        recipe = self.settings.recipe
        design = self.lay(machine, recipe)
        return design, self.cost(design, machine, recipe)

    def cost(self, design: Design, machine: Machine, recipe: Recipe) -> str:
        """Say what a design will cost."""
        seeds = self._held_out_seeds(machine)
        cost = self._core_seconds(design, machine, recipe, machine.speed)
        flop = sum(rung.compute for rung in design.rungs) + seeds * design.held_out_compute
        return (
            f"cost: about {format_seconds(cost / machine.slots + RESERVE_SECONDS)} on this machine "
            f"({machine.slots} trials side by side, {machine.threads} thread each), {format_flop(flop)}"
        )

    def runs(self) -> Runs:
        """All points so far."""
        return collect_runs(self.ledger)

    def curves(self) -> list[dict[str, Any]]:
        """Learning curves so far."""
        return collect_curves(self.ledger)

    def findings(self) -> tuple[Finding, ...]:
        """What went wrong or was left out so far."""
        return collect_findings(self.ledger)

    @property
    def seconds_spent(self) -> float:
        """Wall seconds of this study, earlier sessions included."""
        return time.monotonic() - self.started

    def facts(self, design: Design, machine: Machine, recipe: Recipe) -> Mapping[str, str]:
        """How it was computed, for the report."""
        rate = self.ledger.notes("rate")
        tried = ", ".join(f"{rate:g}x: {loss:.3f}" for rate, loss in rate[-1].data["tried"]) if rate else ""
        return {
            "Corpus": self.corpus.summary(),
            "Design": f"{design.kind}, {len(design.rungs)} trials, {design.n_points} points, budgets "
            + ", ".join(format_flop(budget) for budget in design.budgets),
            "Recipe": f"context {self.settings.context}, {recipe.optimizer} for the matrices, "
            f"{self.settings.precision}, learning rates {recipe.rate:g}x the recipe's",
            "Learning rate, measured on the smallest rung": f"held-out loss at {tried}" if tried else "",
            "Machine": f"{machine.slots} trials side by side, {machine.threads} thread each; tried "
            + ", ".join(f"{way}: {format_count(rate)} tokens/s" for way, rate in machine.tried.items()),
            "Law trusted before the hold-out": (self.ledger.meta("held_out") or {}).get("law", "none"),
            "Time": format_seconds(self.seconds_spent),
            "Compute": "C = 6 N D, N counting blocks and output head; compute_exact has the exact one",
        }

    def _machine(self) -> Machine:
        stored = self.ledger.meta("machine")
        if stored is not None and stored["cores"] == self.cores:
            return msgspec.convert(stored["machine"], Machine, strict=False)
        machine = measure_machine(
            self.executor,
            self.settings.recipe,
            cores=self.cores,
            vocabulary=self.corpus.vocabulary,
            context=self.settings.context,
        )
        self.ledger.set_meta("machine", {"cores": self.cores, "machine": msgspec.to_builtins(machine)})
        return machine

    def _tune(self, machine: Machine) -> Recipe:
        """Measure the rate on the smallest rung of the design that the untuned recipe would get."""
        draft = self.lay(machine, self.settings.recipe)
        self._later = self._core_seconds(draft, machine, self.settings.recipe, machine.speed) / machine.slots
        return tune_rate(self._driver(machine), tuned_rung(draft), self.settings)

    def _planned(self, design: Design, machine: Machine, recipe: Recipe) -> list[Planned]:
        """Trials in the order to run.

        First those that do not reach the dearest budget, cheapest first: they give the live estimate and the
        noise early. Then those that do, from the expected optimum outwards: what may be given up comes last.
        """
        planned = [
            Planned(
                key=f"{rung.name}-{format_count(rung.horizons[-1])}",
                phase=GRID,
                trial=Trial(
                    name=rung.name,
                    shape=rung.shape,
                    seed=rung.seed,
                    horizons=rung.horizons,
                    first_horizon=rung.first_horizon,
                    recipe=recipe,
                    precision=self.settings.precision,
                    evaluation_tokens=self.settings.evaluation_tokens,
                ),
                budgets=rung.budgets,
            )
            for rung in design.rungs
        ]

        def order(item: Planned) -> tuple[bool, float]:
            trial, dearest = item.trial, item.budgets[-1]
            if design.kind == "isoflop" and dearest >= design.budgets[-1] * 0.999:
                return True, abs(math.log(trial.shape.params_matmul / expected_size(dearest)))
            tokens = tokens_trained(recipe, trial.shape, trial.horizons, trial.evaluation_tokens)
            return False, tokens / machine.speed(trial.shape)

        return sorted(planned, key=order)

    def _core_seconds(self, design: Design, machine: Machine, recipe: Recipe, speed: Speed) -> float:
        """Cost of grid and held-out rung at a speed."""
        return design.cost(
            speed,
            recipe,
            evaluation_tokens=self.settings.evaluation_tokens,
            held_out_seeds=self._held_out_seeds(machine),
        )

    def _grid_deadline(self, design: Design, machine: Machine, recipe: Recipe) -> float | None:
        """Return when the grid must end, so that the held-out rung has its share of the time."""
        if self.settings.budget.seconds is None:
            return None
        held_out = self._held_out_seconds(design.held_out_compute, design, machine, recipe)
        left = self.settings.budget.seconds - self.seconds_spent - RESERVE_SECONDS
        whole = self._core_seconds(design, machine, recipe, machine.speed)
        share = 1 - held_out * self._held_out_seeds(machine) / whole
        return time.monotonic() + max(1.0, left * share)

    def _held_out_seconds(self, compute: float, design: Design, machine: Machine, recipe: Recipe) -> float:
        shape = nearest_shape(
            design.held_out_guess().params_matmul * (compute / design.held_out_compute) ** 0.5,
            design.vocabulary,
            design.context,
        )
        horizon = round(compute / (6 * shape.params_matmul))
        tokens = tokens_trained(recipe, shape, (horizon,), self.settings.evaluation_tokens)
        return tokens / machine.speed(shape)

    def _held_out_seeds(self, machine: Machine) -> int:
        return max(1, min(self.settings.held_out_seeds, machine.slots))

    def _run(self, machine: Machine, planned: list[Planned], deadline: float | None) -> None:
        driver = self._driver(machine)
        driver.run(planned, deadline=deadline)
        self.slowdown = driver.pace.slowdown

    def _driver(self, machine: Machine) -> Driver:
        return Driver(self.ledger, self.executor, self.corpus, machine, self._watch, self.power)

    def _watch(self, status: Status) -> None:
        if time.monotonic() - self._saved > SPENT_EVERY_SECONDS:
            self._saved = time.monotonic()
            self.ledger.set_meta("seconds_spent", self.seconds_spent)
        self.watch(replace(status, seconds_left=status.seconds_left + self._later * status.slowdown))

    def _check_corpus(self, design: Design) -> None:
        needed = epochs(self.corpus, design.most_tokens)
        if needed > 4:
            raise InputError(
                f"the corpus has {format_count(self.corpus.train_tokens)} training tokens, the longest run "
                f"needs {format_count(design.most_tokens)}: {needed:.1f} epochs",
                hint="Use a larger corpus or a smaller budget; up to 4 epochs are accepted.",
            )

    def _repeats(self, design: Design) -> list[Finding]:
        needed = epochs(self.corpus, design.most_tokens)
        if needed <= 1:
            return []
        return [
            Finding(
                code="STU006",
                text=f"The longest run reads the corpus {format_factor(needed)} over.",
                hint="Repeated tokens teach less than fresh ones; a larger corpus makes the law cleaner.",
            )
        ]


def open_study(
    folder: Path,
    settings: Settings,
    executor: Executor,
    *,
    source: str | None,
    tokenizer: Path | None,
    text_column: str,
    extend: bool,
) -> Study:
    """Open a study's folder, new or old, and prepare its corpus.

    Raises
    ------
    InputError
        If the folder holds another study, or the corpus cannot be used.
    LedgerError
        If another process is at work in the folder, or its ledger is damaged.
    """
    ledger = Ledger.open(folder)
    try:
        corpus = prepare_corpus(
            source, folder / "corpus", tokenizer=tokenizer, text_column=text_column, exclude=[folder]
        )
        # A budget that was refused has left no design, and does not bind.
        ledger.claim(_identity(settings, corpus), extend=extend or ledger.meta("design") is None)
        if ledger.meta("laid_for", _asked(settings)) != _asked(settings):
            for name in ("design", "held_out", "seconds_spent"):
                ledger.set_meta(name, None)
        ledger.reset_interrupted()
    except BaseException:
        ledger.close()
        raise
    return Study(
        folder=folder,
        settings=settings,
        corpus=corpus,
        ledger=ledger,
        executor=executor,
        cores=executor.slots,
        watch=lambda _: None,
        started=time.monotonic() - float(ledger.meta("seconds_spent") or 0.0),
    )


def _identity(settings: Settings, corpus: Corpus) -> dict[str, Any]:
    """What makes a study this one; only the design may change later, and only when asked."""
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    del plain["design"], plain["budget"]
    return {"corpus": corpus.digest, "settings": plain, "design": _asked(settings)}


def _asked(settings: Settings) -> dict[str, Any]:
    """What was asked of the design."""
    return {"kind": settings.design, "budget": msgspec.to_builtins(settings.budget)}
