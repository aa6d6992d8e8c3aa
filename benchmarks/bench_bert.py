"""What the bench costs for one model: BERT-base at 128 and 512 tokens, and why 1024 does not run.

    python benchmarks/bench_bert.py [--quick] > benchmarks/results/bench_bert.jsonl

CPU seconds of the whole process tree of one `scalescope bench` command, report included, with a kept
calibration: with the random weights already written, with weights that the command has to write first, with
1024 really tried instead of decided from the configuration, and with an interval of the median of 10% instead
of 3% and at most 2 s of repeats a cell. Goal: 13 CPU-seconds. Prints one JSON line
a way; `compute_s` is what the timed calls themselves took, warm-up included.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from process_tree import Cost, calibrate_once, compute_cpu, run_bench, say
from scalescope.points import Cells

MODEL, LENGTHS, GOAL_S = "bert-base-uncased", (128, 512, 1024), 13.0
WAYS: dict[str, tuple[str, ...]] = {
    "weights kept": (),
    "weights made anew": (),
    "1024 tried": ("--force",),
    "few repeats": ("--target", "0.1", "--repeat-time", "2s"),
}
"""Way to further options of the command."""


def measure(way: str, model: str, cache: Path, repeats: int) -> None:
    """Run one way several times and print the median."""
    if way != "weights made anew":
        run_bench([model], LENGTHS, out=cache / "unmeasured", cache=cache, more=WAYS[way])
    costs: list[Cost] = []
    computes: list[float] = []
    for turn in range(repeats):
        if way == "weights made anew":
            shutil.rmtree(cache / "scalescope" / "weights", ignore_errors=True)
        cost, cells = run_bench([model], LENGTHS, out=cache / f"b{turn}", cache=cache, more=WAYS[way])
        costs.append(cost)
        computes.append(sum(map(compute_cpu, cells)))
    cpu = [cost.cpu_s for cost in costs]
    say(
        "bench_bert",
        model=model,
        way=way,
        cpu_s=statistics.median(cpu),
        cpu_s_lowest=min(cpu),
        cpu_s_highest=max(cpu),
        wall_s=statistics.median(cost.wall_s for cost in costs),
        compute_s=statistics.median(computes),
        runs=repeats,
        goal_s=GOAL_S,
        **ended(cells),
    )


def ended(cells: Cells) -> dict[str, object]:
    """How each length ended, and the cause of the last."""
    last = max(cells, key=lambda cell: cell.workload.length)
    states = {str(cell.workload.length): cell.state for cell in cells}
    return {"states": states, "cause": last.cause}


def main() -> None:
    """Measure every way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one run of one way, of a small model")
    parser.add_argument("--folder", type=Path, help="for calibration, weights and benches; kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        cache = (options.folder or Path(temporary)).resolve()
        calibrate_once(cache)
        if options.quick:
            measure("weights kept", "google/electra-small-discriminator", cache, 1)
            return
        for way in WAYS:
            measure(way, options.model, cache, options.repeats)


if __name__ == "__main__":
    main()
