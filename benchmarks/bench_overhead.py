"""What the bench costs beside the calls that it times, and whether another bench finds the same medians.

    python benchmarks/bench_overhead.py --peer-python V/bin/python > benchmarks/results/bench_overhead.jsonl

Ours: one `scalescope bench` of 8 models at 4 lengths, random weights written and machine calibrated
beforehand, report included. Overhead is what the whole process tree used less the timed calls, warm-up
included (wall and CPU seconds); cells that cannot run do not count. The peer, optimum-benchmark, lives in a
virtual environment of its own (transformers < 5), measures cells that were chosen beforehand (`SHARED`) with
its process launcher, all in one command, and ours measures the same cells in one command before and after it,
from the same files: fp32, sdpa, one thread, batch 1. The peer is credited with every call it makes, warm-up
and memory runs included, at its wall time. It runs in three ways:

- `5 repeats`: two warm-ups and five repeats, no memory: the least that gives an interval;
- `5 repeats, memory`: the same with its memory tracker, as ours measures memory too;
- `its defaults`: ten warm-ups, ten repeats or 10 s, no memory; on the shortest length alone.

Goal: at least 5 times less overhead a cell than the peer, and the same medians within noise, which is what
ours differs from ours. Prints one JSON line a figure. Without `--peer-python` ours stands alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from process_tree import (
    Cost,
    calibrate_once,
    compute_cpu,
    compute_wall,
    own_environment,
    run_bench,
    run_tree,
    say,
)
from scalescope.inference.repeats import median_interval
from scalescope.points import Cells

MODELS: tuple[str, ...] = (
    "distilbert/distilbert-base-uncased",
    "bert-base-uncased",
    "google/electra-small-discriminator",
    "albert/albert-base-v2",
    "openai-community/gpt2",
    "EleutherAI/pythia-70m",
    "EleutherAI/pythia-160m",
    "facebook/opt-125m",
)
LENGTHS: tuple[int, ...] = (128, 512, 1024, 2048)
SHARED: tuple[str, ...] = (
    "albert/albert-base-v2",
    "bert-base-uncased",
    "openai-community/gpt2",
    "EleutherAI/pythia-160m",
)
"""The peer hands DistilBERT an input that it does not take, and its transformers has no sdpa for ELECTRA."""
SHARED_LENGTHS: tuple[int, ...] = (128, 512)
WAYS: Mapping[str, Mapping[str, Any]] = {
    "5 repeats": {"iterations": 5, "duration": 0, "warmup_runs": 2},
    "5 repeats, memory": {"iterations": 5, "duration": 0, "warmup_runs": 2, "memory": True},
    "its defaults": {},
}
"""Way of the peer to what differs from its defaults."""
GOAL = 5.0
PEER = Path(__file__).with_name("bench_overhead_peer.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Of one command."""

    way: str
    cells: int
    cost: Cost
    compute_wall_s: float
    compute_cpu_s: float

    @property
    def wall_s(self) -> float:
        """Seconds a cell beside the calls."""
        return (self.cost.wall_s - self.compute_wall_s) / self.cells

    @property
    def cpu_s(self) -> float:
        """CPU seconds a cell beside the calls."""
        return (self.cost.cpu_s - self.compute_cpu_s) / self.cells

    def say(self) -> None:
        """Print it."""
        say(
            "bench_overhead",
            figure="overhead",
            way=self.way,
            cells=self.cells,
            wall_s=self.cost.wall_s,
            cpu_s=self.cost.cpu_s,
            compute_s=self.compute_wall_s,
            overhead_wall_s_per_cell=self.wall_s,
            overhead_cpu_s_per_cell=self.cpu_s,
        )


Key = tuple[str, int]
"""Model and length."""


