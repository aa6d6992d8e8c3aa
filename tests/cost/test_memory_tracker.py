"""Lists of what autograd keeps against torch's memory tracker, at the width of a published model."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from scalescope.cost import Shape
from scalescope.cost.layout import Layout
from scalescope.cost.layouts import Layouts
from scalescope.cost.rank_activations import Keeper, layer_bytes
from scalescope.cost.saved import saved_tensors

LLAMA_8B = Shape(
    width=4096,
    n_layers=2,
    n_heads=32,
    n_kv_heads=8,
    feed_forward=14336,
    vocabulary=1000,
    context=4096,
)


def every_second_product():
    """Keep attention and every second product, as torchtitan does."""
    import torch
    from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

    product, counts = torch.ops.aten.mm.default, Counter()
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default

    def policy(context, operation, *_, **__):
        counts[context.is_recompute] += operation == product
        odd = operation == product and counts[context.is_recompute] % 2 == 1
        keep = odd or operation == attention
        return CheckpointPolicy.MUST_SAVE if keep else CheckpointPolicy.PREFER_RECOMPUTE

    return create_selective_checkpoint_contexts(policy)


def block(x, weights, shape):
    """Pass a block of Llama."""
    from torch.nn import functional

    first, second, q, k, v, o, gate, up, down = weights
    y = functional.rms_norm(x, x.shape[-1:], first)
    split = (*x.shape[:2], -1, shape.head_size)
    query, key, value = (functional.linear(y, one).view(split).transpose(1, 2) for one in (q, k, v))
    seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    x = x + functional.linear(seen.transpose(1, 2).flatten(2), o)
    y = functional.rms_norm(x, x.shape[-1:], second)
    hidden = functional.silu(functional.linear(y, gate)) * functional.linear(y, up)
    return x + functional.linear(hidden, down)


def tracked(shape, passes):
    """Bytes that the tracker counts as activations after some passes, and those of the stream."""
    import torch
    from torch.distributed._tools.mem_tracker import MemTracker

    x = torch.randn(1, shape.context, shape.width, dtype=torch.bfloat16, requires_grad=True)
    tracker = MemTracker()
    tracker.track_external(x)
    with tracker:
        y = x
        for one in passes:
            y = one(y)
        seen = next(iter(tracker.get_tracker_snapshot("current").values()))
    return next(size for kind, size in seen.items() if getattr(kind, "name", "") == "ACT"), y.nbytes


@pytest.mark.torch
@pytest.mark.parametrize("level", ["none", "operations", "full"])
def test_a_block_of_llama_keeps_what_is_listed(level):
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.checkpoint import checkpoint

    d, f, keys = LLAMA_8B.width, LLAMA_8B.feed_forward, 1024
    sizes = ((d,), (d,), (d, d), (keys, d), (keys, d), (d, d), (f, d), (f, d), (d, f))
    how = {"context_fn": every_second_product} if level == "operations" else {}

    def passed(y):
        weights = [torch.empty(size, dtype=torch.bfloat16, requires_grad=True) for size in sizes]
        held.append(weights)
        if level == "none":
            return block(y, weights, LLAMA_8B)
        return checkpoint(block, y, weights, LLAMA_8B, use_reentrant=False, **how)

    held = []
    with FakeTensorMode():
        made, stream = tracked(LLAMA_8B, [passed] * 2)
        weights = sum(one.nbytes for some in held for one in some)
    # torch has no kernel for this norm here: it keeps two copies, and not the input of the first block
    kept = made - weights - stream + (0 if level == "none" else stream)
    keeper = Keeper(shape=LLAMA_8B, compute=2, fused_norms=False)
    listed = layer_bytes(keeper, Layouts.of([Layout(recompute=level)]))[0][0]
    assert kept == pytest.approx(listed * LLAMA_8B.n_layers * LLAMA_8B.context, rel=0.01)


@pytest.mark.torch
def test_the_own_trainer_keeps_what_is_listed_where_autograd_is_used():
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from scalescope.training.stacked.transformer import StackedTransformer

    with FakeTensorMode():
        torch.set_default_dtype(torch.bfloat16)
        try:
            model = StackedTransformer(LLAMA_8B)
        finally:
            torch.set_default_dtype(torch.float32)
        tokens = torch.zeros(1, LLAMA_8B.context, dtype=torch.long)
        kept = {}

        def pack(tensor):
            kept[id(tensor.untyped_storage())] = tensor.untyped_storage()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(tokens)
        own = {id(one.untyped_storage()) for one in (*model.parameters(), *model.buffers(), tokens)}
        size = sum(one.nbytes() for place, one in kept.items() if place not in own)
    listed = sum(one.bytes_per_token(2) for one in saved_tensors(LLAMA_8B, fused_norms=False))
    assert size == pytest.approx(listed * LLAMA_8B.context, rel=0.01)


@pytest.mark.torch
@pytest.mark.parametrize("kv_heads", [2, 4])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_own_trainer_keeps_what_is_listed_where_gradients_are_written_by_hand(kv_heads, dtype):
    import torch

    from scalescope.training.stacked.gradients import Parameters, _Pass
    from scalescope.training.stacked.transformer import StackedTransformer

    small = replace(LLAMA_8B, width=64, n_heads=4, n_kv_heads=kv_heads, feed_forward=176, context=256)
    model = StackedTransformer(small)
    constants = replace(model._constants(), dtype=getattr(torch, dtype))
    weights = Parameters(*(one.detach() for one in model._named()))
    step = _Pass(weights, weights, constants, small.context)
    x = torch.randn(2 * small.context, small.width)
    with torch.no_grad():
        for layer, _ in step.layers:
            x = step._feed_forward(step._attention(x, layer, 2), layer)
    kept = {}
    for entry in step.kept:
        for one in entry:
            for tensor in one if isinstance(one, list) else [one]:
                kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    listed = sum(
        one.bytes_per_token(getattr(torch, dtype).itemsize) for one in saved_tensors(small, by_hand=True)
    )
    assert sum(kept.values()) == pytest.approx(listed * 2 * small.context, rel=0.01)
