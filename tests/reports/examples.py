"""A study as a report sees it: synthetic runs on an IsoFLOP surface with noise, fits and a plan made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from scalescope.fitting.holdout import Holdout
from scalescope.fitting.result import Certificate, Fit, Parabola
from scalescope.laws import get_law, optimal_size
from scalescope.planning.results import Advice, Allocation, Diagnosis, Forecast, Penalty, Plan
from scalescope.points import Estimate, Finding, Provenance, Runs
from scalescope.reports import Contents, Curve

BUDGETS = (5e10, 1.5e11, 4.5e11, 1.35e12)
HELD_OUT = 4e12
SURFACE = {"E": 0.55, "K": 62.0, "gamma": 0.153, "G": 0.0335, "a": 0.53, "kappa": 0.07}
LEVEL = 0.9
NOISE = 0.008

_OTHERS: dict[str, tuple[dict[str, float], float]] = {
    "isoflop": (SURFACE, 0.012),
    "chinchilla": ({"E": 0.8, "A": 190.0, "B": 75.0, "alpha": 0.54, "beta": 0.32}, 0.02),
    "loss-size": ({"E": 0.45, "A": 11.6, "alpha": 0.21}, 0.02),
    "loss-data": ({"E": 0.4, "B": 52.0, "beta": 0.27}, 0.02),
    "loss-compute": ({"E": 0.55, "K": 62.0, "gamma": 0.153}, 0.012),
}


def surface_loss(size: Any, compute: Any) -> Any:
    theta = np.array(list(SURFACE.values()))
    return get_law("isoflop").loss(theta, N=np.asarray(size, float), C=np.asarray(compute, float))


def example_runs(*, held_out: bool = True, seed: int = 0) -> Runs:
    """Six sizes a budget around the optimum, two seeds on the cheapest two, and one held-out run."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[float, float, int, int]] = []
    for index, budget in enumerate(BUDGETS):
        best = SURFACE["G"] * budget ** SURFACE["a"]
        for size in best * np.geomspace(0.3, 3.5, 6):
            rows += [(size, budget, replica, 0) for replica in range(2 if index < 2 else 1)]
    if held_out:
        rows.append((SURFACE["G"] * HELD_OUT ** SURFACE["a"], HELD_OUT, 0, 1))
    size, compute, replica, held = (np.array(column, float) for column in zip(*rows, strict=True))
    size = np.round(size)
    loss = surface_loss(size, compute) * np.exp(NOISE * rng.standard_normal(len(size)))
    columns = {
        "params": size * 1.3,
        "params_matmul": size,
        "compute": compute,
        "budget": compute,
        "loss": loss,
        "loss_stderr": np.full(len(size), 0.013),
        "seed": replica,
        "held_out": held,
    }
    names = tuple(f"n{int(n)}-c{c:.2g}-s{int(s)}" for n, c, s, _ in rows)
    provenance = Provenance(source="standard library of Python 3.11", digest="9f2c" * 16, seed=seed)
    return Runs.from_columns(columns, count="params_matmul", names=names, provenance=provenance)


def example_fit(runs: Runs, law: str, *, n_resamples: int = 80, seed: int = 1) -> Fit:
    """A fit with known coefficients, and resamples scattered around them."""
    rng = np.random.default_rng(seed)
    coefficients, scatter = _OTHERS[law]
    theta = np.array(list(coefficients.values()))
    resamples = theta * np.exp(scatter * rng.standard_normal((n_resamples, len(theta))))
    if law == "isoflop":
        # ln G and a are tied by the pivot of the data: only the product is known well.
        pivot = np.mean(np.log(BUDGETS))
        a = SURFACE["a"] + 0.03 * rng.standard_normal(n_resamples)
        off = 0.06 * rng.standard_normal(n_resamples)
        resamples[:, 4] = a
        resamples[:, 3] = SURFACE["G"] * np.exp((SURFACE["a"] - a) * pivot + off)
        gamma = SURFACE["gamma"] * np.exp(0.08 * rng.standard_normal(n_resamples))
        at_pivot = np.exp(-SURFACE["gamma"] * pivot) * SURFACE["K"]
        floor = 0.55 + 0.12 * rng.standard_normal(n_resamples)
        resamples[:, 0], resamples[:, 2] = floor, gamma
        resamples[:, 1] = (at_pivot + SURFACE["E"] - floor) * np.exp(gamma * pivot)
    fitted = runs.fitted()
    at = {"N": fitted.size, "D": fitted.tokens, "C": fitted.compute}
    form = get_law(law)
    residuals = np.log(fitted.loss) - np.log(form.loss(theta, **{name: at[name] for name in form.variables}))
    estimates = {
        name: Estimate.from_samples(value, resamples[:, index], LEVEL)
        for index, (name, value) in enumerate(coefficients.items())
    }
    return Fit(
        law=law,
        method="isoflop" if law == "isoflop" else "parametric",
        coefficients=estimates,
        resamples=resamples,
        level=LEVEL,
        count=runs.count,
        objective=float(np.abs(residuals).sum()),
        r_squared=0.993,
        residual_sd=float(residuals.std()),
        noise_sd=NOISE,
        n_runs=len(fitted),
        ranges={name: (float(column.min()), float(column.max())) for name, column in at.items()},
        residuals=residuals,
        parabolas=tuple(example_parabolas(fitted)) if law == "isoflop" else (),
        certificate=Certificate(n_starts=36, share_at_optimum=0.8, gradient_norm=2e-9),
        findings=_doubts(law),
        provenance=Provenance(options={"delta": 1e-3, "resamples": n_resamples}, seed=seed),
    )


