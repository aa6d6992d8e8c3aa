"""What rank 0 tells of a run: lines for people on stderr, and `metrics.jsonl` for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalescope.cost.devices import find_device
from scalescope.points import Finding
from scalescope.points.files import replacing
from scalescope.training.distributed.config import Config

METRICS = "metrics.jsonl"
BEFORE = "metrics-before.jsonl"
"""What stood there when a run began anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Writes on one rank, and nowhere else."""

    config: Config
    ranks: int
    writes: bool
    peak: float | None
    """FLOP/s of one device in the run's precision, None where it is not known."""

    @classmethod
    def open(cls, config: Config, *, rank: int, ranks: int) -> Journal:
        """Make the folder of the log on rank 0."""
        if rank == 0:
            Path(config.log.folder).mkdir(parents=True, exist_ok=True)
        return cls(config=config, ranks=ranks, writes=rank == 0, peak=_peak(config))

    def step(self, *, step: int, tokens: int, loss: float, norm: float, speed: float) -> None:
        """Record an optimiser step."""
        if not self.writes:
            return
        row = {
            "step": step,
            "tokens": tokens,
            "loss": loss,
            "gradient_norm": norm,
            "tokens_per_second": speed,
        }
        if self.peak is not None:
            row["mfu"] = self.config.shape.flop_per_token * speed / (self.peak * self.ranks)
        self.record({"kind": "step", **row})
        if step % self.config.log.every == 0 or step == self.config.n_steps:
            used = f", MFU {row['mfu']:.1%}" if "mfu" in row else ""
            told = f"step {step}/{self.config.n_steps} loss {loss:.4f} norm {norm:.3g}"
            self.say(f"{told}, {speed:,.0f} tokens/s{used}")

    def message(self, message: dict[str, Any]) -> None:
        """Record what a trial emits: points and findings."""
        if message["kind"] == "progress":
            return
        self.record(message)
        if message["kind"] == "finding":
            self.say(f"{message['code']} {message['text']} {message['hint']}".rstrip())
        if message["kind"] == "point":
            self.say(f"held-out loss {message['loss']:.4f} after {message['tokens']:,} tokens")

    def finding(self, finding: Finding) -> None:
        """Record a finding."""
        told = {"code": finding.code, "text": finding.text, "hint": finding.hint}
        self.message({"kind": "finding", **told})

    def cut(self, step: int) -> list[dict[str, Any]]:
        """Drop what a run told after a step, and return the steps that stay; 0 sets all of it aside."""
        path = Path(self.config.log.folder) / METRICS
        if not self.writes or not path.is_file():
            return []
        if step == 0:
            path.replace(path.with_name(BEFORE))
            return []
        rows = list(_until(path.read_text(encoding="utf-8").splitlines(), step))
        with replacing(path) as part:
            part.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return [row for row in rows if row["kind"] == "step"]

    def record(self, row: dict[str, Any]) -> None:
        """Append a row; it is on disk when this returns."""
        if self.writes:
            with (Path(self.config.log.folder) / METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    def say(self, text: str) -> None:
        """Write a line on stderr."""
        if self.writes:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def _until(lines: list[str], step: int) -> Iterator[dict[str, Any]]:
    """Yield rows until one is of a later step, a result, or torn."""
    for line in lines:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            return
        if row["kind"] == "point" or row.get("step", 0) > step:
            return
        yield row


def _peak(config: Config) -> float | None:
    return find_device(config.device).flop_per_s.get(config.precision) if config.device else None
