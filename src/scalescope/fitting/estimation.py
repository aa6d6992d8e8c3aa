"""The verb `fit`: checks the runs, chooses the method, and puts the result together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.clusters import seed_noise, setting_labels
from scalescope.fitting.criterion import FREE, HUBER, Criterion, Restraints
from scalescope.fitting.doubts import (
    doubts_about_coefficients,
    doubts_about_optimum,
    doubts_about_resamples,
    doubts_about_runs,
)
from scalescope.fitting.frontier import used_by
from scalescope.fitting.inputs import variables_of
from scalescope.fitting.isoflop_fit import fit_isoflop
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.fitting.resampling import resample_fit
from scalescope.fitting.result import Certificate, Fit, Parabola
from scalescope.laws import Law, get_law
from scalescope.points import Array, Estimate, Finding, Provenance, Runs, digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Estimated:
    """What either method hands back."""

    runs: Runs
    theta: Array
    resamples: Array
    objective: float
    findings: tuple[Finding, ...]
    parabolas: tuple[Parabola, ...] = ()
    certificate: Certificate | None = None


def fit(
    runs: Runs,
    law: str = "chinchilla",
    *,
    criterion: Criterion = HUBER,
    restraints: Restraints = FREE,
    resamples: int = 300,
    level: float = 0.9,
    seed: int = 0,
) -> Fit:
    """Fit a scaling law to training runs.

    Most laws are fitted to all runs at once: the sum of Huber losses of the log residuals is minimised from
    every start of the law. The law `isoflop` is fitted budget by budget: a parabola each, then power laws
    through the minima. Laws of one factor use only the runs where the other does not bind: the best loss at
    each size, token count or budget (see `used_by`); their `residuals`, `n_runs` and `ranges` are those of
    the runs used. Held-out runs are never used.

    Intervals are central shares of the resamples. A parametric fit draws whole training runs with
    replacement, since token counts branched off one run share its luck; `isoflop` gives residuals random
    signs, one for each such run. `benchmarks/coverage.py` measures how often either holds the truth.

    Parameters
    ----------
    runs
        At least two more runs than the law has coefficients, at two sizes and token counts or more.
    law
        Name of the law; `scalescope laws` lists them.
    criterion
        What is minimised. The default is the convention of the literature and nearly an absolute loss on
        small grids; `Criterion(delta=1e-2)` gave intervals a quarter narrower, still at their nominal
        coverage, in simulated studies with normal noise of 1%. `isoflop` has its own and takes only this.
    restraints
        Coefficients that are fixed, tied, bounded or have a prior.
    resamples
        Bootstrap resamples; 0 gives intervals that are nan.
    level
        Share of the resamples inside every interval.
    seed
        Of the resamples; the same seed gives the same result.

    Returns
    -------
    Fit
        The best optimum. A fit that ended but looks doubtful is returned with `findings`.

    Raises
    ------
    InputError
        If the runs are too few or do not vary, or fewer than three budgets have a bracketed minimum.
    FitError
        If no start reached a finite objective.
    """
    form = get_law(law)
    check_options(resamples, level)
    free, left_out = usable_rows(form, runs, criterion, restraints)
    method = "isoflop" if law == "isoflop" else "parametric"
    if method == "isoflop":
        found = _by_isoflop(form, free, resamples, level, seed)
    else:
        found = _by_parameters(form, free, criterion, restraints, resamples, seed)
    return _assemble(
        form,
        method,
        found,
        level,
        seed_noise(free),
        _provenance(runs, form, criterion, restraints, resamples, level, seed),
    )


def _by_parameters(
    form: Law, runs: Runs, criterion: Criterion, restraints: Restraints, resamples: int, seed: int
) -> _Estimated:
    used = runs.select(used_by(runs, form.name))
    if len(used) < len(form.coefficients) + 1:
        raise InputError(
            f"{form.name} has {len(form.coefficients)} coefficients, and only {len(used)} of {len(runs)} "
            "runs are on the lower envelope",
            hint="It needs more distinct values of its variable; a law in two variables uses all runs.",
        )
    objective = Objective(law=form, x=variables_of(form, used), criterion=criterion, restraints=restraints)
    optimum = find_optimum(objective, used.loss)
    drawn = resample_fit(objective, used, optimum.warm, resamples=resamples, seed=seed)
    return _Estimated(
        runs=used,
        theta=optimum.theta,
        resamples=drawn,
        objective=optimum.objective,
        certificate=optimum.certificate,
        findings=(
            *doubts_about_runs(form, used, len(runs)),
            *doubts_about_optimum(optimum.certificate, optimum.relative_gradient),
            *doubts_about_resamples(drawn, resamples),
        ),
    )


def _by_isoflop(form: Law, runs: Runs, resamples: int, level: float, seed: int) -> _Estimated:
    found = fit_isoflop(runs, resamples=resamples, level=level, seed=seed)
    used = runs.select(found.used)
    objective = Objective(law=form, x=variables_of(form, used))
    residuals = np.log(used.loss) - np.log(form.value(found.theta, **objective.x))
    return _Estimated(
        runs=used,
        theta=found.theta,
        resamples=found.resamples,
        objective=float(objective.value(residuals[None], np.ones((1, len(used))))[0]),
        parabolas=found.parabolas,
        findings=(
            *doubts_about_runs(form, used, len(runs)),
            *found.findings,
            *doubts_about_resamples(found.resamples, resamples),
        ),
    )


def _assemble(
    form: Law, method: str, found: _Estimated, level: float, noise_sd: float | None, provenance: Provenance
) -> Fit:
    runs, log_loss = found.runs, np.log(found.runs.loss)
    residuals = log_loss - np.log(form.value(found.theta, **variables_of(form, runs)))
    squares = float((residuals**2).sum())
    r_squared = 1 - squares / float(((log_loss - log_loss.mean()) ** 2).sum())
    coefficients = {
        name: Estimate.from_samples(value, found.resamples[:, index], level)
        for index, (name, value) in enumerate(zip(form.coefficients, found.theta.tolist(), strict=True))
    }
    return Fit(
        law=form.name,
        method=method,
        coefficients=coefficients,
        resamples=found.resamples,
        level=level,
        count=runs.count,
        objective=found.objective,
        r_squared=r_squared,
        residual_sd=float(np.sqrt(squares / max(len(runs) - len(form.coefficients), 1))),
        noise_sd=noise_sd,
        n_runs=len(runs),
        ranges=_ranges(runs),
        residuals=residuals,
        parabolas=found.parabolas,
        certificate=found.certificate,
        findings=(*found.findings, *doubts_about_coefficients(coefficients, runs, r_squared)),
        provenance=provenance,
    )


def _ranges(runs: Runs) -> Mapping[str, tuple[float, float]]:
    columns = {"N": runs.size, "D": runs.tokens, "C": runs.compute}
    return {name: (float(column.min()), float(column.max())) for name, column in columns.items()}


def _provenance(
    runs: Runs,
    form: Law,
    criterion: Criterion,
    restraints: Restraints,
    resamples: int,
    level: float,
    seed: int,
) -> Provenance:
    parts = [
        part for name, column in sorted(runs.columns.items()) for part in (name.encode(), column.tobytes())
    ]
    return Provenance(
        source=runs.provenance.source,
        digest=digest_of(runs.count.encode(), *parts),
        options={
            "law": form.name,
            "resamples": resamples,
            "level": level,
            **{name: str(value) for name, value in asdict(criterion).items()},
            **{name: str(value) for name, value in asdict(restraints).items() if value},
        },
        seed=seed,
    )
