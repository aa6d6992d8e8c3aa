"""The transformer: what it computes, what it counts, and both ways to its gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

import torch.nn.functional as F  # noqa: E402, N812

from scalescope.cost import Shape  # noqa: E402
from scalescope.training.optimizers import build_optimizers, set_rate  # noqa: E402
from scalescope.training.recipe import Recipe  # noqa: E402
from scalescope.training.stacked import gradients  # noqa: E402
from scalescope.training.stacked.transformer import LONGEST_EXPLICIT, StackedTransformer  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(width=24, n_layers=2, n_heads=4, n_kv_heads=2, feed_forward=40, vocabulary=50, context=80)
SHAPES = {
    "grouped heads": SHAPE,
    "one key/value head": replace(SHAPE, n_kv_heads=1),
    "as many key/value heads": replace(SHAPE, n_kv_heads=4),
    "tied": replace(SHAPE, tied=True),
    "one layer": replace(SHAPE, n_layers=1),
}


def make_model(shape=SHAPE, *, seed=0, spread=0.3):
    """A model away from its start, where the zero matrices would hide mistakes."""
    torch.manual_seed(seed)
    model = StackedTransformer(shape)
    with torch.no_grad():
        for param in model.parameters():
            param.add_(spread * torch.randn_like(param))
    return model


def windows_of(shape=SHAPE, *, batch=5, time=None):
    return torch.randint(shape.vocabulary, (batch, (time or shape.context) + 1))


def gradients_of(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: param.grad.clone() for name, param in model.named_parameters()}


def plain_loss(model, windows):
    """Through autograd and SDPA."""
    return model.loss(windows[:, :-1], windows[:, 1:], reduction="sum") / windows[:, 1:].numel()


def test_no_logit_depends_on_a_later_token():
    model = make_model()
    tokens = windows_of()[:, :-1]
    changed = tokens.clone()
    changed[:, 40] = (changed[:, 40] + 1) % SHAPE.vocabulary
    with torch.no_grad():
        before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :40], after[:, :40], rtol=0, atol=1e-6)
    assert (before[:, 40:] - after[:, 40:]).abs().amax(-1).gt(1e-4).all()


def test_the_loss_of_a_token_gives_no_gradient_to_later_ones():
    model = make_model().double()
    windows = windows_of(batch=1, time=70)
    late = windows.clone()
    late[:, 30:] = (late[:, 30:] + 1) % SHAPE.vocabulary
    early = [model.loss(each[:, :29], each[:, 1:30]).item() for each in (windows, late)]
    assert early[0] == early[1]


@pytest.mark.parametrize("time", [80, 64, 37, 1])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_hand_written_gradients_equal_those_of_autograd(shape, time):
    model = make_model(shape).double()
    windows = windows_of(shape, time=time)
    loss, plain = model.loss(windows[:, :-1], windows[:, 1:]), plain_loss(model, windows)
    torch.testing.assert_close(loss.float(), plain.float())
    found, wanted = gradients_of(model, loss), gradients_of(model, plain)
    for name, grad in wanted.items():
        # The plain loss ends in float32, as that of an autocast model must.
        torch.testing.assert_close(found[name], grad, rtol=1e-5, atol=1e-6 * float(grad.abs().max()))


def test_chunks_add_up_to_the_whole(monkeypatch):
    model = make_model().double()
    windows = windows_of(batch=7)
    whole = gradients_of(model, model.loss(windows[:, :-1], windows[:, 1:]))
    monkeypatch.setattr(gradients, "CHUNK_TOKENS", 2 * SHAPE.context)
    chunked = gradients_of(model, model.loss(windows[:, :-1], windows[:, 1:]))
    for name, grad in whole.items():
        torch.testing.assert_close(chunked[name], grad)


def test_a_scaled_loss_has_scaled_gradients():
    model, windows = make_model().double(), windows_of()
    once = gradients_of(model, model.loss(windows[:, :-1], windows[:, 1:]))
    thrice = gradients_of(model, 3 * model.loss(windows[:, :-1], windows[:, 1:]))
    for name, grad in once.items():
        torch.testing.assert_close(thrice[name], 3 * grad)


def test_sequences_that_are_too_long_to_keep_weights_give_the_same_gradients():
    shape = replace(SHAPE, context=LONGEST_EXPLICIT + 1, n_layers=1)
    model, windows = make_model(shape), windows_of(shape, batch=1)
    assert "MeanLoss" not in type(model.loss(windows[:, :-1], windows[:, 1:]).grad_fn).__name__
    assert "MeanLoss" in type(model.loss(windows[:, :-2], windows[:, 1:-1]).grad_fn).__name__
    torch.testing.assert_close(model.loss(windows[:, :-1], windows[:, 1:]), plain_loss(model, windows))


def test_the_losses_of_tokens_average_to_the_loss():
    model, windows = make_model(), windows_of()
    with torch.no_grad():
        each = model.loss(windows[:, :-1], windows[:, 1:], reduction="none")
    assert each.shape == (5 * SHAPE.context,)
    torch.testing.assert_close(each.mean(), model.loss(windows[:, :-1], windows[:, 1:]).detach())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_bfloat16_is_close_to_float32(shape):
    model, windows = make_model(shape, spread=0.05), windows_of(shape)
    exact = gradients_of(model, model.loss(windows[:, :-1], windows[:, 1:]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.loss(windows[:, :-1], windows[:, 1:])
        with torch.no_grad():
            plain = plain_loss(model, windows)
    rough = gradients_of(model, loss)
    assert abs(float(loss.detach() - plain)) < 0.01
    for name, grad in exact.items():
        assert rough[name].dtype == torch.float32
        assert rough[name].ne(grad).any()
        assert F.cosine_similarity(rough[name].flatten(), grad.flatten(), dim=0) > 0.999


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_parameters_are_those_that_the_shape_counts(shape):
    assert sum(param.numel() for param in StackedTransformer(shape).parameters()) == shape.params


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_matrix_flop_are_those_that_the_shape_counts(shape):
    """Attention is left out here: SDPA is not counted on a processor; `test_kernels` counts its blocks."""
    from torch.utils.flop_counter import FlopCounterMode

    model, windows = StackedTransformer(shape), windows_of(shape)
    with FlopCounterMode(display=False) as counter:
        plain_loss(model, windows).backward()
    counted = counter.get_flop_counts()["Global"]
    matrices = sum(flop for operation, flop in counted.items() if "mm" in str(operation))
    attention = 6 * shape.n_layers * shape.context * shape.width
    assert matrices == (shape.flop_per_token - attention) * 5 * shape.context


def test_a_new_model_of_any_width_guesses_uniformly():
    model = StackedTransformer(SHAPE)
    assert float(model.loss(windows_of()[:, :-1], windows_of()[:, 1:]).detach()) == pytest.approx(
        torch.tensor(50.0).log().item()
    )


def test_training_is_the_same_for_the_same_seed_and_another_for_another():
    def train(seed):
        torch.manual_seed(seed)
        model = StackedTransformer(SHAPE)
        optimizers = build_optimizers(model, Recipe())
        set_rate(optimizers, 1.0)
        for _ in range(3):
            model.zero_grad()
            model.loss(windows_of()[:, :-1], windows_of()[:, 1:]).backward()
            for optimizer in optimizers:
                optimizer.step()
        return [param.detach().clone() for param in model.parameters()]

    first, again, other = train(0), train(0), train(1)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(torch.equal(one, two) for one, two in zip(first, other, strict=True))


def as_llama(model):
    """The same weights in the Llama class of `transformers`."""
    transformers = pytest.importorskip("transformers", reason="the peer is not installed")
    shape = model.shape
    peer = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            intermediate_size=shape.feed_forward,
            num_hidden_layers=shape.n_layers,
            num_attention_heads=shape.n_heads,
            num_key_value_heads=shape.n_kv_heads,
            max_position_embeddings=shape.context,
            rms_norm_eps=1e-6,
            rope_theta=10_000.0,
            tie_word_embeddings=False,
            attn_implementation="sdpa",
        )
    )
    kv = shape.n_kv_heads * shape.head_size

    def halves(matrix):
        """Rows of a head in the order even, odd: the peer turns halves, we turn neighbours."""
        return matrix.view(-1, shape.head_size // 2, 2, shape.width).transpose(1, 2).reshape(matrix.shape)

    state = {
        "model.embed_tokens.weight": model.embedding,
        "model.norm.weight": model.norms[-1],
        "lm_head.weight": model.head,
    }
    for layer in range(shape.n_layers):
        query, key, value = model.qkv[layer].mT.split([shape.width, kv, kv])
        at = f"model.layers.{layer}."
        state |= {
            at + "self_attn.q_proj.weight": halves(query.contiguous()),
            at + "self_attn.k_proj.weight": halves(key.contiguous()),
            at + "self_attn.v_proj.weight": value,
            at + "self_attn.o_proj.weight": model.attention_out[layer],
            at + "mlp.gate_proj.weight": model.gate_up[layer, 0].mT,
            at + "mlp.up_proj.weight": model.gate_up[layer, 1].mT,
            at + "mlp.down_proj.weight": model.down[layer],
            at + "input_layernorm.weight": model.norms[2 * layer],
            at + "post_attention_layernorm.weight": model.norms[2 * layer + 1],
        }
    peer.load_state_dict(state)
    return peer


@pytest.mark.slow
@pytest.mark.parametrize("kv_heads", [4, 2])
def test_logits_equal_those_of_the_llama_class_of_transformers(kv_heads):
    model = make_model(replace(SHAPE, n_kv_heads=kv_heads))
    tokens = windows_of()[:, :-1]
    with torch.no_grad():
        found, wanted = model(tokens), as_llama(model)(input_ids=tokens).logits
    assert float(wanted.std()) > 0.5
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
