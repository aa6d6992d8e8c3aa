r"""Which runs tell what pre-training on one text is worth on another, after Hernandez et al. (2021).

Each shape is trained on the source once and its weights are kept; then on the target, from these weights for
few tokens, and from scratch for these and for many more (https://arxiv.org/abs/2102.01293). Where the paper
repeats a small text until the loss rises again, every run here reads its text once and is cooled down:
fine-tuned and scratch runs alike. The dearest fine-tuned run of the largest shape is held out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import msgspec

from scalescope.cost import Shape
from scalescope.errors import InputError
from scalescope.studies.collect import HELD_OUT, TUNE
from scalescope.studies.planned import Planned
from scalescope.studies.sizes import size_of
from scalescope.training.recipe import Recipe
from scalescope.training.trial_settings import Precision, Trial
from scalescope.units import format_count, format_flop

PRETRAIN, FINE_TUNE, SCRATCH = "pretrain", "fine-tune", "scratch"
"""Phases, and names of the arms; the last two have rates of their own."""
WEIGHTS = "weights"
"""Folder of the study that holds what pre-training leaves."""
REACH = 6.0
"""Longest scratch run over the longest fine-tuning."""
RATIO = 2.0
"""Between the scratch runs that go beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs:
    """All trials of a transfer study."""

    pretrained: tuple[Planned, ...]
    fine_tuned: tuple[Planned, ...]
    scratch: tuple[Planned, ...]
    held_out: tuple[Planned, ...]
    """Fine-tunings of the largest shape on the most tokens, a seed each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The design of a transfer study.

    Raises
    ------
    InputError
        If the counts of tokens do not rise, or there are no shapes.
    """

    schema: ClassVar[str] = "scalescope.transfer-design/1"

    shapes: tuple[Shape, ...]
    """Smallest first."""
    pretraining: tuple[int, ...]
    """Tokens of the source, for each shape."""
    tokens: tuple[int, ...]
    """Of the target, ascending: each is a point of fine-tuning and one from scratch."""
    seeds: tuple[int, ...] = (0,)
    recipe: Recipe = field(default_factory=Recipe)
    """Of pre-training and of training from scratch."""
    tuning: Recipe = field(default_factory=Recipe)
    """Of fine-tuning."""
    precision: Precision = "fp32"
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
    def reach(self) -> float:
        """Longest scratch run over the longest fine-tuning."""
        return REACH

    @property
    def scratch_tokens(self) -> tuple[int, ...]:
        """Tokens of the points from scratch: those of fine-tuning and longer ones."""
        last, further = self.tokens[-1], []
        while last < self.tokens[-1] * REACH:
            last = min(round(last * RATIO), round(self.tokens[-1] * REACH))
            further.append(last)
        return (*self.tokens, *further)

    def legs(self) -> Legs:
        """Return all trials; files of weights are named below the folder of the study."""
        every = [
            (shape, before, seed)
            for seed in self.seeds
            for shape, before in zip(self.shapes, self.pretraining, strict=True)
        ]
        tuned = [self._leg(FINE_TUNE, *one, self.tokens) for one in every]
        largest = max(self.shapes, key=size_of)
        kept = [leg.below(leg.budgets[-1]) if leg.trial.shape == largest else leg for leg in tuned]
        return Legs(
            pretrained=tuple(self._leg(PRETRAIN, *one, (one[1],)) for one in every),
            fine_tuned=tuple(leg for leg in kept if leg is not None),
            scratch=tuple(self._leg(SCRATCH, *one, self.scratch_tokens) for one in every),
            held_out=tuple(_dearest(leg) for leg in tuned if leg.trial.shape == largest),
        )

    def tried_tokens(self, arm: str) -> int:
        """Return on how much text the smallest shape tries its rates.

        Scratch on the longest that is fine-tuned on, fine-tuning in the middle of its counts.
        """
        return self.tokens[-1] if arm == SCRATCH else self.tokens[len(self.tokens) // 2]

    def trying(self, arm: str, name: str, recipe: Recipe) -> Planned:
        """Return a trial of a rate; `arm` is `FINE_TUNE` or `SCRATCH`."""
        leg = self._leg(arm, self.shapes[0], self.pretraining[0], self.seeds[0], (self.tried_tokens(arm),))
        trial = replace(leg.trial, name=name, recipe=recipe)
        return replace(leg, key=f"{arm}/{name}", phase=TUNE, trial=trial)

    def _leg(self, phase: str, shape: Shape, before: int, seed: int, horizons: tuple[int, ...]) -> Planned:
        name = f"d{shape.width}-L{shape.n_layers}-s{seed}"
        weights = f"{WEIGHTS}/{name}-{before}.safetensors"
        tuned = phase == FINE_TUNE
        trial = Trial(
            name=name,
            shape=shape,
            seed=seed,
            horizons=horizons,
            first_horizon=horizons[0],
            recipe=self.tuning if tuned else self.recipe,
            precision=self.precision,
            start=weights if tuned else "",
            evaluation_tokens=self.evaluation_tokens,
        )
        return Planned(
            key=f"{phase}/{name}-{format_count(horizons[-1])}",
            phase=phase,
            trial=trial,
            budgets=tuple(6.0 * size_of(shape) * tokens for tokens in horizons),
            arm=phase,
            keep=weights if phase == PRETRAIN else "",
        )

    def summary(self) -> str:
        """The design as text, a line a shape."""
        legs = self.legs()
        n_trials = sum(len(one) for one in (legs.pretrained, legs.fine_tuned, legs.scratch, legs.held_out))
        counts = " ".join(format_count(one) for one in self.tokens)
        longest = format_count(self.scratch_tokens[-1])
        lines = [
            f"transfer design: {n_trials} trials, {len(self.seeds)} seeds",
            f"  fine-tuned on {counts} tokens of the new text, from scratch up to {longest}",
        ]
        for shape, before in zip(self.shapes, self.pretraining, strict=True):
            name = f"d{shape.width}-L{shape.n_layers}"
            lines.append(
                f"  {name:<10}{format_count(size_of(shape)):>9}  pre-trained on {format_count(before)} tokens"
            )
        largest = legs.held_out[0]
        told = f"{format_count(largest.trial.horizons[-1])} tokens, {format_flop(largest.budgets[-1])}"
        return "\n".join([*lines, f"  held out: {largest.trial.name}, {told}"])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {"schema": self.schema, **plain}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Transfer:
        """Read what `to_dict` wrote."""
        plain = {name: value for name, value in data.items() if name != "schema"}
        return msgspec.convert(plain, cls, strict=False)


def _dearest(leg: Planned) -> Planned:
    """Return a trial with its last horizon alone, held out; it warms up as the others do."""
    trial = replace(leg.trial, horizons=leg.trial.horizons[-1:])
    return replace(leg, key=f"held-out/{leg.key}", phase=HELD_OUT, trial=trial, budgets=leg.budgets[-1:])
