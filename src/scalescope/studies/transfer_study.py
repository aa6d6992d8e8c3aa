"""A transfer study in its folder: two texts, kept weights, rates of its own for fine-tuning, a held-out run.

Everything that must outlive a session is in the ledger: machine, design, rates, points, and the hashes of
the weights, which are trained again where they are gone or damaged and still needed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from scalescope.corpora.corpus import Corpus
from scalescope.cost import Shape
from scalescope.executors import Executor
from scalescope.ledgers.ledger import Ledger
from scalescope.metering import Power
from scalescope.points import Finding
from scalescope.studies.arms import Arm
from scalescope.studies.collect import TUNE, collect_findings
from scalescope.studies.driver import Driver
from scalescope.studies.kept_weights import KeepingDriver, due, is_whole
from scalescope.studies.laying_transfer import choose_transfer, cost_of, seconds_of_all, tried_rung
from scalescope.studies.machine import Machine
from scalescope.studies.machines import machines_of
from scalescope.studies.planned import Ground, Planned
from scalescope.studies.settings import Settings
from scalescope.studies.sizes import Sizes, size_of
from scalescope.studies.status import Status, Watch
from scalescope.studies.transfer import FINE_TUNE, PRETRAIN, SCRATCH, Legs, Transfer
from scalescope.studies.tune import EXTENSIONS, tune
from scalescope.training.recipe import Recipe
from scalescope.units import format_count, format_flop, format_seconds

RESERVE_SECONDS = 12.0
"""Of a time budget, kept for fitting and the report."""
USED_SHARE = 0.85
"""Of a time budget, what the design plans to use; its phases wait for one another."""
SLOWER = 0.4
"""Rate in the middle of those tried for fine-tuning, over the best of training from scratch."""
SPENT_EVERY_SECONDS = 5.0
NOT_PRETRAINED, TEXT_ENDED = "STU062", "STU063"


@dataclass(slots=True, kw_only=True)
class TransferStudy:
    """A transfer study at work.  Built by `open_transfer`."""

    settings: Settings
    source: Corpus
    target: Corpus
    ledger: Ledger
    executor: Executor
    cores: int
    watch: Watch
    started: float
    """On `time.monotonic`, moved back by what earlier sessions of the same study spent."""
    power: Power = field(default_factory=Power)
    _saved: float = 0.0

    @property
    def sizes(self) -> Sizes:
        """The shapes that the design takes from."""
        return Sizes(
            vocabulary=self.target.vocabulary, context=self.settings.context, options=self.settings.shape
        )

    @property
    def seconds_spent(self) -> float:
        """Wall seconds of this study, earlier sessions included."""
        return time.monotonic() - self.started

    def prepare(self) -> tuple[Transfer, Machine]:
        """Measure the machine and lay the design, or take both from the ledger."""
        arm = Arm(variant=self.settings.variant)
        machine = machines_of(self.ledger, self.executor, [arm], {"": self.sizes}, cores=self.cores)[""]
        stored = self.ledger.meta("design")
        if stored is not None:
            return Transfer.from_dict(stored), machine
        design = self._lay(machine)
        self.ledger.set_meta("design", design.to_dict())
        return design, machine

    def told(self, design: Transfer, machine: Machine) -> str:
        """Say what a design will cost."""
        seconds = cost_of(design, machine.speed) / machine.slots / USED_SHARE + RESERVE_SECONDS
        return (
            f"cost: about {format_seconds(math.ceil(seconds))} on this machine ({machine.slots} trials side "
            f"by side), {format_flop(cost_of(design, _per_flop))}"
        )

    def train(self, design: Transfer, machine: Machine) -> Transfer:
        """Tune, pre-train, fine-tune and train from scratch, all but what is held out; return the design.

        The design comes back with the rates that were measured.
        """
        design = replace(design, recipe=self._rate(design, machine, SCRATCH, self.settings.recipe))
        slower = replace(design.recipe, rate=design.recipe.rate * SLOWER)
        if self.ledger.meta(_rate_name(FINE_TUNE)) is None:
            tried = design.trying(FINE_TUNE, "tune", slower)
            self._pretrain(design.legs().pretrained, [tried], machine)
        design = replace(design, tuning=self._rate(design, machine, FINE_TUNE, slower))
        legs = design.legs()
        self._pretrain(legs.pretrained, [*legs.fine_tuned, *legs.held_out], machine)
        planned = [*self._with_weights(legs.fine_tuned), *legs.scratch]
        deadline = self._deadline(legs, machine)
        self._driver(machine).run(sorted(planned, key=_cost), deadline=deadline)
        self._tell_doubts(design)
        return design

    def held_out(self, design: Transfer, machine: Machine) -> None:
        """Fine-tune what is held out."""
        legs = design.legs()
        self._pretrain(legs.pretrained, legs.held_out, machine)
        self._driver(machine).run(self._with_weights(legs.held_out))

    def points(self) -> list[dict[str, Any]]:
        """All points on the target but those that try rates, cheapest first."""
        found = [point.data for point in self.ledger.points()]
        rows = [row for row in found if row["phase"] not in (TUNE, PRETRAIN)]
        return sorted(rows, key=lambda row: (row["arm"], row["params_matmul"], row["tokens"], row["seed"]))

    def rates(self) -> dict[str, tuple[tuple[float, float], ...]]:
        """Learning rates tried for scratch and fine-tuning, each with its loss."""
        tried: dict[str, list[tuple[float, float]]] = {}
        for point in self.ledger.points():
            if point.data["phase"] == TUNE:
                pair = (float(point.data["learning_rate"]), float(point.data["loss"]))
                tried.setdefault(str(point.data["arm"]), []).append(pair)
        return {name: tuple(sorted(pairs)) for name, pairs in tried.items()}

    def findings(self) -> tuple[Finding, ...]:
        """What went wrong or was left out so far."""
        read = (*self.source.findings, *self.target.findings)
        return (*dict.fromkeys(read), *collect_findings(self.ledger))

    def facts(self, design: Transfer, machine: Machine) -> dict[str, str]:
        """How it was computed, for the report."""
        before = ", ".join(format_count(one) for one in design.pretraining)
        return {
            "New text": self.target.summary(),
            "Pre-training": f"{self.source.summary()}\n{before} tokens for the shapes, smallest first",
            "Design": design.summary(),
            "Recipe": f"context {self.settings.context}, {design.recipe.optimizer} for the matrices, "
            f"{design.precision}; learning rates {design.recipe.rate:g}x the recipe's from scratch and "
            f"{design.tuning.rate:g}x for fine-tuning, each measured on the smallest shape; fresh "
            "optimisers, warm-up and cooldown for both",
            "Machine": f"{machine.slots} trials side by side, {machine.threads} thread each",
            "Time": format_seconds(self.seconds_spent),
        }

    def _lay(self, machine: Machine) -> Transfer:
        budget, recipe = self.settings.budget, self.settings.recipe
        seeds = (self.settings.seed, self.settings.seed + 1)
        smallest = self.sizes.nearest(1.0)
        plain = Transfer(
            shapes=(smallest,),
            pretraining=(1,),
            tokens=(1, 2),
            seeds=seeds,
            recipe=recipe,
            tuning=recipe,
            precision=self.settings.precision,
            evaluation_tokens=self.settings.evaluation_tokens,
        )
        timed = budget.seconds is not None
        speed = machine.speed if timed else _per_flop
        per_second = USED_SHARE * machine.slots
        gone = self.seconds_spent + RESERVE_SECONDS
        return choose_transfer(
            plain,
            self.sizes,
            cost=lambda design: cost_of(design, speed),
            available=max(1.0, ((budget.seconds or 0.0) - gone) * per_second)
            if timed
            else float(budget.flop or 0.0),
            source=self.source.train_tokens,
            target=self.target.train_tokens,
            show=(lambda seconds: format_seconds(math.ceil(seconds / per_second + gone)))
            if timed
            else format_flop,
        )

    def _rate(self, design: Transfer, machine: Machine, name: str, recipe: Recipe) -> Recipe:
        """Measure the rate of an arm on the smallest shape, or take it from the ledger."""
        stored = self.ledger.meta(_rate_name(name))
        if stored is not None:
            return msgspec.convert(stored, Recipe)
        arm = Arm(name=name, variant=replace(self.settings.variant, recipe=recipe))
        if name == FINE_TUNE and not self._with_weights([design.trying(name, "tune", recipe)]):
            return recipe
        found = tune(
            self._driver(machine),
            [arm],
            [tried_rung(design, name)],
            lambda arm, _, trial, recipe: design.trying(arm.name, trial, recipe),
            extensions=EXTENSIONS,
        )[name].recipe
        self.ledger.set_meta(_rate_name(name), msgspec.to_builtins(found))
        return found

    def _pretrain(self, pretrained: Sequence[Planned], wanted: Sequence[Planned], machine: Machine) -> None:
        planned = due(self.ledger, pretrained, wanted)
        if planned:
            self._driver(machine).run(sorted(planned, key=_cost))

    def _with_weights(self, legs: Sequence[Planned]) -> list[Planned]:
        """Return the trials that have been run, or whose weights are there."""
        done = {trial.key for trial in self.ledger.trials("done")}
        kept = [leg for leg in legs if leg.key in done or is_whole(self.ledger, leg.trial.start)]
        for leg in legs:
            if leg not in kept:
                self.ledger.record_finding(
                    Finding(
                        code=NOT_PRETRAINED,
                        text=f"{leg.trial.name} is not fine-tuned: its pre-training left no weights.",
                        hint="Look at the cause of that trial; the others are compared without it.",
                    )
                )
        return kept

    def _deadline(self, legs: Legs, machine: Machine) -> float | None:
        """Return when all but the held-out runs must end, so that these have their time."""
        if self.settings.budget.seconds is None:
            return None
        held = Legs(pretrained=(), fine_tuned=(), scratch=(), held_out=legs.held_out)
        last = seconds_of_all(held, machine.speed) / min(machine.slots, len(legs.held_out))
        left = self.settings.budget.seconds - self.seconds_spent - RESERVE_SECONDS - last
        return time.monotonic() + max(1.0, left)

    def _tell_doubts(self, design: Transfer) -> None:
        """Tell that the new text ended before the budget did."""
        if design.scratch_tokens[-1] > 0.97 * self.target.train_tokens:
            self.ledger.record_finding(
                Finding(
                    code=TEXT_ENDED,
                    text=f"The longest run from scratch reads all {format_count(self.target.train_tokens)} "
                    "training tokens of the new text; the budget would have allowed more.",
                    hint="What pre-training is worth beyond that cannot be measured; give more text.",
                )
            )

    def _driver(self, machine: Machine) -> Driver:
        grounds: Mapping[str, Ground] = {PRETRAIN: Ground(corpus=self.source, machine=machine)}
        return KeepingDriver(
            self.ledger, self.executor, self.target, machine, self._watch, self.power, grounds
        )

    def _watch(self, status: Status) -> None:
        if time.monotonic() - self._saved > SPENT_EVERY_SECONDS:
            self._saved = time.monotonic()
            self.ledger.set_meta("seconds_spent", self.seconds_spent)
        self.watch(status)


def _rate_name(arm: str) -> str:
    return f"recipe of {arm}"


def _per_flop(shape: Shape) -> float:
    return 1 / (6 * size_of(shape))


def _cost(item: Planned) -> float:
    return item.budgets[-1]
