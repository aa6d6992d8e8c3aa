"""The general network against the same architectures of other hands, with the weights copied over."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from scalescope.cost import Experts, LatentAttention, Patches, Shape  # noqa: E402
from scalescope.training.network import Network  # noqa: E402
from scalescope.training.stacked.transformer import StackedTransformer  # noqa: E402
from scalescope.training.stacked.unstacking import halves, unstack  # noqa: E402

pytestmark = pytest.mark.torch

LLAMA = Shape(width=24, n_layers=2, n_heads=4, n_kv_heads=2, feed_forward=40, vocabulary=50, context=32)
QWEN = replace(LLAMA, own_head_size=8, head_norms=True)
MIXTRAL = replace(LLAMA, feed_forward=0, experts=Experts(count=4, top_k=2, width=20))
QWEN_MOE = replace(QWEN, experts=Experts(count=6, top_k=3, width=12, normalised=False, every=2))
LATENT = LatentAttention(key_value_rank=12, query_rank=16, nope=8, rotary=4, value=6)
DEEPSEEK = replace(
    LLAMA,
    n_kv_heads=4,
    latent=LATENT,
    experts=Experts(
        count=6, top_k=2, width=16, shared=2, dense_layers=1, scores="sigmoid", scale=2.5, balance="bias"
    ),
)
GPT2 = Shape(
    width=24,
    n_layers=2,
    n_heads=4,
    n_kv_heads=4,
    feed_forward=40,
    vocabulary=50,
    context=32,
    tied=True,
    gated=False,
    activation="gelu-tanh",
    norm="layer",
    biases=True,
    positions="learned",
)
VISION = replace(
    GPT2, vocabulary=7, context=4, tied=False, causal=False, patches=Patches(side=8, patch=4, channels=3)
)

LLAMA_NAMES = (
    (r"^embedding\.", "model.embed_tokens."),
    (r"^norm\.", "model.norm."),
    (r"^head\.", "lm_head."),
    (r"^blocks\.(\d+)\.", r"model.layers.\1."),
    (r"\.mixer_norm\.", ".input_layernorm."),
    (r"\.feed_norm\.", ".post_attention_layernorm."),
    (r"\.query_down\.", ".q_a_proj."),
    (r"\.narrow_norm\.", ".q_a_layernorm."),
    (r"\.latent_down\.", ".kv_a_proj_with_mqa."),
    (r"\.latent_norm\.", ".kv_a_layernorm."),
    (r"\.key_value\.", ".kv_b_proj."),
    (r"\.mixer\.query\.", ".mixer.q_proj."),
    (r"\.mixer\.key\.", ".mixer.k_proj."),
    (r"\.mixer\.value\.", ".mixer.v_proj."),
    (r"\.mixer\.out\.", ".mixer.o_proj."),
    (r"\.query_norm\.", ".q_norm."),
    (r"\.key_norm\.", ".k_norm."),
    (r"\.mixer\.", ".self_attn."),
    (r"\.feed\.router\.scores\.weight", ".mlp.gate.weight"),
    (r"\.feed\.router\.bias", ".mlp.gate.e_score_correction_bias"),
    (r"\.feed\.experts\.down", ".mlp.experts.down_proj"),
    (r"\.feed\.shared\.(gate|up|down)\.", r".mlp.shared_experts.\1_proj."),
    (r"\.feed\.(gate|up|down)\.", r".mlp.\1_proj."),
)


def make_network(shape):
    """A network away from its start, where matrices of zeros would hide mistakes."""
    torch.manual_seed(0)
    network = Network(shape)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.2 * torch.randn_like(tensor))
    return network


def renamed(network, names):
    state = {}
    for name, tensor in network.state_dict().items():
        for pattern, new in names:
            name = re.sub(pattern, new, name)
        state[name] = tensor
    for name in [one for one in state if one.endswith(".feed.experts.gate")]:
        up = state.pop(name.removesuffix("gate") + "up")
        fused = name.replace(".feed.experts.gate", ".mlp.experts.gate_up_proj")
        state[fused] = torch.cat((state.pop(name), up), 1)
    return state


def as_neighbours(matrix, size, rotary):
    """Rows of the last `rotary` of every `size` from two halves to pairs of neighbours."""
    heads = matrix.reshape(-1, size, matrix.shape[-1]).clone()
    turned = heads[:, size - rotary :]
    heads[:, size - rotary :] = turned.reshape(len(heads), 2, rotary // 2, -1).transpose(1, 2).flatten(1, 2)
    return heads.reshape(matrix.shape)


def peer_of(kind, network):
    """The class of `transformers` for a shape, with the network's weights."""
    transformers = pytest.importorskip("transformers", reason="the peer is not installed")
    shape = network.shape
    plain = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward or 1,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": shape.tied,
        "head_dim": shape.head_size,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    state = renamed(network, LLAMA_NAMES)
    experts = shape.experts
    if kind == "Mixtral":
        plain |= {"intermediate_size": experts.width, "num_local_experts": experts.count}
        plain |= {"num_experts_per_tok": experts.top_k}
    elif kind == "Qwen3Moe":
        plain |= {"moe_intermediate_size": experts.width, "num_experts": experts.count}
        plain |= {"num_experts_per_tok": experts.top_k, "norm_topk_prob": experts.normalised}
        plain |= {"decoder_sparse_step": experts.every}
    elif kind == "DeepseekV3":
        latent = shape.latent
        del plain["head_dim"]
        plain |= {"moe_intermediate_size": experts.width, "n_routed_experts": experts.count}
        plain |= {"num_experts_per_tok": experts.top_k, "n_shared_experts": experts.shared}
        plain |= {"first_k_dense_replace": experts.dense_layers, "n_group": 1, "topk_group": 1}
        plain |= {"routed_scaling_factor": experts.scale, "norm_topk_prob": experts.normalised}
        plain |= {"q_lora_rank": latent.query_rank, "kv_lora_rank": latent.key_value_rank}
        plain |= {"qk_nope_head_dim": latent.nope, "qk_rope_head_dim": latent.rotary}
        plain |= {"v_head_dim": latent.value}
        for name in list(state):
            if name.endswith("self_attn.q_proj.weight"):
                matrix = as_neighbours(state.pop(name), latent.nope + latent.rotary, latent.rotary)
                state[name.replace("q_proj", "q_b_proj")] = matrix
            elif name.endswith("kv_a_proj_with_mqa.weight"):
                rows = latent.key_value_rank + latent.rotary
                state[name] = as_neighbours(state[name], rows, latent.rotary)
    config = getattr(transformers, f"{kind}Config")(**plain)
    peer = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    peer.load_state_dict(state)
    return peer


