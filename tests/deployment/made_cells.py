"""Cells that were never measured: made from a known law of time and memory, so that answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scalescope.points import BenchMachine, Cell, Cells, Load, Memory, Timing, Workload

LENGTHS = (128, 512, 1024, 2048)
MACHINE = BenchMachine(
    processor="a chip",
    cores=2,
    memory_bytes=16 * 2**30,
    matmul_flop_per_s={"fp32": 4e12},
    copy_bytes_per_s=1e10,
    libraries={"torch": "2.13", "transformers": "5.23"},
)


def seconds_of(length: float, law: Sequence[float]) -> float:
    """a + b L + c L^2."""
    return float(law[0] + law[1] * length + law[2] * length**2)


def make_cell(
    model: str,
    length: int,
    *,
    law: Sequence[float] = (1e-3, 1e-4, 2e-8),
    memory_law: Sequence[float] = (0.0, 1e5, 20.0),
    params: int = 100_000_000,
    noise: float = 0.0,
    n: int = 9,
    seed: int = 0,
    foreign: float | None = 0.0,
    **fields: Any,
) -> Cell:
    """Return a cell that ran, with samples around a + b L + c L^2 and memory of weights and its own law."""
    rng = np.random.default_rng([seed, length, *model.encode()])
    median = seconds_of(length, law)
    samples = median * np.exp(noise * rng.standard_normal(n))
    peak = 4 * params + int(seconds_of(length, memory_law))
    work = fields.pop("workload", None) or Workload(kind=fields.pop("kind", "encode"), length=length)
    defaults: dict[str, Any] = {
        "category": "bert_family",
        "params": params,
        "load": Load(construct_s=0.05, materialise_s=0.15, page_cache="warm", weight_bytes=4 * params),
        "memory": Memory(
            source="VmHWM", baseline=300_000_000, weights=4 * params, load_peak=4 * params, peak=peak
        ),
        "timing": Timing(
            samples=tuple(samples.tolist()),
            foreign=foreign,
            low=float(samples.min()),
            high=float(samples.max()),
        ),
        "flop": 2.0 * params * length,
    }
    return Cell(model=model, workload=work, state="ok", **(defaults | fields))


def stopped(model: str, length: int, state: str, cause: str = "", **fields: Any) -> Cell:
    """Return a cell that did not run."""
    fields.setdefault("category", "bert_family")
    work = fields.pop("workload", None) or Workload(kind=fields.pop("kind", "encode"), length=length)
    return Cell(model=model, workload=work, state=state, cause=cause, **fields)  # type: ignore[arg-type]


def make_series(
    model: str, *, limit: int | None = None, lengths: Sequence[int] = LENGTHS, **more: Any
) -> list[Cell]:
    """Return a cell a length; beyond `limit` not applicable, as its position table ends."""
    kept = {
        name: more[name] for name in ("category", "kind", "params", "architecture", "dtype") if name in more
    }
    return [
        make_cell(model, length, **more)
        if limit is None or length <= limit
        else stopped(model, length, "not_applicable", f"position table ends at {limit}", **kept)
        for length in lengths
    ]


def make_cells(**more: Any) -> Cells:
    """Return five models: two encoders to 512, a decoder to 1024, one without limit, one that fails."""
    cells = [
        *make_series("org/bert-a", limit=512, **more),
        *make_series(
            "org/bert-b",
            limit=512,
            params=300_000_000,
            law=(2e-3, 3e-4, 6e-8),
            memory_law=(0.0, 3e5, 60.0),
            **more,
        ),
        *make_series(
            "org/gpt-a", limit=1024, category="generative_llm", kind="prefill", params=120_000_000, **more
        ),
        *make_series(
            "org/rope-a",
            category="generative_llm",
            kind="prefill",
            params=400_000_000,
            law=(4e-3, 4e-4, 8e-8),
            memory_law=(0.0, 4e5, 80.0),
            **more,
        ),
        stopped("org/broken", 128, "api_error", "no such argument", category="other", exception="TypeError"),
        *(stopped("org/broken", length, "other", "fell over", category="other") for length in LENGTHS[1:]),
    ]
    return Cells(cells=tuple(cells), machine=MACHINE, title="made")
