"""Whether learning rates transfer over widths: a coordinate check, and the best rate at two widths.

    python benchmarks/transfer.py [--part peaks|coordinates|transfer] [--optimizer NAME]
        [--tokens N] [--seed N] >> benchmarks/results/transfer.jsonl

* `peaks`: the search behind the table of peak rates, one optimiser and parametrisation a line, at width 32.
* `coordinates`: how the sizes of activations' changes after some steps grow with the width, as a power.
  Near 0 is what muP promises; `width_power`, which only slows training down, is left out.
* `transfer`: the best rate at two widths and what the narrow one's best costs at the wide one. The first
  check can pass where this one fails (rates may fit, and still another number moves the optimum).

Prints one JSON line per figure. Losses depend on the seed and, in the last digits, on the machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import torch

from scalescope.corpora.corpus import Corpus
from scalescope.corpora.preparing import prepare_corpus
from scalescope.cost import Shape
from scalescope.points.provenance import machine_name
from scalescope.studies.family import make_shape
from scalescope.training.engine import LocalEngine
from scalescope.training.rates import Optimizer, Parametrisation, Rates
from scalescope.training.recipe import Recipe
from scalescope.training.tasks.next_token import NextToken
from scalescope.training.trial import DivergedError, run
from scalescope.training.trial_settings import Trial
from scalescope.training.watching import outputs_of

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
WIDTHS = (16, 32, 64, 128)
NARROW, WIDE = 16, 64
DEPTH, CONTEXT, STEPS = 2, 128, 10
WORST = 99.0
"""Loss of a run that diverged."""


def kinds(only: str | None) -> Iterator[tuple[Optimizer, Parametrisation]]:
    """Yield the optimisers and parametrisations asked for."""
    for optimizer in get_args(Optimizer):
        for parametrisation in get_args(Parametrisation):
            if only in (None, optimizer):
                yield optimizer, parametrisation


def say(**figure: Any) -> None:
    """Print one figure."""
    sys.stdout.write(json.dumps({"benchmark": "transfer", **figure, "machine": machine_name()}) + "\n")
    sys.stdout.flush()


def shape_of(corpus: Corpus, width: int) -> Shape:
    """Return a shape of the family with the depth that all widths share."""
    return make_shape(width, DEPTH, corpus.vocabulary, CONTEXT)


def loss_of(corpus: Corpus, folder: Path, shape: Shape, recipe: Recipe, tokens: int, seed: int) -> float:
    """Train and return the held-out loss."""
    trial = Trial(
        name="transfer",
        shape=shape,
        seed=seed,
        horizons=(tokens,),
        recipe=recipe,
        evaluation_tokens=32_768,
    )
    losses = [WORST]
    payload = {
        "trial": {key: value for key, value in msgspec.to_builtins(trial).items() if key != "seconds"},
        "corpus": corpus.to_dict(),
        "train": str(folder / corpus.train_file),
        "held_out": str(folder / corpus.held_out_file),
    }
    try:
        run(payload, lambda message: losses.append(message["loss"]) if message["kind"] == "point" else None)
    except DivergedError:
        return WORST
    return losses[-1]


def peaks(corpus: Corpus, folder: Path, options: argparse.Namespace) -> None:
    """Move all rates together, then under `mup` each role's, by factors of two while the loss falls."""
    shape = shape_of(corpus, 32)
    for optimizer, parametrisation in kinds(options.optimizer):
        recipe = Recipe(optimizer=optimizer, parametrisation=parametrisation)
        tried: dict[Rates, float] = {}

        def at(rates: Rates, recipe: Recipe = recipe, tried: dict[Rates, float] = tried) -> float:
            if rates not in tried:
                changed = replace(recipe, rates=rates)
                tried[rates] = loss_of(corpus, folder, shape, changed, options.tokens, options.seed)
            return tried[rates]

        best = recipe.peaks
        roles = [tuple(asdict(best))]
        if parametrisation == "mup":
            roles += [("matrix", "router"), ("embedding",), ("head",), ("vector",)]
        for role in roles:
            for factor in (2.0, 0.5):
                while at(moved := _scale(best, role, factor)) < at(best):
                    best = moved
        say(
            figure="peaks",
            optimizer=optimizer,
            parametrisation=parametrisation,
            tokens=options.tokens,
            table=asdict(recipe.peaks),
            loss_of_table=round(at(recipe.peaks), 4),
            best=asdict(best),
            loss_of_best=round(at(best), 4),
            n_runs=len(tried),
        )


