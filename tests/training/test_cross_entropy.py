"""The fused cross-entropy against autograd, and what it keeps in memory."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

import torch.nn.functional as F  # noqa: E402, N812
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from scalescope.cost import Shape  # noqa: E402
from scalescope.training.blocks import cross_entropy as fused  # noqa: E402
from scalescope.training.network import Network  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setitem(fused.CHUNK_NUMBERS, "cpu", 100)


def drawn(tokens=37, width=6, vocabulary=19, dtype=torch.float64, ignored=True):
    torch.manual_seed(0)
    hidden = torch.randn(tokens, width, dtype=dtype, requires_grad=True)
    weight = torch.randn(vocabulary, width, dtype=dtype, requires_grad=True)
    targets = torch.randint(vocabulary, (tokens,))
    if ignored:
        targets[::5] = fused.IGNORED
    return hidden, weight, targets


def plain(hidden, weight, targets, reduction, z_loss):
    """Loss with the penalty, the penalty alone, and the gradients, all by autograd."""
    logits = hidden @ weight.mT
    loss = F.cross_entropy(logits, targets, reduction=reduction)
    squares = z_loss * logits.logsumexp(-1).square() * (targets != fused.IGNORED)
    penalty = {"mean": squares.sum() / (targets != fused.IGNORED).sum(), "sum": squares.sum()}
    return loss, penalty.get(reduction, squares)


@pytest.mark.parametrize("z_loss", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_loss_and_gradients_are_those_of_autograd_in_double(reduction, z_loss):
    hidden, weight, targets = drawn()
    shares = torch.rand(len(targets)).double() if reduction == "none" else torch.tensor(0.7).double()
    loss, penalty = fused.cross_entropy(hidden, weight, targets, reduction=reduction, z_loss=z_loss)
    expected, squares = plain(hidden, weight, targets, reduction, z_loss)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(penalty, squares.detach(), rtol=1e-12, atol=1e-12)
    ours = torch.autograd.grad((loss * shares).sum(), (hidden, weight))
    theirs = torch.autograd.grad(((expected + squares) * shares).sum(), (hidden, weight))
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)
    assert not penalty.requires_grad


def test_a_text_of_sequences_and_logits_of_thousands_stay_finite():
    hidden, weight, targets = drawn(tokens=36, dtype=torch.float32)
    hidden = (hidden.detach() * 3000).view(4, 9, -1).requires_grad_()
    loss, _ = fused.cross_entropy(hidden, weight, targets.view(4, 9))
    expected = F.cross_entropy((hidden @ weight.mT).flatten(0, 1), targets)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert hidden.grad.isfinite().all()
    assert hidden.grad.shape == hidden.shape


def test_nothing_asked_costs_nothing_and_teaches_nothing():
    hidden, weight, _ = drawn()
    loss, penalty = fused.cross_entropy(hidden, weight, torch.full((37,), fused.IGNORED), z_loss=1.0)
    loss.backward()
    assert (float(loss.detach()), float(penalty)) == (0.0, 0.0)
    assert not hidden.grad.any()
    assert not weight.grad.any()


def test_a_head_that_learns_alone_has_its_gradient():
    hidden, weight, targets = drawn()
    fused.cross_entropy(hidden.detach(), weight, targets)[0].backward()
    expected = torch.autograd.grad(F.cross_entropy(hidden @ weight.mT, targets), weight)[0]
    torch.testing.assert_close(weight.grad, expected)


def test_gradients_are_given_away_once():
    hidden, weight, targets = drawn()
    loss, _ = fused.cross_entropy(hidden, weight, targets)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        loss.backward()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_multiplies_in_half_and_sums_in_single_precision(dtype):
    hidden, weight, targets = drawn(tokens=300, width=64, vocabulary=50, dtype=torch.float32)
    with torch.autocast("cpu", dtype=dtype):
        loss, _ = fused.cross_entropy(hidden, weight, targets)
        expected = F.cross_entropy((hidden @ weight.mT).float(), targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)
    ours = torch.autograd.grad(loss, (hidden, weight))
    exact = torch.autograd.grad(F.cross_entropy(hidden @ weight.mT, targets), (hidden, weight))
    for one, other in zip(ours, exact, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.02 * other.norm()


def test_half_precision_keeps_gradients_that_a_mean_over_many_tokens_would_lose():
    hidden, weight, targets = drawn(tokens=4096, width=4, vocabulary=512, dtype=torch.float32)
    hidden = (hidden.detach() * 1e-3).requires_grad_()
    with torch.autocast("cpu", dtype=torch.float16):
        loss, _ = fused.cross_entropy(hidden, weight, targets)
    loss.backward()
    exact = torch.autograd.grad(F.cross_entropy(hidden @ weight.mT, targets), weight)[0]
    assert (weight.grad - exact).norm() < 0.02 * exact.norm()


class Largest(TorchDispatchMode):
    """The most numbers of any tensor that an operation returns."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        self.numbers = max(self.numbers, *sizes, 0)
        return out


