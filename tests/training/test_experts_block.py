"""Experts: routing, balance, capacity, and the gradients of all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

import torch.nn.functional as F  # noqa: E402, N812
from torch.utils.checkpoint import checkpoint  # noqa: E402

from scalescope.cost import Experts, Shape  # noqa: E402
from scalescope.training.blocks import grouped  # noqa: E402
from scalescope.training.blocks.balance import LossScale, add_gradient, balance_loss, z_loss  # noqa: E402
from scalescope.training.blocks.experts import ExpertFeedForward  # noqa: E402
from scalescope.training.blocks.grouped import grouped_product  # noqa: E402
from scalescope.training.blocks.routing import Router  # noqa: E402
from scalescope.training.network import Network  # noqa: E402

pytestmark = pytest.mark.torch

PLAIN = Experts(count=6, top_k=2, width=12, balance="none")
SHAPE = Shape(
    width=16, n_layers=2, n_heads=2, n_kv_heads=2, feed_forward=0, vocabulary=30, context=24, experts=PLAIN
)
SETTINGS = {
    "softmax": {},
    "not normalised": {"normalised": False},
    "one expert": {"top_k": 1},
    "all experts": {"top_k": 6},
    "sigmoid": {"scores": "sigmoid", "scale": 2.5},
    "shared": {"shared": 2},
    "odd width": {"width": 7},
    "capacity": {"capacity": 1.0},
    "auxiliary losses": {"balance": "aux-loss", "z_loss": 0.1},
}


def shape_of(**settings):
    return replace(SHAPE, experts=replace(PLAIN, **settings))


def make_layer(shape=SHAPE, *, seed=0):
    torch.manual_seed(seed)
    layer = ExpertFeedForward(shape)
    with torch.no_grad():
        for param in layer.parameters():
            param.add_(0.3 * torch.randn_like(param))
    return layer


def one_by_one(layer, x):
    """The same function in the plainest form: every token through each of its experts."""
    settings, stack = layer.settings, layer.experts
    out = []
    for row in x.flatten(0, 1):
        logits = layer.router.scores(row)
        scores = logits.softmax(0) if settings.scores == "softmax" else logits.sigmoid()
        best = scores.topk(settings.top_k)
        weights = best.values
        if settings.normalised and settings.top_k > 1:
            weights = weights / weights.sum()
        total = torch.zeros_like(row)
        for weight, expert in zip(weights, best.indices, strict=True):
            hidden = F.silu(stack.gate[expert] @ row) * (stack.up[expert] @ row)
            total = total + settings.scale * weight * (stack.down[expert] @ hidden)
        out.append(total)
    out = torch.stack(out).view_as(x)
    return out if layer.shared is None else out + layer.shared(x)


@pytest.mark.parametrize("kind", [kind for kind in SETTINGS if kind not in ("capacity", "auxiliary losses")])
def test_sorting_tokens_by_expert_changes_neither_output_nor_gradients(kind):
    layer = make_layer(shape_of(**SETTINGS[kind]))
    x = torch.randn(2, 9, 16, requires_grad=True)
    wanted_by = torch.randn(2, 9, 16)
    found = torch.autograd.grad((layer(x) * wanted_by).sum(), [x, *layer.parameters()], allow_unused=True)
    plain = torch.autograd.grad(
        (one_by_one(layer, x) * wanted_by).sum(), [x, *layer.parameters()], allow_unused=True
    )
    torch.testing.assert_close(layer(x), one_by_one(layer, x), rtol=1e-5, atol=1e-5)
    for one, other in zip(found, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sizes", [(16, 8), (10, 6)], ids=["torch's product", "one by one"])
def test_a_grouped_product_is_a_product_a_group(sizes, monkeypatch):
    inputs, outputs = sizes
    taken = []
    monkeypatch.setattr(grouped, "_fits", lambda *given: taken.append(fits(*given)) or taken[-1])
    rows = torch.randn(12, inputs, requires_grad=True)
    stack = torch.randn(4, outputs, inputs, requires_grad=True)
    counts = torch.tensor([5, 0, 6, 1])
    found = grouped_product(rows, stack, counts)
    wanted = torch.cat([part @ one.mT for part, one in zip(rows.split([5, 0, 6, 1]), stack, strict=True)])
    torch.testing.assert_close(found, wanted)
    for one, other in zip(
        torch.autograd.grad(found.sum(), (rows, stack)),
        torch.autograd.grad(wanted.sum(), (rows, stack)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    assert taken == [inputs == 16]


fits = grouped._fits


def test_gradients_of_the_own_product_are_exact():
    rows = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    stack = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    counts = torch.tensor([4, 0, 3])
    assert torch.autograd.gradcheck(lambda *given: grouped_product(*given, counts), (rows, stack))


def test_autocast_reaches_the_experts():
    layer, x = make_layer(), torch.randn(2, 9, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = layer(x)
    exact = layer(x)
    assert rough.ne(exact).any()
    assert F.cosine_similarity(rough.float().flatten(), exact.flatten(), dim=0) > 0.999


@pytest.mark.parametrize("kind", SETTINGS)
def test_no_token_depends_on_a_later_one_of_its_sequence(kind):
    layer = make_layer(shape_of(**SETTINGS[kind]))
    x = torch.randn(3, 24, 16)
    late = x.clone()
    late[:, 10:] = torch.randn(3, 14, 16)
    with torch.no_grad():
        before, after = layer(x), layer(late)
    torch.testing.assert_close(before[:, :10], after[:, :10], rtol=0, atol=1e-6)


def test_with_a_capacity_no_sequence_depends_on_another():
    layer = make_layer(shape_of(capacity=0.7))
    x = torch.randn(3, 24, 16)
    with torch.no_grad():
        torch.testing.assert_close(layer(x)[1:2], layer(x[1:2]))


@pytest.mark.parametrize("capacity", [0.5, 1.0, 1.5])
def test_an_expert_takes_its_capacity_of_each_sequence_and_the_earliest_tokens(capacity):
    layer = make_layer(shape_of(capacity=capacity, top_k=1))
    x = torch.randn(3, 24, 16)
    routing = layer.router(x.flatten(0, 1))
    dispatch = layer.dispatch(routing, sequences=3)
    most = -(-capacity * 24 // 6)
    kept = []
    for sequence in range(3):
        seen = [0] * 6
        for time in range(24):
            token = 24 * sequence + time
            expert = int(routing.experts[token, 0])
            seen[expert] += 1
            if seen[expert] <= most:
                kept.append(token)
    assert sorted(dispatch.tokens.tolist()) == kept
    assert int(dispatch.counts.sum()) == len(kept)
    assert int(dispatch.chosen.sum()) == 72
    if capacity < 1:
        assert len(kept) < 72


def test_an_even_load_has_a_balance_loss_of_one_and_a_collapsed_one_the_number_of_experts():
    even = torch.full((8, 4), 0.25)
    assert float(balance_loss(even, torch.tensor([4, 4, 4, 4]))) == 1
    alone = F.one_hot(torch.zeros(8, dtype=torch.long), 4).float()
    assert float(balance_loss(alone, torch.tensor([16, 0, 0, 0]))) == 4


def test_the_losses_are_those_of_transformers():
    mixtral = pytest.importorskip("transformers.models.mixtral.modeling_mixtral", reason="no peer")
    logits = torch.randn(40, 6)
    counts = torch.bincount(logits.topk(2).indices.flatten(), minlength=6)
    peer = mixtral.load_balancing_loss_func((logits,), num_experts=6, top_k=2)
    torch.testing.assert_close(
        2 * balance_loss(logits.softmax(-1), counts), peer
    )  # theirs adds up over choices
    torch.testing.assert_close(z_loss(logits), torch.logsumexp(logits, 1).pow(2).mean())


def auxiliary_of(network, inputs):
    """Auxiliary loss of a network that is not in its loss, summed by hand."""
    parts = []
    hooks = [
        feed.router.register_forward_hook(lambda *given: parts.append(given[-1].auxiliary))
        for _, feed in network.expert_layers()
    ]
    network.stream(inputs)
    for hook in hooks:
        hook.remove()
    return torch.stack(parts).sum()


def lively(shape, seed=0):
    torch.manual_seed(seed)
    network = Network(shape)
    with torch.no_grad():
        for param in network.parameters():
            param.add_(0.2 * torch.randn_like(param))
    return network


def grads(network):
    return [torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in network.parameters()]


AUXILIARY = shape_of(balance="aux-loss", balance_rate=0.5, z_loss=0.2)


@pytest.mark.parametrize("factor", [1.0, 0.25])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_auxiliary_losses_are_in_the_gradient_with_the_weight_of_the_loss_and_not_in_the_loss(
    reduction, factor
):
    network, without = lively(AUXILIARY), lively(SHAPE)
    inputs = torch.randint(30, (4, 24))
    targets = torch.randint(30, (4, 24))
    targets[0, :5] = -100
    terms = 91
    by = {"mean": factor, "sum": factor / terms, "none": factor / terms}[reduction]
    loss = (network.loss(inputs, targets, reduction=reduction) * by).sum()
    plain = factor * without.loss(inputs, targets)
    torch.testing.assert_close(loss, plain)
    loss.backward()
    (plain + factor * auxiliary_of(share(network, without, inputs), inputs)).backward()
    for one, other in zip(grads(network), grads(without), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def share(network, without, inputs):
    """A network with auxiliary losses and the parameters of one without, for the sum by hand."""
    twin = Network(network.shape)
    own = dict(without.named_parameters())
    for name, _ in list(twin.named_parameters()):
        place, _, leaf = name.rpartition(".")
        setattr(twin.get_submodule(place), leaf, own[name])
    # its own copies of the auxiliary losses must not arrive a second time
    for _, feed in twin.expert_layers():
        feed.scale = LossScale()
        feed.scale.value = 0.0
    return twin


def test_auxiliary_losses_survive_recomputation():
    network = lively(AUXILIARY)
    inputs, targets = torch.randint(30, (2, 24)), torch.randint(30, (2, 24))
    network.loss(inputs, targets).backward()
    once = grads(network)
    network.zero_grad()
    for block in network.blocks.values():
        block.forward = lambda *given, inner=block.forward: checkpoint(inner, *given, use_reentrant=False)
    network.loss(inputs, targets).backward()
    for one, other in zip(once, grads(network), strict=True):
        torch.testing.assert_close(one, other)


def test_a_gradient_that_is_added_leaves_the_value():
    x, auxiliary = torch.randn(3, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    scale = LossScale()
    scale.value = 3.0
    out = add_gradient(x, auxiliary, scale)
    assert torch.equal(out, x)
    out.sum().backward()
    assert torch.equal(x.grad, torch.ones(3))
    assert float(auxiliary.grad) == 3


def test_the_balance_loss_evens_out_the_load():
    peaks = {}
    for balance in ("none", "aux-loss"):
        torch.manual_seed(0)
        router = Router(16, replace(PLAIN, balance=balance, balance_rate=1.0))
        with torch.no_grad():
            router.scores.weight[0] += 0.1
        x = torch.randn(512, 16) + 0.5
        optimizer = torch.optim.SGD(router.parameters(), lr=0.1)
        for _ in range(100):
            routing = router(x)
            router.record(*2 * [torch.bincount(routing.experts.flatten(), minlength=6)])
            router.end_step()
            if routing.auxiliary is not None:
                optimizer.zero_grad()
                routing.auxiliary.backward()
                optimizer.step()
        peaks[balance] = router.account(0).peak
    assert peaks["none"] > 2
    assert peaks["aux-loss"] < 1.2


def test_the_bias_evens_out_the_load_and_leaves_the_weights_alone():
    torch.manual_seed(0)
    router = Router(16, replace(PLAIN, balance="bias"))
    with torch.no_grad():
        router.scores.weight[0] += 0.1
    x = torch.randn(512, 16) + 0.5
    loads = []
    for _ in range(200):
        routing = router(x)
        assert routing.auxiliary is None
        scores = (x @ router.scores.weight.mT).softmax(-1).gather(-1, routing.experts)
        torch.testing.assert_close(routing.weights, scores / scores.sum(-1, keepdim=True))
        router.record(*2 * [torch.bincount(routing.experts.flatten(), minlength=6)])
        router.end_step()
        loads.append(router.account(0).peak)
    assert loads[0] > 2
    assert max(loads[-5:]) < 1.3
    assert "bias" in router.state_dict()


def test_the_bias_moves_by_its_step_against_the_load():
    router = Router(16, replace(PLAIN, balance="bias", balance_rate=0.01))
    router.record(*2 * [torch.tensor([9, 1, 5, 5, 5, 5])])
    router.end_step()
    torch.testing.assert_close(router.bias, torch.tensor([-0.01, 0.01, 0, 0, 0, 0]))


def test_ranks_that_add_up_their_loads_move_their_biases_alike():
    router = Router(16, replace(PLAIN, balance="bias", balance_rate=0.01))
    router.record(*2 * [torch.tensor([9, 1, 5, 5, 5, 5])])
    router.end_step(lambda load: load.add_(torch.tensor([0, 20, 5, 5, 5, 5, 3])))
    assert router.bias[0] > 0 > router.bias[1]
    assert router.account(2).dropped == 3 / 70


def test_a_network_tells_how_its_experts_were_used():
    network = Network(replace(shape_of(capacity=0.5), n_layers=4, feed_forward=8))
    inputs, targets = torch.randint(30, (4, 24)), torch.randint(30, (4, 24))
    network.loss(inputs, targets).backward()
    network.end_step()
    with torch.no_grad():
        network.loss(inputs, targets)  # an evaluation is no part of the account
    loads = network.routing()
    assert [load.layer for load in loads] == [0, 1, 2, 3]
    for load in loads:
        assert sum(load.shares) == pytest.approx(1)
        assert load.peak == pytest.approx(6 * max(load.shares))
        assert 0.4 < load.dropped < 1


@pytest.mark.parametrize(
    ("settings", "layers"),
    [({"dense_layers": 1}, [1, 2, 3, 4]), ({"every": 2}, [1, 3]), ({"dense_layers": 1, "every": 3}, [3])],
)
def test_experts_stand_in_the_layers_that_the_shape_says(settings, layers):
    shape = replace(shape_of(**settings), n_layers=5, feed_forward=8)
    network = Network(shape)
    assert [layer for layer, _ in network.expert_layers()] == layers
    assert shape.experts.layers(5) == len(layers)
    assert sum(one.numel() for one in network.parameters()) == shape.params