def _doubts(law: str) -> tuple[Finding, ...]:
    if law == "isoflop":
        text = "The irreducible loss E is not identified: its interval is 0.36 to 0.74 nats."
        return (
            Finding(code="FIT004", text=text, hint="Forecasts lean on the form; a dearer budget narrows it."),
        )
    if law == "chinchilla":
        return (
            Finding(code="FIT005", text="R² of the log loss is only 0.988.", hint="Look at the residuals."),
        )
    return ()


def example_parabolas(runs: Runs) -> list[Parabola]:
    made = []
    for budget in BUDGETS:
        mine = runs.select(np.isclose(runs["budget"], budget))
        c2, c1, c0 = np.polyfit(np.log(mine.size), mine.loss, 2)
        best = float(np.exp(-c1 / (2 * c2)))
        lowest = float(c0 - c1**2 / (4 * c2))
        made.append(
            Parabola(
                budget=budget,
                coefficients=(float(c0), float(c1), float(c2)),
                size=Estimate(value=best, low=best * 0.86, high=best * 1.15),
                tokens=Estimate(
                    value=budget / 6 / best, low=budget / 6 / best / 1.15, high=budget / 6 / best / 0.86
                ),
                loss=Estimate(value=lowest, low=lowest - 0.012, high=lowest + 0.011),
                n_runs=len(mine),
                r_squared=0.97,
            )
        )
    return made


def _around(value: float, share: float) -> Estimate:
    return Estimate(value=value, low=value * (1 - share), high=value * (1 + share))


def example_plan(fit: Fit, budgets: tuple[float, ...] = (2.7e14, 2.7e15, 2.7e16)) -> Plan:
    """A plan by the law's own optimum, with intervals from its resamples."""
    allocations = tuple(_allocation(fit, compute) for compute in budgets)
    a = fit.coefficients.get("a", Estimate(value=0.37, low=0.33, high=0.42))
    return Plan(
        law=fit.law,
        method=fit.method,
        level=LEVEL,
        count=fit.count,
        size_exponent=a,
        data_exponent=Estimate(value=1 - a.value, low=1 - a.high, high=1 - a.low),
        allocations=allocations,
        findings=(
            Finding(
                code="PLN001",
                text="2.7e16 FLOP is 20,000x the dearest run fitted.",
                hint="Treat it as a direction, not a number.",
            ),
        ),
    )


def _allocation(fit: Fit, compute: float) -> Allocation:
    at = np.array([compute])
    sizes = optimal_size(fit.law, fit.resamples.T[:, :, None], at)[:, 0]
    size = float(optimal_size(fit.law, fit.theta, at)[0])
    form = get_law(fit.law)

    def loss(theta: Any, N: Any, C: Any) -> Any:
        values = {"N": N, "C": C, "D": C / (6 * N)}
        return form.loss(theta, **{name: values[name] for name in form.variables})

    losses = loss(fit.resamples.T, sizes, np.full(len(sizes), compute))
    best = float(loss(fit.theta, np.array([size]), at)[0])
    gain = best - float(loss(fit.theta, optimal_size(fit.law, fit.theta, at * 10), at * 10)[0])
    kaplan = 1.3e9 * (compute / 8.64e19) ** 0.73
    hoffmann = 0.09 * compute**0.5
    return Allocation(
        compute=compute,
        params=Estimate.from_samples(size, sizes, LEVEL),
        tokens=Estimate.from_samples(compute / 6 / size, compute / 6 / sizes, LEVEL),
        tokens_per_param=Estimate.from_samples(compute / 6 / size**2, compute / 6 / sizes**2, LEVEL),
        loss=Estimate.from_samples(best, losses, LEVEL),
        reach=compute / fit.ranges["C"][1],
        penalties=tuple(
            Penalty(
                factor=factor,
                loss_increase=_around(0.07 * float(np.log(factor)) ** 2, 0.2),
                compute_waste=_around(float(np.exp(np.log(factor) ** 2)), 0.2),
            )
            for factor in (0.25, 0.5, 2.0, 4.0)
        ),
        advice=tuple(
            Advice(
                rule=rule,
                source=source,
                params=advised,
                tokens=compute / 6 / advised,
                loss_increase=_around(0.07 * float(np.log(advised / size)) ** 2, 0.3),
                compute_waste=_around(1 + float(np.log(advised / size)) ** 2, 0.3),
            )
            for rule, advised, source in (
                ("Kaplan 2020", kaplan, "https://arxiv.org/abs/2001.08361"),
                ("Hoffmann 2022, approach 1", hoffmann, "https://arxiv.org/abs/2203.15556, table 3"),
            )
        ),
        gain_of_tenfold=_around(gain, 0.15),
    )


