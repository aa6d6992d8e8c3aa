"""The penalty on the log of the softmax's sum: in the gradients, in no reported loss."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from scalescope.cost import Shape  # noqa: E402
from scalescope.training.building import build_model  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(width=16, n_layers=2, n_heads=2, n_kv_heads=1, feed_forward=24, vocabulary=50, context=16)
WEIGHT = 0.01


@pytest.mark.parametrize("shape", [SHAPE, replace(SHAPE, head_norms=True)], ids=["stacked", "general"])
def test_gradients_have_the_penalty_and_the_loss_has_not(shape):
    torch.manual_seed(0)
    model = build_model(shape).double()
    with torch.no_grad():
        for param in model.parameters():
            param.add_(0.1 * torch.randn_like(param))
    tokens = torch.randint(50, (3, 17))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    loss = model.loss(inputs, targets, z_loss=WEIGHT)
    loss.backward()
    found = [param.grad.clone() for param in model.parameters()]
    model.zero_grad()
    logits = model(inputs).flatten(0, 1)
    plain = torch.nn.functional.cross_entropy(logits, targets.flatten())
    (plain + WEIGHT * logits.logsumexp(-1).square().mean()).backward()
    torch.testing.assert_close(loss.detach(), plain.detach())
    for grad, param in zip(found, model.parameters(), strict=True):
        torch.testing.assert_close(grad, param.grad)
    alone = model.loss(inputs, targets)
    torch.testing.assert_close(alone.detach(), plain.detach())
