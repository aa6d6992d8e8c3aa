"""Every mixer against a loop over tokens, against the future, against length, and against what it counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from scalescope.cost import MIXERS, Hashing, Linear, Shape, StateSpace  # noqa: E402
from scalescope.cost.mixer_products import product_flop  # noqa: E402
from scalescope.cost.mixers import COSTS, hash_factors  # noqa: E402
from scalescope.training.blocks.bands import banded_attention  # noqa: E402
from scalescope.training.blocks.delta import gated_delta_scan  # noqa: E402
from scalescope.training.blocks.mixers import BUILDERS, build_mixer  # noqa: E402
from scalescope.training.blocks.scan import decayed_scan  # noqa: E402
from scalescope.training.network import Network  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(
    width=24,
    n_layers=2,
    n_heads=4,
    n_kv_heads=2,
    feed_forward=32,
    vocabulary=30,
    context=64,
    window=8,
    pattern=("full",),
    linear=Linear(chunk=8, expand=2),
    hashing=Hashing(bucket=8, rounds=2),
    state_space=StateSpace(state=5, head_size=6, groups=2, chunk=8),
)
SEEING_BOTH_WAYS = ("full", "window", "hashed")
LENGTHS = (1, 7, 8, 9, 24, 43)


def make_mixer(name, shape=SHAPE, *, seed=0, spread=0.2):
    """A mixer in double precision, away from its start, where zero matrices would hide mistakes."""
    torch.manual_seed(seed)
    mixer = build_mixer(name, shape)
    with torch.no_grad():
        for param in mixer.parameters():
            param.add_(spread * torch.randn_like(param))
    return mixer.double()


def mix(mixer, x):
    return mixer(x, torch.arange(x.shape[1]))


def stream(time, *, shape=SHAPE, batch=2, seed=1):
    torch.manual_seed(seed)
    return torch.randn(batch, time, shape.width, dtype=torch.float64)


def rand(*sizes):
    return torch.randn(*sizes, dtype=torch.float64).requires_grad_()


def assert_same_with_gradients(found, expected, inputs):
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    towards = torch.randn_like(found)
    ours = torch.autograd.grad(found, inputs, towards, retain_graph=True)
    theirs = torch.autograd.grad(expected, inputs, towards)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


# ---------------------------------------------------------------- against a loop over tokens


def decayed_one_by_one(query, key, value, log_decay):
    """The recurrence as it is written, heads of a group sharing queries and keys."""
    state, read = 0.0, []
    log_decay = log_decay.expand(*value.shape[:3], value.shape[3])
    for t in range(value.shape[3]):
        written = key[:, :, None, t, :, None] * value[:, :, :, t, None, :]
        state = log_decay[..., t].exp()[..., None, None] * state + written
        read.append((query[:, :, None, t, :, None] * state).sum(-2))
    return torch.stack(read, 3)


@pytest.mark.parametrize("time", LENGTHS)
@pytest.mark.parametrize("constant", [True, False], ids=["constant decay", "decay of each token"])
def test_the_chunked_scan_equals_the_recurrence_with_gradients(time, constant):
    torch.manual_seed(time)
    query, key, value = rand(2, 2, time, 5), rand(2, 2, time, 5), rand(2, 2, 3, time, 4)
    rates = rand(1, 2, 3, 1) if constant else rand(2, 2, 3, time)
    log_decay = -torch.nn.functional.softplus(rates)
    found = decayed_scan(query, key, value, log_decay, 8)
    expected = decayed_one_by_one(query, key, value, log_decay)
    inputs = [query, key, value] + ([rates] if time > 1 else [])  # nothing decays at the first token
    assert_same_with_gradients(found, expected, inputs)


def delta_one_by_one(query, key, value, log_decay, strength):
    state, read = torch.zeros(*key.shape[:2], key.shape[-1], value.shape[-1], dtype=key.dtype), []
    for t in range(key.shape[2]):
        state = state * log_decay[:, :, t].exp()[..., None, None]
        held = (state * key[:, :, t, :, None]).sum(-2)
        change = strength[:, :, t, None] * (value[:, :, t] - held)
        state = state + key[:, :, t, :, None] * change[..., None, :]
        read.append((state * query[:, :, t, :, None]).sum(-2))
    return torch.stack(read, 2)


@pytest.mark.parametrize("time", LENGTHS)
def test_the_chunked_delta_rule_equals_the_recurrence_with_gradients(time):
    torch.manual_seed(time)
    raw, query, value = rand(2, 3, time, 5), rand(2, 3, time, 5), rand(2, 3, time, 4)
    rates, strengths = rand(2, 3, time), rand(2, 3, time)
    key = torch.nn.functional.normalize(raw, dim=-1)
    parts = (query, key, value, -torch.nn.functional.softplus(rates), torch.sigmoid(strengths))
    inputs = [raw, query, value, strengths] + ([rates] if time > 1 else [])
    assert_same_with_gradients(gated_delta_scan(*parts, 8), delta_one_by_one(*parts), inputs)


@pytest.mark.parametrize("time", [9, 24, 43])
@pytest.mark.parametrize(("before", "after"), [(7, 0), (0, 0), (4, 4), (1, 1)])
def test_banded_attention_equals_attention_under_a_mask_with_gradients(time, before, after):
    torch.manual_seed(time)
    query, key, value = rand(2, 4, time, 6), rand(2, 2, time, 6), rand(2, 2, time, 6)
    back = torch.arange(time).unsqueeze(1) - torch.arange(time)
    mask = (back <= before) & (back >= -after)
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, enable_gqa=True
    )
    found = banded_attention(query, key, value, before=before, after=after)
    assert_same_with_gradients(found, expected, [query, key, value])


def hashed_one_by_one(query, value, buckets, *, bucket, causal):
    """Each token finds the tokens of its own bucket by looking at all, one at a time."""
    batch, heads, rounds, time = buckets.shape
    key = query * torch.rsqrt(query.square().sum(-1, keepdim=True) + 1e-6 * query.shape[-1])
    scores = (query @ key.mT).unsqueeze(2).expand(-1, -1, rounds, -1, -1)
    seen = torch.zeros(batch, heads, rounds, time, time, dtype=torch.bool)
    for b, h, r, t in torch.cartesian_prod(*(torch.arange(n) for n in buckets.shape)).tolist():
        own = (buckets[b, h, r] == buckets[b, h, r, t]).nonzero().flatten()
        place = own.tolist().index(t)
        reach = bucket - 1 if causal else bucket // 2
        seen[b, h, r, t, own[max(0, place - reach) : place + 1 + (0 if causal else reach)]] = True
    scores = scores.masked_fill(~seen, float("-inf"))
    scores = scores.masked_fill(torch.eye(time, dtype=torch.bool), -1e5)
    log_sum = scores.logsumexp(-1, keepdim=True)
    return ((scores - log_sum).exp() @ value.unsqueeze(2) * log_sum.softmax(2)).sum(2)


@pytest.mark.parametrize("time", [1, 20, 43])
@pytest.mark.parametrize("causal", [True, False], ids=["decoder", "encoder"])
def test_hashed_attention_sees_the_nearest_tokens_of_its_bucket_with_gradients(time, causal):
    mixer = make_mixer("hashed", replace(SHAPE, causal=causal))
    query, value = rand(2, 4, time, 6), rand(2, 4, time, 6)
    buckets = mixer.buckets_of(query)
    found = mixer.attend(query, value, buckets)
    expected = hashed_one_by_one(query, value, buckets, bucket=8, causal=causal)
    # a token with no other of its bucket has no gradient of its scores, only of the value
    assert_same_with_gradients(found, expected, [query, value] if time > 1 else [value])


def test_hashes_are_those_of_the_nearest_of_all_directions():
    mixer = make_mixer("hashed", replace(SHAPE, context=1024))
    assert len(mixer.factors) == 2
    query = rand(1, 4, 30, 6)
    buckets = mixer.buckets_of(query)
    assert buckets.min() >= 0
    assert buckets.max() < mixer.factors[0] * mixer.factors[1]
    torch.testing.assert_close(buckets, mixer.buckets_of(3 * query), rtol=0, atol=0)
    other = mixer.buckets_of(-query)
    first = mixer.factors[0]
    assert ((buckets % first - other % first).abs() == first // 2).all()


# ---------------------------------------------------------------- no leak from the future


@pytest.mark.parametrize("name", MIXERS)
def test_nothing_before_a_changed_token_changes(name):
    mixer, x = make_mixer(name), stream(43)
    with torch.no_grad():
        before = mix(mixer, x)
        for t in (0, 7, 8, 21, 42):
            changed = x.clone()
            changed[:, t] = -2 * changed[:, t] + 1
            after = mix(mixer, changed)
            torch.testing.assert_close(before[:, :t], after[:, :t], rtol=0, atol=1e-12)
            assert (before[:, t] - after[:, t]).abs().max() > 1e-3


@pytest.mark.parametrize("name", MIXERS)
def test_no_gradient_of_an_early_token_reaches_a_later_one(name):
    mixer, x = make_mixer(name), stream(43).requires_grad_()
    mix(mixer, x)[:, :20].square().sum().backward()
    assert x.grad[:, 20:].abs().max() == 0
    assert x.grad[:, :20].abs().amax(-1).gt(0).all()


@pytest.mark.parametrize("name", MIXERS)
def test_the_start_of_a_text_is_mixed_alike_whatever_its_length(name):
    mixer, x = make_mixer(name), stream(43)
    with torch.no_grad():
        whole = mix(mixer, x)
        for time in LENGTHS:
            torch.testing.assert_close(mix(mixer, x[:, :time]), whole[:, :time], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SEEING_BOTH_WAYS)
def test_an_encoder_sees_both_ways_alike(name):
    shape = replace(SHAPE, causal=False, positions="none")
    mixer, x = make_mixer(name, shape), stream(43)
    with torch.no_grad():
        torch.testing.assert_close(mix(mixer, x.flip(1)).flip(1), mix(mixer, x), rtol=0, atol=1e-12)


def test_a_window_is_as_wide_as_it_says():
    x = stream(43)
    for causal, seen in ((True, range(13, 21)), (False, range(16, 25))):
        mixer = make_mixer("window", replace(SHAPE, causal=causal))
        inputs = x.clone().requires_grad_()
        mix(mixer, inputs)[:, 20].sum().backward()
        assert inputs.grad[0].abs().amax(-1).nonzero().flatten().tolist() == list(seen)


# ---------------------------------------------------------------- length, precision, repetition


def kept_numbers(name, time, shape):
    """Numbers of distinct storages that autograd keeps, and the largest of them."""
    mixer, x, kept = build_mixer(name, shape), torch.randn(1, time, shape.width, requires_grad=True), {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = (tensor.untyped_storage().nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = mix(mixer, x)
    assert out.requires_grad
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("name", MIXERS)
def test_what_is_kept_grows_with_the_length_and_not_with_its_square(name):
    shape = replace(SHAPE, context=2048)
    short, long = (kept_numbers(name, time, shape) for time in (512, 2048))
    assert 3.5 < long / short < 4.1


@pytest.mark.parametrize("name", MIXERS)
def test_gradients_are_finite_at_strong_decays_and_great_lengths(name):
    torch.manual_seed(0)
    mixer = build_mixer(
        name,
        replace(
            SHAPE, linear=Linear(chunk=64), state_space=StateSpace(state=5, head_size=6, groups=2, chunk=64)
        ),
    )
    with torch.no_grad():
        mixer.out.weight.normal_()
        for key, param in mixer.named_parameters():
            if key in ("log_rates", "step_bias"):
                param.copy_(torch.linspace(-8, 8, len(param)))
    x = (10 * torch.randn(1, 2100, SHAPE.width)).requires_grad_()
    mix(mixer, x).square().mean().backward()
    assert x.grad.isfinite().all()
    assert all(param.grad.isfinite().all() for param in mixer.parameters())


@pytest.mark.parametrize("decay", [0.001, 30.0])
def test_a_weak_decay_is_exact_after_strong_ones(decay):
    torch.manual_seed(0)
    query, key, value = torch.randn(1, 1, 128, 4), torch.randn(1, 1, 128, 4), torch.randn(1, 1, 1, 128, 4)
    log_decay = torch.full((1, 1, 1, 128), -decay)
    log_decay[..., :64] = -300.0
    found = decayed_scan(query, key, value, log_decay, 128)
    expected = decayed_one_by_one(*(each.double() for each in (query, key, value, log_decay)))
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MIXERS)
def test_autocast_to_16_bits_changes_little(name):
    mixer = make_mixer(name, replace(SHAPE, positions="none")).float()
    x = stream(43).float()
    exact = mix(mixer, x)
    with torch.autocast("cpu", torch.bfloat16):
        rough = mix(mixer, x)
    rough.float().square().sum().backward()
    assert all(param.grad.isfinite().all() for param in mixer.parameters())
    near = (rough.float() - exact).norm(dim=-1) < 0.06 * exact.norm(dim=-1).mean()
    # a vector between two buckets may fall into the other one
    assert near.float().mean() > (0.8 if name == "hashed" else 0.97)


@pytest.mark.parametrize("name", MIXERS)
def test_a_mixer_with_weights_in_16_bits_gives_them_back(name):
    mixer, x = make_mixer(name).bfloat16(), stream(20).bfloat16()
    assert mix(mixer, x).dtype == torch.bfloat16


@pytest.mark.parametrize("name", MIXERS)
def test_a_mixer_is_the_same_after_it_was_stored(name):
    first, second, x = make_mixer(name, seed=0), make_mixer(name, seed=1), stream(43)
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        assert torch.equal(mix(first, x), mix(second, x))


# ---------------------------------------------------------------- what it counts


@pytest.mark.parametrize("name", MIXERS)
def test_parameters_are_those_that_the_cost_model_counts(name):
    cost = COSTS[name]
    mixer = build_mixer(name, SHAPE)
    counted = cost.matrices(SHAPE) + cost.elementwise(SHAPE) + cost.norms(SHAPE)
    assert sum(param.numel() for param in mixer.parameters()) == counted
    linear = [each for each in mixer.modules() if isinstance(each, torch.nn.Linear)]
    assert sum(each.weight.numel() for each in linear) == cost.matrices(SHAPE)


def counted_flop(name, shape, time):
    mixer, x = build_mixer(name, shape), torch.randn(1, time, shape.width, requires_grad=True)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        mix(mixer, x).sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("time", [5, 8, 16, 43])
@pytest.mark.parametrize("name", MIXERS)
def test_products_are_those_that_torch_counts(name, time):
    expected = 6 * time * COSTS[name].matrices(SHAPE) + product_flop(name, SHAPE, time)
    assert counted_flop(name, SHAPE, time) == expected


@pytest.mark.parametrize("name", ["window", "hashed"])
def test_products_of_an_encoder_are_those_that_torch_counts(name):
    shape = replace(SHAPE, causal=False)
    expected = 6 * 43 * COSTS[name].matrices(shape) + product_flop(name, shape, 43)
    assert counted_flop(name, shape, 43) == expected


@pytest.mark.parametrize("name", ["full", "retention", "mamba2"])
def test_what_a_method_needs_is_what_is_multiplied_where_whole_chunks_leave_nothing_over(name):
    assert COSTS[name].flop(SHAPE, 64, False) == product_flop(name, SHAPE, 64) / 64


def test_the_buckets_of_a_hash_grow_with_the_context_in_two_factors():
    assert hash_factors(64, 64) == ()
    assert hash_factors(128, 64) == (4,)
    assert hash_factors(4096, 64) == (128,)
    assert hash_factors(32768, 64) == (32, 32)


# ---------------------------------------------------------------- in a network


@pytest.mark.parametrize(
    "pattern", [*((name,) for name in MIXERS), ("mamba2", "full"), ("gated-delta", "window")], ids="+".join
)
def test_a_network_of_any_pattern_learns_and_sees_no_future(pattern):
    torch.manual_seed(0)
    shape = replace(SHAPE, pattern=pattern)
    network = Network(shape)
    assert sum(param.numel() for param in network.parameters()) == shape.params
    tokens = torch.randint(shape.vocabulary, (2, 41))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = network.loss(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3
    changed = tokens.clone()
    changed[:, 20] = (changed[:, 20] + 1) % shape.vocabulary
    with torch.no_grad():
        before, after = network(tokens), network(changed)
    torch.testing.assert_close(before[:, :20], after[:, :20], rtol=0, atol=1e-5)
    assert (before[:, 20:] - after[:, 20:]).abs().max() > 1e-3


def test_every_mixer_of_the_cost_model_can_be_built():
    assert set(BUILDERS) == set(MIXERS) == set(COSTS)
