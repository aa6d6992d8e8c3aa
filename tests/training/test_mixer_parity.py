"""Mixers beside those of transformers: weights copied over, outputs and gradients to 1e-4 in fp32."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
transformers = pytest.importorskip("transformers", reason="a peer, for tests alone")

from scalescope.cost import Hashing, Linear, Shape, StateSpace  # noqa: E402
from scalescope.training.blocks.attention import EPSILON  # noqa: E402
from scalescope.training.blocks.mixers import build_mixer  # noqa: E402
from scalescope.training.network import Network  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(
    width=32,
    n_layers=2,
    n_heads=4,
    n_kv_heads=2,
    feed_forward=48,
    vocabulary=50,
    context=64,
    window=8,
    pattern=("full",),
    linear=Linear(chunk=16),
    hashing=Hashing(bucket=16, rounds=2),
    state_space=StateSpace(state=8, head_size=8, groups=2, chunk=16),
)
TIMES = (5, 16, 43)
GRADIENT = 1e-4
"""Of the largest: rounding in fp32 moves that of a gated delta by up to 2e-5 here and 5e-5 in transformers,
measured against fp64 over draws of the weights."""


def drawn(module, seed=0):
    """Draw every parameter, so that none is at a start that hides mistakes."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, param in module.named_parameters():
            param.add_(0.3 * torch.randn_like(param) * (0.3 if "norm" in name else 1.0))
    return module.float().eval()


def copy(ours, theirs):
    """Copy tensors, of equal size, into named parameters or buffers; all of them must be given."""
    assert set(ours.state_dict()) == set(theirs)
    ours.load_state_dict({name: tensor.detach().clone() for name, tensor in theirs.items()})


def prefixed(prefix, tensors):
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def stream(time, width=SHAPE.width):
    torch.manual_seed(7)
    return torch.randn(2, time, width, requires_grad=True)


@pytest.fixture(autouse=True)
def _seeded():
    """Classes of transformers draw what `drawn` adds to."""
    torch.manual_seed(0)


def assert_same_block(ours, theirs, time, *, dtype=torch.float32, atol=1e-4):
    """Outputs, and gradients of the input over the largest of them, which is up to 100 here."""
    results = []
    for block in (lambda x: ours(x, torch.arange(time)), theirs):
        x = stream(time).detach().to(dtype).requires_grad_()
        out = block(x)
        out.backward(torch.linspace(-1, 1, out.numel(), dtype=dtype).view_as(out))
        results.append((out.detach(), x.grad))
    (out, gradient), (their_out, their_gradient) = results
    largest = their_gradient.abs().max()
    assert min(their_out.abs().max(), largest) > 0.05
    torch.testing.assert_close(out, their_out, rtol=1e-4, atol=atol)
    torch.testing.assert_close(gradient / largest, their_gradient / largest, rtol=0, atol=min(atol, GRADIENT))


def assert_same_logits(ours, theirs, time=43):
    torch.manual_seed(3)
    tokens = torch.randint(SHAPE.vocabulary, (2, time))
    with torch.no_grad():
        found, expected = ours(tokens), theirs(tokens, use_cache=False).logits
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------- windows: Mistral


def mistral():
    config = transformers.MistralConfig(
        vocab_size=SHAPE.vocabulary,
        hidden_size=SHAPE.width,
        intermediate_size=SHAPE.feed_forward,
        num_hidden_layers=SHAPE.n_layers,
        num_attention_heads=SHAPE.n_heads,
        num_key_value_heads=SHAPE.n_kv_heads,
        sliding_window=SHAPE.window,
        rms_norm_eps=EPSILON,
        rope_theta=10_000.0,
        attn_implementation="eager",
    )
    return drawn(transformers.MistralForCausalLM(config))


