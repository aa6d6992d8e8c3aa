"""The general network: what it counts, what it sees, and every family that a shape can name."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from scalescope.cost import (  # noqa: E402
    MIXERS,
    Experts,
    Hashing,
    LatentAttention,
    Linear,
    Patches,
    Shape,
    StateSpace,
    flop_per_token,
)
from scalescope.cost.mixer_products import product_flop  # noqa: E402
from scalescope.cost.mixers import COSTS  # noqa: E402
from scalescope.errors import InputError  # noqa: E402
from scalescope.training.blocks.mixers import BUILDERS  # noqa: E402
from scalescope.training.building import build_model, is_stacked  # noqa: E402
from scalescope.training.network import Network  # noqa: E402

pytestmark = pytest.mark.torch

PLAIN = Shape(width=24, n_layers=2, n_heads=4, n_kv_heads=2, feed_forward=40, vocabulary=50, context=32)
PARTS = {
    "window": 8,
    "hashing": Hashing(bucket=8),
    "linear": Linear(chunk=8),
    "state_space": StateSpace(state=8, head_size=12, chunk=8),
}
EXPERTS = Experts(count=6, top_k=2, width=10, shared=1)
OLD = replace(
    PLAIN,
    n_kv_heads=4,
    gated=False,
    norm="layer",
    biases=True,
    positions="learned",
    n_positions=40,
    tied=True,
)
FAMILIES = {
    "grouped heads": PLAIN,
    "one key/value head": replace(PLAIN, n_kv_heads=1),
    "tied": replace(PLAIN, tied=True),
    "own head size and norms of heads": replace(PLAIN, own_head_size=10, head_norms=True),
    "biases of queries": replace(PLAIN, query_biases=True),
    "biases and learned positions": OLD,
    "norm of the embedding": replace(PLAIN, embedding_norm=True, positions="none"),
    "latent attention": replace(
        PLAIN,
        n_kv_heads=4,
        latent=LatentAttention(key_value_rank=10, query_rank=14, nope=8, rotary=6, value=7),
    ),
    "latent attention, plain queries": replace(
        PLAIN, n_kv_heads=4, latent=LatentAttention(key_value_rank=10, nope=8, rotary=6, value=7)
    ),
    "encoder": replace(PLAIN, causal=False),
    "patches": replace(
        OLD,
        tied=False,
        n_positions=None,
        causal=False,
        vocabulary=7,
        context=16,
        patches=Patches(side=12, patch=3),
    ),
    "experts": replace(PLAIN, experts=EXPERTS),
    "experts of the plain kind": replace(PLAIN, experts=EXPERTS, gated=False),
    "experts in some layers": replace(
        PLAIN, n_layers=5, experts=replace(EXPERTS, dense_layers=1, every=2, balance="bias", z_loss=0.1)
    ),
    "experts and nothing else": replace(PLAIN, feed_forward=0, experts=EXPERTS),
    "mamba without feed-forward": replace(
        PLAIN, feed_forward=0, state_space=PARTS["state_space"], positions="none"
    ),
    **{mixer: replace(PLAIN, pattern=(mixer,), **PARTS) for mixer in MIXERS},
    "hybrid": replace(PLAIN, n_layers=5, pattern=("mamba2", "window", "gated-delta", "full"), **PARTS),
}
CAUSAL = {name: shape for name, shape in FAMILIES.items() if shape.causal}


def make_network(shape, *, seed=0):
    """A network away from its start, where matrices of zeros would hide mistakes."""
    torch.manual_seed(seed)
    network = Network(shape)
    with torch.no_grad():
        for param in network.parameters():
            param.add_(0.2 * torch.randn_like(param))
    return network


def inputs_of(shape, batch=3):
    if shape.patches is not None:
        return torch.randn(batch, shape.context, shape.patches.numbers)
    return torch.randint(shape.vocabulary, (batch, shape.context))


@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_are_those_that_the_shape_counts(name):
    shape = FAMILIES[name]
    network = Network(shape)
    assert sum(one.numel() for one in network.parameters()) == shape.params
    ends = [network.embedding] if shape.patches is None else []
    ends += [network.places] if network.places is not None else []
    assert sum(one.numel() for end in ends for one in end.parameters()) == shape.params_embedding
    small = sum(one.numel() for part, one in named(network) if one.ndim == 1 or "_filter." in part)
    groups = {group.role: group.params for group in shape.groups}
    assert small == groups["norms"] + groups.get("biases", 0)


def named(network):
    return list(network.named_parameters())


def active_params(network):
    """Parameters that one token meets: of routed experts the chosen share."""
    routed = network.shape.experts
    total = 0
    for name, one in named(network):
        stacked = ".experts." in name
        total += one.numel() * routed.top_k // routed.count if stacked else one.numel()
    return total


@pytest.mark.parametrize("name", [name for name in FAMILIES if "experts" in name])
def test_active_parameters_are_those_that_a_token_meets(name):
    shape = FAMILIES[name]
    assert active_params(Network(shape)) == shape.params_active < shape.params


def grouped_flop(rows, stack, *_, **__):
    """Of torch's grouped product, which its counter does not know."""
    if len(stack) == 3:  # (experts, inputs, outputs)
        return 2 * rows[0] * rows[1] * stack[2]
    return 2 * rows[0] * rows[1] * stack[1]  # rows against rows: the gradient of the stack


