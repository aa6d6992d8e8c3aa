"""Checkpoints: resumed runs are equal to the bit, damaged ones are named and passed over."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("safetensors", reason="needs the extra train")

from scalescope.cost import Shape  # noqa: E402
from scalescope.errors import InputError, RunError  # noqa: E402
from scalescope.training.checkpoints import load_checkpoint, save_checkpoint  # noqa: E402
from scalescope.training.engine import LocalEngine  # noqa: E402
from scalescope.training.recipe import Recipe  # noqa: E402
from scalescope.training.tasks.protocol import Batch  # noqa: E402
from scalescope.training.trees import join_tree, split_tree  # noqa: E402
from scalescope.training.trial_settings import Trial  # noqa: E402
from scalescope.training.weights import About, load_weights, save_weights  # noqa: E402

pytestmark = pytest.mark.torch

STACKED = Shape(width=8, n_layers=2, n_heads=2, n_kv_heads=1, feed_forward=16, vocabulary=30, context=16)
SHAPES = {
    "stacked": STACKED,
    "network": replace(STACKED, head_norms=True),
    "tied": replace(STACKED, tied=True),
}


def make_engine(shape=STACKED, optimizer="muon", seed=0):
    torch.manual_seed(seed)
    return LocalEngine(
        Trial(name="t", shape=shape, seed=seed, horizons=(1,), recipe=Recipe(optimizer=optimizer))
    )


def train(engine, first, last):
    """Take steps on batches that follow from their number; return the losses."""
    losses = []
    for step in range(first, last):
        noise = torch.Generator().manual_seed(step)
        tokens = torch.randint(30, (4, 17), generator=noise)
        losses.append(engine.step(Batch(tokens[:, :-1], tokens[:, 1:]), min(1.0, (step + 1) / 7)).loss)
    return losses


def save(folder, engine, step, **more):
    about = About(shape=engine.trial.shape, tokens=64 * step, trial="t")
    return save_checkpoint(folder, engine, about=about, step=step, sequences=4 * step, **more)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_resumed_run_is_equal_to_the_bit(name, optimizer, tmp_path):
    whole = make_engine(SHAPES[name], optimizer)
    expected = train(whole, 0, 20)
    first = make_engine(SHAPES[name], optimizer)
    assert train(first, 0, 10) == expected[:10]
    torch.rand(5)
    save(tmp_path, first, 10, notes={"curve": [1.5, 2.5]})
    drawn = torch.rand(3)

    again = make_engine(SHAPES[name], optimizer, seed=99)
    found = load_checkpoint(tmp_path)
    found.put(again)
    assert torch.equal(torch.rand(3), drawn)
    assert (found.step, found.sequences, found.notes, found.findings) == (10, 40, {"curve": [1.5, 2.5]}, ())
    assert found.about.shape == SHAPES[name]
    assert train(again, 10, 20) == expected[10:]
    for one, other in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_last_two_stay(tmp_path):
    engine = make_engine()
    for step in (5, 10, 15):
        save(tmp_path, engine, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000010", "step-000000015"]
    assert load_checkpoint(tmp_path).step == 15


def test_a_folder_without_any_is_no_fault(tmp_path):
    assert load_checkpoint(tmp_path / "none") is None


def flip(path):
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["weights.safetensors", "state.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "removed"])
def test_a_damaged_one_is_named_and_the_one_before_is_used(name, damage, tmp_path):
    engine = make_engine()
    save(tmp_path, engine, 5)
    path = save(tmp_path, engine, 10) / name
    if damage == "flipped":
        flip(path)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:50])
    else:
        path.unlink()
    found = load_checkpoint(tmp_path)
    (finding,) = found.findings
    assert found.step == 5
    assert finding.code == "TRN130"
    assert "The checkpoint step-000000010 is damaged" in finding.text
    assert "step-000000005 was used" in finding.text


def test_where_none_is_whole_all_are_named(tmp_path):
    for step in (5, 10):
        flip(save(tmp_path, make_engine(), step) / "state.safetensors")
    with pytest.raises(RunError, match=r"no checkpoint .* is whole \(step-000000010: .*; step-000000005: "):
        load_checkpoint(tmp_path)


def test_one_that_was_damaged_is_replaced_when_its_step_comes_again(tmp_path):
    engine = make_engine()
    save(tmp_path, engine, 5)
    flip(save(tmp_path, engine, 10) / "state.safetensors")
    save(tmp_path, engine, 10)
    assert (load_checkpoint(tmp_path).step, load_checkpoint(tmp_path).findings) == (10, ())


def test_a_writer_that_dies_leaves_the_one_before(tmp_path, monkeypatch):
    save(tmp_path, make_engine(), 5)

    def die(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scalescope.training.checkpoints.digest_file", die)
    with pytest.raises(RunError, match=r"cannot write the checkpoint .*step-000000010: No space left"):
        save(tmp_path, make_engine(), 10)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000005"]
    assert load_checkpoint(tmp_path).step == 5


def test_a_checkpoint_of_another_shape_is_refused_by_the_name_that_differs(tmp_path):
    save(tmp_path, make_engine(), 5)
    found = load_checkpoint(tmp_path)
    with pytest.raises(InputError, match=r"step 5: embedding is \(30, 8\), the model needs \(31, 8\)"):
        found.put(make_engine(replace(STACKED, vocabulary=31)))
    with pytest.raises(InputError, match="has a surplus head"):
        found.put(make_engine(SHAPES["tied"]))


def test_weights_say_what_they_are_and_notice_damage(tmp_path):
    model = make_engine().model
    about = save_weights(tmp_path / "w", dict(model.named_parameters()), About(shape=STACKED, tokens=7))
    weights, again = load_weights(tmp_path / "w")
    assert again == about
    assert torch.equal(weights["qkv"], model.qkv)
    flip(tmp_path / "w")
    with pytest.raises(InputError, match="are not those that were written"):
        load_weights(tmp_path / "w")
    (tmp_path / "w").write_bytes(b"\x08" + b"\0" * 20)
    with pytest.raises(InputError, match="is no whole file of weights"):
        load_weights(tmp_path / "w")
    with pytest.raises(InputError, match="cannot read the weights"):
        load_weights(tmp_path / "absent")


def test_a_tree_comes_back_as_it_was():
    tree = {
        0: {"step": torch.tensor(3.0), "betas": (0.9, [0.99, None])},
        "kind": torch.bfloat16,
        "limits": [math.inf, -math.inf, 1e-300, True, 3],
        "half": torch.ones(2, 2, dtype=torch.bfloat16).mT,
        "nothing": {},
    }
    plain, tensors = split_tree(tree, "root")
    assert sorted(tensors) == ["root.0.step", "root.half"]
    again = join_tree(plain, tensors)
    assert str(again) == str(tree)
    assert again["half"].dtype == torch.bfloat16
    with pytest.raises(TypeError, match=r"root\.x is a set"):
        split_tree({"x": set()}, "root")