def ends_and_feeds(model, layers, mixer):
    """What every decoder of that family has around its mixers."""
    given = {
        "embedding.weight": model.model.embed_tokens.weight,
        "norm.weight": model.model.norm.weight,
        "head.weight": model.lm_head.weight,
    }
    for index, layer in enumerate(layers):
        given |= prefixed(
            f"blocks.{index}",
            {
                "mixer_norm.weight": layer.input_layernorm.weight,
                "feed_norm.weight": layer.post_attention_layernorm.weight,
                "feed.gate.weight": layer.mlp.gate_proj.weight,
                "feed.up.weight": layer.mlp.up_proj.weight,
                "feed.down.weight": layer.mlp.down_proj.weight,
                **prefixed("mixer", mixer(layer)),
            },
        )
    return given


def test_a_network_of_windows_gives_the_logits_of_mistral():
    theirs, ours = mistral(), Network(replace(SHAPE, pattern=("window",)))

    def mixer(layer):
        part = layer.self_attn
        names = {"query": part.q_proj, "key": part.k_proj, "value": part.v_proj, "out": part.o_proj}
        return {f"{name}.weight": matrix.weight for name, matrix in names.items()}

    copy(ours, ends_and_feeds(theirs, theirs.model.layers, mixer))
    for time in (8, 43):
        assert_same_logits(ours, theirs, time)


# ---------------------------------------------------------------- the gated delta rule: Qwen3-Next


def qwen3_next(expand):
    config = transformers.Qwen3NextConfig(
        vocab_size=SHAPE.vocabulary,
        hidden_size=SHAPE.width,
        intermediate_size=SHAPE.feed_forward,
        num_hidden_layers=SHAPE.n_layers,
        layer_types=["linear_attention"] * SHAPE.n_layers,
        mlp_only_layers=list(range(SHAPE.n_layers)),
        num_attention_heads=SHAPE.n_heads,
        num_key_value_heads=SHAPE.n_kv_heads,
        linear_num_key_heads=SHAPE.n_heads,
        linear_num_value_heads=SHAPE.n_heads,
        linear_key_head_dim=SHAPE.head_size,
        linear_value_head_dim=SHAPE.head_size * expand,
        rms_norm_eps=EPSILON,
    )
    return drawn(transformers.Qwen3NextForCausalLM(config))


def gated_delta_of(part):
    """Their matrices hold query, key, value and gate head by head, and strength and step likewise."""
    heads, keys, values = part.num_k_heads, part.head_k_dim, part.head_v_dim
    fused = part.in_proj_qkvz.weight.unflatten(0, (heads, -1))
    query, key, value, gate = (
        each.flatten(0, 1) for each in fused.split([keys, keys, values, values], dim=1)
    )
    strength, step = part.in_proj_ba.weight.unflatten(0, (heads, 2)).unbind(1)
    filters = part.conv1d.weight.split([heads * keys, heads * keys, heads * values])
    names = ("query_filter.weight", "key_filter.weight", "value_filter.weight")
    return {
        "query.weight": query,
        "key.weight": key,
        "value.weight": value,
        "gate.weight": gate,
        "strength.weight": strength,
        "step.weight": step,
        **dict(zip(names, filters, strict=True)),
        "log_rates": part.A_log,
        "step_bias": part.dt_bias,
        "norm.weight": part.norm.weight,
        "out.weight": part.out_proj.weight,
    }


@pytest.mark.parametrize("expand", [1, 2])
def test_gated_delta_is_the_block_of_qwen3_next(expand):
    theirs = qwen3_next(expand).model.layers[0].linear_attn
    ours = build_mixer("gated-delta", replace(SHAPE, linear=Linear(chunk=16, expand=expand)))
    copy(ours, gated_delta_of(theirs))
    for time in TIMES:
        assert_same_block(ours, theirs, time)


def test_a_network_of_gated_deltas_gives_the_logits_of_qwen3_next():
    theirs, ours = qwen3_next(1), Network(replace(SHAPE, pattern=("gated-delta",)))
    given = ends_and_feeds(theirs, theirs.model.layers, lambda layer: gated_delta_of(layer.linear_attn))
    for name, tensor in given.items():
        if name.endswith(("mixer_norm.weight", "feed_norm.weight")) or name == "norm.weight":
            given[name] = tensor + 1  # theirs are kept less one
    copy(ours, given)
    assert_same_logits(ours, theirs)