def counted(shape):
    """FLOP of a token in a training step, by torch's counter; every score is a product of matrices."""
    network, batch = make_network(shape), 2
    inputs = inputs_of(shape, batch)
    if shape.patches is not None:
        inputs.requires_grad_()  # the first matrix, too, is counted as 6 a parameter
    mapping = {torch.ops.aten._grouped_mm: grouped_flop}
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        network(inputs).sum().backward()
    return counter.get_total_flops() / batch / shape.context


@pytest.mark.parametrize("name", FAMILIES)
def test_flop_are_those_that_torch_counts(name):
    """Matrices, experts, head and patches; of mixers what is multiplied, masked or not.

    The convention `full` counts the pairs that a method is about, and that is the same but for two mixers: a
    window is computed in blocks, whose corners are masked, and a gated delta solves triangular systems, which
    torch does not count. Element by element work is in neither figure: norms, convolutions, gates, decays.
    """
    shape = FAMILIES[name]
    context = shape.context
    more = sum(
        product_flop(one, shape, context) / context - COSTS[one].flop(shape, context, False)
        for one in shape.mixers
    )
    assert counted(shape) == pytest.approx(flop_per_token(shape, "full") + more, rel=1e-12)
    if not {"window", "gated-delta"} & set(shape.mixers):
        assert more == 0


@pytest.mark.parametrize("name", CAUSAL)
def test_no_logit_depends_on_a_later_token(name):
    shape = CAUSAL[name]
    network, tokens = make_network(shape), inputs_of(shape)
    changed = tokens.clone()
    changed[:, 17:] = (changed[:, 17:] + 1 + torch.randint(40, (3, 15))) % shape.vocabulary
    with torch.no_grad():
        before, after = network(tokens), network(changed)
    torch.testing.assert_close(before[:, :17], after[:, :17], rtol=0, atol=2e-5)
    assert (before[:, 17:] - after[:, 17:]).abs().amax(-1).gt(1e-3).all()


@pytest.mark.parametrize("name", CAUSAL)
def test_the_loss_of_a_token_gives_no_gradient_to_later_ones(name):
    shape = CAUSAL[name]
    network, tokens = make_network(shape), inputs_of(shape, 1)
    stream = network.embedding(tokens).detach().requires_grad_()
    network.embedding = None
    network.scale.value = 0  # auxiliary losses are of all tokens
    network(stream)[:, :17].square().sum().backward()
    assert stream.grad[:, 17:].abs().max() < 1e-6 * stream.grad.abs().max()
    assert stream.grad[:, 16].abs().max() > 0


