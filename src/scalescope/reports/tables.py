"""The tables of a report: every number as text, written by `units`."""

from __future__ import annotations

from dataclasses import dataclass

from scalescope.fitting.identify import Identification
from scalescope.laws import LAWS
from scalescope.planning.results import Allocation, Plan
from scalescope.points import Estimate
from scalescope.reports import text
from scalescope.reports.contents import Contents
from scalescope.reports.text import BARELY, law_name, number, shown, three_digits, two_digits
from scalescope.units import format_count, format_factor, format_flop, format_loss, format_percent

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A titled table of texts; the first column names the row."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Rows
    note: str = ""


def tables(contents: Contents) -> tuple[Table, ...]:
    """Build every table that the contents allow, in the order of the report."""
    built: list[Table | None] = [
        allocation(contents),
        wrong_size(contents),
        advice(contents),
        exponents(contents),
        coefficients(contents),
        settled(contents),
        holdouts(contents),
        diagnoses(contents),
    ]
    return tuple(table for table in built if table is not None and table.rows)


def allocation(contents: Contents) -> Table | None:
    """Size, tokens and loss for each budget, under the headlined law and under the other one."""
    plan = contents.plan
    if plan is None:
        return None
    laws = [(law_name(plan.law), plan.allocations), (law_name(plan.alternative_law), plan.alternative)]
    rows = [_allocation_row(law, each) for law, group in laws for each in group]
    return Table(
        name="allocation",
        title="What to train",
        columns=(
            "Compute C",
            "Law",
            "Beyond the runs",
            "Parameters N",
            "Tokens D",
            "Tokens per parameter",
            "Loss L",
            "Gain of 10x more",
        ),
        rows=tuple(rows),
        note=f"Loss in nats/token, C = 6ND, N counts {text.COUNT_NAMES.get(plan.count, plan.count)}; "
        f"[{format_percent(plan.level)} intervals]. The gain is the loss that ten times this compute "
        "takes off.",
    )


def _allocation_row(law: str, each: Allocation) -> tuple[str, ...]:
    return (
        format_flop(each.compute),
        law,
        format_factor(each.reach) if each.reach > BARELY else "inside",
        shown(each.params, format_count),
        shown(each.tokens, format_count),
        shown(each.tokens_per_param, two_digits),
        shown(each.loss, format_loss),
        shown(each.gain_of_tenfold, format_loss),
    )


def _off(factor: float) -> str:
    """Say by how much a size is off."""
    return f"{format_factor(factor)} too large" if factor > 1 else f"{format_factor(1 / factor)} too small"


def wrong_size(contents: Contents) -> Table | None:
    """What it costs to choose another size than the best at the same compute."""
    plan = contents.plan
    if plan is None:
        return None
    rows = [
        (
            format_flop(each.compute),
            _off(penalty.factor),
            shown(penalty.loss_increase, format_loss),
            shown(penalty.compute_waste, format_factor),
        )
        for each in plan.allocations
        for penalty in each.penalties
    ]
    return Table(
        name="wrong-size",
        title="What a wrong size costs",
        columns=("Compute C", "Size", "Loss added", "Compute over the optimum's for that loss"),
        rows=tuple(rows),
        note="Same compute, another size: fewer tokens for a larger model, more for a smaller one.",
    )


def advice(contents: Contents) -> Table | None:
    """What published rules would have chosen, and what following them costs under this law."""
    plan = contents.plan
    if plan is None:
        return None
    rows = [
        (
            format_flop(each.compute),
            rule.rule,
            format_count(rule.params),
            format_count(rule.tokens),
            two_digits(rule.tokens / rule.params),
            shown(rule.loss_increase, format_loss),
            shown(rule.compute_waste, format_factor),
        )
        for each in plan.allocations
        for rule in each.advice
    ]
    sources = dict.fromkeys(
        f"{rule.rule}: {rule.source}" for each in plan.allocations for rule in each.advice if rule.source
    )
    return Table(
        name="advice",
        title="What published rules advise instead",
        columns=(
            "Compute C",
            "Rule",
            "Parameters N",
            "Tokens D",
            "Tokens per parameter",
            "Loss added",
            "Compute over the optimum's for that loss",
        ),
        rows=tuple(rows),
        note="Judged under the law of this report. " + "; ".join(sources),
    )


def checked(contents: Contents) -> Table | None:
    """Forecast against measurement of the held-out rung under every law."""
    rows = []
    for forecast in contents.forecasts:
        measured = forecast.measured
        off = "–" if measured is None else _signed_percent(measured / forecast.loss.value - 1)
        rows.append(
            (
                law_name(forecast.law) + (" (headlined)" if forecast.law == contents.headline else ""),
                format_count(forecast.params),
                format_count(forecast.tokens),
                text.reaches_text(dict(forecast.reach)),
                shown(forecast.loss, format_loss),
                "–" if measured is None else format_loss(measured),
                off,
                text.verdict(forecast),
            )
        )
    return Table(
        name="checked",
        title="Forecast against measurement",
        columns=("Law", "N", "D", "Beyond the data", "Forecast L", "Measured L", "Off by", "Interval"),
        rows=tuple(rows),
        note="Each law was fitted without this run; loss in nats/token.",
    )


def _signed_percent(share: float) -> str:
    return ("+" if share > 0 else "−") + format_percent(abs(share))