# ---------------------------------------------------------------- retention: MiniMax


def test_retention_is_the_lightning_attention_of_minimax():
    from transformers.models.minimax.modeling_minimax import MiniMaxLightningAttention

    config = transformers.MiniMaxConfig(
        hidden_size=SHAPE.width, num_attention_heads=SHAPE.n_heads, num_hidden_layers=4, block_size=16
    )
    theirs = MiniMaxLightningAttention(config, 0)
    theirs.norm.variance_epsilon = EPSILON
    drawn(theirs)
    heads = theirs.qkv_proj.weight.unflatten(0, (SHAPE.n_heads, 3, SHAPE.head_size))
    query, key, value = (each.flatten(0, 1) for each in heads.unbind(1))
    ours = build_mixer("retention", SHAPE)
    torch.testing.assert_close(ours.rates, theirs.slope_rate.flatten(), rtol=2e-5, atol=0)
    given = {"query": query, "key": key, "value": value, "gate": theirs.output_gate.weight}
    given |= {"norm": theirs.norm.weight, "out": theirs.out_proj.weight}
    copy(ours, {f"{name}.weight": each for name, each in given.items()} | {"rates": ours.rates})
    for time in TIMES:
        assert_same_block(ours, lambda x: theirs(x, (None, None), None)[0], time)


# ---------------------------------------------------------------- state space: Mamba-2


def mamba2(groups):
    config = transformers.Mamba2Config(
        vocab_size=SHAPE.vocabulary,
        hidden_size=SHAPE.width,
        num_hidden_layers=SHAPE.n_layers,
        expand=2,
        head_dim=8,
        num_heads=8,
        state_size=8,
        n_groups=groups,
        chunk_size=16,
        layer_norm_epsilon=EPSILON,
        use_bias=False,
        use_conv_bias=True,
        tie_word_embeddings=False,
    )
    return drawn(transformers.Mamba2ForCausalLM(config))


def state_space_of(part):
    inner, maps = part.intermediate_size, 2 * part.n_groups * part.ssm_state_size
    names = ("gate.weight", "value.weight", "maps.weight", "step.weight")
    matrices = part.in_proj.weight.split([inner, inner, maps, part.num_heads])
    return {
        **dict(zip(names, matrices, strict=True)),
        "value_filter.weight": part.conv1d.weight[:inner],
        "map_filter.weight": part.conv1d.weight[inner:],
        "value_filter.bias": part.conv1d.bias[:inner],
        "map_filter.bias": part.conv1d.bias[inner:],
        "log_rates": part.A_log,
        "step_bias": part.dt_bias,
        "skip": part.D,
        "norm": part.norm.weight,
        "out.weight": part.out_proj.weight,
    }


@pytest.mark.parametrize("groups", [1, 2])
def test_the_state_space_is_the_mixer_of_mamba2(groups):
    theirs = mamba2(groups).backbone.layers[0].mixer
    space = replace(SHAPE.state_space, groups=groups)
    ours = build_mixer("mamba2", replace(SHAPE, state_space=space))
    copy(ours, state_space_of(theirs))
    for time in TIMES:
        assert_same_block(ours, theirs, time)


def test_a_network_of_state_spaces_gives_the_logits_of_mamba2():
    theirs = mamba2(2)
    ours = Network(replace(SHAPE, pattern=("mamba2",), feed_forward=0))
    given = {
        "embedding.weight": theirs.backbone.embeddings.weight,
        "norm.weight": theirs.backbone.norm_f.weight,
        "head.weight": theirs.lm_head.weight,
    }
    for index, layer in enumerate(theirs.backbone.layers):
        parts = {"mixer_norm.weight": layer.norm.weight, **prefixed("mixer", state_space_of(layer.mixer))}
        given |= prefixed(f"blocks.{index}", parts)
    copy(ours, given)
    assert_same_logits(ours, theirs)


# ---------------------------------------------------------------- hashes: Reformer


