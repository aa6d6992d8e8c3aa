"""What a cell will do, before it runs: its state, its memory, its time; arithmetic alone."""

from __future__ import annotations

from dataclasses import replace

from scalescope.cost.anatomy import Anatomy
from scalescope.cost.calibration import Calibration
from scalescope.cost.calls import count_call
from scalescope.cost.corrections import group_of
from scalescope.cost.memory import Loading, memory_of_call
from scalescope.cost.timing import parts_of_time
from scalescope.points import Attention, Dtype, Expectation, Workload
from scalescope.units import format_bytes, format_seconds


def predict(
    anatomy: Anatomy,
    workload: Workload,
    calibration: Calibration,
    *,
    dtype: Dtype = "fp32",
    attention: Attention = "sdpa",
    free_bytes: float | None = None,
    seconds_limit: float | None = None,
    obstacle: str = "",
    loading: Loading = "same",
) -> Expectation:
    """Predict one cell.

    Parameters
    ----------
    anatomy
        Of the model.
    workload
        One call; for decode the time is that of one output token.
    calibration
        Of the machine that it would run on.
    dtype, attention
        How it would run.
    free_bytes
        Memory that it may take; None to leave memory out of the decision.
    seconds_limit
        Time that one call may take, for decode with its prompt and all its tokens; None for no limit.
    obstacle
        Why the configuration does not allow it; empty if it does.
    loading
        Whether the weights are converted while they are loaded.

    Returns
    -------
    Expectation
        `not_applicable` where there is an obstacle; `skipped` where memory with its margin, or time, is
        over the limit; else `ok`. Memory and time are given wherever they can be computed.
    """
    if obstacle:
        return Expectation(state="not_applicable", cause=obstacle)
    estimate = memory_of_call(anatomy, workload, dtype=dtype, attention=attention, loading=loading)
    peak = calibration.corrections.peak(estimate)
    seconds = seconds_of_call(anatomy, workload, calibration, dtype=dtype, attention=attention)
    whole = _whole_call(anatomy, workload, calibration, dtype, attention, seconds)
    cause = _too_big(peak, calibration.memory_margin, free_bytes) or _too_slow(whole, seconds_limit)
    spread = calibration.time_spread
    return Expectation(
        state="skipped" if cause else "ok",
        cause=cause,
        memory_bytes=peak,
        seconds=seconds,
        flop=count_call(anatomy, workload, attention=attention, dtype=dtype).flop,
        spread=spread.get(group_of(dtype, workload), spread.get(dtype)),
    )


def seconds_of_call(
    anatomy: Anatomy,
    workload: Workload,
    calibration: Calibration,
    *,
    dtype: Dtype,
    attention: Attention,
) -> float | None:
    """Time of one call, of one output token for decode; None if this type was not measured here."""
    parts = parts_of_time(anatomy, workload, rates=calibration.rates, dtype=dtype, attention=attention)
    group = group_of(dtype, workload)
    return None if parts is None else calibration.corrections.seconds(parts, group, anatomy.model_type)


def _whole_call(
    anatomy: Anatomy,
    workload: Workload,
    calibration: Calibration,
    dtype: Dtype,
    attention: Attention,
    seconds: float | None,
) -> float | None:
    if workload.kind != "decode" or seconds is None:
        return seconds
    prompt = replace(workload, kind="prefill", new_tokens=0)
    first = seconds_of_call(anatomy, prompt, calibration, dtype=dtype, attention=attention)
    return (first or 0.0) + workload.new_tokens * seconds


def _too_big(peak: float, margin: float, free: float | None) -> str:
    if free is None or peak * margin <= free:
        return ""
    wanted = f"{format_bytes(peak)} predicted, {format_bytes(peak * margin)} with its margin"
    return f"memory: {wanted}, {format_bytes(free)} free"


def _too_slow(seconds: float | None, limit: float | None) -> str:
    if seconds is None or limit is None or seconds <= limit:
        return ""
    return f"time: {format_seconds(seconds)} predicted for one call, limit {format_seconds(limit)}"
