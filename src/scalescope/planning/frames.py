"""Results of planning as tidy rows, ready for any data-frame constructor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalescope.points import Estimate

if TYPE_CHECKING:
    from scalescope.planning.results import Allocation, Diagnosis, Forecast, NextRun, Plan, Row


def forecast_rows(forecast: Forecast) -> list[Row]:
    """One row: where, how far out, and the loss with its interval."""
    row: Row = {
        "law": forecast.law,
        "method": forecast.method,
        "params": forecast.params,
        "tokens": forecast.tokens,
        "compute": forecast.compute,
        **_columns("loss", forecast.loss),
        "level": forecast.level,
        "measured": forecast.measured,
    }
    return [row | {f"reach_{name}": times for name, times in forecast.reach.items()}]


def plan_rows(plan: Plan) -> list[Row]:
    """One row a budget and method, the headlined method first."""
    rows = [_allocation_row(plan.law, one) for one in plan.allocations]
    return rows + [_allocation_row(plan.alternative_law, one) for one in plan.alternative]


def diagnosis_rows(diagnosis: Diagnosis) -> list[Row]:
    """One row with every number of the diagnosis."""
    names = (
        "model law params tokens compute tokens_per_param optimal_params optimal_tokens verdict loss "
        "optimal_loss compute_waste source"
    )
    return [{name: getattr(diagnosis, name) for name in names.split()}]


def next_run_rows(run: NextRun) -> list[Row]:
    """One row with the run and what it would narrow."""
    names = "params tokens compute interval_now interval_after narrowing gain_per_flop"
    return [{name: getattr(run, name) for name in names.split()}]


def _allocation_row(law: str, one: Allocation) -> Row:
    row: Row = {"law": law, "compute": one.compute, "reach": one.reach}
    for name in ("params", "tokens", "tokens_per_param", "loss", "gain_of_tenfold"):
        row |= _columns(name, getattr(one, name))
    for penalty in one.penalties:
        row |= _columns(f"loss_increase_at_{penalty.factor:g}x", penalty.loss_increase)
        row |= _columns(f"compute_waste_at_{penalty.factor:g}x", penalty.compute_waste)
    for advice in one.advice:
        key = advice.rule.lower().replace(",", "").replace(" ", "_")
        row |= {f"params_by_{key}": advice.params, f"tokens_by_{key}": advice.tokens}
        row |= _columns(f"loss_increase_by_{key}", advice.loss_increase)
        row |= _columns(f"compute_waste_by_{key}", advice.compute_waste)
    return row


def _columns(name: str, one: Estimate) -> Row:
    return {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
