"""An architecture as numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.cost import COUNTS, Patches, Shape, StateSpace
from scalescope.errors import InputError

LLAMA_3_8B = Shape(
    width=4096,
    n_layers=32,
    n_heads=32,
    n_kv_heads=8,
    feed_forward=14336,
    vocabulary=128256,
    context=8192,
)


def test_llama_3_8b_has_the_parameters_that_its_checkpoint_has():
    # Sum of the tensors of the published checkpoint, https://huggingface.co/meta-llama/Meta-Llama-3-8B
    assert LLAMA_3_8B.params == 8_030_261_248


def test_llama_3_8b_takes_the_flop_of_the_causal_convention():
    # 6 x (matrix parameters) + half of the score term 12 L d T of Narayanan et al. 2021.
    matrices = LLAMA_3_8B.params - LLAMA_3_8B.params_norms - LLAMA_3_8B.params_embedding
    assert LLAMA_3_8B.flop_per_token == 6 * matrices + 12 * 32 * 4096 * 8192 // 2
    assert LLAMA_3_8B.flop_per_token == pytest.approx(51.5e9, rel=0.002)


@given(st.sampled_from(COUNTS), st.integers(1, 8))
def test_more_layers_count_more_under_every_convention(count, extra):
    deeper = replace(LLAMA_3_8B, n_layers=32 + extra)
    assert deeper.count(count) > LLAMA_3_8B.count(count)


def test_tying_removes_the_embedding_from_the_total_only():
    tied = replace(LLAMA_3_8B, tied=True)
    assert LLAMA_3_8B.params - tied.params == LLAMA_3_8B.params_embedding
    assert tied.params_matmul == LLAMA_3_8B.params_matmul


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_layers": 0}, "n_layers must be at least 1"),
        ({"n_heads": 3}, "not an even head size"),
        ({"n_kv_heads": 5}, "cannot share 5 key/value heads"),
        ({"activation": "selu"}, "no activation is called 'selu'"),
        ({"pattern": ("full", "mamba")}, "no mixer is called 'mamba'"),
        ({"pattern": ("full", "window")}, "window layers need window"),
        ({"pattern": ("mamba2",), "state_space": StateSpace(), "causal": False}, "see only earlier tokens"),
        ({"patches": Patches(side=8, patch=4)}, "4 patches is no context of 8192"),
        ({"patches": Patches(side=8, patch=4), "context": 4, "tied": True}, "no vocabulary"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(LLAMA_3_8B, **change)


def test_a_pattern_repeats_over_the_depth_and_without_one_the_parts_say_what_mixes():
    pattern = ("window", "window", "full")
    assert replace(LLAMA_3_8B, n_layers=5, window=9, pattern=pattern).mixers == (*pattern, "window", "window")
    assert set(LLAMA_3_8B.mixers) == {"full"}
    assert set(replace(LLAMA_3_8B, window=9).mixers) == {"window"}
    assert set(replace(LLAMA_3_8B, state_space=StateSpace()).mixers) == {"mamba2"}