def _scale(rates: Rates, roles: tuple[str, ...], factor: float) -> Rates:
    return replace(rates, **{role: getattr(rates, role) * factor for role in roles})


def coordinates(corpus: Corpus, folder: Path, options: argparse.Namespace) -> None:  # noqa: ARG001
    """Fit the power of the width by which the change of every activation grows."""
    for optimizer, parametrisation in kinds(options.optimizer):
        recipe = Recipe(optimizer=optimizer, parametrisation=parametrisation, width_power=0.0)
        sizes = [_changes(corpus, width, recipe, options.seed) for width in WIDTHS]
        powers = {
            name: round(float(np.polyfit(np.log(WIDTHS), np.log([one[name] for one in sizes]), 1)[0]), 2)
            for name in sizes[0]
        }
        say(
            figure="coordinates",
            optimizer=optimizer,
            parametrisation=parametrisation,
            widths=WIDTHS,
            steps=STEPS,
            powers=powers,
            largest=max(powers.values(), key=abs),
        )


def _changes(corpus: Corpus, width: int, recipe: Recipe, seed: int) -> dict[str, float]:
    """Root mean square by which each activation moved in some steps at full rate."""
    torch.manual_seed(seed)
    trial = Trial(name="check", shape=shape_of(corpus, width), seed=seed, horizons=(CONTEXT,), recipe=recipe)
    engine = LocalEngine(trial)
    task = NextToken(corpus, CONTEXT, seed, 4096)
    probe = task.evaluation().inputs[:8]
    before = dict(outputs_of(engine.model, probe))
    for step in range(STEPS):
        engine.step(task.batch(8 * step, 8), 1.0)
    after = dict(outputs_of(engine.model, probe))
    return {name: float((after[name] - before[name]).square().mean().sqrt()) for name in after}


def transfer(corpus: Corpus, folder: Path, options: argparse.Namespace) -> None:
    """Find the best rate at both widths."""
    for optimizer, parametrisation in kinds(options.optimizer):
        found = {}
        for width in (NARROW, WIDE):
            tokens = options.tokens * width // NARROW
            losses = [
                loss_of(
                    corpus,
                    folder,
                    shape_of(corpus, width),
                    Recipe(optimizer=optimizer, parametrisation=parametrisation, rate=factor),
                    tokens,
                    options.seed,
                )
                for factor in FACTORS
            ]
            found[width] = losses, _vertex(losses)
        narrow, wide = found[NARROW][1], found[WIDE][1]
        at_wide = np.interp(np.log(narrow), np.log(FACTORS), found[WIDE][0])
        say(
            figure="transfer",
            optimizer=optimizer,
            parametrisation=parametrisation,
            seed=options.seed,
            widths=[NARROW, WIDE],
            factors=FACTORS,
            losses=[[round(loss, 4) for loss in found[width][0]] for width in (NARROW, WIDE)],
            best=[round(narrow, 2), round(wide, 2)],
            ratio=round(wide / narrow, 2),
            excess_at_narrow_best=round(float(at_wide) - min(found[WIDE][0]), 4),
        )


def _vertex(losses: list[float]) -> float:
    """Return the minimum of the parabola through the lowest loss and its neighbours, against log rate."""
    lowest = min(range(len(losses)), key=losses.__getitem__)
    if lowest in (0, len(losses) - 1) or max(losses[lowest - 1 : lowest + 2]) == WORST:
        return FACTORS[lowest]
    part = slice(lowest - 1, lowest + 2)
    c2, c1, _ = np.polyfit(np.log(FACTORS[part]), losses[part], 2)
    return float(np.exp(-c1 / (2 * c2)))


def main() -> None:
    """Run the parts asked for."""
    parts = {"peaks": peaks, "coordinates": coordinates, "transfer": transfer}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=parts, action="append")
    parser.add_argument("--optimizer", choices=get_args(Optimizer))
    parser.add_argument("--tokens", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus"
        corpus = prepare_corpus(None, path)
        for name in options.part or parts:
            parts[name](corpus.at(path / corpus.train_file, path / corpus.held_out_file), path, options)


if __name__ == "__main__":
    main()