def largest(work):
    with Largest() as seen:
        work()
    return seen.numbers


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_no_tensor_is_larger_than_head_hidden_or_a_chunk(reduction):
    tokens, width, vocabulary = 512, 8, 300
    hidden, weight, targets = drawn(tokens, width, vocabulary)
    limit = max(width * vocabulary, tokens * width)

    def ours():
        fused.cross_entropy(hidden, weight, targets, reduction=reduction, z_loss=0.1)[0].sum().backward()

    assert largest(ours) <= limit
    assert largest(lambda: F.cross_entropy(hidden @ weight.mT, targets).backward()) == tokens * vocabulary


SHAPE = Shape(width=8, n_layers=1, n_heads=2, n_kv_heads=2, feed_forward=16, vocabulary=300, context=64)


def test_a_network_learns_text_without_the_logits_of_all_tokens():
    torch.manual_seed(0)
    model = Network(SHAPE).double()
    torch.nn.init.normal_(model.head.weight)
    tokens = torch.randint(300, (8, 65))
    inputs, targets = tokens[:, :-1], tokens[:, 1:].clone()
    targets[:, :3] = fused.IGNORED
    names = [name for name, _ in model.named_parameters()]
    expected = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
    exact = torch.autograd.grad(expected, model.parameters())
    assert largest(lambda: model.loss(inputs, targets).backward()) < 8 * 64 * 300
    torch.testing.assert_close(model.loss(inputs, targets), expected)
    for name, param, gradient in zip(names, model.parameters(), exact, strict=True):
        torch.testing.assert_close(param.grad, gradient, msg=lambda text, name=name: f"{name}: {text}")


def test_a_network_tells_the_loss_without_the_penalty_but_learns_with_it():
    torch.manual_seed(0)
    model = Network(SHAPE).double()
    torch.nn.init.normal_(model.head.weight)
    tokens = torch.randint(300, (2, 65))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    bare, penalised = model.loss(inputs, targets), model.loss(inputs, targets, z_loss=0.5)
    assert float(bare.detach()) == float(penalised.detach())
    logits = model(inputs)
    wanted = (
        F.cross_entropy(logits.flatten(0, 1), targets.flatten()) + 0.5 * logits.logsumexp(-1).square().mean()
    )
    ours, exact = (torch.autograd.grad(one, model.head.weight)[0] for one in (penalised, wanted))
    torch.testing.assert_close(ours, exact)
    # A head that is more than a plain matrix goes through its own forward, to the same result.
    model.head = torch.nn.Sequential(model.head)
    torch.testing.assert_close(model.loss(inputs, targets, z_loss=0.5), bare)
    other = torch.autograd.grad(model.loss(inputs, targets, z_loss=0.5), model.head[0].weight)[0]
    torch.testing.assert_close(other, exact)


def test_torchs_counter_sees_the_three_products_of_a_head():
    hidden, weight, targets = drawn(dtype=torch.float32)
    with FlopCounterMode(display=False) as counter:
        fused.cross_entropy(hidden, weight, targets)[0].backward()
    assert counter.get_total_flops() == 6 * hidden.numel() * len(weight)
