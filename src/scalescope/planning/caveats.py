"""What a reader of a plan should doubt, as findings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalescope.fitting.result import Fit
from scalescope.planning.reach import beyond, reach_findings
from scalescope.planning.results import Allocation
from scalescope.planning.rules import RULES
from scalescope.points import Estimate, Finding
from scalescope.units import format_count, format_factor, format_flop, format_significant

WIDE = 4.0
"""An interval of the size whose ends differ by more than this factor leaves the decision open."""

FAR = 10.0
"""Beyond its own models by more than this factor, a published rule is only a line drawn on."""


def plan_findings(
    fit: Fit, allocations: Sequence[Allocation], exponent: Estimate, other: Estimate | None, other_law: str
) -> tuple[Finding, ...]:
    """Findings about the plan as a whole, the worst budget standing for all where several share a doubt."""
    farthest = max(allocations, key=lambda one: one.reach)
    return (
        *reach_findings(farthest.reach, f"The budget of {format_flop(farthest.compute)}"),
        *_disagreement(fit.law, exponent, other, other_law),
        *_outside(fit, allocations),
        *_wide(allocations),
        *_foreign_rules(allocations),
        *_far_off_parabola(fit, allocations),
    )


def _disagreement(law: str, exponent: Estimate, other: Estimate | None, other_law: str) -> list[Finding]:
    # Written so that intervals that are not known disagree with nothing.
    if other is None or not (exponent.low > other.high or other.low > exponent.high):
        return []

    def text(one: Estimate) -> str:
        return one.text(lambda value: format_significant(value, 2))

    return [
        Finding(
            code="PLN004",
            text=f"The methods disagree: size grows as C^{text(exponent)} by {law} "
            f"and as C^{text(other)} by {other_law}.",
            hint="Let the hold-outs decide which to believe, or run a budget farther out.",
        )
    ]


def _outside(fit: Fit, allocations: Sequence[Allocation]) -> list[Finding]:
    if "N" not in fit.ranges:
        return []
    worst = max(allocations, key=lambda one: beyond(one.params.value, fit.ranges["N"]))
    reach = beyond(worst.params.value, fit.ranges["N"])
    if reach <= 1:
        return []
    low, high = (format_count(size) for size in fit.ranges["N"])
    return [
        Finding(
            code="PLN005",
            text=f"The best size for {format_flop(worst.compute)}, {format_count(worst.params.value)}, lies "
            f"{format_factor(reach)} outside the sampled sizes of {low} to {high}.",
            hint="Sizes beyond the sampled ones rest on the exponent alone.",
        )
    ]


def _wide(allocations: Sequence[Allocation]) -> list[Finding]:
    def width(one: Allocation) -> float:
        return one.params.high / one.params.low

    worst = max(allocations, key=lambda one: np.nan_to_num(width(one), nan=0.0))
    if not width(worst) > WIDE:
        return []
    return [
        Finding(
            code="PLN006",
            text=f"The best size for {format_flop(worst.compute)} is known only to a factor of "
            f"{format_significant(width(worst), 2)}: {worst.params.text(format_count)}.",
            hint="Ask for the run that would narrow it most before spending.",
        )
    ]


def _foreign_rules(allocations: Sequence[Allocation]) -> list[Finding]:
    far = {}
    for index, rule in enumerate(RULES):
        reach = max(beyond(one.advice[index].params, rule.sizes) for one in allocations)
        if reach > FAR:
            far[rule.name] = reach
    if not far:
        return []
    names = "; ".join(f"{name} {format_factor(reach)}" for name, reach in far.items())
    return [
        Finding(
            code="PLN007",
            text=f"Published rules are used outside the model sizes they were made from: {names}.",
            hint="Read their advice as a line drawn on, not as what their authors would say here.",
        )
    ]


def _far_off_parabola(fit: Fit, allocations: Sequence[Allocation]) -> list[Finding]:
    if fit.method != "isoflop":
        return []
    ratios = [advice.params / one.params.value for one in allocations for advice in one.advice]
    worst = max(ratios, key=lambda ratio: abs(np.log(ratio)))
    factor = max(worst, 1 / worst)
    if factor <= WIDE:
        return []
    return [
        Finding(
            code="PLN010",
            text=f"A published rule advises a size {format_factor(factor)} off the optimum, where a parabola "
            "fitted near it says little about the loss.",
            hint="Take its penalty as a sign, or look at the parametric law.",
        )
    ]
