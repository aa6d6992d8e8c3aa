"""What the trainer's blocks keep for the backward pass is within 1% of the planner's lists."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytestmark = pytest.mark.torch

from fake_group import fake_group  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from scalescope.cost import Experts, Shape  # noqa: E402
from scalescope.cost.layout import parse_layout  # noqa: E402
from scalescope.cost.layouts import Layouts  # noqa: E402
from scalescope.cost.rank_activations import Keeper, layer_bytes  # noqa: E402
from scalescope.training.distributed.context_parallel import own_tokens, share_sequences  # noqa: E402
from scalescope.training.distributed.mesh import place_ranks  # noqa: E402
from scalescope.training.distributed.recomputation import forget  # noqa: E402
from scalescope.training.distributed.stage import Stage  # noqa: E402
from scalescope.training.distributed.tensor_parallel import share_matrices  # noqa: E402
from scalescope.training.kept import KeptTensors  # noqa: E402
from scalescope.training.network import Network  # noqa: E402

LARGE = Shape(
    width=2048, n_layers=2, n_heads=16, n_kv_heads=4, feed_forward=5632, vocabulary=1000, context=2048
)
SMALL = replace(LARGE, width=256, n_heads=4, n_kv_heads=2, feed_forward=704, context=256)
MOE = replace(SMALL, experts=Experts(count=16, top_k=2, width=176, shared=1))
BF16 = 2

CASES = [
    ("dp=1", LARGE),
    ("recompute=selective", LARGE),
    ("recompute=operations", LARGE),
    ("recompute=full", LARGE),
    ("dp=1", replace(LARGE, norm="layer", gated=False)),
    ("tp=4", LARGE),
    ("tp=4,sequence_parallel=no", LARGE),
    ("tp=4,recompute=operations", LARGE),
    ("tp=4,recompute=full", LARGE),
    ("cp=2", replace(SMALL, causal=False)),
    ("cp=2,recompute=selective", SMALL),
    ("cp=2,recompute=full", SMALL),
    ("dp=1", MOE),
    ("recompute=operations", MOE),
]


@pytest.mark.parametrize(("text", "shape"), CASES)
def test_a_block_keeps_what_is_listed(text, shape):
    layout = parse_layout(text)
    keeper = Keeper(shape=shape, compute=BF16, fused_norms=False, own_turns=True, gathered_keys=True)
    tokens = shape.context // layout.cp * shape.n_layers
    listed = layer_bytes(keeper, Layouts.of([layout]))[0][0] * tokens
    assert kept(shape, layout) == pytest.approx(listed, rel=0.01)


def kept(shape, layout):
    """Bytes that all blocks of one rank keep."""
    with ExitStack() as stack:
        if layout.devices > 1:
            stack.enter_context(fake_group(0, layout.devices))
            ranks = place_ranks(layout, torch.device("cpu"))
        if shape.experts is None and layout.cp == 1:  # experts' sizes, and torch's mask, need contents
            stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stage = Stage(in_bf16(shape), own_tokens(shape.context, layout.cp, 0))
        if layout.devices > 1:
            share_matrices(stage, ranks)
            share_sequences(stage.network, ranks)
        forget(stage.network, layout.recompute)
        tokens = shape.context // layout.cp // (layout.tp if layout.sequence_parallel else 1)
        x = torch.randn(1, tokens, shape.width, dtype=torch.bfloat16, requires_grad=True)
        places = torch.arange(shape.context // layout.cp)
        with KeptTensors() as watched:
            y = x
            for block in stage.network.blocks.values():
                y = block(y, places)
        own = (*stage.network.parameters(), *stage.network.buffers())
        # norms without a kernel copy their input and do not keep it
        keeps_input = layout.recompute in ("operations", "full") or shape.norm == "layer"
        return watched.bytes(but=(x, y, places, *own)) + (x.nbytes if keeps_input else 0)


def in_bf16(shape):
    torch.set_default_dtype(torch.bfloat16)
    try:
        return Network(shape)
    finally:
        torch.set_default_dtype(torch.float32)
