"""How far from tuned the rungs of a study are: learning rates across widths, and each choice of the recipe.

    python benchmarks/recipe.py [--part rates|choices|trunk] [--seed N] >> benchmarks/results/recipe.jsonl

* `rates`: held-out loss of three widths at five multiples of the recipe's learning rates, and what the rate
  measured on the smallest width costs at the others.
* `choices`: one setting changed at a time, at one size and two token counts.
* `trunk`: a branch off a shared trunk against a run made for the same token count alone.

Prints one JSON line per figure. Losses depend on the seed and, in the last digits, on the machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from scalescope.corpora.preparing import prepare_corpus
from scalescope.points.provenance import machine_name
from scalescope.studies.family import make_shape
from scalescope.training.recipe import Recipe
from scalescope.training.trial import run
from scalescope.training.trial_settings import Trial

RATES = (0.5, 0.71, 1.0, 1.41, 2.0)
WIDTHS = {(16, 2): 400_000, (32, 2): 400_000, (64, 3): 800_000}
"""Width and depth to tokens."""
MUON, ADAMW = Recipe().peaks, Recipe(optimizer="adamw").peaks
CHOICES: dict[str, dict[str, Any]] = {
    "recipe": {},
    "AdamW instead of Muon": {"optimizer": "adamw"},
    "AdamW, half the matrix rate": {"optimizer": "adamw", "rates": replace(ADAMW, matrix=0.002)},
    "AdamW, twice the matrix rate": {"optimizer": "adamw", "rates": replace(ADAMW, matrix=0.008)},
    "momentum 0.95": {"momentum": 0.95},
    "momentum 0.85": {"momentum": 0.85},
    "batch twice": {"batch_tokens": 1024.0},
    "cooldown 0.4": {"cooldown_share": 0.4},
    "embedding rate half": {"rates": replace(MUON, embedding=0.04)},
    "embedding rate twice": {"rates": replace(MUON, embedding=0.16)},
    "head rate half": {"rates": replace(MUON, head=0.006)},
    "head rate twice": {"rates": replace(MUON, head=0.024)},
    "norm rate 0.002": {"rates": replace(MUON, vector=0.002)},
    "beta2 0.95": {"beta2": 0.95},
}


def losses(
    folder: Path, width: int, depth: int, horizons: tuple[int, ...], seed: int, recipe: Recipe
) -> list[float]:
    """Train one trial and return the loss of each horizon."""
    corpus = prepare_corpus(None, folder)
    shape = make_shape(width, depth, corpus.vocabulary, 128)
    trial = Trial(name="recipe", shape=shape, seed=seed, horizons=horizons, recipe=recipe)
    points: list[float] = []

    def emit(message: dict[str, Any]) -> None:
        if message["kind"] == "point":
            points.append(message["loss"])

    payload = {
        "trial": {key: value for key, value in msgspec.to_builtins(trial).items() if key != "seconds"},
        "corpus": corpus.to_dict(),
        "train": str(folder / corpus.train_file),
        "held_out": str(folder / corpus.held_out_file),
    }
    run(payload, emit)
    return points


def say(**figure: Any) -> None:
    """Print one figure."""
    sys.stdout.write(json.dumps({"benchmark": "recipe", **figure, "machine": machine_name()}) + "\n")
    sys.stdout.flush()


def rates(folder: Path, seed: int) -> None:
    """Loss against learning rate at each width."""
    best = None
    for (width, depth), tokens in WIDTHS.items():
        found = [losses(folder, width, depth, (tokens,), seed, Recipe(rate=rate))[0] for rate in RATES]
        c2, c1, c0 = np.polyfit(np.log(RATES), found, 2)
        optimum = float(np.exp(np.clip(-c1 / (2 * c2), np.log(RATES[0]), np.log(RATES[-1]))))
        best = best or optimum

        def at(rate: float, c: tuple[float, float, float] = (c2, c1, c0)) -> float:
            return float(np.polyval(c, np.log(rate)))

        say(
            figure="rates",
            seed=seed,
            width=width,
            n_layers=depth,
            tokens=tokens,
            rates=RATES,
            losses=[round(loss, 4) for loss in found],
            best_rate=round(optimum, 2),
            excess_at_smallest_rungs_rate=round(at(best) - at(optimum), 4),
            excess_at_default_rate=round(at(1.0) - at(optimum), 4),
        )


def choices(folder: Path, seed: int) -> None:
    """One setting changed at a time."""
    for name, change in CHOICES.items():
        found = losses(folder, 32, 2, (200_000, 800_000), seed, replace(Recipe(), **change))
        say(
            figure="choices",
            change=name,
            tokens=[200_000, 800_000],
            losses=[round(loss, 4) for loss in found],
        )


def trunk(folder: Path, seed: int) -> None:
    """A shared trunk against runs from scratch."""
    horizons = (150_000, 350_000, 800_000)
    shared = losses(folder, 32, 2, horizons, seed, Recipe())
    for horizon, loss in zip(horizons, shared, strict=True):
        alone = losses(folder, 32, 2, (horizon,), seed, Recipe())[0]
        say(
            figure="trunk",
            seed=seed,
            tokens=horizon,
            shared=round(loss, 4),
            alone=round(alone, 4),
            excess=round(loss - alone, 4),
        )


def main() -> None:
    """Run the parts asked for."""
    parts = {"rates": rates, "choices": choices, "trunk": trunk}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=parts, action="append")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.part or parts:
            parts[name](Path(folder) / "corpus", options.seed)


if __name__ == "__main__":
    main()
