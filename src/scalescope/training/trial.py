"""One training run that serves many token counts: a constant trunk with a cooled-down branch per horizon."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from scalescope.corpora.corpus import Corpus
from scalescope.errors import RunError
from scalescope.metering import Meter, Power
from scalescope.training.allocator import keep_freed_memory
from scalescope.training.engine import LocalEngine
from scalescope.training.recipe import steps_to
from scalescope.training.tasks.next_token import NextToken
from scalescope.training.trial_settings import Trial

Emit = Callable[[dict[str, Any]], None]

EVALUATION_BATCH = 32
PROGRESS_SECONDS = 0.5


class DivergedError(RunError):
    """The loss became infinite, not a number, or worse than guessing."""


def run(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Train a trial; the entry point of a `Task`.

    Parameters
    ----------
    payload
        `trial` and `corpus` as dictionaries, `train` and `held_out` as paths valid here; perhaps `power`.
    emit
        Receives `{"kind": "progress", ...}` about twice a second and `{"kind": "point", ...}` per horizon.

    Returns
    -------
    dict
        `curve` (tokens and smoothed training loss), `cut` (horizons that time did not allow) and `energy`
        (None where nothing meters it).

    Raises
    ------
    DivergedError
        If training left the numbers.
    """
    keep_freed_memory()
    trial = msgspec.convert(payload["trial"], Trial, strict=False)
    corpus = Corpus.from_dict(payload["corpus"]).at(Path(payload["train"]), Path(payload["held_out"]))
    torch.set_num_threads(trial.threads)
    meter = Meter(power=msgspec.convert(payload.get("power", {}), Power), shared=True)
    done = _Training(trial, corpus, emit, meter).run()
    return done | {"energy": msgspec.to_builtins(meter.stop())}


class _Training:
    """State of one trial: model, optimisers, position, clock."""

    def __init__(self, trial: Trial, corpus: Corpus, emit: Emit, meter: Meter) -> None:
        torch.manual_seed(trial.seed)
        self.trial, self.corpus, self.emit, self.meter = trial, corpus, emit, meter
        self.engine = LocalEngine(trial)
        self.task = NextToken(corpus, trial.shape.context, trial.seed, trial.evaluation_tokens)
        self.sequences = 0
        self.trained_tokens = 0
        self.started = time.perf_counter()
        self.reported = self.started
        self.curve: list[tuple[int, float]] = []
        self.recent: list[float] = []

    @property
    def position(self) -> int:
        return self.sequences * self.trial.shape.context

    def run(self) -> dict[str, Any]:
        first = self.trial.first_horizon or self.trial.horizons[0]
        warmup = self.trial.recipe.warmup_tokens(self.trial.shape, first)
        cut: list[int] = []
        for index, horizon in enumerate(self.trial.horizons):
            if not self._reachable(horizon):
                cut = list(self.trial.horizons[index:])
                break
            branch = self.trial.recipe.branch_point(horizon, self.trial.shape.context)
            last = index == len(self.trial.horizons) - 1
            trunk = self._steps(branch, lambda at: min(1.0, at / warmup))
            done = trunk and self._branch(horizon, branch, warmup, last=last)
            if not done:
                cut = list(self.trial.horizons[index:])
                break
        tokens, loss = zip(*self.curve, strict=True) if self.curve else ((), ())
        return {"curve": {"tokens": list(tokens), "loss": list(loss)}, "cut": cut}

    def _branch(self, horizon: int, start: float, warmup: float, *, last: bool) -> bool:
        """Cool down to a horizon, measure, and go back to the trunk."""
        kept = None if last else (self.sequences, self.engine.snapshot())
        length = max(horizon - start, 1.0)

        def share(at: float) -> float:
            return min(1.0, at / warmup) * (1 - math.sqrt(min(1.0, max(0.0, at - start) / length)))

        if not self._steps(horizon, share, cooling=True):
            return False
        self._point(horizon)
        if kept is not None:
            self.sequences, weights = kept
            self.engine.restore(weights)
        return True

    def _steps(self, stop: float, share: Callable[[float], float], *, cooling: bool = False) -> bool:
        """Train until token `stop`; False when the time ran out before."""
        context = self.trial.shape.context
        for size in steps_to(self.trial.recipe, context, self.position, stop):
            middle = self.position + size * context / 2
            loss = self._step(size, share(middle))
            self._check(loss)
            if not cooling:
                self._trace(loss)
            now = time.perf_counter()
            if now - self.reported > PROGRESS_SECONDS:
                self.reported = now
                self.emit({"kind": "progress", "tokens": self.trained_tokens, "loss": loss})
            if self._elapsed() > self.trial.seconds:
                return False
        return True

    def _step(self, size: int, share: float) -> float:
        done = self.engine.step(self.task.batch(self.sequences, size), share)
        self.sequences += size
        self.trained_tokens += size * self.trial.shape.context
        return done.loss

    def _check(self, loss: float) -> None:
        limit = 2 * math.log(self.trial.shape.vocabulary)
        if not loss < limit:  # also catches nan
            raise DivergedError(
                f"diverged: loss {loss:.3g} at token {self.position}, guessing gives {limit / 2:.3g}",
                hint="Lower the learning rate.",
            )

    def _trace(self, loss: float) -> None:
        """Keep the training loss at tokens a twentieth of an e-fold apart, averaged in between."""
        self.recent.append(loss)
        last = self.curve[-1][0] if self.curve else 0
        if self.position > max(last * 1.05, last + 2 * self.trial.shape.context):
            self.curve.append((self.position, float(np.mean(self.recent))))
            self.recent.clear()

    def _point(self, horizon: int) -> None:
        loss, stderr = self._evaluate()
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
                "bits_per_byte": self.corpus.bits_per_byte(loss),
                "seconds": seconds,
                "tokens_per_second": self.trained_tokens / seconds,
                "learning_rate": self.trial.recipe.rate_at(shape.width) * self.trial.recipe.matrix_rate,
                "epochs": self.task.epoch(self.sequences),
                "batch_tokens": self.trial.recipe.batch(tokens, shape.context) * shape.context,
                "width": shape.width,
                "n_layers": shape.n_layers,
                "context": shape.context,
                "seed": self.trial.seed,
            }
            | ({} if energy is None else {"energy_j": energy.joules})
        )

    def _evaluate(self) -> tuple[float, float]:
        """Loss over the fixed held-out sequences and its standard error, nats per token."""
        asked = self.task.evaluation()
        parts = (slice(at, at + EVALUATION_BATCH) for at in range(0, len(asked), EVALUATION_BATCH))
        losses = torch.cat([self.engine.losses(asked.rows(part)) for part in parts])
        mean = float(losses.mean())
        if not math.isfinite(mean):
            raise DivergedError(f"diverged: held-out loss is {mean} at token {self.position}")
        return mean, float(losses.std()) / math.sqrt(len(losses))

    def _elapsed(self) -> float:
        return time.perf_counter() - self.started

    def _reachable(self, horizon: int) -> bool:
        """Whether the speed so far lets a horizon end within the limit."""
        if not self.trained_tokens or math.isinf(self.trial.seconds):
            return True
        rate = self.trained_tokens / self._elapsed()
        missing = horizon - self.position + self.trial.evaluation_tokens / 3
        return self._elapsed() + missing / rate <= self.trial.seconds
