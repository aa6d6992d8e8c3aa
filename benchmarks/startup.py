"""How long a user waits for the first screen and for the demonstration.

    python benchmarks/startup.py >> benchmarks/results/startup.jsonl

Whole processes, wall seconds, median of several runs, beside the time of an empty Python. Goals: `--help` in
under 0.25 s and without numpy, `demo` in under 10 s and without torch. Prints one JSON line per figure.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time

from scalescope.points.provenance import machine_name

COMMANDS = {
    "empty Python": ([sys.executable, "-c", "pass"], 15, None),
    "--help": ([sys.executable, "-m", "scalescope", "--help"], 15, 0.25),
    "fit --help": ([sys.executable, "-m", "scalescope", "fit", "--help"], 5, None),
    "demo": ([sys.executable, "-m", "scalescope", "demo"], 3, 10.0),
}
"""Name to command, runs and goal in seconds."""
UNWANTED = {"--help": "numpy", "demo": "torch"}


def imports(command: list[str], module: str, folder: str) -> bool:
    """Whether a command imports a module."""
    timed = [command[0], "-X", "importtime", *command[1:]]
    done = subprocess.run(timed, cwd=folder, capture_output=True, text=True, check=True)
    return any(line.rsplit("|", 1)[-1].strip() == module for line in done.stderr.splitlines())


def main() -> None:
    """Time every command."""
    with tempfile.TemporaryDirectory() as folder:
        for name, (command, n, goal) in COMMANDS.items():
            times = []
            for _ in range(n):
                started = time.perf_counter()
                subprocess.run(command, cwd=folder, capture_output=True, check=True)
                times.append(time.perf_counter() - started)
            figure = {
                "benchmark": "startup",
                "command": name,
                "median_seconds": round(statistics.median(times), 3),
                "lowest_seconds": round(min(times), 3),
                "runs": n,
                "goal_seconds": goal,
            }
            if name in UNWANTED:
                figure[f"imports_{UNWANTED[name]}"] = imports(command, UNWANTED[name], folder)
            sys.stdout.write(json.dumps({**figure, "machine": machine_name()}) + "\n")


if __name__ == "__main__":
    main()