def example_forecasts(runs: Runs) -> tuple[Forecast, ...]:
    held = runs.select(runs.held_out)
    size, tokens, compute = float(held.size[0]), float(held.tokens[0]), float(held.compute[0])
    told = float(surface_loss(size, compute))
    return tuple(
        Forecast(
            law=law,
            method="isoflop" if law == "isoflop" else "parametric",
            params=size,
            tokens=tokens,
            compute=compute,
            loss=Estimate(value=told * off, low=told * off - 0.035, high=told * off + 0.035),
            level=LEVEL,
            reach={"N": 1.0, "D": 1.75, "C": 2.96},
            count=runs.count,
            measured=float(held.loss[0]),
        )
        for law, off in (("isoflop", 1.0), ("chinchilla", 1.05), ("loss-compute", 1.004))
    )


def example_curves(runs: Runs) -> tuple[Curve, ...]:
    made = []
    for index in range(len(runs)):
        if runs["seed"][index] > 0:
            continue
        tokens = np.geomspace(2e3, runs.tokens[index], 120)
        loss = runs.loss[index] + 3.6 * ((tokens / 2e3) ** -0.45 - (tokens[-1] / 2e3) ** -0.45)
        made.append(
            Curve(
                name=runs.names[index],
                params=float(runs.size[index]),
                tokens=tuple(tokens.tolist()),
                loss=tuple(loss.tolist()),
                held_out=bool(runs.held_out[index]),
            )
        )
    return tuple(made)


def example_contents() -> Contents:
    """Everything a study's report can hold."""
    runs = example_runs()
    fits = {law: example_fit(runs, law) for law in _OTHERS}
    return Contents(
        title="Standard library of Python 3.11, bytes",
        runs=runs,
        fits=fits,
        headline="isoflop",
        plan=example_plan(fits["isoflop"]),
        forecasts=example_forecasts(runs),
        holdouts=tuple(
            Holdout(
                law=law, n_fitted=24, n_predicted=6, ratio=3.0, log_error=error, rms_error=abs(error) + 0.006
            )
            for law, error in (("isoflop", 0.002), ("chinchilla", 0.034))
        ),
        curves=example_curves(runs),
        diagnoses=(_gpt3(),),
        facts={
            "Corpus": "source text of the standard library, 12.1 MB in 1,640 files; 4% held out by file",
            "Design": "IsoFLOP grid, 4 budgets from 5e10 to 1.35e12 FLOP, 6 sizes each, 36 runs",
            "Recipe": "Muon 0.02, AdamW head 0.012·64/d, batch 512·(D/2e5)^0.4 tokens, cooldown 0.3",
            "Time": "9 min 12 s on two cores",
        },
        exponents_by_count={
            "params_nonembedding": (0.59, 0.54, 0.63),
            "params_matmul": (0.53, 0.48, 0.57),
            "params": (0.47, 0.43, 0.51),
        },
        command="scalescope study --budget 10m --seed 0",
        findings=(
            Finding(
                code="STU007",
                text="The grid lost its two dearest sizes to keep the time budget.",
                hint="Give it 14m to run all of them.",
            ),
        ),
    )


def _gpt3() -> Diagnosis:
    return Diagnosis(
        model="GPT-3",
        law="chinchilla:epoch2024",
        params=175e9,
        tokens=300e9,
        compute=3.15e23,
        tokens_per_param=1.71,
        optimal_params=5.1e10,
        optimal_tokens=1.03e12,
        verdict="under-trained",
        loss=2.0,
        optimal_loss=1.95,
        compute_waste=1.9,
    )
