"""Running the trials of a phase: the only writer of the ledger, and the keeper of the time."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from scalescope.corpora.corpus import Corpus
from scalescope.executors import Event, Executor, Task
from scalescope.ledgers.ledger import Ledger
from scalescope.metering import Power
from scalescope.points import Finding
from scalescope.studies.collect import ENERGY, HELD_OUT
from scalescope.studies.data import Data
from scalescope.studies.machine import Machine
from scalescope.studies.pace import Pace
from scalescope.studies.planned import Ground, Planned
from scalescope.studies.sizes import size_of
from scalescope.studies.status import Status, Watch
from scalescope.training.cost import tokens_trained
from scalescope.units import format_count, format_flop

TRIAL = "scalescope.training.trial:run"
SPREAD = "scalescope.training.distributed.gang_trial:run"
"""What a trial runs over several processes."""
MAX_ATTEMPTS = 3
"""Times that a trial whose worker died is started; one that raises is never tried again."""
TOLERATED_OVERRUN = 0.04
"""Share of the phase's time by which a point's forecast end may pass the deadline."""


class Driver:
    """Runs what is pending in a ledger on an executor.  Only this writes the ledger.

    Parameters
    ----------
    corpus, machine
        Of every arm that is not in `grounds`.
    grounds
        What the trials of an arm stand on, by its name.
    """

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        corpus: Data,
        machine: Machine,
        watch: Watch,
        power: Power | None = None,
        grounds: Mapping[str, Ground] | None = None,
    ) -> None:
        self.ledger, self.executor = ledger, executor
        self.plain, self.grounds = Ground(corpus=corpus, machine=machine), dict(grounds or {})
        self.machine, self.watch = machine, watch
        self.power: dict[str, Any] = msgspec.to_builtins(power or Power())
        self.pace = Pace(slots=machine.slots, deadline=None)
        self.queue: list[Planned] = []
        self.running: dict[str, Planned] = {}
        self.attempts: dict[str, int] = {}
        self.devices: dict[str, str] = {}
        """Device of each trial, where there are any."""
        self.span = 0.0
        self.given_up: dict[float, int] = {}
        """Points not made, by budget."""
        self.phase = ""
        self.last = ""
        self.total = 0.0
        self.n_points = 0
        """In the ledger, of all phases."""

    def run(self, planned: Sequence[Planned], *, deadline: float | None = None) -> None:
        """Run trials until none is left or the deadline has cut them.

        Those that the ledger has as done, failed or dropped are not run again. Every point is written as soon
        as it arrives.

        Parameters
        ----------
        planned
            In the order in which they should start.
        deadline
            On `time.monotonic`. When the trials would end later, points are given up from the dearest end.
        """
        self.ledger.add_trials({item.key: item.payload() for item in planned})
        pending = {trial.key for trial in self.ledger.trials("pending")}
        self.queue = [item for item in planned if item.key in pending]
        self.attempts = {}
        self.given_up = {}
        self.phase = planned[0].phase if planned else ""
        self.pace = replace(
            self.pace,
            slots=self.machine.slots,
            deadline=deadline,
            predicted={item.key: self._core_seconds(item) for item in self.queue},
            taken={item.key: item.trial.layout.devices for item in self.queue},
            began={},
            share={},
        )
        self.total = self.pace.core_seconds_left
        self.n_points = len(self.ledger.points())
        self.span = 0.0 if deadline is None else deadline - time.monotonic()
        try:
            while self.queue or self.running:
                self._submit()
                for event in self.executor.events(timeout=0.5):
                    self._handle(event)
                self._report()
            self._tell_given_up()
        except BaseException:
            for key in self.running:
                self.executor.cancel(key)
            raise

    def _ground(self, item: Planned) -> Ground:
        return self.grounds.get(item.arm, self.plain)

    def _core_seconds(self, item: Planned) -> float:
        trial = item.trial
        tokens = tokens_trained(trial.recipe, trial.shape, trial.horizons, trial.evaluation_tokens)
        return tokens / self._ground(item).machine.speed(trial.shape)

    def _submit(self) -> None:
        while self.queue and self._fits(self.queue[0]):
            item = self.queue.pop(0)
            kept = self._affordable(item)
            if kept is None:
                self.pace.end(item.key, completed=False)
                self.ledger.drop(item.key, "no time left")
                continue
            item = kept
            self.pace.predicted[item.key] = self._core_seconds(item)
            self.ledger.start(item.key)
            self.running[item.key] = item
            self.pace.start(item.key)
            self.executor.submit(self._task(item))

    def _fits(self, item: Planned) -> bool:
        """Whether the slots of a trial are free; one that takes more than all runs alone."""
        taken = sum(self.pace.slots_of(key) for key in self.running)
        return not taken or taken + self.pace.slots_of(item.key) <= self.machine.slots

    def _task(self, item: Planned) -> Task:
        """Write down what a worker is to do."""
        corpus = self._ground(item).corpus
        allowed = self.pace.seconds_allowed
        trial = replace(item.trial, seconds=allowed or math.inf, threads=self.machine.threads)
        payload = {"trial": msgspec.to_builtins(trial), "corpus": corpus.to_dict(), "power": self.power}
        if allowed is None:  # JSON has no infinity; the default is one
            del payload["trial"]["seconds"]
        needs = {}
        if self.machine.devices:
            payload["device"] = self.devices[item.key] = self._free_device()
            payload["devices"] = list(self.machine.devices)  # of which each of several processes has one
            needs = {"gpus": len(self.machine.devices) / self.machine.slots}
        return Task(
            key=item.key,
            function=TRIAL if trial.layout.devices == 1 else SPREAD,
            payload=payload,
            files={"train": Path(corpus.train_file), "held_out": Path(corpus.held_out_file)},
            needs=needs,
            processes=trial.layout.devices,
        )

    def _free_device(self) -> str:
        """Return the device on which the fewest trials run."""
        taken = [self.devices[key] for key in self.running if key in self.devices]
        return min(self.machine.devices, key=taken.count)

    def _handle(self, event: Event) -> None:
        item = self.running.get(event.key)
        if item is None:
            return
        if event.kind == "message":
            self._message(item, event.data)
        elif event.kind == "done":
            self._done(item, event.data)
        elif event.kind == "failed":
            self._remove(item)
            self.ledger.fail(item.key, event.data.get("cause", "unknown"))
            self.last = f"{item.title} failed: {event.data.get('cause', '')}"
        elif event.kind == "lost":
            self._lost(item, event.data.get("cause", "its worker died"))

    def _message(self, item: Planned, data: dict[str, Any]) -> None:
        if data["kind"] == "progress":
            total = tokens_trained(item.trial.recipe, item.trial.shape, item.trial.horizons, 0)
            self.pace.share[item.key] = min(1.0, data["tokens"] / total)
        elif data["kind"] == "point":
            horizon = data.pop("horizon")
            budget = dict(zip(item.trial.horizons, item.budgets, strict=True))[horizon]
            size = size_of(item.trial.shape)
            point: dict[str, Any] = {"tokens_unique": self._unique(item, data["tokens"])}
            point |= {key: value for key, value in data.items() if key != "kind"} | {
                "name": item.trial.name,
                "phase": item.phase,
                "budget": budget,
                "held_out": float(item.phase == HELD_OUT),
                "params_active": size,
                "compute": 6 * size * data["tokens"],
            }
            if item.arm:
                point["arm"] = item.arm
            self.n_points += self.ledger.record_point(item.key, f"{item.key}@{horizon}", point)
            tokens = format_count(data["tokens"])
            self.last = f"{item.title} at {tokens} tokens: loss {data['loss']:.3f}"
        elif data["kind"] == "finding":
            self.ledger.record_finding(Finding(code=data["code"], text=data["text"], hint=data["hint"]))

    def _unique(self, item: Planned, tokens: int) -> int:
        """Count the distinct tokens of so many, where the trial does not tell."""
        read = self._ground(item).corpus
        return min(tokens, read.train_tokens) if isinstance(read, Corpus) else tokens

    def _done(self, item: Planned, result: dict[str, Any]) -> None:
        self._remove(item, completed=not result["cut"])
        self.ledger.record_curve(item.key, result["curve"])
        if result.get("energy"):
            self.ledger.note(ENERGY, {"trial": item.key, **result["energy"]})
        if result["cut"]:
            self._tell_cut(item, len(result["cut"]))
        self.ledger.finish(item.key)

    def _lost(self, item: Planned, cause: str) -> None:
        self._remove(item, completed=False)
        self.ledger.lose(item.key, cause)
        self.ledger.record_event("lost", {"trial": item.key, "cause": cause})
        self.attempts[item.key] = self.attempts.get(item.key, 0) + 1
        if self.attempts[item.key] < MAX_ATTEMPTS:
            self.pace.predicted[item.key] = self._core_seconds(item)
            self.queue.insert(0, item)
            self.last = f"{item.title} lost ({cause}); trying again"

    def _remove(self, item: Planned, *, completed: bool = False) -> None:
        del self.running[item.key]
        self.pace.end(item.key, completed=completed)

    def _affordable(self, item: Planned) -> Planned | None:
        """Cut a trial that is about to start to the points that the time allows; None if it allows none.

        A point is made if it and all cheaper ones still to come end in time, at the pace seen so far, and
        with it those of the same rung in other arms. So points are given up from the dearest end, as late as
        possible, no cheap one for a dear one, and arms stay paired.
        """
        kept: Planned | None = item
        while kept is not None and self._too_late(kept):
            self.given_up[kept.budgets[-1]] = self.given_up.get(kept.budgets[-1], 0) + 1
            kept = kept.below(kept.budgets[-1])
        return kept

    def _too_late(self, item: Planned) -> bool:
        if self.pace.deadline is None:
            return False
        mine = self._core_seconds(item)
        dearest = item.budgets[-1]
        paired = {other.key for other in self.queue if other.arm and other.trial.name == item.trial.name}
        cheaper = [other.below(dearest * (1.01 if other.key in paired else 1)) for other in self.queue]
        others = sum(self._core_seconds(other) for other in cheaper if other is not None)
        running = self.pace.left(self.running)
        alone = mine / self.pace.slots_of(item.key)
        needed = max(alone, (mine + others + running) / self.pace.slots) * self.pace.slowdown
        return bool(time.monotonic() + needed > self.pace.deadline + TOLERATED_OVERRUN * self.span)

    def _tell_given_up(self) -> None:
        for budget, n_points in sorted(self.given_up.items()):
            self.ledger.record_finding(
                Finding(
                    code="STU003",
                    text=f"{_points(n_points)} at {format_flop(budget)} given up to keep to the time: "
                    f"this machine ran {self.pace.slowdown:.2f}x slower than measured at the start.",
                    hint="Other work on the machine slows a study; give it more time or a quiet machine.",
                )
            )

    def _tell_cut(self, item: Planned, n_cut: int) -> None:
        self.ledger.record_finding(
            Finding(
                code="STU004",
                text=f"{item.title} ended {_points(n_cut)} early, at the end of the time it had.",
                hint="Other work on the machine slows a study; give it more time or a quiet machine.",
            )
        )

    def _report(self) -> None:
        left = self.pace.core_seconds_left
        self.watch(
            Status(
                phase=self.phase,
                n_done=self.n_points,
                n_left=sum(len(item.budgets) for item in (*self.queue, *self.running.values())),
                n_running=len(self.running),
                core_seconds_done=self.total - left,
                core_seconds_left=left,
                seconds_left=self.pace.seconds_left,
                slowdown=self.pace.slowdown,
                last=self.last,
            )
        )


def _points(n: int) -> str:
    return "1 point" if n == 1 else f"{n} points"
