"""What the cross-entropy holds at its fullest moment is what the planner counts, within 1%."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytestmark = pytest.mark.torch

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.distributed._tools.mem_tracker import MemTracker  # noqa: E402

from scalescope.cost import Shape  # noqa: E402
from scalescope.cost.loss_memory import chunked_loss_bytes  # noqa: E402
from scalescope.training.blocks.cross_entropy import CHUNK_NUMBERS, cross_entropy  # noqa: E402

SHAPE = Shape(
    width=1024, n_layers=1, n_heads=8, n_kv_heads=8, feed_forward=2816, vocabulary=32000, context=8192
)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    ("shape", "tokens"),
    [
        (SHAPE, 8192),
        (replace(SHAPE, vocabulary=128256), 8192),
        (replace(SHAPE, width=2048, vocabulary=50257), 4096),
        (SHAPE, 64),
        (replace(SHAPE, width=128, n_heads=4, n_kv_heads=4), 8192),
    ],
)
def test_the_peak_is_what_is_counted(shape, tokens, dtype, reduction):
    counted = chunked_loss_bytes(shape, tokens, dtype.itemsize, numbers=CHUNK_NUMBERS["cpu"])
    assert peak(shape, tokens, dtype, reduction) == pytest.approx(float(counted), rel=0.01)


def peak(shape, tokens, dtype, reduction):
    """Bytes at the fullest moment, beside hidden, its gradient and the head."""
    with FakeTensorMode():
        hidden = torch.randn(tokens, shape.width, dtype=dtype, requires_grad=True)
        head = torch.randn(shape.vocabulary, shape.width, requires_grad=True)
        targets = torch.zeros(tokens, dtype=torch.int64)
        tracker = MemTracker()
        tracker.track_external(hidden, head, targets)
        with tracker:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
                loss, _ = cross_entropy(hidden, head, targets, reduction=reduction)
            loss.sum().backward()
        seen = next(iter(tracker.get_tracker_snapshot("peak").values()))
    whole = next(size for kind, size in seen.items() if kind == "Total")
    return whole - 2 * hidden.nbytes - head.nbytes - targets.nbytes
