"""Precisions of a step, and rounding to eight bits."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from scalescope.cost import Shape  # noqa: E402
from scalescope.cost.parts import Experts  # noqa: E402
from scalescope.errors import InputError  # noqa: E402
from scalescope.training.engine import LocalEngine, Step  # noqa: E402
from scalescope.training.network import Network  # noqa: E402
from scalescope.training.precision import build_in  # noqa: E402
from scalescope.training.quantised import RoundedLinear, round_e4m3, round_int8  # noqa: E402
from scalescope.training.stacked.transformer import StackedTransformer  # noqa: E402
from scalescope.training.tasks.protocol import Batch  # noqa: E402
from scalescope.training.trial_settings import Trial  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(width=16, n_layers=2, n_heads=2, n_kv_heads=2, feed_forward=24, vocabulary=50, context=16)
GENERAL = replace(SHAPE, head_norms=True)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def batch():
    tokens = torch.randint(50, (4, 17))
    return Batch(tokens[:, :-1], tokens[:, 1:])


def losses(precision, shape, steps=8):
    torch.manual_seed(0)
    engine = LocalEngine(Trial(name="t", shape=shape, seed=0, horizons=(16,), precision=precision))
    same = batch()
    return [engine.step(same, 1.0).loss for _ in range(steps)]


@pytest.mark.parametrize("shape", [SHAPE, GENERAL], ids=["stacked", "general"])
@pytest.mark.parametrize("precision", ["bf16", "fp16", "int8", "fp8"])
def test_every_precision_learns_about_like_fp32_but_not_the_same(precision, shape):
    single, other = losses("fp32", shape), losses(precision, shape)
    assert other[0] == pytest.approx(math.log(50), abs=0.01)
    assert other[-1] < 0.7 * other[0]
    assert other[-1] == pytest.approx(single[-1], rel=0.1)
    assert other != single


def test_the_stacked_model_is_for_fp32_and_bf16_alone():
    kinds = {name: type(build_in(name, SHAPE)) for name in ("fp32", "bf16", "fp16", "int8", "fp8")}
    stacked = {name for name, kind in kinds.items() if kind is StackedTransformer}
    assert stacked == {"fp32", "bf16"}
    assert kinds["fp16"] is Network


def test_eight_bits_are_in_the_linear_layers_of_the_blocks_alone():
    model = build_in("int8", SHAPE)
    rounded = [name for name, module in model.named_modules() if isinstance(module, RoundedLinear)]
    assert len(rounded) == 7 * SHAPE.n_layers
    assert all(name.startswith("blocks.") for name in rounded)
    torch.manual_seed(0)
    names = [name for name, _ in Network(SHAPE).named_parameters()]
    assert [name for name, _ in model.named_parameters()] == names


def test_int8_takes_at_most_255_values_a_row_and_errs_by_half_a_step():
    x = torch.randn(5, 1000) * torch.tensor([[1e-3], [1.0], [10.0], [1e3], [0.0]])
    rounded = round_int8(x)
    assert all(row.unique().numel() <= 255 for row in rounded)
    step = x.abs().amax(1, keepdim=True) / 127
    assert ((rounded - x).abs() <= 0.5001 * step).all()


def test_e4m3_keeps_four_significant_bits_of_what_is_not_tiny():
    x = torch.randn(2000)
    large = x.abs() > x.abs().max() / 2**10
    error = ((round_e4m3(x) - x).abs() / x.abs())[large]
    assert 2**-7 < error.max() <= 2**-4 * 1.001


def test_gradients_pass_the_rounding_of_int8():
    plain = torch.nn.Linear(8, 4, bias=False)
    rounded = RoundedLinear(plain, "int8")
    x = torch.randn(3, 8, requires_grad=True)
    rounded(x).sum().backward()
    torch.testing.assert_close(x.grad, round_int8(plain.weight.detach()).sum(0).expand(3, 8))


def test_experts_are_not_rounded_and_that_is_said():
    shape = replace(SHAPE, experts=Experts(count=4, top_k=2, width=12))
    with pytest.raises(InputError, match=r"int8: products of .* cannot be rounded"):
        build_in("int8", shape)


def test_a_step_whose_half_gradients_overflow_is_left_out_and_the_scale_falls():
    engine = LocalEngine(Trial(name="t", shape=SHAPE, seed=0, horizons=(16,), precision="fp16"))
    for _ in range(2):
        engine.step(batch(), 1.0)
    before = [param.detach().clone() for param in engine.model.parameters()]
    engine.numbers._scaler.update(2.0**40)
    done = engine.step(batch(), 1.0)
    assert math.isfinite(done.loss)
    assert not math.isfinite(done.gradient_norm)
    assert engine.tolerates(done)
    assert engine.numbers._scaler.get_scale() == 2.0**39
    assert all(map(torch.equal, before, engine.model.parameters()))
    assert not engine.tolerates(Step(math.nan, math.nan))


def test_a_resume_after_the_scale_of_fp16_changed_goes_on_with_that_scale(tmp_path, monkeypatch):
    pytest.importorskip("safetensors", reason="needs the extra train")
    from scalescope.training.checkpoints import load_checkpoint, save_checkpoint
    from scalescope.training.weights import About

    monkeypatch.setattr("scalescope.training.precision.STEPS_TO_DOUBLE", 3)
    trial = Trial(name="t", shape=SHAPE, seed=0, horizons=(16,), precision="fp16")
    whole, batches = LocalEngine(trial), [batch() for _ in range(9)]

    def follow(engine, some):
        return [engine.step(one, 1.0).loss for one in some]

    follow(whole, batches[:4])
    begun, kept = whole.numbers.state(), whole.snapshot()
    assert begun["scale"] == 2.0**14
    assert begun["_growth_tracker"] == 1
    save_checkpoint(tmp_path, whole, about=About(shape=SHAPE, tokens=256), step=4, sequences=16)
    expected = follow(whole, batches[4:])
    ended = whole.numbers.state()
    assert ended["scale"] == 2.0**16

    whole.restore(kept)
    assert whole.numbers.state() == begun
    assert follow(whole, batches[4:]) == expected
    other = LocalEngine(trial)
    load_checkpoint(tmp_path).put(other)
    assert other.numbers.state() == begun
    assert follow(other, batches[4:]) == expected
    assert other.numbers.state() == ended
