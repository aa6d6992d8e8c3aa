"""Which models to deploy for a length, a memory and a latency, and why the others do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

from scalescope.cost import Positions
from scalescope.deployment.columns import format_duration
from scalescope.deployment.readings import Reading, Reason, Refusal, read_at
from scalescope.deployment.recommendation_results import TASKS, Option, Recommendation, Rejected, Wanted
from scalescope.deployment.series import Series, series_of, some_names
from scalescope.deployment.tradeoffs import pareto_front, trade_offs
from scalescope.errors import InputError, nearest
from scalescope.points import Cells, Estimate, Finding
from scalescope.units import format_bytes, format_count, format_factor


def recommend(
    cells: Cells,
    *,
    length: int,
    memory_bytes: float | None = None,
    latency_s: float | None = None,
    task: str | None = None,
    least_params: float | None = None,
    most_params: float | None = None,
    dtype: str | None = None,
    attention: str | None = None,
    threads: int | None = None,
    batch: int | None = None,
    limits: Mapping[str, Positions] | None = None,
) -> Recommendation:
    """Rank the models that meet all limits by throughput, and say why each of the others does not.

    Parameters
    ----------
    cells
        Of a bench on the machine in question.
    length
        Tokens of the longest text; between measured lengths the reading is interpolated.
    memory_bytes
        For the model, beside the libraries.
    latency_s
        Longest time of a call; of an output token for generation.
    task
        `encoder`, `decoder`, `generation`, or a task of the bench's workloads; by default encoders and
        decoders.
    least_params, most_params
        Size of the network.
    dtype, attention, threads, batch
        Only this setting; by default all that were measured.
    limits
        Positions of every model by its name, where they are known.

    Raises
    ------
    InputError
        If a limit is not above zero, the task is unknown, or no cell has the setting.
    """
    wanted = Wanted(
        length=length,
        memory_bytes=memory_bytes,
        latency_s=latency_s,
        task=task or "any",
        least_params=least_params,
        most_params=most_params,
        dtype=dtype,
        attention=attention,
        threads=threads,
        batch=batch,
    )
    series = _check(cells, wanted)
    fitting, rejected = _sorted_out(series, wanted, limits or {})
    ranked = _ranked([replace(one, same=_same(cells, one.model)) for one in fitting])
    fastest = {one.model: one for one in reversed(ranked)}
    options = tuple(_ranked(list(fastest.values())))
    others = tuple(one for one in ranked if one is not fastest[one.model])
    return Recommendation(
        wanted=wanted,
        options=options,
        others=others,
        rejected=rejected,
        front=pareto_front(options),
        trade_offs=trade_offs(options, others),
        notes=_notes(cells),
        findings=_findings(options, rejected, wanted),
        provenance=cells.provenance,
    )


def _check(cells: Cells, wanted: Wanted) -> tuple[Series, ...]:
    """Return the series that are asked for, architectures once."""
    for name in ("length", "memory_bytes", "latency_s", "least_params", "most_params"):
        value = getattr(wanted, name)
        if value is not None and not value > 0:
            raise InputError(f"{name} must be above zero, got {value:g}", hint="Leave it out for no limit.")
    every = series_of(cells.distinct())
    tasks = {*TASKS, *(one.setting.task for one in every)} - {"length"}
    if wanted.task not in tasks:
        raise InputError(f"unknown task {wanted.task!r}", hint=nearest(wanted.task, tasks))
    series = tuple(one for one in every if wanted.allows(one.setting))
    if not series:
        known = "; ".join(sorted({one.setting.name for one in every})[:6]) or "none"
        raise InputError(f"no cell of the bench fits {wanted.text}", hint=f"Measured: {known}.")
    return series


def _sorted_out(
    series: tuple[Series, ...], wanted: Wanted, limits: Mapping[str, Positions]
) -> tuple[list[Option], tuple[Rejected, ...]]:
    fitting: list[Option] = []
    missed: dict[str, list[tuple[Refusal, Series]]] = {}
    for one in series:
        reading = read_at(one, wanted.length, limits.get(one.model))
        refusal = reading if isinstance(reading, Refusal) else _obstacle(one, reading, wanted)
        if refusal is not None:
            missed.setdefault(one.model, []).append((refusal, one))
        elif isinstance(reading, Reading):
            fitting.append(_option(one, reading, wanted))
    fits = {one.model for one in fitting}
    rejected = [_nearest_miss(model, found) for model, found in missed.items() if model not in fits]
    return fitting, tuple(sorted(rejected, key=lambda one: (_ORDER.index(one.reason), one.model)))


_ORDER: tuple[Reason, ...] = get_args(Reason)


def _nearest_miss(model: str, found: list[tuple[Refusal, Series]]) -> Rejected:
    refusal, series = min(found, key=lambda pair: _ORDER.index(pair[0].reason))
    return Rejected(model=model, category=series.category, reason=refusal.reason, text=refusal.text)


def _obstacle(series: Series, reading: Reading, wanted: Wanted) -> Refusal | None:
    """Say which limit a reading breaks; what is extrapolated must keep to it with its upper end."""
    params, careful = series.params, reading.source == "extrapolated"
    if wanted.memory_bytes is not None:
        if reading.memory is None:
            return Refusal(reason="not measured", text="its memory was not measured")
        need = reading.memory.high if careful else reading.memory.value
        if need > wanted.memory_bytes:
            text = f"memory {format_bytes(need)} > {format_bytes(wanted.memory_bytes)}"
            return Refusal(reason="memory", text=text)
    if wanted.latency_s is not None and reading.seconds.value > wanted.latency_s:
        time = format_duration(reading.seconds.value)
        return Refusal(reason="latency", text=f"latency {time} > {format_duration(wanted.latency_s)}")
    low, high = wanted.least_params or 0, wanted.most_params or float("inf")
    if (wanted.least_params or wanted.most_params) and not (params is not None and low <= params <= high):
        size = "unknown" if params is None else format_count(params)
        return Refusal(reason="params", text=f"parameters {size}, outside what was asked")
    return None


def _option(series: Series, reading: Reading, wanted: Wanted) -> Option:
    cell = series.usable[0]
    tokens = cell.workload.batch * (1 if series.setting.kind == "decode" else wanted.length)
    seconds = reading.seconds
    rate = Estimate(value=tokens / seconds.value, low=tokens / seconds.high, high=tokens / seconds.low)
    limits = {"latency": (seconds, wanted.latency_s), "memory": (reading.memory, wanted.memory_bytes)}
    return Option(
        rank=0,
        model=series.model,
        category=series.category,
        setting=series.setting,
        params=series.params,
        seconds=seconds,
        tokens_per_s=rate,
        memory=reading.memory,
        joules=reading.joules,
        source=reading.source,
        reach=reading.reach,
        random_weights=cell.random_weights,
        marginal=tuple(
            name
            for name, (found, limit) in limits.items()
            if found is not None and limit is not None and found.high > limit
        ),
    )


def _ranked(options: list[Option]) -> list[Option]:
    """Sort by throughput; whoever overlaps with the first of a rank shares it."""
    ranked: list[Option] = []
    leader: Option | None = None
    for i, one in enumerate(sorted(options, key=lambda one: -one.tokens_per_s.value), start=1):
        tied = leader is not None and one.tokens_per_s.high >= leader.tokens_per_s.low
        one = replace(one, rank=leader.rank if tied and leader is not None else i)
        leader = leader if tied else one
        ranked.append(one)
    return ranked


def _same(cells: Cells, model: str) -> tuple[str, ...]:
    digests = {cell.architecture for cell in cells if cell.model == model} - {""}
    alike = dict.fromkeys(cell.model for cell in cells if cell.architecture in digests)
    return tuple(name for name in alike if name != model)


def _notes(cells: Cells) -> tuple[str, ...]:
    baselines = [cell.memory.baseline for cell in cells if cell.memory and cell.memory.baseline]
    if not baselines:
        return ("Memory is what a model needs beside the libraries.",)
    most = format_bytes(max(baselines))
    return (f"Memory is what a model needs beside the libraries, which took up to {most} here.",)


def _findings(
    options: tuple[Option, ...], rejected: tuple[Rejected, ...], wanted: Wanted
) -> tuple[Finding, ...]:
    found = []
    if not options:
        near = f" Nearest: {rejected[0].model}, {rejected[0].text}." if rejected else ""
        found.append(
            Finding(code="BEN068", text=f"Nothing fits {wanted.text}.{near}", hint="Loosen one limit.")
        )
    beyond = [one for one in options if one.source == "extrapolated"]
    if beyond:
        farthest = format_factor(max(one.reach for one in beyond))
        found.append(
            Finding(
                code="BEN056",
                text=f"{len(beyond)} of {len(options)} options are extrapolated, up to {farthest} outside "
                f"the measured lengths: {some_names([one.model for one in beyond])}.",
                hint=f"Measure them at {wanted.length} before deciding.",
            )
        )
    close = [one.model for one in options if one.marginal]
    if close:
        found.append(
            Finding(
                code="BEN059",
                text=f"A limit lies within the interval of {some_names(close)}.",
                hint="They may exceed it; measure more repeats, or leave some room.",
            )
        )
    drawn = sum(one.random_weights for one in options)
    if drawn:
        found.append(
            Finding(
                code="BEN057",
                text=f"{drawn} of {len(options)} options were measured with random weights.",
                hint="Speed and memory hold for trained ones too; quality is not measured at all. "
                "Compare it on your task before choosing.",
            )
        )
    return tuple(found)
