"""Corrections fitted to cells of a known law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cost_examples import bert_base, llama_1b, plain_rates, scaled

from scalescope.cost.calibration import BLIND_MARGIN, Calibration, calibrate, leave_one_model_out
from scalescope.cost.memory import memory_of_call
from scalescope.cost.timing import parts_of_time
from scalescope.points import Cell, Memory, Timing, Workload

TRUE = np.array([1.4, 2.0, 1.7, 0.8, 3.0, 1.0])
FACTOR, SLACK = 1.6, 40e6
ANATOMIES = {
    f"{base.model_type}-{width}": scaled(base, width, f"{base.model_type}-{width}")
    for base in (bert_base(), llama_1b())
    for width in (256, 512, 768, 1536)
}


def cells(noise: float = 0.0, dtypes=("fp32", "bf16")) -> list[Cell]:
    random = np.random.default_rng(3)
    made = []
    for name, anatomy in ANATOMIES.items():
        kind = "prefill" if anatomy.causal else "encode"
        for length in (128, 512, 2048):
            for dtype in dtypes:
                for attention in ("eager", "sdpa"):
                    workload = Workload(kind=kind, length=length)
                    call = {"dtype": dtype, "attention": attention}
                    parts = parts_of_time(anatomy, workload, rates=plain_rates(), **call)
                    found = memory_of_call(anatomy, workload, **call)
                    peak = found.weights + found.cache + FACTOR * found.activations + SLACK
                    seconds = float(np.dot(parts, TRUE) * np.exp(noise * random.normal()))
                    made.append(
                        Cell(
                            model=name,
                            workload=workload,
                            state="ok",
                            timing=Timing(samples=(seconds,)),
                            memory=Memory(source="law", peak=round(peak)),
                            **call,
                        )
                    )
    return made


def test_models_that_were_left_out_are_predicted_by_the_law_that_made_them():
    errors = leave_one_model_out(cells(), ANATOMIES, plain_rates())
    for dtype in ("fp32", "bf16"):
        # Not 0: every factor is drawn to what is typical with the weight of two cells in ninety.
        assert errors.median("time", dtype) < 0.02
    assert errors.median("memory") < 0.01
    assert {one.model for one in errors.errors} == set(ANATOMIES)


def test_decode_has_factors_of_its_own_once_it_was_measured():
    plain = cells(dtypes=("fp32",))
    before = calibrate(plain, ANATOMIES, plain_rates()).corrections
    decode = Workload(kind="decode", length=128, new_tokens=8)
    slow = []
    for name, anatomy in ANATOMIES.items():
        parts = parts_of_time(anatomy, decode, rates=plain_rates(), dtype="fp32", attention="sdpa")
        timing = Timing(samples=(10 * float(np.dot(parts, TRUE)),))
        slow.append(Cell(model=name, workload=decode, state="ok", timing=timing))
    after = calibrate([*plain, *slow], ANATOMIES, plain_rates()).corrections
    assert after.time["fp32"] == before.time["fp32"]
    ones = (1.0,) * len(TRUE)
    assert before.seconds(ones, "fp32 decode", "none") == before.seconds(ones, "fp32", "none")
    assert after.seconds(parts, "fp32 decode", "none") > 5 * before.seconds(parts, "fp32 decode", "none")


def test_noise_shows_up_as_error_of_its_own_size():
    error = leave_one_model_out(cells(noise=0.2), ANATOMIES, plain_rates()).median("time")
    assert 0.08 < error < 0.25


def test_memory_factors_are_recovered():
    found = calibrate(cells(), ANATOMIES, plain_rates()).corrections
    assert found.memory_factor == pytest.approx(FACTOR, rel=0.02)
    assert found.memory_slack == pytest.approx(SLACK, rel=0.05)


def test_cells_that_failed_repeat_another_or_are_in_doubt_teach_nothing():
    good = cells(dtypes=("fp32",))
    wild = Timing(samples=(1e6,))
    bad = [
        replace(good[0], timing=wild, doubts=("impossible",)),
        replace(good[0], timing=wild, shared_from="another"),
        replace(good[0], timing=wild, state="timeout"),
        replace(good[0], timing=wild, model="unknown"),
    ]
    with_bad = calibrate([*good, *bad], ANATOMIES, plain_rates())
    assert with_bad.corrections == calibrate(good, ANATOMIES, plain_rates()).corrections
    assert with_bad.n_cells == len(good)


def test_the_margin_covers_a_model_that_needs_more_than_the_law_says():
    greedy = [
        replace(cell, memory=Memory(source="law", peak=2 * cell.memory.peak))
        if cell.model == "bert-512"
        else cell
        for cell in cells(dtypes=("fp32",))
    ]
    assert calibrate(greedy, ANATOMIES, plain_rates()).memory_margin > 1.7


def test_a_calibration_on_one_model_says_so_and_keeps_a_wide_margin():
    few = calibrate(
        [cell for cell in cells() if cell.model == "bert-512"], ANATOMIES, plain_rates(), source="one"
    )
    assert [one.code for one in few.findings] == ["BEN040"]
    assert few.memory_margin == BLIND_MARGIN
    assert "BEN040" in few.summary()


def test_a_calibration_survives_being_written():
    found = calibrate(cells(dtypes=("fp32",)), ANATOMIES, plain_rates())
    again = Calibration.from_dict(found.to_dict())
    assert again == found
    assert again.summary() == found.summary()
