r"""From size and data to a task in two steps: a law of loss, then a law of the task in that loss.

Used by Gadre et al. (2024, https://arxiv.org/abs/2403.08540), Llama 3 (2024, https://arxiv.org/abs/2407.21783)
and Bhagia et al. (2024, https://arxiv.org/abs/2412.04403): small models that are still at chance on a task do
say what their loss is, and models of any origin say what a loss is worth.

Each resample of the loss law is put through a resample of the task law, so that an interval holds what either
step leaves open. The two are taken as independent; where both were fitted to the same models that is an
approximation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.result import Fit
from scalescope.laws import get_law
from scalescope.points import Array, Estimate, from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStep:
    """A law of loss and a law of a task in that loss.  Built by `two_step`, not by hand."""

    schema: ClassVar[str] = "scalescope.two-step/1"

    loss_fit: Fit
    task_fit: Fit
    losses: tuple[float, float] = (float("nan"), float("nan"))
    """Lowest and highest loss that the task law was fitted to, nats per token; nan where not known."""
    seed: int = 0
    """Of how the resamples of the two are paired."""

    @property
    def letter(self) -> str:
        """What the task law calls the loss."""
        return _letter_of(self.task_fit.law)

    def predict(self, level: float | None = None, **x: float | Array) -> list[Estimate]:
        """Score on the task, with the interval of the mean.

        Parameters
        ----------
        level
            Share of the resamples inside the interval; that of the loss law where not given.
        x
            Variables of the loss law by name, each a number or an array of one length.
        """
        arrays = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in x.values())
        )
        point = dict(zip(x, arrays, strict=True))
        values = self.task_fit.value(**{self.letter: self.loss_fit.value(**point)})
        samples = self.samples(**point)
        share = self.loss_fit.level if level is None else level
        return [Estimate.from_samples(float(v), samples[:, i], share) for i, v in enumerate(values)]

    def samples(self, **x: Array) -> Array:
        """Score of every pair of resamples, shape (n_pairs, n) for variables of shape (n,)."""
        losses = self.loss_fit.samples(**x)
        theta = self.task_fit.resamples
        n = max(len(losses), len(theta)) if len(losses) and len(theta) else 0
        rng = np.random.default_rng(self.seed)
        first, second = (
            rng.permutation(np.resize(np.arange(max(len(one), 1)), n)) for one in (losses, theta)
        )
        law = get_law(self.task_fit.law)
        return law.value(theta[second].T[:, :, None], **{self.letter: losses[first]})

    def beyond(self, **x: Array) -> Array:
        """How far the predicted loss lies below the lowest that the task law has seen, nats; else 0.

        A law of a task drawn on to losses that no model had is a guess about where its curve bends.
        """
        return np.asarray(np.maximum(np.nan_to_num(self.losses[0] - self.loss_fit.value(**x)), 0.0))

    def summary(self) -> str:
        """A few lines for a terminal: the two laws and what they rest on."""
        loss, task = get_law(self.loss_fit.law), get_law(self.task_fit.law)
        lines = [
            f"step 1: {loss.formula}, {self.loss_fit.n_runs} runs",
            f"step 2: {task.formula}, {self.task_fit.n_runs} models",
        ]
        if np.isfinite(self.losses).all():
            lines.append(f"  losses {self.losses[0]:.4g} to {self.losses[1]:.4g} nats/token")
        findings = (*self.loss_fit.findings, *self.task_fit.findings)
        return "\n".join(lines + [str(finding) for finding in findings])

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one a coefficient of either step."""
        return [
            {"step": step, **row}
            for step, fit in (("loss", self.loss_fit), ("task", self.task_fit))
            for row in fit.frame()
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TwoStep:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def two_step(loss_fit: Fit, task_fit: Fit, *, losses: Array | None = None, seed: int = 0) -> TwoStep:
    """Chain a law of loss and a law of a task in that loss.

    Parameters
    ----------
    loss_fit
        Of a law that predicts the loss, such as `chinchilla` or `overtraining`.
    task_fit
        Of a law whose only variable is the loss, such as `error-from-loss` or `accuracy-from-loss`.
    losses
        The losses that the task law was fitted to, nats per token; those of its ranges where not given.
        Without either the result cannot say that it reaches beyond.
    seed
        Of how the resamples of the two are paired.

    Raises
    ------
    InputError
        If the first does not predict the loss, or the second reads anything else.
    """
    first = get_law(loss_fit.law)
    if first.target != "loss":
        raise InputError(
            f"{first.name} predicts {first.target}, not the loss",
            hint="The first step is a law of loss, such as chinchilla.",
        )
    span = task_fit.ranges.get(_letter_of(task_fit.law), (float("nan"), float("nan")))
    if losses is not None and len(losses):
        span = (float(np.min(losses)), float(np.max(losses)))
    return TwoStep(loss_fit=loss_fit, task_fit=task_fit, losses=span, seed=seed)


def _letter_of(law: str) -> str:
    variables = get_law(law).variables
    if [one.column for one in variables.values()] != ["loss"]:
        raise InputError(
            f"{law} reads {', '.join(one.column for one in variables.values())}, not the loss alone",
            hint="The second step is a law in the loss, such as error-from-loss or accuracy-from-loss.",
        )
    return next(iter(variables))
