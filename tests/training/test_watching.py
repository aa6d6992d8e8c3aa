"""Spikes of the loss, and the part where numbers end."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from scalescope.cost import Shape  # noqa: E402
from scalescope.training.engine import LocalEngine  # noqa: E402
from scalescope.training.tasks.protocol import Batch  # noqa: E402
from scalescope.training.trial_settings import Trial  # noqa: E402
from scalescope.training.watching import Place, SpikeDetector, outputs_of  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(width=16, n_layers=2, n_heads=2, n_kv_heads=2, feed_forward=24, vocabulary=50, context=16)
GENERAL = replace(SHAPE, head_norms=True)


def spikes(losses):
    detector = SpikeDetector()
    places = (
        Place(step=step, tokens=512 * step, sequences=(4 * step, 4 * step + 3)) for step in range(len(losses))
    )
    found = [detector.see(place, loss) for place, loss in zip(places, losses, strict=True)]
    return [spike for spike in found if spike is not None]


def falling(n):
    noise = torch.randn(n, generator=torch.Generator().manual_seed(0)).tolist()
    return [2 + 3 / (1 + step / 20) + 0.1 * one for step, one in enumerate(noise)]


def test_a_noisy_fall_has_no_spike():
    assert spikes(falling(1000)) == []


def test_a_lasting_rise_is_one_spike_with_the_step_where_it_began():
    losses = falling(300)
    losses[200:220] = [loss + 1.5 for loss in losses[200:220]]
    (spike,) = spikes(losses)
    assert spike.place == Place(step=200, tokens=102_400, sequences=(800, 803))
    assert spike.usual == pytest.approx(2.3, abs=0.2)
    assert spike.height > spike.usual + 1.2
    assert "step 200, token 102400, sequences 800 to 803" in spike.message("t")["text"]


def test_one_strange_batch_is_no_spike():
    losses = falling(300)
    losses[200] += 3
    assert spikes(losses) == []


def test_a_new_level_is_told_once():
    losses = falling(300)
    losses[150:] = [loss + 2 for loss in losses[150:]]
    assert len(spikes(losses)) == 1


def engine(shape):
    torch.manual_seed(0)
    return LocalEngine(Trial(name="t", shape=shape, seed=0, horizons=(16,)))


def batch():
    tokens = torch.arange(34).view(2, 17)
    return Batch(tokens[:, :-1], tokens[:, 1:])


@pytest.mark.parametrize("shape", [SHAPE, GENERAL], ids=["stacked", "general"])
def test_both_models_show_the_outputs_of_their_parts_by_the_same_names(shape):
    names = [name for name, _ in outputs_of(engine(shape).model, batch().inputs)]
    wanted = ["embedding"]
    wanted += [f"blocks.{layer}.{part}" for layer in range(2) for part in ("mixer", "feed")]
    assert [name for name in names if name in {*wanted, "head"}] == [*wanted, "head"]


@pytest.mark.parametrize(
    ("shape", "parameter", "found"),
    [
        (SHAPE, "down", "weights of down, layer 1"),
        (GENERAL, "blocks.1.feed.up.weight", "weights of blocks.1.feed.up.weight"),
    ],
)
def test_a_weight_that_is_no_number_is_named_with_its_layer(shape, parameter, found):
    made = engine(shape)
    weight = made.model.get_parameter(parameter).data
    (weight[1] if shape is SHAPE else weight)[..., 0] = math.nan
    assert made.blame(batch()) == found


@pytest.mark.parametrize(
    ("shape", "parameter", "found"),
    [(SHAPE, "embedding", "output of blocks.0.feed"), (GENERAL, "embedding.weight", "output of blocks.0")],
)
def test_an_output_that_overflows_is_named(shape, parameter, found):
    made = engine(shape)
    for name, param in made.model.named_parameters():
        if "feed" in name or name in ("gate_up", "down"):
            param.data.fill_(1e30)
    assert made.blame(batch()).startswith(found)
    done = made.step(batch(), 1.0)
    assert not math.isfinite(done.loss)


@pytest.mark.parametrize("shape", [SHAPE, GENERAL], ids=["stacked", "general"])
def test_a_gradient_that_is_no_number_is_named_and_no_step_is_taken(shape, monkeypatch):
    made = engine(shape)
    names = [name for name, _ in made.model.named_parameters()]
    before = [param.detach().clone() for param in made.model.parameters()]
    made.step(batch(), 0.0)
    made.model.get_parameter(names[2]).grad.fill_(math.nan)
    assert made.blame(batch()).startswith(f"gradient of {names[2]}")
    assert all(map(torch.equal, before, made.model.parameters()))


def test_a_batch_with_a_poisoned_gradient_leaves_the_weights():
    made = engine(GENERAL)
    made.model.head.weight.register_hook(lambda grad: grad * math.inf)
    before = [param.detach().clone() for param in made.model.parameters()]
    done = made.step(batch(), 1.0)
    assert math.isfinite(done.loss)
    assert not math.isfinite(done.gradient_norm)
    assert all(map(torch.equal, before, made.model.parameters()))
    assert not made.tolerates(done)
