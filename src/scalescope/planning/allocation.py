"""The verb `plan`: the best size and tokens for each compute budget, and what it costs to be wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.holdout import Holdout
from scalescope.fitting.result import Fit
from scalescope.planning.caveats import plan_findings
from scalescope.planning.prediction import interval_findings, provenance_of
from scalescope.planning.results import Advice, Allocation, Penalty, Plan
from scalescope.planning.rules import RULES, Rule
from scalescope.planning.spread import predict_loss
from scalescope.planning.surface import Surface, check_level, check_positive, estimate, require_optimum
from scalescope.points import Array, Estimate

FACTORS = (0.25, 0.5, 2.0, 4.0)
"""Sizes off the optimum, over the optimal size, whose cost every plan shows."""


def plan(
    fit: Fit,
    budgets: Sequence[float],
    *,
    level: float | None = None,
    alternative: Fit | None = None,
    past: Sequence[Holdout] = (),
) -> Plan:
    """Choose size and tokens for each compute budget.

    Size, tokens, their ratio, penalties and gains carry the spread of the fit's resamples, each with its
    own optimum. The loss carries the prediction interval of `forecast` for the run that is planned, so it
    includes the noise of one run and, with `past`, the form's own error.

    Parameters
    ----------
    fit
        Of a law that weighs size against data: `chinchilla`, `isoflop` or `kaplan`.
    budgets
        Training FLOP, C = 6 N D with N in the fit's count.
    level
        Of every interval; the fit's own if not given.
    alternative
        A fit of another law to the same runs; its allocations stand beside the headlined ones, and a finding
        tells if the two disagree about how size should grow.
    past
        Hold-outs inside the fitted runs, of any law; each fit takes its own.

    Raises
    ------
    InputError
        If there is no budget, one is not positive, or the law has no best size.
    """
    chosen = check_level(level, fit.level)
    if not len(budgets):
        raise InputError("a plan needs at least one compute budget", hint="Give training FLOP, such as 1e21.")
    computes = [check_positive(budget, "a budget") for budget in budgets]
    size_exponent, data_exponent = exponents(fit, chosen)
    allocations = allocate(fit, computes, level=chosen, past=past)
    farthest = max(one.reach for one in allocations)
    other = exponents(alternative, chosen)[0] if alternative else None
    return Plan(
        law=fit.law,
        method=fit.method,
        level=chosen,
        count=fit.count,
        size_exponent=size_exponent,
        data_exponent=data_exponent,
        allocations=allocations,
        alternative=allocate(alternative, computes, level=chosen, past=past) if alternative else (),
        alternative_law=alternative.law if alternative else "",
        findings=(
            *plan_findings(fit, allocations, size_exponent, other, alternative.law if alternative else ""),
            *interval_findings(fit, farthest, past),
            *(interval_findings(alternative, farthest, past) if alternative else ()),
        ),
        provenance=provenance_of(fit, {"level": chosen, "n_budgets": len(computes), "n_past": len(past)}),
    )


def exponents(fit: Fit, level: float) -> tuple[Estimate, Estimate]:
    """Exponents a and b of N* = G C^a and D* = H C^b: the slope of the optimum beyond the fitted runs.

    Every law with a closed form has one slope everywhere; for `chinchilla` it is beta / (alpha + beta).
    """
    require_optimum(fit.law)
    C = fit.ranges["C"][1] * np.array([1.0, 10.0]) if "C" in fit.ranges else np.array([1e20, 1e21])
    size = np.log(Surface.of_fit(fit).optimum(C))
    slope = (size[:, 1] - size[:, 0]) / np.log(C[1] / C[0])
    return estimate(slope, level), estimate(1 - slope, level)


def allocate(
    fit: Fit, computes: Sequence[float], *, level: float, past: Sequence[Holdout] = ()
) -> tuple[Allocation, ...]:
    """Return the best use of each budget under one fit, in the order given."""
    require_optimum(fit.law)
    surface, C = Surface.of_fit(fit), np.array(computes)
    size, best = surface.optimum(C), surface.best_loss(C)
    gain = best - surface.best_loss(10 * C)
    off = _Off(surface, C, size, best)
    penalties = off.costs([factor * size for factor in FACTORS], level)
    advised = [np.array([rule.size(one) for one in computes]) for rule in RULES]
    advice = off.costs([np.broadcast_to(sizes, size.shape) for sizes in advised], level)
    largest = fit.ranges.get("C", (0.0, np.inf))[1]
    return tuple(
        Allocation(
            compute=compute,
            params=estimate(size[:, i], level),
            tokens=estimate(compute / (6 * size[:, i]), level),
            tokens_per_param=estimate(compute / (6 * size[:, i] ** 2), level),
            loss=predict_loss(fit, surface, float(size[0, i]), compute, level=level, past=past),
            reach=max(1.0, compute / largest),
            penalties=tuple(
                Penalty(factor=factor, loss_increase=cost[i][0], compute_waste=cost[i][1])
                for factor, cost in zip(FACTORS, penalties, strict=True)
            ),
            advice=tuple(
                _advice(rule, float(sizes[i]), compute, cost[i])
                for rule, sizes, cost in zip(RULES, advised, advice, strict=True)
            ),
            gain_of_tenfold=estimate(gain[:, i], level),
        )
        for i, compute in enumerate(computes)
    )


class _Off:
    """What sizes other than the best cost, on a surface whose optimum is known."""

    def __init__(self, surface: Surface, C: Array, size: Array, best: Array) -> None:
        self.surface, self.C, self.best = surface, np.broadcast_to(C, size.shape), best

    def costs(self, choices: Sequence[Array], level: float) -> list[list[tuple[Estimate, Estimate]]]:
        """Loss increase and compute waste of every choice of sizes, by choice and budget."""
        # Side by side in one table: one search for all of them.
        C, best = np.tile(self.C, len(choices)), np.tile(self.best, len(choices))
        loss = self.surface.loss(np.concatenate(choices, axis=1), C)
        # Rounding may put the loss of the optimum itself a hair below the optimum's.
        increase = np.maximum(loss - best, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            waste = np.maximum(C / self.surface.equal_compute(loss, C), 1.0)
        pairs = [
            (estimate(increase[:, i], level), estimate(waste[:, i], level)) for i in range(loss.shape[1])
        ]
        n = self.C.shape[1]
        return [pairs[k * n : (k + 1) * n] for k in range(len(choices))]


def _advice(rule: Rule, size: float, compute: float, cost: tuple[Estimate, Estimate]) -> Advice:
    return Advice(
        rule=rule.name,
        source=rule.source,
        params=size,
        tokens=compute / (6 * size),
        loss_increase=cost[0],
        compute_waste=cost[1],
    )