def own(way: str, models: Sequence[str], lengths: Sequence[int], cache: Path) -> tuple[Overhead, Cells]:
    """Measure cells with our bench."""
    cost, cells = run_bench(models, lengths, out=cache / "benches" / way.replace(" ", "-"), cache=cache)
    ran = [cell for cell in cells if cell.ok and not cell.shared_from]
    failed = [f"{cell.key}: {cell.cause}" for cell in cells if not cell.ok and cell.state != "not_applicable"]
    if failed or not ran:
        raise RuntimeError(f"cells that should run did not: {'; '.join(failed) or 'all'}")
    overhead = Overhead(
        way=way,
        cells=len(ran),
        cost=cost,
        compute_wall_s=sum(map(compute_wall, ran)),
        compute_cpu_s=sum(map(compute_cpu, ran)),
    )
    return overhead, cells


def write_folders(names: Iterable[str], into: Path) -> dict[str, Path]:
    """Write configuration and random weights of models as folders that both sides can load."""
    from transformers import CONFIG_MAPPING, AutoModel

    from scalescope.inference.finding_models import find_model

    folders = {}
    for name in names:
        model = find_model(name, online=False)
        folders[name] = folder = into / name.replace("/", "--")
        if not (folder / "model.safetensors").is_file():
            config = CONFIG_MAPPING[model.model_type](**model.config)
            AutoModel.from_config(config).save_pretrained(folder)  # type: ignore[no-untyped-call]  # theirs
    return folders


def peer(
    way: str, keys: Sequence[Key], folders: Mapping[str, Path], python: Path, cache: Path
) -> tuple[Overhead, dict[Key, list[float]], dict[str, str]]:
    """Measure cells with the peer: overhead, samples of each, versions."""
    place = cache / "peer" / way.replace(" ", "-").replace(",", "")
    place.mkdir(parents=True, exist_ok=True)
    cases = [
        {
            "model": model,
            "folder": str(folders[model]),
            "model_type": json.loads((folders[model] / "config.json").read_text("utf-8"))["model_type"],
            "length": length,
            "effort": WAYS[way],
        }
        for model, length in keys
    ]
    (place / "cases.json").write_text(json.dumps(cases), "utf-8")
    results = place / "results.json"
    command = [str(python), str(PEER), str(place / "cases.json"), str(results)]
    cost = run_tree(command, environment=own_environment(cache), log=place / "run.log")
    told = json.loads(results.read_text("utf-8"))
    compute = sum(map(compute_of_peer, told["cells"]))
    name = f"optimum-benchmark {told['versions']['optimum-benchmark']}, {way}"
    overhead = Overhead(way=name, cells=len(keys), cost=cost, compute_wall_s=compute, compute_cpu_s=compute)
    samples = {(cell["model"], cell["length"]): cell["samples"] for cell in told["cells"]}
    return overhead, samples, told["versions"]


def compute_of_peer(cell: Mapping[str, Any]) -> float:
    """Seconds of all calls of one cell; those that it does not tell count as the median."""
    untold = cell["warmup_runs"] + (1 if cell["memory"] else 0)
    return float(sum(cell["samples"]) + sum(cell["first"]) + untold * np.median(cell["samples"]))


def samples_of(cells: Cells) -> dict[Key, tuple[float, ...]]:
    """Samples of our cells; a folder's name is the model's with the slash written out."""
    return {
        (cell.model.replace("--", "/"), cell.workload.length): cell.timing.samples
        for cell in cells
        if cell.timing is not None
    }


def compare_medians(
    before: Mapping[Key, Sequence[float]],
    after: Mapping[Key, Sequence[float]],
    other: Mapping[Key, Sequence[float]],
    way: str,
) -> None:
    """Print ours beside the peer's for every cell, and both for all cells together."""
    ratios, noises = [], []
    for key, theirs in other.items():
        mine = [*before[key], *after[key]]
        ratio, low, high = ratio_of(theirs, mine)
        noise, *_ = ratio_of(after[key], before[key])
        ratios.append(ratio)
        noises.append(noise)
        say(
            "bench_overhead",
            figure="medians",
            model=key[0],
            length=key[1],
            way=way,
            own_s=float(np.median(mine)),
            peer_s=float(np.median(theirs)),
            peer_over_own=ratio,
            low=low,
            high=high,
            own_after_over_before=noise,
        )
    say(
        "bench_overhead",
        figure="medians of all cells",
        way=way,
        cells=len(ratios),
        **spread("peer_over_own", ratios),
        **spread("own_after_over_before", noises),
    )


