"""Stacked Muon against torch's, and who is updated by what."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from scalescope.cost import Shape  # noqa: E402
from scalescope.training import optimizers as room  # noqa: E402
from scalescope.training.optimizers import (  # noqa: E402
    StackedMuon,
    build_optimizers,
    orthogonalise,
    set_rate,
)
from scalescope.training.recipe import Recipe  # noqa: E402
from scalescope.training.stacked.transformer import StackedTransformer  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(width=32, n_layers=3, n_heads=4, n_kv_heads=2, feed_forward=48, vocabulary=50, context=16)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def relative(one, other):
    return float((one - other).norm() / other.norm())


def move(stack, grads, *, splits, reads, decay):
    """What our optimiser does to a stack in some steps."""
    param = torch.nn.Parameter(stack.clone())
    group = {"params": [param], "splits": splits, "reads": reads, "lr": 0.1}
    optimizer = StackedMuon([group], momentum=0.9, weight_decay=decay)
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()
    return param.detach()


def move_one(matrix, grads, *, decay):
    """What torch's Muon does to one matrix, rows being outputs."""
    param = torch.nn.Parameter(matrix.clone())
    optimizer = torch.optim.Muon([param], lr=0.1, momentum=0.9, weight_decay=decay)
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()
    return param.detach()


@pytest.mark.parametrize("units", [True, False], ids=["bfloat16", "float32"])
@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("size", [(64, 64), (64, 160), (160, 64)])
def test_a_stack_moves_like_its_matrices_under_torchs_muon(size, decay, units, monkeypatch):
    monkeypatch.setattr(room, "_has_matrix_units", lambda: units)
    stack, grads = torch.randn(3, *size), torch.randn(4, 3, *size)
    moved = move(stack, grads, splits=[size[1]], reads=False, decay=decay)
    for index in range(3):
        wanted = move_one(stack[index], grads[:, index], decay=decay)
        # Torch iterates in bfloat16, whose step is 2**-8.
        assert relative(moved[index] - stack[index], wanted - stack[index]) < 2**-6


def test_parts_of_a_fused_matrix_move_on_their_own_as_outputs():
    stack, grads = torch.randn(2, 32, 32 + 16 + 16), torch.randn(3, 2, 32, 32 + 16 + 16)
    moved = move(stack, grads, splits=[32, 16, 16], reads=True, decay=0.0)
    start = 0
    for width in (32, 16, 16):
        part = slice(start, start + width)
        wanted = move_one(stack[0, :, part].mT, grads[:, 0, :, part].mT, decay=0.0).mT
        assert relative(moved[0, :, part] - stack[0, :, part], wanted - stack[0, :, part]) < 2**-6
        start += width
    whole = move(stack, grads, splits=[64], reads=True, decay=0.0)
    assert relative(whole - stack, moved - stack) > 0.1


def test_a_wider_output_than_input_moves_farther():
    stack, grads = torch.zeros(1, 16, 64), torch.randn(1, 1, 16, 64)
    read = move(stack, grads, splits=[64], reads=True, decay=0.0)
    written = move(stack, grads, splits=[64], reads=False, decay=0.0)
    torch.testing.assert_close(read, 2 * written)


@pytest.mark.parametrize("rows", [16, 64])
def test_singular_values_end_near_one(rows):
    values = torch.linalg.svdvals(orthogonalise(torch.randn(4, rows, 2 * rows)))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_a_matrix_of_zeros_stays_so():
    assert not orthogonalise(torch.zeros(2, 8, 8)).any()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_every_parameter_has_one_optimiser(name, tied):
    model = StackedTransformer(replace(SHAPE, tied=tied))
    groups = [
        group for each in build_optimizers(model, Recipe(optimizer=name)) for group in each.param_groups
    ]
    found = [id(param) for group in groups for param in group["params"]]
    assert sorted(found) == sorted(id(param) for param in model.parameters())


def test_muon_takes_the_matrices_of_the_blocks_and_nothing_else():
    model = StackedTransformer(SHAPE)
    muon, adamw = build_optimizers(model, Recipe())
    assert isinstance(muon, StackedMuon)
    matrices = {id(p) for p in (model.qkv, model.attention_out, model.gate_up, model.down)}
    assert {id(param) for group in muon.param_groups for param in group["params"]} == matrices
    assert sum(len(group["params"]) for group in adamw.param_groups) == 3


def test_query_key_value_gate_and_up_are_orthogonalised_on_their_own():
    model = StackedTransformer(SHAPE)
    muon = build_optimizers(model, Recipe())[0]
    set_rate([muon], 1.0)
    before = [model.qkv.detach().clone(), model.gate_up.detach().clone()]
    model.qkv.grad, model.gate_up.grad = torch.randn_like(model.qkv), torch.randn_like(model.gate_up)
    muon.step()
    qkv, gate_up = (model.qkv - before[0]).detach(), (model.gate_up - before[1]).detach()
    rate = muon.param_groups[0]["lr"]
    for part, gain in ((qkv[0, :, :32], 1.0), (qkv[1, :, 32:48], 1.0), (gate_up[2, 1], 1.5**0.5)):
        values = torch.linalg.svdvals(part) / rate / gain
        assert 0.6 < values.min() < values.max() < 1.3


def test_rates_are_shares_of_their_peaks():
    optimizers = build_optimizers(StackedTransformer(SHAPE), Recipe())
    set_rate(optimizers, 0.25)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            assert group["lr"] == 0.25 * group["peak"] > 0
