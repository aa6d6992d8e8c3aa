"""Results of planning as short text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from scalescope.units import (
    format_count,
    format_factor,
    format_flop,
    format_loss,
    format_percent,
    format_significant,
)

if TYPE_CHECKING:
    from scalescope.planning.results import Allocation, Diagnosis, Forecast, NextRun, Plan
    from scalescope.points import Estimate, Finding


def forecast_text(forecast: Forecast) -> str:
    """Loss with interval, place, reach, and the measured loss where there is one."""
    place = f"{format_count(forecast.params)} parameters on {format_count(forecast.tokens)} tokens"
    lines = [
        f"{place} ({format_flop(forecast.compute)}) by {forecast.law}:",
        f"  loss {forecast.loss.text(format_loss)} nats/token, {forecast.level:.0%} prediction interval",
        f"  reach: {_reach(forecast.reach)}",
    ]
    if forecast.measured is not None:
        inside = forecast.loss.low <= forecast.measured <= forecast.loss.high
        verdict = "inside" if inside else "outside"
        lines.append(f"  measured {format_loss(forecast.measured)}, {verdict} the interval")
    return _with_findings(lines, forecast.findings)


def plan_text(plan: Plan) -> str:
    """Allocations by budget, the cost of being wrong, other rules' advice, and the doubts."""
    lines = [
        f"Plan by {plan.law}, {plan.level:.0%} intervals (N counts {plan.count})",
        f"  N* grows as C^{plan.size_exponent.text(_two)}, D* as C^{plan.data_exponent.text(_two)}",
    ]
    for one in plan.allocations:
        lines += _allocation_lines(one)
    if plan.alternative:
        lines.append(f"By {plan.alternative_law} instead")
        lines += [f"  {format_flop(one.compute)}: {_choice(one)}" for one in plan.alternative]
    return _with_findings(lines, plan.findings)


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """Verdict, optimum at the same compute, and what the same loss could have cost."""
    name = diagnosis.model or f"{format_count(diagnosis.params)} parameters"
    size, tokens = format_count(diagnosis.params), format_count(diagnosis.tokens)
    ratio = format_significant(diagnosis.tokens_per_param, 2)
    best_size, best_tokens = format_count(diagnosis.optimal_params), format_count(diagnosis.optimal_tokens)
    gap = format_significant(max(diagnosis.loss - diagnosis.optimal_loss, 0.0), 2)
    share = format_percent(1 / diagnosis.compute_waste)
    lines = [
        f"{name}: {diagnosis.verdict}, by {diagnosis.law}",
        f"  made with {format_flop(diagnosis.compute)}: {size} parameters, {tokens} tokens, {ratio} each",
        f"  best for that compute: {best_size} parameters, {best_tokens} tokens, {gap} nats/token lower",
        f"  a compute-optimal model of the same loss needs {share} of the compute",
    ]
    return _with_findings(lines, diagnosis.findings)


def next_run_text(run: NextRun) -> str:
    """The run, its cost, and what it would narrow."""
    return (
        f"{format_count(run.params)} parameters on {format_count(run.tokens)} tokens "
        f"({format_flop(run.compute)}) would narrow the interval of ln N* "
        f"from {format_significant(run.interval_now)} to {format_significant(run.interval_after)} "
        f"({format_percent(run.narrowing)} less)"
    )


def _allocation_lines(one: Allocation) -> list[str]:
    beyond = f", {format_factor(one.reach)} beyond the fitted runs" if one.reach > 1 else ""
    costs = [f"{p.factor:g}x {_cost(p.loss_increase, p.compute_waste)}" for p in one.penalties]
    advice = [
        f"  {a.rule} would take {format_count(a.params)} on {format_count(a.tokens)}: "
        f"{_cost(a.loss_increase, a.compute_waste)}"
        for a in one.advice
    ]
    return [
        f"{format_flop(one.compute)}{beyond}",
        f"  {_choice(one)}",
        f"  ten times more compute lowers the loss by {one.gain_of_tenfold.text(format_loss)}",
        f"  if the size is off by {', '.join(costs)}",
        *advice,
    ]


def _cost(loss_increase: Estimate, compute_waste: Estimate) -> str:
    waste = format_factor(compute_waste.value)
    return f"+{format_significant(loss_increase.value, 2)} nats ({waste} compute)"


def _choice(one: Allocation) -> str:
    return (
        f"{one.params.text(format_count)} parameters on {one.tokens.text(format_count)} tokens, "
        f"{one.tokens_per_param.text(_two)} a parameter: loss {one.loss.text(format_loss)} nats/token"
    )


def _reach(reach: Mapping[str, float]) -> str:
    far = [f"{format_factor(times)} in {name}" for name, times in reach.items() if times > 1]
    return f"beyond the fitted runs {', '.join(far)}" if far else "inside the fitted runs"


def _two(value: float) -> str:
    return format_significant(value, 2)


def _with_findings(lines: Sequence[str], findings: Sequence[Finding]) -> str:
    return "\n".join([*lines, *(f"  {finding}" for finding in findings)])
