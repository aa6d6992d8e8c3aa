"""A tiny run as files."""

from __future__ import annotations

import json
from pathlib import Path

CONFIG = """
corpus = "{folder}/text"
sequences = 8
steps = {steps}
evaluation_tokens = 512
timeout_s = 60
{more}
[shape]
width = 8
n_layers = 2
n_heads = 2
n_kv_heads = 2
feed_forward = 8
vocabulary = 256
context = 16

[log]
folder = "{folder}/log"
every = 2
"""


def write_run(folder: Path, *, steps: int = 4, more: str = "") -> Path:
    """Write text and configuration; return the path of the latter."""
    (folder / "text").mkdir()
    for number in range(40):
        words = " ".join(f"word{number * word % 1009}" for word in range(600))
        (folder / "text" / f"{number}.txt").write_text(f"document {number}: {words}")
    path = folder / "training.toml"
    path.write_text(CONFIG.format(folder=folder, steps=steps, more=more))
    return path


def rows_of(folder: Path, kind: str) -> list[dict]:
    """Return the rows of a kind that a run left so far."""
    path = folder / "log" / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [row for row in map(json.loads, lines) if row["kind"] == kind]
