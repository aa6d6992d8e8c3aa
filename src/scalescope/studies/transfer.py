r"""What pre-training on one text is worth on another, after Hernandez et al. (2021).

Each shape is trained on the source once and its weights are kept; then on the target, from these weights for
few tokens, and from scratch for these and for many more. A fine-tuned loss is looked up on the scratch curve
of its shape: the text that scratch needs for it, less the text that was used, is what pre-training is worth,
:math:`D_T = D_{scratch}(L) - D_F`, the target of the law `data-transferred`
(https://arxiv.org/abs/2102.01293, eq. 1.1). Where the paper repeats a small text until the loss rises again,
every run here reads its text once and is cooled down: fine-tuned and scratch runs alike.

A study must record of each point: `params_nonembedding`, `tokens`, `characters`, `tokens_pretraining`, `loss`
and `seed`, which trials on a text do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scalescope.cost import Shape
from scalescope.errors import InputError
from scalescope.points import Finding, Runs
from scalescope.studies.planned import Planned
from scalescope.training.recipe import Recipe
from scalescope.training.trial_settings import Trial

PRETRAIN, TUNE, SCRATCH = "pretrain", "tune", "scratch"
"""Phases: the second needs the weights of the first."""
REACH = 8.0
"""Longest scratch run over the longest fine-tuning."""
RATIO = 2.0
"""Between the scratch runs that go beyond."""
UNREACHED, WORTHLESS = "TRN131", "TRN132"
"""A fine-tuned loss that no scratch run reaches; one that scratch reaches with no more text."""

_COLUMNS = (
    *("params", "params_nonembedding", "tokens", "tokens_pretraining"),
    *("characters", "characters_transferred", "loss", "seed"),
)
_Row = Mapping[str, Any]
_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One trial of a transfer study."""

    planned: Planned
    source: bool
    """Whether it reads the source and not the target."""
    keep: Path | None = None
    """Where its weights are to be kept (`keep` of the trial's payload)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Which runs a transfer study makes.

    Raises
    ------
    InputError
        If the counts of tokens do not rise, or there are no shapes.
    """

    shapes: tuple[Shape, ...]
    pretraining: tuple[int, ...]
    """Tokens of the source, for each shape."""
    tokens: tuple[int, ...]
    """Of the target, ascending: each is a point of fine-tuning and one from scratch."""
    seeds: tuple[int, ...] = (0,)
    recipe: Recipe = field(default_factory=Recipe)
    tuning_rate: float = 1.0
    """Learning rates of fine-tuning over those of training."""
    evaluation_tokens: int = 131_072

    def __post_init__(self) -> None:
        if not self.shapes or len(self.shapes) != len(self.pretraining):
            raise InputError(
                f"a transfer study of {len(self.shapes)} shapes has {len(self.pretraining)} pre-trainings",
                hint="Give one count of tokens for each shape.",
            )
        if len(self.tokens) < 2 or sorted(set(self.tokens)) != list(self.tokens):
            raise InputError(
                f"fine-tuning needs at least two counts of tokens that rise, got {self.tokens}",
                hint="Space them by a factor of two or more.",
            )

    @property
    def scratch_tokens(self) -> tuple[int, ...]:
        """Tokens of the points from scratch: those of fine-tuning and longer ones."""
        last, further = self.tokens[-1], []
        while last < self.tokens[-1] * REACH:
            last = min(round(last * RATIO), round(self.tokens[-1] * REACH))
            further.append(last)
        return (*self.tokens, *further)

    def legs(self, folder: Path) -> tuple[Leg, ...]:
        """Return all trials, those of `PRETRAIN` first; weights go into `folder`."""
        every = [
            (shape, tokens, seed)
            for shape, tokens in zip(self.shapes, self.pretraining, strict=True)
            for seed in self.seeds
        ]
        first = [self._leg(PRETRAIN, *one, (one[1],), folder) for one in every]
        tuned = [self._leg(TUNE, *one, self.tokens, folder) for one in every]
        scratch = [self._leg(SCRATCH, *one, self.scratch_tokens, folder) for one in every]
        return (*first, *tuned, *scratch)

    def _leg(
        self, phase: str, shape: Shape, before: int, seed: int, horizons: tuple[int, ...], folder: Path
    ) -> Leg:
        name = f"d{shape.width}-L{shape.n_layers}-s{seed}"
        weights = folder / f"{name}-{before}.safetensors"
        tuned = phase == TUNE
        rate = self.recipe.rate * (self.tuning_rate if tuned else 1.0)
        trial = Trial(
            name=f"{phase}-{name}",
            shape=shape,
            seed=seed,
            horizons=horizons,
            recipe=replace(self.recipe, rate=rate),
            start=str(weights) if tuned else "",
            evaluation_tokens=self.evaluation_tokens,
        )
        budgets = tuple(6.0 * shape.params_matmul * tokens for tokens in horizons)
        planned = Planned(key=trial.name, phase=phase, trial=trial, budgets=budgets, arm=phase)
        return Leg(planned=planned, source=phase == PRETRAIN, keep=weights if phase == PRETRAIN else None)


