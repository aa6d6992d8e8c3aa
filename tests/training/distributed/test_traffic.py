"""What every layout sends on a group of 64 ranks is what the planner counts, to the byte."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytestmark = pytest.mark.torch

from fake_group import collectives_of_a_step  # noqa: E402

from scalescope.cost import Experts, Shape  # noqa: E402
from scalescope.cost.layout import parse_layout  # noqa: E402
from scalescope.cost.traffic import traffic  # noqa: E402

PLAIN = Shape(
    width=64,
    n_layers=2,
    n_heads=16,
    n_kv_heads=8,
    feed_forward=128,
    vocabulary=256,
    context=32,
    own_head_size=8,
)
MOE = replace(PLAIN, experts=Experts(count=64, top_k=2, width=64, shared=1, dense_layers=1))
DEEP = replace(PLAIN, n_layers=4)

CASES = [
    ("dp=64,micro_batch=2", PLAIN, 2, "fp32"),
    ("fsdp=64", PLAIN, 2, "bf16"),
    ("fsdp=64,zero=2", PLAIN, 2, "fp32"),
    ("fsdp=64,zero=1", PLAIN, 2, "fp32"),
    ("dp=8,fsdp=8", PLAIN, 2, "bf16"),
    ("tp=8,fsdp=8", PLAIN, 2, "bf16"),
    ("tp=8,fsdp=8,recompute=full", PLAIN, 1, "fp32"),
    ("tp=8,fsdp=8,recompute=operations", PLAIN, 1, "fp32"),
    ("tp=8,fsdp=8,sequence_parallel=no", PLAIN, 1, "fp32"),
    ("tp=8,fsdp=8,sequence_parallel=no,recompute=operations", PLAIN, 1, "fp32"),
    ("tp=8,dp=8", replace(PLAIN, norm="layer", tied=True), 2, "fp32"),
    ("tp=8,dp=8,sequence_parallel=no", replace(PLAIN, head_norms=True), 1, "fp32"),
    ("cp=4,fsdp=16", PLAIN, 2, "fp32"),
    ("cp=4,fsdp=16,recompute=selective", PLAIN, 1, "fp32"),
    ("cp=2,tp=2,fsdp=16", PLAIN, 1, "fp32"),
    ("pp=4,fsdp=16", DEEP, 4, "fp32"),
    ("pp=2,fsdp=32,schedule=interleaved,virtual_stages=2", DEEP, 2, "fp32"),
    ("pp=2,dp=32,schedule=zero-bubble", DEEP, 2, "fp32"),
    ("tp=4,pp=2,fsdp=8", DEEP, 2, "fp32"),
    ("fsdp=64,ep=8", MOE, 2, "fp32"),
    ("dp=64,ep=8,recompute=full", MOE, 1, "fp32"),
    ("dp=8,fsdp=8,ep=16", MOE, 2, "bf16"),
    ("cp=2,fsdp=32,ep=8", MOE, 1, "fp32"),
]


def cases():
    for text, shape, passes, precision in CASES:
        stages = parse_layout(text).pp
        for stage in sorted({0, stages // 2, stages - 1}):
            yield pytest.param(
                text,
                shape,
                passes,
                precision,
                stage,
                id=f"{text}" + (f" stage {stage}" if stages > 1 else ""),
            )


@pytest.mark.parametrize(("text", "shape", "passes", "precision", "stage"), list(cases()))
def test_a_step_sends_what_the_planner_counts(text, shape, passes, precision, stage):
    layout = parse_layout(text)
    batch = passes * layout.data_ranks * layout.micro_batch
    counted = collectives_of_a_step(
        shape,
        layout,
        global_batch=batch,
        rank=stage * layout.devices // layout.pp,
        precision=precision,
    )
    planned = planned_of(
        shape, layout, global_batch=batch, stage=stage, compute_bytes=2 if precision == "bf16" else 4
    )
    assert counted == planned


def planned_of(shape, layout, **how):
    calls, sizes = Counter(), Counter()
    for one in traffic(shape, layout, **how):
        key = one.collective, one.ranks, one.stride
        calls[key] += one.calls
        sizes[key] += one.bytes
    return {key: (calls[key], sizes[key]) for key in calls}
