"""What a training run under `torchrun` is told, as a TOML file; the layout comes from the command line.

::

    corpus = "corpus"          # what `scalescope corpus build` left, or any text that a study takes
    sequences = 256            # of one step
    steps = 1000
    precision = "bf16"

    [shape]
    width = 768
    n_layers = 12
    n_heads = 12
    n_kv_heads = 12
    feed_forward = 2048
    vocabulary = 256
    context = 1024

    [recipe]
    optimizer = "muon"

    [checkpoint]
    folder = "checkpoints"
    every = 500
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_type_hints

import msgspec

from scalescope.cost import Shape
from scalescope.cost.layout import Layout
from scalescope.errors import InputError, nearest
from scalescope.training.recipe import Recipe
from scalescope.training.trial_settings import TaskName, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """Where a run is kept, to go on from."""

    folder: str = "checkpoints"
    every: int = 0
    """Steps between two; 0 for none."""

    def __post_init__(self) -> None:
        if self.every < 0:
            raise InputError(f"checkpoint: every must not be negative, got {self.every}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What is told while a run goes on."""

    folder: str = "log"
    """Gets `metrics.jsonl`, `failure-*.json` where ranks fail, and the prepared corpus."""
    every: int = 10
    """Steps between two lines on stderr."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"log: every must be at least 1, got {self.every}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One training run.

    Raises
    ------
    InputError
        If a number cannot be, or not exactly one of steps and tokens is given.
    """

    corpus: str
    shape: Shape
    sequences: int
    """Of one step."""
    steps: int = 0
    tokens: float = 0
    """Instead of steps; rounded down to whole steps."""
    name: str = "training"
    seed: int = 0
    task: TaskName = "next-token"
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    """Whether blocks are compiled, where there is a compiler."""
    device: str = ""
    """Name in the device catalogue; utilisation (MFU) is told where its peak is known."""
    evaluation_tokens: int = 131_072
    timeout_s: float = 600.0
    """How long a rank waits for the others before it gives up."""
    recipe: Recipe = field(default_factory=lambda: Recipe(optimizer="adamw"))
    """Its batch is `sequences`, whatever it says itself."""
    checkpoint: Checkpoints = field(default_factory=Checkpoints)
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        if self.sequences < 4:
            raise InputError(f"sequences must be at least 4, got {self.sequences}")
        if (self.steps > 0) == (self.tokens > 0):
            raise InputError("give either steps or tokens, above zero", hint="steps = 1000")
        if self.n_steps < 1:
            raise InputError(
                f"{self.tokens:g} tokens are less than one step of {self.step_tokens}",
                hint="Give more tokens, or fewer sequences.",
            )
        if not self.timeout_s > 0:
            raise InputError(f"timeout_s must be above zero, got {self.timeout_s}")

    @property
    def step_tokens(self) -> int:
        """Tokens of one step."""
        return self.sequences * self.shape.context

    @property
    def n_steps(self) -> int:
        """Optimiser steps of the run."""
        return self.steps or int(self.tokens // self.step_tokens)

    def trial(self, layout: Layout) -> Trial:
        """Return the run as a trial of one horizon, at a constant batch.

        Raises
        ------
        InputError
            If the ranks cannot cut the batch evenly.
        """
        layout.micro_batches(self.sequences)
        horizon = self.n_steps * self.step_tokens
        return Trial(
            name=self.name,
            shape=self.shape,
            seed=self.seed,
            horizons=(horizon,),
            recipe=self._recipe(horizon),
            task=self.task,
            precision=self.precision,
            layout=layout,
            evaluation_tokens=self.evaluation_tokens,
        )

    def _recipe(self, horizon: int) -> Recipe:
        """Return the recipe at a constant batch, its cooldown made of whole steps."""
        constant = replace(self.recipe, batch_tokens=float(self.step_tokens), batch_power=0.0)
        cooldown = int((horizon - constant.branch_point(horizon, self.shape.context)) / self.step_tokens)
        return replace(constant, cooldown_share=cooldown / self.n_steps, cooldown_steps=0)


def read_config(path: Path) -> Config:
    """Read a file.

    Raises
    ------
    InputError
        If it cannot be read, or a name or value in it cannot be; the message names file and place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint="Give the path of --config.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text: {error}") from None
    return read_config_text(text, str(path))


def read_config_text(text: str, path: str) -> Config:
    """Read what a file holds; see `read_config`."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is no TOML: {error}") from None
    _refuse_unknown(Config, tables, path, "")
    try:
        return msgspec.convert(tables, Config, strict=True)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        hint = cause.hint if isinstance(cause, InputError) else ""
        raise InputError(f"{path}: {error}", hint=hint) from None


def _refuse_unknown(kind: type, given: Mapping[str, Any], path: str, place: str) -> None:
    """Refuse names that a table does not know, tables within tables too."""
    hints = get_type_hints(kind)
    known = {one.name for one in fields(kind)}
    for name, value in given.items():
        if name not in known:
            where = f"[{place}] has" if place else "there is"
            raise InputError(f"{path}: {where} no {name!r}", hint=nearest(name, known))
        inner = _table(hints[name])
        if inner is not None and isinstance(value, dict):
            _refuse_unknown(inner, value, path, f"{place}.{name}" if place else name)


def _table(hint: Any) -> type | None:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return next((one for one in kinds if isinstance(one, type) and is_dataclass(one)), None)
