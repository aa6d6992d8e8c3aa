"""Layouts that must train as one process does, by number of processes; `parity_worker` runs them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from scalescope.cost import Experts, Shape
from scalescope.cost.layout import Layout, parse_layout

PLAIN = Shape(
    width=16,
    n_layers=4,
    n_heads=4,
    n_kv_heads=2,
    feed_forward=24,
    vocabulary=64,
    context=16,
    head_norms=True,
)
EXPERTS = Experts(count=4, top_k=2, width=12, shared=1, z_loss=0.01)
MIXED = {"pattern": ("window", "full"), "window": 5}
OTHER = {"norm": "layer", "biases": True, "gated": False, "head_norms": False, "vocabulary": 63}


@dataclass(frozen=True)
class Case:
    """A layout, and what its shape has otherwise than `PLAIN`."""

    text: str
    changes: dict[str, Any] = field(default_factory=dict)
    optimizer: str = "adamw"
    rows: int = 8
    precision: str = "fp32"

    @property
    def layout(self) -> Layout:
        return parse_layout(self.text)

    @property
    def shape(self) -> Shape:
        return replace(PLAIN, **self.changes)

    def __str__(self) -> str:
        others = [one for one in (self.optimizer, self.precision) if one not in ("adamw", "fp32")]
        others += [f"rows={self.rows}"] if self.rows != 8 else []
        return " ".join([self.text, *self.changes, *others])


MOE = {"experts": EXPERTS}
LINEAR_MOE = {"experts": replace(EXPERTS, balance="none")}
"""The z-loss alone: its mean over passes is that of the batch, which Switch's loss is not."""
BIAS_MOE = {"experts": replace(EXPERTS, balance="bias", z_loss=0.0)}

CASES: dict[int, tuple[Case, ...]] = {
    2: (
        Case("dp=2,micro_batch=2"),
        Case("dp=2,micro_batch=2,recompute=full", rows=7),
        Case("fsdp=2,micro_batch=2"),
        Case("fsdp=2,micro_batch=2", optimizer="muon"),
        Case("fsdp=2,zero=2,micro_batch=2,recompute=selective"),
        Case("fsdp=2,zero=1,micro_batch=2,recompute=operations"),
        Case("tp=2,sequence_parallel=no,micro_batch=4"),
        Case("tp=2,micro_batch=4,recompute=operations", {**OTHER, "tied": True}),
        Case("cp=2,micro_batch=4,recompute=full", OTHER),
        Case("cp=2,micro_batch=8", MIXED),
        Case("cp=2,micro_batch=8", {"causal": False}),
        Case("pp=2,micro_batch=2,schedule=gpipe"),
        Case("pp=2,micro_batch=2,recompute=full", rows=3),
        Case("pp=2,micro_batch=2,schedule=interleaved,virtual_stages=2"),
        Case("pp=2,micro_batch=2,schedule=zero-bubble"),
        Case("pp=2,micro_batch=2,schedule=zero-bubble,virtual_stages=2"),
        Case("pp=2,micro_batch=2", LINEAR_MOE),
        Case("fsdp=2,micro_batch=2", precision="bf16"),
        Case("tp=2,micro_batch=4", precision="bf16"),
        Case("pp=2,micro_batch=2", precision="bf16"),
        Case("dp=2,micro_batch=4", MOE),
        Case("dp=2,ep=2,micro_batch=4", MOE),
        Case("fsdp=2,ep=2,micro_batch=4", BIAS_MOE),
    ),
    4: (
        Case("dp=4,micro_batch=2"),
        Case("fsdp=4,micro_batch=2"),
        Case("dp=2,fsdp=2,micro_batch=1"),
        Case("tp=4,micro_batch=8", {"n_kv_heads": 4}),
        Case("dp=2,tp=2,micro_batch=4"),
        Case("fsdp=2,tp=2,micro_batch=4", optimizer="muon"),
        Case("cp=4,micro_batch=8"),
        Case("cp=2,fsdp=2,micro_batch=4"),
        Case("cp=2,tp=2,micro_batch=8"),
        Case("pp=4,micro_batch=2"),
        Case("pp=2,dp=2,micro_batch=2,schedule=interleaved,virtual_stages=2"),
        Case("pp=2,fsdp=2,micro_batch=2"),
        Case("pp=2,fsdp=2,micro_batch=2,schedule=zero-bubble"),
        Case("pp=2,tp=2,micro_batch=4"),
        Case("pp=2,cp=2,micro_batch=4"),
        Case("dp=4,ep=2,micro_batch=2", MOE),
        Case("fsdp=4,ep=2,micro_batch=2", MOE),
        Case("dp=2,fsdp=2,ep=4,micro_batch=2", MOE),
        Case("cp=2,fsdp=2,ep=2,micro_batch=4", MOE),
        Case("pp=2,fsdp=2,ep=2,micro_batch=2", LINEAR_MOE),
    ),
}
