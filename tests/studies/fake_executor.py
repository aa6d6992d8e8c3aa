"""Trials without torch: they follow a formula, on a clock that the tests move."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

import msgspec
import numpy as np

from scalescope.cost import Shape
from scalescope.executors import Event, Task
from scalescope.studies.collect import GRID
from scalescope.studies.design import Design
from scalescope.studies.driver import Planned
from scalescope.training.cost import tokens_trained
from scalescope.training.trial_settings import Trial

EVALUATION = 131_072
STRETCH = 20.0
"""A simulated wait is so much longer than was asked for, which saves the test most of the turns."""
TRUE = {"E": 1.2, "A": 40.0, "B": 300.0, "alpha": 0.4, "beta": 0.42}


@dataclass
class Clock:
    """Stands in for the module `time` where a study reads the monotonic clock."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


def speed(shape: Shape) -> float:
    """Tokens per second of the machine that is simulated."""
    return 3e8 / shape.params_matmul**0.8


def chinchilla(params: float, tokens: float, seed: int, noise: float) -> float:
    """A loss that depends on its arguments alone, noise included."""
    digest = hashlib.sha256(f"{params}-{tokens}-{seed}".encode()).digest()
    draw = np.random.default_rng(int.from_bytes(digest[:8], "little")).normal()
    value = TRUE["E"] + TRUE["A"] * params ** -TRUE["alpha"] + TRUE["B"] * tokens ** -TRUE["beta"]
    return float(value * np.exp(noise * draw))


@dataclass
class FakeExecutor:
    """Runs trials by a formula and a simulated clock; may be slow, fail and lose workers as it is told."""

    clock: Clock
    slots: int = 2
    noise: float = 1e-3
    slowdown: Callable[[float], float] = lambda now: 1.0
    """Actual over predicted seconds of a trial that starts now."""
    failing: set[str] = field(default_factory=set)
    """Names of trials that raise."""
    dying: dict[str, int] = field(default_factory=dict)
    """Trial name to how many of its attempts are lost, after the first point."""
    stop_after: int | None = None
    """Points after which the driver is interrupted."""
    rate_optimum: float = 1.0
    gains: Callable[[Trial], float] = lambda trial: 1.0
    """Compute that a trial is worth, over what it spends."""
    tells: dict[str, dict[str, str]] = field(default_factory=dict)
    """Trial name to a finding that it tells."""
    started: list[str] = field(default_factory=list)
    """Keys in the order of their starts."""
    trained: list[Trial] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    _queue: list[Task] = field(default_factory=list)
    _running: dict[str, list[tuple[float, Event]]] = field(default_factory=dict)
    n_points: int = 0

    def submit(self, task: Task) -> None:
        self._queue.append(task)

    def cancel(self, key: str) -> None:
        self.cancelled.append(key)
        self._running.pop(key, None)

    def close(self) -> None:
        self._running.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def events(self, timeout: float) -> Iterator[Event]:
        while self._queue and len(self._running) < self.slots:
            task = self._queue.pop(0)
            self.started.append(task.key)
            self._running[task.key] = list(self._schedule(task))
        until = self.clock.now + timeout * STRETCH
        due = min((events[0][0] for events in self._running.values()), default=until)
        self.clock.now = min(max(due, self.clock.now), until)
        for key in list(self._running):
            events = self._running[key]
            while events and events[0][0] <= self.clock.now:
                _, event = events.pop(0)
                if event.kind == "message" and event.data["kind"] == "point":
                    if self.n_points == self.stop_after:
                        raise KeyboardInterrupt
                    self.n_points += 1
                if not events:
                    del self._running[key]
                yield event

    def _schedule(self, task: Task) -> Iterator[tuple[float, Event]]:
        """Yield what a task will do and when."""
        if task.function.endswith("speed:run"):
            shapes = msgspec.convert(task.payload["shapes"], list[Shape])
            rates = [speed(shape) for shape in shapes]
            seconds = task.payload["seconds"] * len(shapes)
            yield (
                self.clock.now + seconds,
                Event(key=task.key, kind="done", data={"tokens_per_second": rates, "undisturbed": rates}),
            )
            return
        trial = msgspec.convert(task.payload["trial"], Trial, strict=False)
        self.trained.append(trial)
        pace = self.slowdown(self.clock.now) / speed(trial.shape)
        began = self.clock.now
        if trial.name in self.failing:
            cause = "DivergedError: diverged: loss nan at token 512, guessing gives 5.55"
            yield began + 1.0, Event(key=task.key, kind="failed", data={"cause": cause})
            return
        if trial.name in self.tells:
            told = {"kind": "finding", **self.tells[trial.name]}
            yield began, Event(key=task.key, kind="message", data=told)
        lost = self.dying.get(trial.name, 0) > 0
        if lost:
            self.dying[trial.name] -= 1
        before = 0.0
        for index, horizon in enumerate(trial.horizons):
            spent = tokens_trained(
                trial.recipe, trial.shape, trial.horizons[: index + 1], trial.evaluation_tokens
            )
            if spent * pace > trial.seconds:
                cut = list(trial.horizons[index:])
                yield began + trial.seconds, self._done(task.key, cut)
                return
            for done in np.linspace(before, spent, 20, endpoint=False):
                progress = {"kind": "progress", "tokens": int(done), "loss": 3.0}
                yield began + done * pace, Event(key=task.key, kind="message", data=progress)
            before = spent
            yield began + spent * pace, Event(key=task.key, kind="message", data=self._point(trial, horizon))
            if lost:
                cause = {"cause": "the worker was killed by SIGKILL"}
                yield began + spent * pace, Event(key=task.key, kind="lost", data=cause)
                return
        yield began + spent * pace, self._done(task.key, [])

    def _done(self, key: str, cut: list[int]) -> Event:
        return Event(key=key, kind="done", data={"curve": {"tokens": [1, 2], "loss": [3.0, 2.5]}, "cut": cut})

    def _point(self, trial: Trial, horizon: int) -> dict[str, object]:
        shape = trial.shape
        off = np.log(trial.recipe.rate / self.rate_optimum)
        worth = self.gains(trial) ** 0.5
        loss = chinchilla(shape.params_matmul * worth, horizon * worth, trial.seed, self.noise)
        loss *= 1 + 0.01 * off**2
        return {
            "kind": "point",
            "horizon": horizon,
            "params": shape.params,
            "params_nonembedding": shape.params_nonembedding,
            "params_matmul": shape.params_matmul,
            "tokens": horizon,
            "compute": 6 * shape.params_matmul * horizon,
            "compute_exact": shape.flop_per_token * horizon,
            "loss": float(loss),
            "loss_stderr": 0.001,
            "bits_per_byte": float(loss),
            "seconds": 1.0,
            "tokens_per_second": speed(shape),
            "learning_rate": trial.recipe.rate,
            "epochs": 0.1,
            "batch_tokens": 512,
            "width": shape.width,
            "n_layers": shape.n_layers,
            "context": shape.context,
            "seed": trial.seed,
        }


def planned_of(design: Design) -> list[Planned]:
    """The trials of a design in its own order."""
    return [
        Planned(
            key=rung.name,
            phase=GRID,
            trial=Trial(
                name=rung.name,
                shape=rung.shape,
                seed=rung.seed,
                horizons=rung.horizons,
                first_horizon=rung.first_horizon,
                evaluation_tokens=EVALUATION,
            ),
            budgets=rung.budgets,
        )
        for rung in design.rungs
    ]
