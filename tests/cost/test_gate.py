"""Figures that no machine can produce."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scalescope.cost.gate import gate
from scalescope.points import BenchMachine, Cell, Memory, Timing, Workload

MACHINE = BenchMachine(matmul_flop_per_s={"fp32": 1e11}, copy_bytes_per_s=1e10)


def cell(length=128, seconds=1.0, flop=5e10, **changes) -> Cell:
    plain = Cell(
        model="a",
        state="ok",
        params=int(1e8),
        workload=Workload(length=length),
        timing=Timing(samples=(seconds,)),
        memory=Memory(source="law", peak=int(5e8)),
        flop=flop,
    )
    return replace(plain, **changes)


def test_a_sound_cell_passes():
    assert gate(cell(), MACHINE, [cell(), cell(length=512, seconds=4.0, flop=2e11)]) == ()


def test_more_flop_a_second_than_the_best_matrix_product_is_doubted():
    (reason,) = gate(cell(seconds=0.1), MACHINE)
    assert "above the" in reason
    assert gate(cell(seconds=0.4766), MACHINE) == ()  # 1.049 times the ceiling


def test_latency_that_does_not_grow_is_doubted():
    short, long = cell(flop=1e9), cell(length=512, seconds=1.05, flop=4e9)
    (reason,) = gate(long, MACHINE, [short, long])
    assert "1.05 times from 128 to 512" in reason
    assert gate(short, MACHINE, [short, long]) == ()


def test_flat_latency_is_no_doubt_where_launches_or_padding_explain_it():
    short, long = cell(flop=1e9), cell(length=512, seconds=1.05, flop=4e9)
    assert gate(long, MACHINE, [short], launch_seconds=0.8) == ()
    padded = [replace(one, computed_tokens=512) for one in (short, long)]
    assert gate(padded[1], MACHINE, padded[:1]) == ()


def test_another_setting_is_no_neighbour():
    short, long = cell(flop=1e9, dtype="bf16"), cell(length=512, seconds=1.05, flop=4e9)
    assert gate(long, MACHINE, [short]) == ()


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        ({"peak": int(1e8)}, "below weights"),
        ({"peak": int(5e8), "activations": -1}, "activations is negative"),
        ({"peak": -7}, "peak is negative"),
    ],
)
def test_memory_that_cannot_be_is_doubted(memory, words):
    reasons = gate(cell(memory=Memory(source="law", **memory)), MACHINE)
    assert any(words in reason for reason in reasons)


def test_a_token_decoded_faster_than_its_weights_are_read_is_doubted():
    decode = cell(workload=Workload(kind="decode", length=128, new_tokens=8), flop=2e8)
    (reason,) = gate(replace(decode, timing=Timing(samples=(0.01,))), MACHINE)
    assert "to read" in reason
    assert gate(replace(decode, timing=Timing(samples=(0.05,))), MACHINE) == ()


def test_a_time_of_zero_is_doubted():
    assert gate(cell(seconds=0.0), MACHINE) == ("a sample of the time is zero, negative or not a number",)


def test_a_cell_that_failed_is_not_judged():
    assert gate(cell(seconds=0.0, state="killed"), MACHINE) == ()