def exponents(contents: Contents) -> Table | None:
    """How size and data grow with compute, under each law and each way of counting."""
    rows = []
    plan: Plan | None = contents.plan
    if plan is not None:
        pair = (shown(plan.size_exponent, two_digits), shown(plan.data_exponent, two_digits))
        rows.append((law_name(plan.law), text.COUNT_NAMES.get(plan.count, plan.count), *pair))
    for count, (value, low, high) in contents.exponents_by_count.items():
        size = Estimate(value=value, low=low, high=high)
        rows.append((law_name("isoflop"), text.COUNT_NAMES.get(count, count), shown(size, two_digits), "–"))
    return Table(
        name="exponents",
        title="Exponents under each way of counting",
        columns=("Law", "N counts", "a of N* ∝ C^a", "b of D* ∝ C^b"),
        rows=tuple(rows),
        note="The same runs give another exponent when N counts other parameters: compare like with like.",
    )


def coefficients(contents: Contents) -> Table | None:
    """Every coefficient of every fit with its interval, and how well the fit describes its runs."""
    rows = []
    for name, fit in contents.fits.items():
        formula = LAWS[fit.law].formula if fit.law in LAWS else ""
        joined = "; ".join(f"{key} = {shown(value, three_digits)}" for key, value in fit.coefficients.items())
        quality = (number(fit.r_squared, three_digits), format_percent(fit.residual_sd))
        noise = "–" if fit.noise_sd is None else format_percent(fit.noise_sd)
        rows.append((law_name(name), formula, joined, str(fit.n_runs), *quality, noise))
    return Table(
        name="coefficients",
        title="The laws and their coefficients",
        columns=("Law", "Formula", "Coefficients", "Runs", "R² of log L", "Residual sd", "Seed noise"),
        rows=tuple(rows),
        note="N in parameters, D in tokens, C in FLOP, L in nats/token; standard deviations are of log L.",
    )


def settled(contents: Contents) -> Table | None:
    """What the runs settle of a law's coefficients, and which extra run would help most."""
    found = identified(contents)
    if found is None:
        return None
    rows = tuple(
        (name, _open_ended(width.estimate), "yes" if width.identified else "no")
        for name, width in found.widths.items()
    )
    notes = [one.text for one in found.trade_offs]
    notes += [found.extra.text] if found.extra is not None else []
    condition = f"{two_digits(found.condition)}, {two_digits(found.condition_projected)} once the linear "
    return Table(
        name="settled",
        title="What the runs settle",
        columns=("Coefficient", "Value, with its profile interval", "Settled"),
        rows=rows,
        note=f"{law_name(found.law)}. Condition number {condition}coefficients follow from the others. "
        + " ".join(notes),
    )


def identified(contents: Contents) -> Identification | None:
    """What is known of the headlined law's coefficients, or of another surface's where that has none."""
    ranked = sorted(contents.fits, key=lambda law: (law != contents.headline, not LAWS[law].is_surface))
    every = [contents.fits[law].identification for law in ranked]
    return next((one for one in every if one is not None), None)


def _open_ended(estimate: Estimate) -> str:
    low = number(estimate.low, three_digits)
    high = number(estimate.high, three_digits) if estimate.high < float("inf") else "no upper end"
    return f"{three_digits(estimate.value)} [{low}, {high}]"


def holdouts(contents: Contents) -> Table | None:
    """How far off each law was when only the cheaper runs were known."""
    rows = [
        (
            law_name(each.law),
            str(each.n_fitted),
            str(each.n_predicted),
            format_factor(each.ratio),
            _signed_percent(each.log_error),
            format_percent(each.rms_error),
        )
        for each in contents.holdouts
    ]
    return Table(
        name="holdouts",
        title="Hold-outs inside the runs",
        columns=("Law", "Runs fitted", "Runs predicted", "Compute ratio", "Mean error", "Rms error"),
        rows=tuple(rows),
        note="Each law is fitted to the cheaper runs and asked for the next dearer ones; a mean above zero "
        "is pessimistic.",
    )


def diagnoses(contents: Contents) -> Table | None:
    """Whether known models are under- or over-trained for their compute."""
    rows = [
        (
            each.model,
            format_count(each.params),
            format_count(each.tokens),
            two_digits(each.tokens_per_param),
            each.verdict,
            f"{format_count(each.optimal_params)} on {format_count(each.optimal_tokens)}",
            number(each.compute_waste, format_factor),
            each.law,
        )
        for each in contents.diagnoses
    ]
    return Table(
        name="diagnoses",
        title="Known models",
        columns=("Model", "N", "D", "D/N", "Verdict", "Best at that compute", "Compute wasted", "Law"),
        rows=tuple(rows),
        note="Compute wasted: over what the optimum needs for the same loss.",
    )


def all_runs(contents: Contents) -> Table:
    """Every run, the held-out ones marked."""
    runs = contents.runs
    rows = []
    order = sorted(range(len(runs)), key=lambda i: (runs.held_out[i], runs.compute[i], runs.size[i]))
    for index in order:
        error = float(runs["loss_stderr"][index]) if "loss_stderr" in runs else float("nan")
        rows.append(
            (
                runs.names[index] if runs.names else f"run {index + 1}",
                format_count(float(runs.size[index])),
                format_count(float(runs.tokens[index])),
                format_flop(float(runs.compute[index])),
                format_loss(float(runs.loss[index])),
                number(error, format_loss),
                "held out" if runs.held_out[index] else "fitted",
            )
        )
    return Table(
        name="runs",
        title="All runs",
        columns=("Run", "Parameters N", "Tokens D", "Compute C", "Loss L", "Standard error", "Use"),
        rows=tuple(rows),
    )