def transferred(points: Sequence[_Row]) -> Runs:
    """Turn the points on the target into a table for the laws `data-transferred` and `transfer`.

    Parameters
    ----------
    points
        Of fine-tuning, with `tokens_pretraining`, and from scratch, without it or with 0; any order.

    Returns
    -------
    Runs
        A row each fine-tuned point; `characters_transferred` is nan where it cannot be told, and `findings`
        count these.

    Raises
    ------
    InputError
        If no fine-tuned point has a scratch curve of at least two points of its shape.
    """
    tuned = [row for row in points if row.get("tokens_pretraining", 0) > 0]
    rows, unreached, worthless = [], 0, 0
    for row in tuned:
        curve = _scratch_curve(points, row)
        if curve is None:
            continue
        needed = _text_for(row["loss"], *curve)
        unreached += bool(np.isinf(needed))
        worth = needed - row["characters"]
        worthless += bool(worth <= 0)
        rows.append({**row, "characters_transferred": worth if 0 < worth < np.inf else np.nan})
    if not rows:
        raise InputError(
            f"none of the {len(tuned)} fine-tuned points has runs from scratch of its shape",
            hint="Run the scratch twins first; at least two points each.",
        )
    return Runs(
        columns={name: np.array([float(row.get(name, np.nan)) for row in rows]) for name in _COLUMNS},
        names=tuple(str(row.get("name", place)) for place, row in enumerate(rows)),
        count="params_nonembedding",
        findings=tuple(_findings(unreached, worthless, len(rows))),
    )


def _scratch_curve(points: Sequence[_Row], row: _Row) -> tuple[_Numbers, _Numbers] | None:
    """Return text and loss of the scratch runs of a row's shape, seeds averaged, the loss never rising."""
    same = ("width", "n_layers", "params")
    twins = [
        one
        for one in points
        if not one.get("tokens_pretraining") and all(one.get(name) == row.get(name) for name in same)
    ]
    text = np.unique([one["characters"] for one in twins])
    if len(text) < 2:
        return None
    loss = [np.mean([one["loss"] for one in twins if one["characters"] == size]) for size in text]
    return text, np.minimum.accumulate(np.array(loss, dtype=np.float64))


def _text_for(loss: float, text: _Numbers, curve: _Numbers) -> float:
    """Return the text that scratch needs for a loss, between its points on a double logarithmic line.

    Infinite below the curve; above it the shortest text, which is more than is needed.
    """
    if loss < curve[-1]:
        return float("inf")
    if loss >= curve[0]:
        return float(text[0])
    falling = np.concatenate(([True], np.diff(curve) < 0))
    x, y = np.log(curve[falling])[::-1], np.log(text[falling])[::-1]
    return float(np.exp(np.interp(np.log(loss), x, y)))


def _findings(unreached: int, worthless: int, n_rows: int) -> list[Finding]:
    found = []
    if unreached:
        found.append(
            Finding(
                code=UNREACHED,
                text=f"{unreached} of {n_rows} fine-tuned losses are below all runs from scratch; what "
                "pre-training is worth there is not known.",
                hint="Train longer from scratch.",
            )
        )
    if worthless:
        found.append(
            Finding(
                code=WORTHLESS,
                text=f"In {worthless} of {n_rows} points scratch does as well on the same text or less.",
                hint="Pre-training was worth nothing: the texts are too far apart, or the rate is wrong.",
            )
        )
    return found
