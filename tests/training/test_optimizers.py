"""Stacked Muon against torch's, and who is updated by what."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from scalescope.cost import Shape  # noqa: E402
from scalescope.cost.parts import Experts, Linear, StateSpace  # noqa: E402
from scalescope.errors import MissingExtraError  # noqa: E402
from scalescope.training.building import build_model  # noqa: E402
from scalescope.training.network import Network  # noqa: E402
from scalescope.training.optimizers import (  # noqa: E402
    StackedMuon,
    build_optimizers,
    orthogonalise,
    set_rate,
)
from scalescope.training.optimizers import muon as room  # noqa: E402
from scalescope.training.optimizers.roles import parts_of  # noqa: E402
from scalescope.training.recipe import Recipe  # noqa: E402
from scalescope.training.stacked.transformer import StackedTransformer  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = Shape(width=32, n_layers=3, n_heads=4, n_kv_heads=2, feed_forward=48, vocabulary=50, context=16)
GENERAL = replace(SHAPE, head_norms=True)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def relative(one, other):
    return float((one - other).norm() / other.norm())


def move(stack, grads, *, outputs=(), inputs_first=False, decay=0.0, gain="spectral"):
    """What our optimiser does to a stack in some steps."""
    param = torch.nn.Parameter(stack.clone())
    group = {"params": [param], "outputs": outputs, "inputs_first": inputs_first, "lr": 0.1, "gain": gain}
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
    moved = move(stack, grads, decay=decay)
    for index in range(3):
        wanted = move_one(stack[index], grads[:, index], decay=decay)
        # Torch iterates in bfloat16, whose step is 2**-8.
        assert relative(moved[index] - stack[index], wanted - stack[index]) < 2**-6


def test_parts_of_a_fused_matrix_move_on_their_own_as_outputs():
    stack, grads = torch.randn(2, 32, 32 + 16 + 16), torch.randn(3, 2, 32, 32 + 16 + 16)
    moved = move(stack, grads, outputs=(32, 16, 16), inputs_first=True)
    start = 0
    for width in (32, 16, 16):
        part = slice(start, start + width)
        wanted = move_one(stack[0, :, part].mT, grads[:, 0, :, part].mT, decay=0.0).mT
        assert relative(moved[0, :, part] - stack[0, :, part], wanted - stack[0, :, part]) < 2**-6
        start += width
    whole = move(stack, grads, inputs_first=True)
    assert relative(whole - stack, moved - stack) > 0.1


def test_a_wider_output_than_input_moves_farther():
    stack, grads = torch.zeros(1, 16, 64), torch.randn(1, 1, 16, 64)
    read = move(stack, grads, inputs_first=True)
    written = move(stack, grads, inputs_first=False)
    torch.testing.assert_close(read, 2 * written)


@pytest.mark.parametrize("rows", [16, 64])
def test_singular_values_end_near_one(rows):
    values = torch.linalg.svdvals(orthogonalise(torch.randn(4, rows, 2 * rows)))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_a_matrix_of_zeros_stays_so():
    assert not orthogonalise(torch.zeros(2, 8, 8)).any()


def test_equal_shapes_of_different_parameters_go_through_one_iteration(monkeypatch):
    sizes = []
    kept = room.orthogonalise
    monkeypatch.setattr(room, "orthogonalise", lambda x: sizes.append(tuple(x.shape)) or kept(x))
    model = Network(GENERAL)
    for param in model.parameters():
        param.grad = torch.randn_like(param)
    build_optimizers(model, Recipe())[0].step()
    layers, d, keys, f = 3, 32, 16, 48
    assert sorted(sizes) == [(2 * layers, keys, d), (2 * layers, d, d), (3 * layers, d, f)]


def test_the_general_network_moves_as_torchs_muon_moves_it():
    model = Network(GENERAL)
    matrices = [part.param for part in parts_of(model) if part.role == "matrix"]
    before = [param.detach().clone() for param in matrices]
    recipe = Recipe(weight_decay=0.1)
    muon = build_optimizers(model, recipe)[0]
    set_rate([muon], 1.0)
    copies = [torch.nn.Parameter(matrix.clone()) for matrix in before]
    group = muon.param_groups[0]
    wanted = torch.optim.Muon(copies, lr=group["lr"], momentum=recipe.momentum, weight_decay=0.1)
    for _ in range(3):
        for param, copy in zip(matrices, copies, strict=True):
            param.grad = torch.randn_like(param)
            copy.grad = param.grad.clone()
        muon.step()
        wanted.step()
    for param, copy, start in zip(matrices, copies, before, strict=True):
        assert relative(param.detach() - start, copy.detach() - start) < 2**-6


def test_updates_of_adamws_size_are_torchs_too():
    stack, grads = torch.randn(2, 16, 64), torch.randn(3, 2, 16, 64)
    moved = move(stack, grads, gain="rms")
    for index in range(2):
        param = torch.nn.Parameter(stack[index].clone())
        wanted = torch.optim.Muon(
            [param], lr=0.1, momentum=0.9, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
        )
        for grad in grads[:, index]:
            param.grad = grad.clone()
            wanted.step()
        assert relative(moved[index] - stack[index], param.detach() - stack[index]) < 2**-6


SHAPES = {
    "stacked": SHAPE,
    "tied": replace(SHAPE, tied=True),
    "general": GENERAL,
    "general tied": replace(GENERAL, tied=True),
    "experts": replace(SHAPE, experts=Experts(count=4, top_k=2, width=16, shared=1)),
    "mamba2": replace(SHAPE, pattern=("mamba2",), state_space=StateSpace(state=16, head_size=8)),
    "gated-delta": replace(SHAPE, pattern=("gated-delta", "full"), linear=Linear()),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("parametrisation", ["mup", "standard"])
@pytest.mark.parametrize("name", ["muon", "adamw", "lion", "adafactor"])
def test_every_parameter_has_one_optimiser(name, parametrisation, shape):
    if name == "lion":
        pytest.importorskip("lion_pytorch", reason="needs the extra train")
    model = build_model(shape)
    built = build_optimizers(model, Recipe(optimizer=name, parametrisation=parametrisation))
    groups = [group for each in built for group in each.param_groups]
    found = [id(param) for group in groups for param in group["params"]]
    assert sorted(found) == sorted(id(param) for param in model.parameters())
    assert all(group["lr"] == group["peak"] > 0 for group in groups)


def test_roles_are_told_by_where_a_parameter_stands():
    roles = {
        part.name.partition("blocks.0.")[2] or part.name: part.role
        for shape in ("experts", "mamba2")
        for part in parts_of(build_model(SHAPES[shape]))
        if "blocks" not in part.name or "blocks.0." in part.name
    }
    by_role = {role: {name for name, one in roles.items() if one == role} for role in set(roles.values())}
    assert by_role["embedding"] == {"embedding.weight"}
    assert by_role["head"] == {"head.weight"}
    assert by_role["expert"] == {f"feed.experts.{name}" for name in ("gate", "up", "down")}
    assert by_role["router"] == {name for name in roles if "router" in name and "weight" in name}
    assert {"mixer_norm.weight", "mixer.log_rates", "mixer.value_filter.weight"} <= by_role["vector"]
    assert {"mixer.query.weight", "mixer.maps.weight", "feed.shared.up.weight"} <= by_role["matrix"]


def test_a_tied_embedding_learns_like_a_head():
    tied, plain = (
        {part.name: part.role for part in parts_of(build_model(SHAPES[name]))} for name in ("tied", "general")
    )
    assert tied["embedding"] == "head"
    assert plain["embedding.weight"] == "embedding"


def test_muon_takes_the_matrices_of_the_blocks_and_nothing_else():
    model = StackedTransformer(SHAPE)
    muon, adamw = build_optimizers(model, Recipe())
    assert isinstance(muon, StackedMuon)
    matrices = {id(p) for p in (model.qkv, model.attention_out, model.gate_up, model.down)}
    assert {id(param) for group in muon.param_groups for param in group["params"]} == matrices
    assert sum(len(group["params"]) for group in adamw.param_groups) == 3


def peaks(width, **recipe):
    model = StackedTransformer(replace(SHAPE, width=width, feed_forward=width))
    parts = {id(part.param): part.name for part in parts_of(model)}
    return {
        parts[id(param)]: group["peak"]
        for each in build_optimizers(model, Recipe(**recipe))
        for group in each.param_groups
        for param in group["params"]
    }


def test_under_standard_every_width_has_the_same_rates_and_under_mup_some_fall():
    assert peaks(32, parametrisation="standard") == peaks(64, parametrisation="standard")
    for optimizer, power in (("muon", 0), ("adamw", 1), ("adafactor", 0.5)):
        narrow, wide = (peaks(width, optimizer=optimizer, width_power=0.0) for width in (32, 64))
        assert narrow["qkv"] / wide["qkv"] == pytest.approx(2**power)
        assert narrow["embedding"] == wide["embedding"]


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("name", ["muon", "adamw", "lion", "adafactor"])
def test_decay_is_of_matrices_and_head_unless_all_is_said(name, everything):
    if name == "lion":
        pytest.importorskip("lion_pytorch", reason="needs the extra train")
    model = StackedTransformer(SHAPE)
    optimizers = build_optimizers(
        model, Recipe(optimizer=name, rate=1e-3, weight_decay=100.0, decay_all=everything)
    )
    torch.nn.init.ones_(model.head)
    torch.nn.init.ones_(model.down)
    before = {key: param.detach().clone() for key, param in model.named_parameters()}
    for param in model.parameters():
        param.grad = torch.zeros_like(param)
    for optimizer in optimizers:
        optimizer.step()
    shrunk = {key for key, param in model.named_parameters() if param.norm() < before[key].norm()}
    decaying = {"qkv", "gate_up", "down", "head"} | ({"embedding", "norms"} if everything else set())
    assert shrunk == decaying


def test_lion_without_its_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "lion_pytorch", None)
    with pytest.raises(MissingExtraError, match="lion-pytorch") as caught:
        build_optimizers(StackedTransformer(SHAPE), Recipe(optimizer="lion"))
    assert "scalescope[train]" in caught.value.hint


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
