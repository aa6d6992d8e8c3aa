"""What a study costs: CPU-seconds per unit of knowledge of the size exponent, beside the plain way.

    python benchmarks/study_cost.py [--lowest FLOP] [--budgets N] >> benchmarks/results/study_cost.jsonl

The same grid is trained twice. Ours: one trunk a size with a cooled-down branch for every token count, trials
side by side as measured. Plain: one full run for every point, one process of two threads. Knowledge is
1 / (standard error of the IsoFLOP size exponent)^2, so cost = CPU-seconds x (standard error)^2.
CPU-seconds are those of the whole process tree. Prints one JSON line a way and one with the ratio.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from scalescope.corpora.preparing import prepare_corpus
from scalescope.executors import cores, open_executor
from scalescope.fitting import fit
from scalescope.ledgers.ledger import Ledger
from scalescope.points.provenance import machine_name
from scalescope.studies.collect import GRID, collect_runs
from scalescope.studies.design import lay_isoflop
from scalescope.studies.driver import Driver, Planned
from scalescope.studies.machine import Machine, measure_machine
from scalescope.training.recipe import Recipe
from scalescope.training.trial_settings import Trial


def cpu_seconds() -> float:
    """CPU time of this process and all its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def train(folder: Path, planned: list[Planned], machine: Machine | None, slots: int) -> dict[str, float]:
    """Train trials in a folder and say what it took."""
    corpus = prepare_corpus(None, folder.parent / "corpus")
    cpu, wall = cpu_seconds(), time.monotonic()
    with Ledger.open(folder) as ledger:
        with open_executor("local", slots=slots) as executor:
            used = machine or measure_machine(
                executor, Recipe(), cores=cores(), vocabulary=corpus.vocabulary, context=128
            )
            Driver(ledger, executor, corpus, used, lambda _: None).run(planned)
        runs = collect_runs(ledger)
    a = fit(runs, "isoflop", resamples=1000).coefficients["a"]
    error = (a.high - a.low) / (2 * 1.645)
    spent = cpu_seconds() - cpu
    return {
        "points": len(runs),
        "cpu_seconds": round(spent, 1),
        "wall_seconds": round(time.monotonic() - wall, 1),
        "exponent": round(a.value, 4),
        "standard_error": round(error, 4),
        "cost": spent * error**2,
        "slots": used.slots,
        "threads": used.threads,
    }


def main() -> None:
    """Train both ways and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lowest", type=float, default=2e10)
    parser.add_argument("--budgets", type=int, default=4)
    options = parser.parse_args()
    design = lay_isoflop(
        options.lowest, n_budgets=options.budgets, vocabulary=256, context=128, seeds=1, seed=0
    )
    ours = [
        Planned(
            key=rung.name,
            phase=GRID,
            trial=Trial(name=rung.name, shape=rung.shape, seed=rung.seed, horizons=rung.horizons),
            budgets=rung.budgets,
        )
        for rung in design.rungs
    ]
    plain = [
        Planned(
            key=f"{item.key}-{horizon}",
            phase=GRID,
            trial=replace(item.trial, name=f"{item.key}-{horizon}", horizons=(horizon,)),
            budgets=(budget,),
        )
        for item in ours
        for horizon, budget in zip(item.trial.horizons, item.budgets, strict=True)
    ]
    # One process of two threads; the speeds only matter for the forecast of the time left.
    two_threads = Machine(slots=1, threads=2, params=(1e4,), tokens_per_second=(1e5,), tried={})
    with tempfile.TemporaryDirectory() as folder:
        results = {
            "ours": train(Path(folder) / "ours", ours, None, cores()),
            "plain": train(Path(folder) / "plain", plain, two_threads, 1),
        }
    for way, result in results.items():
        say({"way": way, **result})
    say({"ratio_of_costs": results["ours"]["cost"] / results["plain"]["cost"], "goal": 0.5})
    say({"ratio_of_cpu_seconds": results["ours"]["cpu_seconds"] / results["plain"]["cpu_seconds"]})


def say(figure: dict[str, object]) -> None:
    """Print one figure."""
    sys.stdout.write(json.dumps({"benchmark": "study_cost", **figure, "machine": machine_name()}) + "\n")


if __name__ == "__main__":
    main()
