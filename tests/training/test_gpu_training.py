"""Training on a GPU gives what the processor gives: engines, fused cross-entropy, experts, mixers."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from scalescope.cost import Hashing, Linear, Shape, StateSpace  # noqa: E402
from scalescope.studies.family import make_shape, with_experts  # noqa: E402
from scalescope.training.blocks.cross_entropy import cross_entropy  # noqa: E402
from scalescope.training.engine import LocalEngine  # noqa: E402
from scalescope.training.network import Network  # noqa: E402
from scalescope.training.tasks.protocol import Batch  # noqa: E402
from scalescope.training.trial_settings import Trial  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]

DENSE = make_shape(32, 2, 64, 32)
GENERAL = replace(DENSE, head_norms=True)
EXPERTS = with_experts(DENSE, count=4, top_k=2)
SHAPES = {"stacked": DENSE, "general": GENERAL, "experts": EXPERTS}
MIXED = {
    "window": {"pattern": ("window",), "window": 8},
    "hashed": {"pattern": ("hashed",), "hashing": Hashing()},
    "retention": {"pattern": ("retention",), "linear": Linear()},
    "gated-delta": {"pattern": ("gated-delta",), "linear": Linear()},
    "mamba2": {"pattern": ("mamba2",), "state_space": StateSpace()},
}


def batch(shape: Shape, seed: int = 0) -> Batch:
    tokens = torch.randint(shape.vocabulary, (4, 33), generator=torch.Generator().manual_seed(seed))
    return Batch(tokens[:, :-1], tokens[:, 1:])


def losses(shape: Shape, device: str, precision: str = "fp32") -> list[float]:
    torch.manual_seed(0)
    engine = LocalEngine(Trial(name="t", shape=shape, seed=0, horizons=(16,), precision=precision), device)
    return [engine.step(batch(shape, step), 1.0).loss for step in range(6)]


@pytest.mark.parametrize("name", SHAPES)
def test_an_engine_on_a_gpu_learns_what_one_on_the_processor_learns(name):
    assert losses(SHAPES[name], "cuda") == pytest.approx(losses(SHAPES[name], "cpu"), abs=1e-3)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_stays_near(name, precision):
    assert losses(SHAPES[name], "cuda", precision) == pytest.approx(losses(SHAPES[name], "cpu"), rel=0.05)


def test_a_snapshot_of_a_gpu_goes_back_to_the_bit():
    engine = LocalEngine(Trial(name="t", shape=DENSE, seed=0, horizons=(16,), precision="fp16"), "cuda")
    engine.step(batch(DENSE), 1.0)
    kept = engine.snapshot()
    before = engine.losses(batch(DENSE, 7))
    engine.step(batch(DENSE, 1), 1.0)
    engine.restore(kept)
    assert torch.equal(engine.losses(batch(DENSE, 7)), before)


def test_fused_cross_entropy_and_its_gradients_equal_those_of_the_processor():
    noise = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(64, 16, generator=noise), torch.randn(300, 16, generator=noise)
    targets = torch.randint(300, (64,), generator=noise)
    found = {}
    for device in ("cpu", "cuda"):
        inputs = [one.clone().to(device).requires_grad_() for one in (hidden, weight)]
        loss = cross_entropy(*inputs, targets.to(device), z_loss=1e-4)[0]
        loss.backward()
        found[device] = [loss.detach().cpu(), *(one.grad.cpu() for one in inputs)]
    for ours, theirs in zip(found["cuda"], found["cpu"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_grouped_experts_and_their_gradients_equal_those_of_the_processor():
    check_network(EXPERTS)


@pytest.mark.parametrize("mixer", MIXED)
def test_mixers_go_forward_and_back_as_on_the_processor(mixer):
    check_network(make_shape(32, 2, 64, 32, **MIXED[mixer]))


def check_network(shape: Shape) -> None:
    torch.manual_seed(0)
    first = Network(shape)
    for param in first.parameters():  # heads and outputs start at zero and would hide the rest
        torch.nn.init.normal_(param, std=0.2)
    second = Network(shape)
    second.load_state_dict(first.state_dict())
    second.to("cuda")
    text = batch(shape)
    for network, device in ((first, "cpu"), (second, "cuda")):
        network.loss(text.inputs.to(device), text.targets.to(device)).backward()
    pairs = zip(first.named_parameters(), second.named_parameters(), strict=True)
    for (name, ours), (_, theirs) in pairs:
        assert ours.grad is not None, name
        torch.testing.assert_close(
            theirs.grad.cpu(), ours.grad, rtol=5e-3, atol=1e-4, msg=lambda told, name=name: f"{name}: {told}"
        )