def test_every_mixer_of_a_shape_can_be_built():
    assert set(BUILDERS) == set(MIXERS)


def test_an_encoder_sees_what_comes_later():
    network, tokens = make_network(FAMILIES["encoder"]), inputs_of(PLAIN)
    changed = tokens.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 50
    with torch.no_grad():
        assert (network(tokens) - network(changed))[:, 0].abs().max() > 1e-3


def test_a_vision_network_asks_for_one_class_an_image():
    shape = FAMILIES["patches"]
    network, images = make_network(shape), inputs_of(shape)
    targets = torch.randint(7, (3, 1))
    logits = network(images)
    assert logits.shape == (3, 1, 7)
    loss = network.loss(images, targets)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits[:, 0], targets[:, 0]))
    assert network.loss(images, targets, reduction="none").shape == (3,)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_new_network_of_any_family_guesses_about_uniformly(name):
    shape = FAMILIES[name]
    torch.manual_seed(0)
    network = Network(shape)
    ones = (3, 1) if shape.patches is not None else (3, shape.context)
    loss = float(network.loss(inputs_of(shape), torch.randint(shape.vocabulary, ones)).detach())
    assert loss == pytest.approx(math.log(shape.vocabulary), rel=0.05 if shape.tied else 1e-5)


@pytest.mark.parametrize("width", [16, 64, 256])
def test_a_tied_network_starts_as_the_same_function_at_every_width(width):
    torch.manual_seed(0)
    network = Network(replace(PLAIN, width=width, tied=True))
    tokens = torch.arange(50).view(2, 25)
    with torch.no_grad():
        own = network(tokens).gather(-1, tokens.unsqueeze(-1))
    assert float(own.mean()) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_few_steps_bring_the_loss_down(name):
    shape = FAMILIES[name]
    torch.manual_seed(0)
    network = Network(shape)
    inputs = inputs_of(shape)
    targets = torch.randint(7, (3, 1)) if shape.patches is not None else inputs.roll(-1, 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = network.loss(inputs, targets)
        loss.backward()
        optimizer.step()
        network.end_step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
    assert all(one.grad is not None for one in network.parameters())


def test_targets_that_do_not_count_do_not_count():
    network, tokens = make_network(PLAIN), inputs_of(PLAIN)
    targets = torch.randint(50, (3, 32))
    targets[:, 5:] = -100
    each = network.loss(tokens, targets, reduction="none").view(3, 32)
    assert each[:, 5:].eq(0).all()
    torch.testing.assert_close(network.loss(tokens, targets), each[:, :5].mean())


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_network_without_experts_has_the_plain_loss(reduction):
    network, tokens = make_network(PLAIN), inputs_of(PLAIN)
    targets = torch.randint(50, (3, 32))
    wanted = torch.nn.functional.cross_entropy(
        network(tokens).flatten(0, 1), targets.flatten(), reduction=reduction
    )
    torch.testing.assert_close(network.loss(tokens, targets, reduction=reduction), wanted)
    assert network.routing() == ()


def test_places_of_tokens_may_be_given():
    for name in ("biases and learned positions", "grouped heads"):
        network, tokens = make_network(FAMILIES[name]), inputs_of(FAMILIES[name])
        with torch.no_grad():
            torch.testing.assert_close(network(tokens), network(tokens, torch.arange(32)))
    with torch.no_grad():  # rotary positions are relative, learned ones are not
        torch.testing.assert_close(
            network(tokens), network(tokens, torch.arange(5, 37)), rtol=1e-4, atol=1e-4
        )


def test_shapes_outside_the_default_family_go_to_the_general_network():
    assert is_stacked(PLAIN)
    assert not any(
        isinstance(build_model(FAMILIES[name]), type(build_model(PLAIN))) for name in ("experts", "encoder")
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": "alibi"}, "alibi positions is counted"),
        (
            {"latent": LatentAttention(key_value_rank=8, nope=4, rotary=4, value=4), "window": 8},
            "no latent form",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        Network(replace(PLAIN, **change))
