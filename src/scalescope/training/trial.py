"""A trial: one training run that serves many token counts, or one for each where the schedule needs it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import msgspec
import torch

from scalescope.errors import RunError
from scalescope.metering import Meter, Power
from scalescope.training.allocator import keep_freed_memory
from scalescope.training.curve import Curve
from scalescope.training.engine import Engine, LocalEngine, Step
from scalescope.training.finetuning import Handover
from scalescope.training.recipe import steps_to
from scalescope.training.schedules import Share, cooldown, trunk, whole
from scalescope.training.tasks.opening import open_task, read_corpus
from scalescope.training.tasks.protocol import Batch, Task
from scalescope.training.trial_settings import Trial
from scalescope.training.watching import LEFT_OUT, NOT_FINITE, TOLD, Place, SpikeDetector, finding

Emit = Callable[[dict[str, Any]], None]

EVALUATION_BATCH = 32
PROGRESS_SECONDS = 0.5
TOLERATED_SHARE = 0.05
"""Of fp16 steps left out, before that is told."""


class DivergedError(RunError):
    """The loss or a gradient became infinite, not a number, or the loss worse than guessing."""

    def __init__(self, message: str, *, place: Place, part: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.place = place
        """The step."""
        self.part = part
        """First part of the model that is not finite; empty where all are."""


def run(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Train a trial; the entry point of a `Task`.

    Parameters
    ----------
    payload
        `trial` and `corpus` as dictionaries, `train` and `held_out` as paths valid here; perhaps `power`,
        `device` (`cpu` or `cuda:0`), `start` (weights to begin from, in place of the trial's) and `keep` (a
        file for the weights of the last horizon).
    emit
        Receives `{"kind": "progress", ...}` about twice a second, `{"kind": "point", ...}` per horizon, and
        `{"kind": "finding", ...}` where something looks doubtful, see `watching`.

    Returns
    -------
    dict
        `curve` (tokens, smoothed training loss and gradient norm of the last run), `cut` (horizons that time
        did not allow) and `energy` (None where nothing meters it).

    Raises
    ------
    DivergedError
        If training left the numbers.
    """
    keep_freed_memory()
    trial = msgspec.convert(payload["trial"], Trial, strict=False)
    corpus = read_corpus(payload["corpus"], payload["train"], payload["held_out"])
    torch.set_num_threads(trial.threads)
    meter = Meter(power=msgspec.convert(payload.get("power", {}), Power), shared=True)
    device = str(payload.get("device") or "cpu")
    handover = Handover(
        trial, corpus, start=payload.get("start") or trial.start, keep=payload.get("keep", "")
    )

    def make_engine() -> LocalEngine:
        return handover.begin(LocalEngine(trial, device))

    done = Training(trial, open_task(trial, corpus), make_engine, handover.telling(emit), meter).run()
    if not done["cut"]:
        handover.end()
    return done | {"energy": msgspec.to_builtins(meter.stop())}


