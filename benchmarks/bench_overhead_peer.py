"""The other side of `bench_overhead.py`: runs cells with optimum-benchmark, in that one's own Python.

Reads a JSON file with cases, measures them one after the other with the process launcher, and writes what
came of each into another: `python bench_overhead_peer.py cases.json results.json`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any


def spent() -> float:
    """CPU seconds of this process and of its descendants that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Measure one cell; `effort` holds what differs from the defaults of the inference scenario."""
    from optimum_benchmark import Benchmark, BenchmarkConfig, InferenceConfig, ProcessConfig, PyTorchConfig

    scenario = InferenceConfig(
        input_shapes={"batch_size": 1, "sequence_length": case["length"]}, **case["effort"]
    )
    backend = PyTorchConfig(
        model=case["folder"],
        task="feature-extraction",
        library="transformers",
        model_type=case["model_type"],
        device="cpu",
        torch_dtype="float32",
        attn_implementation="sdpa",
        inter_op_num_threads=1,
        intra_op_num_threads=1,
    )
    config = BenchmarkConfig(name="cell", launcher=ProcessConfig(), scenario=scenario, backend=backend)
    cpu, started = spent(), time.monotonic()
    report = Benchmark.launch(config).to_dict()
    return {
        "model": case["model"],
        "length": case["length"],
        "wall_s": time.monotonic() - started,
        "cpu_s": spent() - cpu,
        "samples": report["forward"]["latency"]["values"],
        "first": report["first_forward"]["latency"]["values"],
        "warmup_runs": scenario.warmup_runs,
        "memory": bool(scenario.memory),
    }


def main() -> None:
    """Measure all cases of a file."""
    cases, results = map(Path, sys.argv[1:])
    os.chdir(results.parent)  # its log file lands in the working directory
    measured = [measure(case) for case in json.loads(cases.read_text("utf-8"))]
    names = ("optimum-benchmark", "transformers", "torch")
    versions = {name: version(name) for name in names}
    results.write_text(json.dumps({"versions": versions, "cells": measured}), "utf-8")


if __name__ == "__main__":
    main()