def as_gpt2(network):
    transformers = pytest.importorskip("transformers", reason="the peer is not installed")
    shape = network.shape
    config = transformers.GPT2Config(
        n_embd=shape.width,
        n_layer=shape.n_layers,
        n_head=shape.n_heads,
        n_inner=shape.feed_forward,
        vocab_size=shape.vocabulary,
        n_positions=shape.context,
        layer_norm_epsilon=1e-6,
        bos_token_id=None,
        eos_token_id=None,
    )
    peer = transformers.GPT2LMHeadModel(config).eval()
    names = (
        (r"^embedding\.", "transformer.wte."),
        (r"^places\.", "transformer.wpe."),
        (r"^norm\.", "transformer.ln_f."),
        (r"^head\.", "lm_head."),
        (r"^blocks\.", "transformer.h."),
        (r"\.mixer_norm\.", ".ln_1."),
        (r"\.feed_norm\.", ".ln_2."),
        (r"\.mixer\.out\.", ".attn.c_proj."),
        (r"\.feed\.up\.", ".mlp.c_fc."),
        (r"\.feed\.down\.", ".mlp.c_proj."),
    )
    state = renamed(network, names)
    for name in [one for one in state if ".mixer.query." in one]:
        parts = [state.pop(name.replace(".query.", f".{one}.")) for one in ("query", "key", "value")]
        state[name.replace(".mixer.query.", ".attn.c_attn.")] = torch.cat(parts)
    turned = {
        name: tensor.mT if ".c_" in name and tensor.ndim == 2 else tensor for name, tensor in state.items()
    }
    peer.load_state_dict(turned)
    return peer


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("Llama", LLAMA),
        ("Llama", replace(LLAMA, tied=True, n_kv_heads=1)),
        ("Qwen3", QWEN),
        ("Mixtral", MIXTRAL),
        ("Qwen3Moe", QWEN_MOE),
        ("DeepseekV3", DEEPSEEK),
    ],
    ids=["llama", "llama tied", "qwen3", "mixtral", "qwen3-moe", "deepseek-v3"],
)
def test_logits_equal_those_of_the_class_of_transformers(kind, shape):
    network = make_network(shape)
    tokens = torch.randint(shape.vocabulary, (3, 20))
    with torch.no_grad():
        found, wanted = network(tokens), peer_of(kind, network)(input_ids=tokens, use_cache=False).logits
    assert float(wanted.std()) > 0.3
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_logits_equal_those_of_gpt2():
    network = make_network(GPT2)
    tokens = torch.randint(50, (3, 20))
    with torch.no_grad():
        found, wanted = network(tokens), as_gpt2(network)(input_ids=tokens, use_cache=False).logits
    assert float(wanted.std()) > 0.3
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def as_siglip(network):
    """A vision encoder that reads the mean over patches, as ours does."""
    transformers = pytest.importorskip("transformers", reason="the peer is not installed")
    shape, patches = network.shape, network.shape.patches
    vision = {
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "num_channels": patches.channels,
        "image_size": patches.side,
        "patch_size": patches.patch,
        "vision_use_head": False,
        "layer_norm_eps": 1e-6,
    }
    text = {"bos_token_id": None, "eos_token_id": None}
    config = transformers.SiglipConfig(vision_config=vision, text_config=text, num_labels=shape.vocabulary)
    peer = transformers.SiglipForImageClassification(config).eval()
    names = (
        (r"^embedding\.", "vision_model.embeddings.patch_embedding."),
        (r"^places\.", "vision_model.embeddings.position_embedding."),
        (r"^norm\.", "vision_model.post_layernorm."),
        (r"^head\.", "classifier."),
        (r"^blocks\.", "vision_model.encoder.layers."),
        (r"\.mixer_norm\.", ".layer_norm1."),
        (r"\.feed_norm\.", ".layer_norm2."),
        (r"\.mixer\.query\.", ".self_attn.q_proj."),
        (r"\.mixer\.key\.", ".self_attn.k_proj."),
        (r"\.mixer\.value\.", ".self_attn.v_proj."),
        (r"\.mixer\.out\.", ".self_attn.out_proj."),
        (r"\.feed\.up\.", ".mlp.fc1."),
        (r"\.feed\.down\.", ".mlp.fc2."),
    )
    state = renamed(network, names) | {"classifier.bias": torch.zeros(shape.vocabulary)}
    kernel = "vision_model.embeddings.patch_embedding.weight"
    state[kernel] = state[kernel].view(-1, patches.channels, patches.patch, patches.patch)
    peer.load_state_dict(state)
    return peer