class Training:
    """State of one trial: model, optimisers, position, clock.

    Parameters
    ----------
    engine
        Makes the model as it begins; called again where every horizon is a run of its own.
    """

    def __init__(
        self, trial: Trial, task: Task, engine: Callable[[], Engine], emit: Emit, meter: Meter
    ) -> None:
        self.trial, self.task, self.emit, self.meter = trial, task, emit, meter
        self.make_engine = engine
        self.trained_tokens = 0
        self.n_spikes = 0
        self.n_left_out = 0
        self.started = time.perf_counter()
        self.reported = self.started
        self._begin()

    def _begin(self) -> None:
        """Stand before the first token."""
        torch.manual_seed(self.trial.seed)
        self.engine = self.make_engine()
        self.sequences = self.n_steps = 0
        self.went_on = False
        self.curve = Curve(self.trial.shape.context)
        self.spikes = SpikeDetector()

    def go_on(self, *, sequences: int, steps: int) -> None:
        """Stand where a checkpoint was made, the engine being brought there; of a trial of one horizon."""
        self.sequences, self.n_steps, self.went_on = sequences, steps, True
        self.trained_tokens = self.position

    @property
    def position(self) -> int:
        """Tokens of this run so far."""
        return self.sequences * self.trial.shape.context

    def run(self) -> dict[str, Any]:
        """Train to every horizon that the time allows; see `run` of this file."""
        horizons, cut = self.trial.horizons, list[int]()
        follow = self._follow_trunk if self.trial.recipe.shares_trunk else self._run_alone
        for index, horizon in enumerate(horizons):
            if not (self._reachable(horizon) and follow(horizon, last=index == len(horizons) - 1)):
                cut = list(horizons[index:])
                break
        self._tell_left_out()
        return {"curve": self.curve.to_dict(), "cut": cut}

    def _follow_trunk(self, horizon: int, *, last: bool) -> bool:
        """Follow the trunk to where the branch of a horizon begins, and the branch; False out of time."""
        recipe, shape = self.trial.recipe, self.trial.shape
        warmup = recipe.warmup_tokens(shape, self.trial.first_horizon or self.trial.horizons[0])
        branch = recipe.branch_point(horizon, shape.context)
        return self._steps(branch, trunk(warmup)) and self._branch(horizon, branch, warmup, last=last)

    def _branch(self, horizon: int, start: float, warmup: float, *, last: bool) -> bool:
        """Cool down to a horizon, measure, and go back to the trunk."""
        kept = None if last else (self.sequences, self.n_steps, self.engine.snapshot())
        if not self._steps(horizon, cooldown(self.trial.recipe, warmup, start, horizon), cooling=True):
            return False
        self._point(horizon)
        if kept is not None:
            self.sequences, self.n_steps, weights = kept
            self.engine.restore(weights)
        return True

    def _run_alone(self, horizon: int, *, last: bool) -> bool:  # noqa: ARG002
        """Train from scratch to a horizon, and measure; False out of time."""
        if self.sequences and not self.went_on:
            self._begin()
        warmup = self.trial.recipe.warmup_tokens(self.trial.shape, horizon)
        if not self._steps(horizon, whole(self.trial.recipe, warmup, horizon)):
            return False
        self._point(horizon)
        return True

    def _steps(self, stop: float, share: Share, *, cooling: bool = False) -> bool:
        """Train until token `stop`; False when the time ran out before."""
        context = self.trial.shape.context
        for size in steps_to(self.trial.recipe, context, self.position, stop):
            done = self._step(size, share(self.position + size * context / 2), cooling=cooling)
            now = time.perf_counter()
            if now - self.reported > PROGRESS_SECONDS:
                self.reported = now
                self.emit({"kind": "progress", "tokens": self.trained_tokens, "loss": done.loss})
            if self._elapsed() > self.trial.seconds:
                return False
        return True

    def _step(self, size: int, share: float, *, cooling: bool) -> Step:
        place = Place(
            step=self.n_steps,
            tokens=self.position,
            sequences=(self.sequences, self.sequences + size - 1),
        )
        batch = self.task.batch(self.sequences, size)
        done = self.engine.step(batch, share)
        self.sequences += size
        self.n_steps += 1
        self.trained_tokens += size * self.trial.shape.context
        if self._check(done, batch, place) and not cooling:
            self.curve.add(self.position, done.loss, done.gradient_norm)
            self._watch(place, done.loss)
        return done

    def _check(self, done: Step, batch: Batch, place: Place) -> bool:
        """Whether a step counts; raise where training cannot go on."""
        guessing = math.log(self.trial.shape.vocabulary)
        finite = math.isfinite(done.loss + done.gradient_norm)
        if finite and done.loss < 2 * guessing:
            return True
        if not finite and self.engine.tolerates(done):
            self.n_left_out += 1
            return False
        hint = "Lower the learning rate."
        if finite:
            raise DivergedError(
                f"diverged: loss {done.loss:.3g} at {place}, guessing gives {guessing:.3g}",
                place=place,
                hint=hint,
            )
        part = self.engine.blame(batch)
        text = (
            f"diverged: loss {done.loss:.3g}, gradient {done.gradient_norm:.3g} at {place}"
            f"{f'; first not finite: {part}' if part else ''}"
        )
        self.emit(finding(NOT_FINITE, f"{self.trial.name} {text}.", hint))
        raise DivergedError(text, place=place, part=part, hint=hint)

    def _watch(self, place: Place, loss: float) -> None:
        spike = self.spikes.see(place, loss)
        if spike is not None and self.n_spikes < TOLD:
            self.n_spikes += 1
            self.emit(spike.message(self.trial.name))

    def _tell_left_out(self) -> None:
        if self.n_left_out > TOLERATED_SHARE * self.n_steps:
            text = (
                f"{self.trial.name}: {self.n_left_out} steps were left out, their gradients being too large."
            )
            self.emit(finding(LEFT_OUT, text, "Train in bf16, or with a lower rate."))

    def _point(self, horizon: int) -> None:
        loss, stderr, by_source = self._evaluate()
        shape, tokens = self.trial.shape, self.position
        seconds, energy = self._elapsed(), self.meter.read()
        self.emit(
            {
                "kind": "point",
                "horizon": horizon,
                "params": shape.params,
                "params_nonembedding": shape.params_nonembedding,
                "params_matmul": shape.params_matmul,
                "tokens": tokens,
                "compute": 6 * shape.params_matmul * tokens,
                "compute_exact": shape.flop_per_token * tokens,
                "loss": loss,
                "loss_stderr": stderr,
                "seconds": seconds,
                "tokens_per_second": self.trained_tokens / seconds,
                "learning_rate": self.trial.recipe.rate_at(shape.width) * self.trial.recipe.peaks.matrix,
                "epochs": self.task.epoch(self.sequences),
                "batch_tokens": self.trial.recipe.batch(tokens, shape.context) * shape.context,
                "width": shape.width,
                "n_layers": shape.n_layers,
                "context": shape.context,
                "seed": self.trial.seed,
            }
            | self.task.columns(loss, self.sequences)
            | ({"loss_by_source": by_source} if by_source else {})
            | ({} if energy is None else {"energy_j": energy.joules})
        )

    def _evaluate(self) -> tuple[float, float, dict[str, float]]:
        """Loss over the fixed held-out sequences, its standard error, and by source, nats per token."""
        asked = self.task.evaluation()
        parts = (slice(at, at + EVALUATION_BATCH) for at in range(0, len(asked), EVALUATION_BATCH))
        losses = torch.cat([self.engine.losses(asked.rows(part)) for part in parts])
        mean = float(losses.mean())
        if not math.isfinite(mean):
            place = Place(step=self.n_steps, tokens=self.position, sequences=(self.sequences, self.sequences))
            raise DivergedError(f"diverged: held-out loss is {mean} at token {self.position}", place=place)
        by_source = {name: float(losses[part].mean()) for name, part in self.task.parts().items()}
        return mean, float(losses.std()) / math.sqrt(len(losses)), by_source

    def _elapsed(self) -> float:
        return time.perf_counter() - self.started

    def _reachable(self, horizon: int) -> bool:
        """Whether the speed so far lets a horizon end within the limit."""
        if not self.trained_tokens or math.isinf(self.trial.seconds):
            return True
        rate = self.trained_tokens / self._elapsed()
        done = self.position if self.trial.recipe.shares_trunk else 0
        missing = horizon - done + self.trial.evaluation_tokens / 3
        return self._elapsed() + missing / rate <= self.trial.seconds
