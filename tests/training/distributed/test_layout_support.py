"""What the trainer refuses before anything starts, and what it names instead."""

from __future__ import annotations

import pytest
from parity_cases import CASES, PLAIN

pytest.importorskip("torch", reason="needs the extra train")
pytestmark = pytest.mark.torch

from dataclasses import replace  # noqa: E402

import torch  # noqa: E402

from scalescope.cost import Experts, Linear, Patches  # noqa: E402
from scalescope.cost.layout import parse_layout  # noqa: E402
from scalescope.errors import InputError  # noqa: E402
from scalescope.training.distributed.context_parallel import own_tokens  # noqa: E402
from scalescope.training.distributed.mesh import check_world  # noqa: E402
from scalescope.training.distributed.support import check_layout, check_numbers  # noqa: E402


@pytest.mark.parametrize(
    ("text", "changes", "message", "hint"),
    [
        ("tp=3", {}, "tp=3 does not divide 4 heads", "Nearest: tp=2 or tp=4."),
        ("pp=3", {}, "3 stages do not divide 4 layers", "Nearest: pp=2 or pp=4."),
        ("cp=5", {}, "cp=5 does not cut 16 tokens", "Nearest: cp=4 or cp=8."),
        ("fsdp=6,ep=6", {"experts": Experts(count=4, top_k=2, width=8)}, "ep=6 does not divide 4", "ep=2"),
        ("tp=4", {}, "tp=4 beyond the 2 key/value heads", ""),
        ("tp=2", {"pattern": ("retention",), "linear": Linear()}, "tp with retention layers", ""),
        ("cp=2", {"pattern": ("full", "retention"), "linear": Linear()}, "cp with retention layers", ""),
        ("tp=2", {"experts": Experts(count=4, top_k=2, width=8)}, "tp with experts", ""),
        ("tp=2", {"context": 15}, "sequence parallelism of tp=2 over 15 tokens", ""),
        ("tp=2", {"positions": "learned"}, "tp with learned positions", ""),
        ("pp=2", {"tied": True}, "pp with tied embedding and head", ""),
        ("cp=2", {"patches": Patches(side=16, patch=4), "causal": False}, "tp, cp or pp with images", ""),
        ("pp=2,schedule=zero-bubble,recompute=full", {}, "zero-bubble with recomputation", ""),
    ],
)
def test_what_cannot_be_spread_is_named_with_the_nearest_that_can(text, changes, message, hint):
    with pytest.raises(InputError, match=message) as caught:
        check_layout(replace(PLAIN, **changes), parse_layout(text))
    assert hint in caught.value.hint


@pytest.mark.parametrize("case", [case for cases in CASES.values() for case in cases], ids=str)
def test_what_is_held_against_one_process_is_supported(case):
    check_layout(case.shape, case.layout)


def test_a_wrong_number_of_processes_is_told_the_one_that_fits():
    with pytest.raises(InputError, match="needs 8 processes, this run has 4") as caught:
        check_world(parse_layout("dp=2,tp=2,pp=2"), 4)
    assert "--nproc-per-node=8" in caught.value.hint


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_ranks_of_a_sequence_have_every_token_once_and_equal_work(parts):
    own = [own_tokens(16, parts, part) for part in range(parts)]
    assert torch.cat(own).sort().values.tolist() == list(range(16))
    assert len({int((places + 1).sum()) for places in own}) == 1


@pytest.mark.parametrize(
    ("optimizer", "precision", "layout", "told"),
    [
        ("adafactor", "fp32", "fsdp=2", "adafactor needs whole matrices"),
        ("adafactor", "fp32", "tp=2", "adafactor needs whole matrices"),
        ("adamw", "fp16", "dp=2", "does not compute in fp16"),
    ],
)
def test_optimisers_and_precisions_that_cannot_be_spread_are_refused(optimizer, precision, layout, told):
    with pytest.raises(InputError, match=told):
        check_numbers(optimizer, precision, parse_layout(layout))
    check_numbers(optimizer, "bf16", parse_layout("pp=2"))
