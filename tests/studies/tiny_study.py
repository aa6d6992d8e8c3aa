"""A study small enough for a test: its constants, its text, and a command that runs it in another process.

`python tiny_study.py study TEXT --out FOLDER ...` is the real command line with these constants.
"""

from __future__ import annotations

import functools
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_executor import Clock, FakeExecutor

from scalescope.points import Runs
from scalescope.studies.machine import Machine

CONTEXT = 32
BUDGET = "6e10"
OPTIONS = ["--budget", BUDGET, "--context", str(CONTEXT)]
MACHINE = Machine(
    slots=2,
    threads=1,
    params=(4e3, 4e4),
    tokens_per_second=(1e5, 5e4),
    tried={"2 x 1 thread": 1e5},
)

CONSTANTS = {
    "scalescope.studies.design.N_BUDGETS": 5,
    "scalescope.studies.design.SIZES_PER_BUDGET": 5,
    "scalescope.studies.design.TOKENS_PER_PARAM": 1.0,
    "scalescope.studies.design.HELD_OUT_RATIO": 1.6,
    "scalescope.studies.design.LADDER_TOKENS_PER_PARAM": (0.25, 0.5, 1.0, 2.0),
    "scalescope.studies.design.MIN_STEPS": 4,
    "scalescope.studies.comparing.TOKENS_PER_PARAM": (0.25, 0.5, 1.0),
    "scalescope.studies.tune.RATES": (0.5, 1.0, 2.0),
}

LAWS_OF_TRAINED = {
    "scalescope.fitting.ensemble.LAWS": ("isoflop", "chinchilla"),
    "scalescope.workflow.analysis.RANKED": ("chinchilla", "loss-data"),
}


def shrink(setattr_, *, trained: bool = False) -> None:
    """Make studies tiny; `setattr_` is that of `monkeypatch`, or one that sets for good.

    Of trials that really are `trained` the analysis would take longest: the noise of so small models leaves
    most coefficients open. It has few laws, few resamples and no profiles there; simulated trials have all.
    """
    from scalescope.fitting import comparison, ensemble, rolling
    from scalescope.studies.settings import Settings
    from scalescope.training.recipe import Recipe

    for name, value in (CONSTANTS | LAWS_OF_TRAINED if trained else CONSTANTS).items():
        setattr_(name, value)
    setattr_("scalescope.studies.machines.measure_machine", lambda *args, **kwargs: MACHINE)
    setattr_("scalescope.studies.machines.measure_speed", lambda *args, **kwargs: MACHINE)
    settings = functools.partial(Settings, recipe=Recipe(batch_tokens=4096.0), evaluation_tokens=4096)
    setattr_("scalescope.studies.settings.Settings", settings)

    from scalescope.workflow import comparing

    # What the multipliers are is the fits' business; here they come from few resamples.
    worth = functools.partial(comparing.compute_multipliers, resamples=20)
    setattr_("scalescope.workflow.comparing.compute_multipliers", worth)
    alone = functools.partial(comparing.fit, resamples=2, profiles=False)
    setattr_("scalescope.workflow.comparing.fit", alone)

    real = remembered(ensemble.fit)

    def fit(runs, law, *, profiles, resamples, **options):
        shrunk = {"profiles": profiles and not trained, "resamples": min(resamples, 4 if trained else 20)}
        return real(runs, law, **options, **shrunk)

    setattr_("scalescope.fitting.ensemble.fit", fit)
    setattr_("scalescope.workflow.held_out.roll", remembered(rolling.roll))
    setattr_("scalescope.workflow.analysis.roll", remembered(rolling.roll))
    setattr_("scalescope.workflow.analysis.compare", remembered(comparison.compare))


@functools.cache
def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a pure function of a table that keeps its answers: most tiny studies end with equal tables."""
    kept: dict[str, Any] = {}

    def call(runs: Runs, *words: Any, **options: Any) -> Any:
        asked = json.dumps([runs.to_dict(), words, options], sort_keys=True)
        if asked not in kept:
            kept[asked] = function(runs, *words, **options)
        return kept[asked]

    return call


def write_text(folder: Path, n_documents: int = 60, seed: int = 0) -> Path:
    """Write about 200 kB of text with something to learn: words of a small vocabulary in phrases."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(2, 7))) for _ in range(120)]
    phrases = [" ".join(draw.choices(words, k=draw.randint(3, 6))) for _ in range(200)]
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(n_documents):
        lines = [", ".join(draw.choices(phrases, k=3)) + "." for _ in range(45)]
        (folder / f"{index:03}.txt").write_text("\n".join(lines))
    return folder


def set_for_good(path: str, value: object) -> None:
    """Set an attribute by its dotted path, as `monkeypatch.setattr` does."""
    from importlib import import_module

    module, _, name = path.rpartition(".")
    setattr(import_module(module), name, value)


def simulate(monkeypatch, **options) -> FakeExecutor:
    """Let studies run without torch: trials follow a formula on a clock of their own."""
    shrink(monkeypatch.setattr)
    clock = Clock()
    for module in ("pace", "driver", "study", "opening"):
        monkeypatch.setattr(f"scalescope.studies.{module}.time", clock)
    executor = FakeExecutor(clock, **options)
    monkeypatch.setattr("scalescope.executors.open_executor", lambda *args, **kwargs: executor)
    return executor


if __name__ == "__main__":
    from scalescope.cli import main

    shrink(set_for_good, trained=True)
    sys.exit(main())