def reformer(chunks_before=1, buckets=4, rounds=2, chunk=16):
    from transformers.models.reformer.modeling_reformer import LSHSelfAttention

    config = transformers.ReformerConfig(
        hidden_size=SHAPE.width,
        num_attention_heads=SHAPE.n_heads,
        attention_head_size=SHAPE.head_size,
        attn_layers=["lsh"],
        lsh_attn_chunk_length=chunk,
        lsh_num_chunks_before=chunks_before,
        lsh_num_chunks_after=0,
        lsh_attention_probs_dropout_prob=0.0,
        num_buckets=buckets,
        num_hashes=rounds,
        is_decoder=True,
        hash_seed=5,
        axial_pos_embds=False,
    )
    return drawn(LSHSelfAttention(config, layer_idx=0))


def hashed_like(theirs, **changes):
    """Ours with their weights and an output that changes nothing; they have none of their own."""
    ours = build_mixer("hashed", replace(SHAPE, positions="none", **changes)).eval()
    with torch.no_grad():
        ours.query_key.weight.copy_(theirs.query_key.weight)
        ours.value.weight.copy_(theirs.value.weight)
        ours.out.weight.copy_(torch.eye(SHAPE.width))
    return ours


def test_hashed_attention_in_one_bucket_is_that_of_reformer():
    theirs = reformer(chunk=64)
    ours = hashed_like(theirs, hashing=Hashing(bucket=64, rounds=1))
    for time in TIMES:
        assert_same_block(ours, lambda x: theirs(x).hidden_states, time)


def test_hashed_attention_is_that_of_reformer_where_chunks_are_whole_buckets():
    """Of 64 tokens each of 4 buckets has 16, in another order each round, and no chunk sees another.

    In fp64: in fp32 theirs lose digits where a token sees itself alone, adding rounds at scores of -1e5.
    """
    theirs = reformer(chunks_before=0).double()
    ours = hashed_like(theirs).double()
    torch.manual_seed(0)
    rows = 2 * SHAPE.n_heads * 2
    buckets = torch.stack([torch.randperm(64) % 4 for _ in range(rows)]).view(2, SHAPE.n_heads, 2, 64)
    ours.buckets_of = lambda _: buckets
    offset = buckets + 4 * torch.arange(2).view(1, 1, 2, 1)  # theirs number the buckets of all rounds
    assert_same_block(
        ours, lambda x: theirs(x, buckets=offset).hidden_states, 64, dtype=torch.float64, atol=1e-8
    )


@pytest.mark.parametrize("factors", [(4,), (4, 8)])
def test_hashes_are_those_of_reformer(factors):
    theirs = reformer(buckets=factors[0] if len(factors) == 1 else list(factors))
    ours = hashed_like(theirs)
    torch.manual_seed(5)
    ours.factors = factors
    ours.rotations = torch.randn(SHAPE.n_heads, SHAPE.head_size, 2, sum(factors) // 2)
    vectors = torch.randn(2, SHAPE.n_heads, 43, SHAPE.head_size)
    expected = theirs._hash_vectors(vectors, 2, None).view(2, SHAPE.n_heads, 2, 43)
    many = torch.tensor(factors).prod()
    assert torch.equal(ours.buckets_of(vectors), expected - many * torch.arange(2).view(1, 1, 2, 1))


def share_of_changed(block):
    """Share of earlier outputs that move when the last quarter of a text is another one."""
    x = stream(64).detach()
    other = x.clone()
    other[:, 48:] = stream(64, SHAPE.width).detach()[:, 48:].flip(1, 2)
    with torch.no_grad():
        return (block(x) - block(other))[:, :48].abs().amax(-1).gt(1e-5).float().mean().item()


def test_the_chunks_of_reformer_let_later_tokens_decide_what_earlier_ones_see_and_ours_do_not():
    theirs = reformer(chunk=8, buckets=8)
    ours = hashed_like(theirs, hashing=Hashing(bucket=8, rounds=2))
    assert share_of_changed(lambda x: theirs(x).hidden_states) > 0.3
    assert share_of_changed(lambda x: ours(x, torch.arange(64))) == 0
