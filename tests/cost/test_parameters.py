"""Parameters of published configurations, to the parameter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scalescope.cost import Experts, LatentAttention, Patches, Shape, StateSpace
from scalescope.errors import InputError


def gpt2(width, n_layers, n_heads, *, vocabulary=50257, n_positions=1024, **changed):
    """A GPT-2: LayerNorm and biases everywhere, learned positions, tied head."""
    plain = {
        "width": width,
        "n_layers": n_layers,
        "n_heads": n_heads,
        "n_kv_heads": n_heads,
        "feed_forward": 4 * width,
        "vocabulary": vocabulary,
        "context": n_positions,
        "tied": True,
        "gated": False,
        "norm": "layer",
        "biases": True,
        "positions": "learned",
    }
    return Shape(**plain | changed)


def llama(width, n_layers, n_heads, n_kv_heads, feed_forward, vocabulary, **changed):
    return Shape(
        width=width,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        feed_forward=feed_forward,
        vocabulary=vocabulary,
        context=4096,
        **changed,
    )


# Sums of the tensors of the published checkpoints.
PUBLISHED = {
    "llama-7b": (llama(4096, 32, 32, 32, 11008, 32000), 6_738_415_616),
    "llama-65b": (llama(8192, 80, 64, 64, 22016, 32000), 65_285_660_672),
    "llama-2-70b": (llama(8192, 80, 64, 8, 28672, 32000), 68_976_648_192),
    "llama-3.1-405b": (llama(16384, 126, 128, 8, 53248, 128256), 405_853_388_800),
    "mistral-7b": (llama(4096, 32, 32, 8, 14336, 32000, window=4096), 7_241_732_096),
    "mixtral-8x7b": (
        llama(4096, 32, 32, 8, 0, 32000, experts=Experts(count=8, top_k=2, width=14336)),
        46_702_792_704,
    ),
    "qwen3-30b-a3b": (
        llama(
            2048,
            48,
            32,
            4,
            0,
            151936,
            own_head_size=128,
            head_norms=True,
            experts=Experts(count=128, top_k=8, width=768),
        ),
        30_532_122_624,
    ),
    "deepseek-v3": (
        llama(
            7168,
            61,
            128,
            128,
            18432,
            129280,
            experts=Experts(count=256, top_k=8, width=2048, shared=1, dense_layers=3),
            latent=LatentAttention(key_value_rank=512, query_rank=1536, nope=128, rotary=64, value=128),
        ),
        671_026_419_200 - 58 * 256,  # without the bias that balances the load of its routers
    ),
    "gpt2-124m": (gpt2(768, 12, 12), 124_439_808),
    "gpt2-1.5b": (gpt2(1600, 48, 25), 1_557_611_200),
    "gpt-3": (gpt2(12288, 96, 96, n_positions=2048), 174_604_259_328),
    "bloom-176b": (
        gpt2(14336, 70, 112, vocabulary=250880, positions="alibi", embedding_norm=True),
        176_247_271_424,
    ),
    "mamba2-130m": (
        Shape(
            width=768,
            n_layers=24,
            n_heads=24,
            n_kv_heads=24,
            feed_forward=0,
            vocabulary=50288,
            context=2048,
            tied=True,
            positions="none",
            state_space=StateSpace(),
        ),
        128_989_632,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_has_the_parameters_of_its_checkpoint(name):
    shape, published = PUBLISHED[name]
    assert shape.params == published


@pytest.mark.parametrize(
    ("name", "active"),
    [("mixtral-8x7b", 12_879_925_248), ("qwen3-30b-a3b", 3_353_032_704), ("llama-7b", 6_738_415_616)],
)
def test_a_token_meets_the_parameters_of_its_experts_alone(name, active):
    assert PUBLISHED[name][0].params_active == active


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_three_parts_are_the_whole(name):
    shape = PUBLISHED[name][0]
    head = 0 if shape.tied else shape.params_head
    assert shape.params == shape.params_embedding + shape.params_nonembedding + head
    assert shape.params_matmul == shape.params_nonembedding + shape.params_head


def test_tying_takes_the_head_away_and_leaves_what_multiplies():
    shape = PUBLISHED["llama-7b"][0]
    tied = replace(shape, tied=True)
    assert shape.params - tied.params == shape.params_active - tied.params_active == 32000 * 4096
    assert tied.params_matrices == shape.params_matrices


def test_a_hybrid_has_attention_in_every_so_many_layers():
    pure = PUBLISHED["mamba2-130m"][0]
    hybrid = replace(pure, pattern=("mamba2",) * 7 + ("full",))
    layers = {group.role: group.layers for group in hybrid.groups}
    assert (layers["attention"], layers["state space"]) == (3, 21)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Experts(count=4, top_k=5, width=8), "top_k 5 exceeds the 4 experts"),
        (lambda: Experts(count=0, top_k=1, width=8), "count must be at least 1"),
        (lambda: Experts(count=4, top_k=1, width=8, shared=-1), "must not be negative"),
        (lambda: Experts(count=4, top_k=1, width=8, balance="even"), "no balance is called 'even'"),
        (lambda: Experts(count=4, top_k=1, width=8, scores="tanh"), "no scores is called 'tanh'"),
        (lambda: Experts(count=4, top_k=1, width=8, capacity=0.0), "capacity must be positive"),
        (lambda: Experts(count=4, top_k=1, width=8, z_loss=-1.0), "must not be negative"),
        (lambda: StateSpace(state=0), "state must be at least 1"),
        (lambda: LatentAttention(key_value_rank=0, nope=1, rotary=1, value=1), "key_value_rank must be"),
        (lambda: llama(64, 1, 4, 4, 0, 10), "feed_forward must be at least 1"),
        (
            lambda: llama(64, 1, 4, 4, 0, 10, state_space=StateSpace(head_size=96)),
            "128 channels of a state space are not a multiple of its head size 96",
        ),
        (lambda: gpt2(65, 1, 4), "not a whole head size"),
    ],
)
def test_parts_that_cannot_be_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(("dense", "every"), [(0, 1), (2, 1), (0, 3), (1, 2), (9, 2)])
def test_the_layers_with_experts_are_as_many_as_are_counted(dense, every):
    experts = Experts(count=4, top_k=1, width=8, dense_layers=dense, every=every)
    for layers in range(1, 9):
        assert sum(experts.has(layer) for layer in range(layers)) == experts.layers(layers)


def test_a_rate_that_is_left_out_is_that_of_the_balance():
    aux = Experts(count=4, top_k=1, width=8)
    assert (aux.rate, replace(aux, balance="bias").rate, replace(aux, balance_rate=0.3).rate) == (
        0.01,
        0.001,
        0.3,
    )


def test_a_vision_transformer_has_the_parameters_of_its_checkpoint_but_for_what_it_lacks():
    # ViT-B/16, Dosovitskiy et al. 2020: 86,567,656 with a class token, its position and a bias of the head
    shape = gpt2(
        768,
        12,
        12,
        vocabulary=1000,
        n_positions=196,
        tied=False,
        causal=False,
        patches=Patches(side=224, patch=16, channels=3),
    )
    assert shape.params == 86_567_656 - 2 * 768 - 1000
    assert shape.params_embedding == 196 * 768
    assert {group.role: group.params for group in shape.groups}["patches"] == 16 * 16 * 3 * 768
