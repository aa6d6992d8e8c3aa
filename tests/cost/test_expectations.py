"""State, memory and time of a cell before it runs."""

from __future__ import annotations

import itertools
import time

import pytest
from cost_examples import bert_base, llama_1b, plain_rates

from scalescope.cost.calibration import Calibration
from scalescope.cost.prediction import predict
from scalescope.points import Workload

CALIBRATION = Calibration(rates=plain_rates())


def test_an_obstacle_in_the_configuration_ends_the_matter():
    found = predict(bert_base(), Workload(length=1024), CALIBRATION, obstacle="position table ends at 512")
    assert found.state == "not_applicable"
    assert found.cause == "position table ends at 512"
    assert found.memory_bytes is None


def test_what_does_not_fit_is_skipped_with_both_figures():
    found = predict(llama_1b(), Workload(kind="prefill"), CALIBRATION, free_bytes=4e9)
    assert found.state == "skipped"
    assert found.cause.startswith("memory: ")
    assert "3.73 GiB free" in found.cause
    assert found.memory_bytes > 4 * 1_034_512_384


def test_what_would_just_fit_is_skipped_for_its_margin():
    need = predict(llama_1b(), Workload(kind="prefill"), CALIBRATION).memory_bytes
    assert predict(llama_1b(), Workload(kind="prefill"), CALIBRATION, free_bytes=need).state == "skipped"
    room = need * CALIBRATION.memory_margin
    assert predict(llama_1b(), Workload(kind="prefill"), CALIBRATION, free_bytes=room).state == "ok"


def test_a_call_that_takes_too_long_is_skipped():
    found = predict(llama_1b(), Workload(kind="prefill", length=4096), CALIBRATION, seconds_limit=1.0)
    assert found.state == "skipped"
    assert found.cause.startswith("time: ")


def test_a_decode_is_limited_by_its_prompt_and_all_tokens_and_timed_by_one():
    decode = Workload(kind="decode", length=512, new_tokens=100)
    found = predict(llama_1b(), decode, CALIBRATION)
    limit = 10 * found.seconds
    assert predict(llama_1b(), decode, CALIBRATION, seconds_limit=limit).state == "skipped"


def test_a_decoded_token_waits_for_the_weights():
    # Half a rate of 5e9 FLOP/s at one row: two FLOP for four bytes at 1e10 bytes/s.
    decode = Workload(kind="decode", length=16, new_tokens=8)
    found = predict(llama_1b(), decode, CALIBRATION)
    weights = sum(one.params for one in llama_1b().matrices)
    assert found.seconds == pytest.approx(1.1 * 4 * weights / 1e10, rel=0.1)


def test_a_longer_text_never_takes_less():
    expected = [
        predict(llama_1b(), Workload(kind="prefill", length=length), CALIBRATION, attention="eager")
        for length in (128, 256, 512, 1024, 2048)
    ]
    for shorter, longer in itertools.pairwise(expected):
        assert longer.seconds > shorter.seconds
        assert longer.memory_bytes > shorter.memory_bytes


def test_a_type_without_rates_has_no_time_but_a_memory():
    found = predict(bert_base(), Workload(), CALIBRATION, dtype="fp16")
    assert found.state == "ok"
    assert found.seconds is None
    assert found.memory_bytes > 2 * 109_482_240


def test_all_models_at_all_lengths_take_under_a_second():
    begun = time.process_time()
    for _ in range(118):
        for length in (128, 512, 1024, 2048):
            predict(llama_1b(), Workload(kind="prefill", length=length), CALIBRATION, free_bytes=1e10)
    assert time.process_time() - begun < 1.0
