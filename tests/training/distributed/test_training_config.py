"""What a run under torchrun is told."""

from __future__ import annotations

import pytest
from training_files import write_run

pytest.importorskip("torch", reason="needs the extra train")
pytestmark = pytest.mark.torch

from scalescope.cost.layout import Layout  # noqa: E402
from scalescope.errors import InputError  # noqa: E402
from scalescope.training.distributed.config import read_config  # noqa: E402


def test_a_file_becomes_a_trial_of_one_horizon_at_a_constant_batch(tmp_path):
    config = read_config(write_run(tmp_path))
    trial = config.trial(Layout(dp=2, micro_batch=2))
    assert trial.horizons == (4 * 8 * 16,)
    assert {trial.recipe.batch(at, 16) for at in (0, 100, 511)} == {8}
    assert config.shape.width == 8 and config.recipe.optimizer == "adamw"


def test_tokens_may_be_given_in_place_of_steps(tmp_path):
    path = write_run(tmp_path)
    path.write_text(path.read_text().replace("steps = 4", "tokens = 1000"))
    assert read_config(path).n_steps == 1000 // (8 * 16)


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("steps = 4", "stepps = 4", "there is no 'stepps'", "steps"),
        ("width = 8", "widht = 8", r"\[shape\] has no 'widht'", "width"),
        ("every = 2", "every = 0", "every must be at least 1", ""),
        ("steps = 4", 'steps = "4"', "Expected `int`", ""),
        ("steps = 4", "steps = 4\ntokens = 1e6", "either steps or tokens", "steps"),
        ("steps = 4", "tokens = 5", "less than one step of 128", "fewer sequences"),
        ("n_heads = 2", "n_heads = 3", "over 3 heads", "multiple"),
        ("sequences = 8", "sequences = [", "no TOML", ""),
        ("steps = 4", 'steps = 4\nprecision = "fp16"', "Invalid enum value 'fp16'", ""),
        ("[log]", "[recipe]\noptimizer = 'muonn'\n[log]", "muonn", ""),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path, old, new, message, hint):
    path = write_run(tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=message) as caught:
        read_config(path)
    assert "training.toml" in str(caught.value) and hint in caught.value.hint


def test_a_batch_that_the_ranks_cannot_cut_is_refused(tmp_path):
    with pytest.raises(InputError, match="8 sequences is not a multiple of 6"):
        read_config(write_run(tmp_path)).trial(Layout(dp=3, micro_batch=2))
