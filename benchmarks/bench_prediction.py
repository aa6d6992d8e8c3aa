"""How well time and memory of a cell are predicted, and how fast.  One JSON line a figure.

    python benchmarks/bench_prediction.py BENCH... [--speed] > benchmarks/results/bench_prediction.jsonl

From the cells of a bench (`cells.json` and `calibration.json` in its folder):

- left out: every architecture in turn is predicted from a fit to all others; the same with all architectures
  of one `model_type` left out together, which is harder. Goals, median absolute relative error: memory 10%,
  time 12% (fp32) and 25% (bf16);
- beforehand: what the bench had predicted before it ran, from the machine's rates and three probes;
- fit: cells predicted to fit that did not. Goal: none.

Shared cells (same architecture) and cells in doubt do not count. With `--speed`: CPU and wall seconds of
`scalescope bench --set core --predict` with a kept calibration. Goal: 10 s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from process_tree import calibrate_once, own_environment, run_tree, say
from scalescope.cost.anatomy import Anatomy
from scalescope.cost.calibration import Calibration, LeftOut, errors_left_out
from scalescope.cost.corrections import group_of, samples_of
from scalescope.errors import InputError
from scalescope.inference.finding_models import find_model
from scalescope.points import Cell, Cells, read_cells, read_json

GOALS = {"memory": 0.10, "time fp32": 0.12, "time bf16": 0.25}
"""Largest median error."""
PREDICT_GOAL_S = 10.0
WORST = 5
"""Models named beside the errors."""


def report(folder: Path) -> None:
    """Print all figures of one bench."""
    cells = read_cells(folder / "cells.json")
    calibration = Calibration.from_dict(read_json(folder / "calibration.json"))
    anatomies = anatomies_of(cells)
    samples = samples_of(cells, anatomies, calibration.rates)
    used = {"bench": folder.name, "samples": len(samples), "unknown_models": unknown(cells, anatomies)}
    for left, changed in (
        ("architecture", samples),
        ("model type", [replace(one, owner=one.model_type) for one in samples]),
    ):
        say_errors("left out", {"left_out": left, **used}, by_group(errors_left_out(changed)))
    say_errors("beforehand", {"left_out": "all but three probes", **used}, beforehand(cells))
    say_fits(folder.name, cells)


def anatomies_of(cells: Cells) -> dict[str, Anatomy]:
    """Anatomies of the models that the registry knows, or whose folder is still there."""
    found = {}
    for name in cells.models:
        try:
            found[name] = find_model(name, online=False).anatomy
        except InputError:
            continue
    return found


def unknown(cells: Cells, anatomies: Mapping[str, Anatomy]) -> int:
    """Count models whose configuration is not at hand: their cells are missing from the errors left out."""
    return len([name for name in cells.models if name not in anatomies])


Errors = dict[str, list[tuple[str, float]]]
"""What was predicted, such as `time fp32`, to model and relative error of every cell."""


def by_group(left_out: LeftOut) -> Errors:
    """Sort errors of models that were left out; memory of all types is one group, and one each."""
    errors: Errors = defaultdict(list)
    for one in left_out.errors:
        errors[f"time {one.dtype}"] += [(one.model, value) for value in one.time]
        errors["memory"] += [(one.model, value) for value in one.memory]
        errors[f"memory {one.dtype}"] += [(one.model, value) for value in one.memory]
    return errors


def beforehand(cells: Cells) -> Errors:
    """Return errors of what stood in the cells before they ran."""
    errors: Errors = defaultdict(list)
    for cell in cells:
        expected = cell.expected
        if not cell.ok or cell.shared_from or cell.doubts or cell.compiled or expected is None:
            continue
        group = group_of(cell.dtype, cell.workload)
        if cell.timing is not None and expected.seconds:
            errors[f"time {group}"].append((cell.model, expected.seconds / cell.timing.median - 1))
        if cell.memory is not None and cell.memory.peak and expected.memory_bytes:
            error = (cell.model, expected.memory_bytes / cell.memory.peak - 1)
            errors["memory"].append(error)
            errors[f"memory {group}"].append(error)
    return errors


def say_errors(figure: str, used: Mapping[str, object], errors: Errors) -> None:
    """Print the errors of each group: median and ninth decile of their size, median with sign, the worst."""
    for what, found in sorted(errors.items()):
        values = np.array([value for _, value in found])
        if not len(values):
            continue
        say(
            "bench_prediction",
            figure=figure,
            **used,
            of=what,
            cells=len(values),
            models=len({model for model, _ in found}),
            median_error=float(np.median(np.abs(values))),
            nine_of_ten_within=float(np.quantile(np.abs(values), 0.9)),
            median_with_sign=float(np.median(values)),
            goal=GOALS.get(what),
            worst=worst(found),
        )


def worst(errors: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Models with the largest median error, and that error with its sign."""
    models: dict[str, list[float]] = defaultdict(list)
    for model, value in errors:
        models[model].append(value)
    medians = {model: statistics.median(values) for model, values in models.items()}
    order = sorted(medians, key=lambda model: -abs(medians[model]))[:WORST]
    return {model: round(medians[model], 3) for model in order}