def test_an_encoder_of_patches_equals_that_of_siglip():
    network = make_network(VISION)
    pixels = torch.randn(3, 3, 8, 8)
    patches = pixels.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(3, 4, 48)
    with torch.no_grad():
        found, wanted = network(patches), as_siglip(network)(pixel_values=pixels).logits
    assert float(wanted.std()) > 0.3
    torch.testing.assert_close(found[:, 0], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "shape",
    [LLAMA, replace(LLAMA, tied=True), replace(LLAMA, n_kv_heads=1)],
    ids=["grouped", "tied", "one key"],
)
def test_the_stacked_model_is_the_network_of_the_same_weights(shape):
    torch.manual_seed(0)
    stacked = StackedTransformer(shape)
    with torch.no_grad():
        for param in stacked.parameters():
            param.add_(0.2 * torch.randn_like(param))
    tokens = torch.randint(shape.vocabulary, (3, 20))
    with torch.no_grad():
        found, wanted = unstack(stacked)(tokens), stacked(tokens)
    assert float(wanted.std()) > 0.15
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_halves_undo_pairs_of_neighbours():
    matrix = torch.randn(24, 5)
    assert not torch.equal(halves(matrix, 8), matrix)
    torch.testing.assert_close(as_neighbours(halves(matrix, 8), 8, 8), matrix, rtol=0, atol=0)