def ratio_of(above: Sequence[float], below: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Ratio of two medians with bounds from the 90% intervals of both."""
    first, second = median_interval(above), median_interval(below)
    ratio = float(np.median(above) / np.median(below))
    if first is None or second is None:
        return ratio, None, None
    return ratio, first[0] / second[1], first[1] / second[0]


def spread(name: str, ratios: Sequence[float]) -> dict[str, float]:
    """Median and extremes."""
    return {name: float(np.median(ratios)), f"{name}_lowest": min(ratios), f"{name}_highest": max(ratios)}


def compare_overheads(ours: Sequence[Overhead], theirs: Sequence[Overhead]) -> None:
    """Print how much less ours is, on the same cells: the mean of the commands before and after."""
    wall = float(np.mean([one.wall_s for one in ours]))
    cpu = float(np.mean([one.cpu_s for one in ours]))
    for one in theirs:
        say(
            "bench_overhead",
            figure="ratio of overheads",
            peer=one.way,
            cpu=one.cpu_s / cpu,
            wall=one.wall_s / wall,
            goal=GOAL,
        )


def main() -> None:
    """Measure both sides in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peer-python", type=Path, help="Python with optimum-benchmark")
    parser.add_argument("--ways", default="; ".join(WAYS), help="of the peer, separated by semicolons")
    parser.add_argument("--quick", action="store_true", help="one small model at one length, one way")
    parser.add_argument("--folder", type=Path, help="for calibration, weights and benches; kept")
    options = parser.parse_args()
    models, lengths, shared, shared_lengths = MODELS, LENGTHS, SHARED, SHARED_LENGTHS
    ways = [way.strip() for way in options.ways.split(";")]
    if options.quick:
        models = shared = SHARED[:1]
        lengths = shared_lengths = (128,)
        ways = ways[:1]
    with tempfile.TemporaryDirectory() as temporary:
        cache = (options.folder or Path(temporary)).resolve()
        calibrate_once(cache)
        own("unmeasured", models, lengths, cache)
        whole, _ = own("ours, all cells", models, lengths, cache)
        whole.say()
        if options.peer_python is None:
            return
        folders = write_folders_apart(shared, cache / "folders")
        keys = [(model, length) for model in shared for length in shared_lengths]
        given = [str(folders[name]) for name in shared]
        before, cells_before = own("ours, shared cells", given, shared_lengths, cache)
        theirs = []
        for way in ways:
            chosen = keys if WAYS[way] else [key for key in keys if key[1] == min(shared_lengths)]
            theirs.append(peer(way, chosen, folders, options.peer_python, cache))
        after, cells_after = own("ours, shared cells again", given, shared_lengths, cache)
        for one in (before, after, *(overhead for overhead, _, _ in theirs)):
            one.say()
        compare_overheads((before, after), [overhead for overhead, _, _ in theirs])
        for overhead, samples, _ in theirs:
            compare_medians(samples_of(cells_before), samples_of(cells_after), samples, overhead.way)
        say("bench_overhead", figure="versions", peer=theirs[0][2])


def write_folders_apart(names: Sequence[str], into: Path) -> dict[str, Path]:
    """Do `write_folders` in a process of its own, so that this one never loads torch."""
    into.mkdir(parents=True, exist_ok=True)
    code = (
        "import sys, pathlib, bench_overhead\n"
        "bench_overhead.write_folders(sys.argv[2:], pathlib.Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(into), *names]
    subprocess.run(command, cwd=Path(__file__).parent, check=True, capture_output=True)
    return {name: into / name.replace("/", "--") for name in names}


if __name__ == "__main__":
    main()
