"""What the user asked a study for, as written; `settings` is what it means."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from scalescope.cost.grids import find_grid
from scalescope.cost.layout import Layout
from scalescope.errors import InputError, nearest
from scalescope.metering import Power, Tool
from scalescope.studies.settings import MAX_EPOCHS, Settings
from scalescope.training.recipe import Recipe
from scalescope.training.shape_options import ShapeOptions
from scalescope.training.trial_settings import Precision, TaskName
from scalescope.units import parse_budget

EngineName = Literal["local", "ray"]
DesignName = Literal["isoflop", "ladder", "mixture", "repetition", "transfer"]

OPTIONS = (
    *("budget", "design", "context", "precision", "tokenizer", "text_column", "executor", "seed"),
    *("watts", "meter", "grid", "pretrain"),
)
"""What the command line can say that also decides what is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `scalescope study` was asked for."""

    corpus: str | None = None
    out: Path = Path("study")
    budget: str = "10m"
    design: DesignName = "isoflop"
    """Of a study that varies nothing; arms are compared on a ladder of their own."""
    context: int = 128
    precision: Precision = "fp32"
    tokenizer: Path | None = None
    text_column: str = "text"
    executor: EngineName = "local"
    address: str | None = None
    seed: int = 0
    targets: tuple[str, ...] = ()
    extend: bool = False
    watts: float | None = None
    meter: Tool = "auto"
    grid: str = "WORLD"
    task: TaskName = "next-token"
    max_epochs: float = MAX_EPOCHS
    recipe: Recipe | None = None
    """In place of the study's own."""
    shape: ShapeOptions = field(default_factory=ShapeOptions)
    layout: Layout = field(default_factory=Layout)
    """How each trial is spread over processes."""
    vary: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Levers with their values, the baseline's first."""
    target: Mapping[str, float] = field(default_factory=dict)
    """Of a study over mixtures: weight of each source's loss; those of the recipe if empty."""
    pretrain: str | None = None
    """Corpus that a transfer study trains on before."""
    config: Path | None = None
    """File that some of this comes from."""
    alone: Request | None = None
    """What that file says by itself."""

    def __post_init__(self) -> None:
        find_grid(self.grid)
        for name, known in (
            ("design", get_args(DesignName)),
            ("precision", get_args(Precision)),
            ("task", get_args(TaskName)),
        ):
            found = getattr(self, name)
            if found not in known:
                raise InputError(f"no {name} is called {found!r}", hint=nearest(found, known))
        for name, least in (("context", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not self.max_epochs > 0:
            raise InputError(f"max_epochs must be above 0, got {self.max_epochs:g}")

    @property
    def power(self) -> Power:
        """How energy is to be known; an `InputError` where it cannot be."""
        return Power(watts=self.watts, tool=self.meter)

    def settings(self, make: type[Settings] = Settings) -> Settings:
        """Return what it means; an `InputError` where the budget or a variant cannot be used."""
        given: dict[str, Any] = {} if self.recipe is None else {"recipe": self.recipe}
        return make(
            budget=parse_budget(self.budget),
            design="comparison" if self.vary else self.design,
            context=self.context,
            precision=self.precision,
            seed=self.seed,
            shape=self.shape,
            task=self.task,
            max_epochs=self.max_epochs,
            layout=self.layout,
            vary=self.vary,
            target=self.target,
            **given,
        )

    def command(self) -> str:
        """Return the command line that repeats the study."""
        words = ["scalescope", "study", *([self.corpus] if self.corpus else [])]
        words += ["--config", str(self.config)] if self.config else []
        said = self.alone or Request()
        for name in OPTIONS:
            value = getattr(self, name)
            if value != getattr(said, name):
                words += [f"--{name.replace('_', '-')}", str(value)]
        for name, values in self.vary.items():
            if said.vary.get(name) != values:
                words += ["--vary", f"{name}={','.join(values)}"]
        for target in self.targets:
            words += ["--target", target] if target not in said.targets else []
        return shlex.join(words)
