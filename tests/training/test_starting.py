"""How parameters begin."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from scalescope.cost import Shape  # noqa: E402
from scalescope.cost.parts import Experts  # noqa: E402
from scalescope.training.building import build_model  # noqa: E402
from scalescope.training.optimizers.roles import parts_of  # noqa: E402
from scalescope.training.recipe import Recipe  # noqa: E402
from scalescope.training.starting import start  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(width=64, n_layers=2, n_heads=4, n_kv_heads=4, feed_forward=128, vocabulary=300, context=16)
SHAPES = {
    "stacked": SHAPE,
    "general": replace(SHAPE, head_norms=True),
    "experts": replace(SHAPE, experts=Experts(count=4, top_k=2, width=64)),
}


def begun(shape, **recipe):
    torch.manual_seed(0)
    model = build_model(shape)
    start(model, Recipe(**recipe))
    return model


def first_loss(model):
    tokens = torch.randint(300, (8, 17), generator=torch.Generator().manual_seed(1))
    return float(model.loss(tokens[:, :-1], tokens[:, 1:]).detach())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_default_start_leaves_what_the_blocks_drew(shape):
    torch.manual_seed(0)
    plain = build_model(shape)
    begun_by_recipe = begun(shape)
    assert all(map(torch.equal, plain.parameters(), begun_by_recipe.parameters()))


@pytest.mark.parametrize("parametrisation", ["mup", "standard"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_normal_start_draws_what_writes_with_the_depth_in_its_spread(shape, parametrisation):
    parts = parts_of(begun(shape, init="normal", parametrisation=parametrisation))
    writing = [part for part in parts if part.writes and part.role in ("matrix", "expert")]
    assert writing
    for part in writing:
        assert float(part.param.detach().std()) == pytest.approx(
            (part.fan_in * 2 * shape.n_layers) ** -0.5, rel=0.05
        )
    spread = {part.role: float(part.param.detach().std()) for part in parts}
    small = parametrisation == "standard"
    assert spread["embedding"] == pytest.approx(0.02 if small else 1.0, rel=0.05)
    assert spread["head"] == pytest.approx(0.02 if small else 1 / 64, rel=0.05)


def test_zero_out_may_be_asked_for_under_standard():
    model = begun(SHAPE, init="zero-out", parametrisation="standard")
    assert not model.down.any()
    assert not model.head.any()


@pytest.mark.parametrize("parametrisation", ["mup", "standard"])
@pytest.mark.parametrize("init", ["zero-out", "normal"])
@pytest.mark.parametrize("tied", [False, True])
def test_every_start_begins_near_guessing(tied, init, parametrisation):
    model = begun(replace(SHAPE, tied=tied), init=init, parametrisation=parametrisation)
    assert first_loss(model) == pytest.approx(math.log(300), abs=0.05)