def say_fits(bench: str, cells: Cells) -> None:
    """Print how many cells were predicted to run and did not, and the reverse."""
    own = [cell for cell in cells if not cell.shared_from and cell.expected is not None]
    tried = [cell for cell in own if cell.state not in ("not_applicable", "skipped")]
    misses = [cell for cell in tried if expected_state(cell) == "ok" and not cell.ok]
    say(
        "bench_prediction",
        figure="fit",
        bench=bench,
        cells=len(own),
        tried=len(tried),
        predicted_to_run=sum(expected_state(cell) == "ok" for cell in tried),
        out_of_memory=sum(cell.state in ("allocator_oom", "killed") for cell in misses),
        out_of_time=sum(cell.state == "timeout" for cell in misses),
        ended_otherwise=dict(Counter(cell.state for cell in misses)),
        predicted_not_to_run_but_did=sum(expected_state(cell) != "ok" and cell.ok for cell in tried),
        above_what_was_predicted=above(tried),
        goal=0,
        which=[f"{cell.key}: {cell.state}" for cell in misses][:10],
    )


def expected_state(cell: Cell) -> str:
    """How it was predicted to end."""
    return "" if cell.expected is None else cell.expected.state


def above(cells: Sequence[Cell]) -> dict[str, float] | None:
    """Return the largest factor by which a measured peak exceeded the predicted one, and whose it was."""
    factors = dict(peaks(cells))
    if not factors:
        return None
    key = max(factors, key=lambda one: factors[one])
    return {key: round(factors[key], 3)}


def peaks(cells: Sequence[Cell]) -> Iterator[tuple[str, float]]:
    """Yield measured over predicted peak of every cell that has both."""
    for cell in cells:
        predicted = None if cell.expected is None else cell.expected.memory_bytes
        if cell.ok and predicted and cell.memory is not None and cell.memory.peak:
            yield cell.key, cell.memory.peak / predicted


def measure_speed(repeats: int, cache: Path) -> None:
    """Time the prediction of the whole registry."""
    calibrate_once(cache)
    command = [sys.executable, "-m", "scalescope", "bench", "--set", "core", "--predict", "--json"]
    log = cache / "predict.json"
    costs = [run_tree(command, environment=own_environment(cache), log=log) for _ in range(repeats)]
    cells = Cells.from_dict(json.loads(log.read_text("utf-8")))
    say(
        "bench_prediction",
        figure="speed",
        models=len(cells.models),
        lengths=len(cells.lengths),
        cells=len(cells),
        cpu_s=statistics.median(cost.cpu_s for cost in costs),
        wall_s=statistics.median(cost.wall_s for cost in costs),
        runs=repeats,
        goal_s=PREDICT_GOAL_S,
    )


def main() -> None:
    """Report on benches, and time the prediction."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("benches", nargs="*", type=Path, help="folders that scalescope bench wrote")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--quick", action="store_true", help="one run")
    parser.add_argument("--folder", type=Path, help="with a kept calibration")
    options = parser.parse_args()
    for folder in options.benches:
        report(folder)
    if options.speed:
        with tempfile.TemporaryDirectory() as temporary:
            measure_speed(1 if options.quick else 3, (options.folder or Path(temporary)).resolve())


if __name__ == "__main__":
    main()
