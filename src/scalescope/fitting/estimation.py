"""The verb `fit`: checks the table, chooses the method, and puts the result together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from scalescope.errors import InputError
from scalescope.executors import Executor
from scalescope.fitting.certificate import doubts_about_certificate
from scalescope.fitting.checks import check_options, usable_rows
from scalescope.fitting.clusters import Labels, cluster_labels, seed_noise
from scalescope.fitting.criterion import FREE, HUBER, Criterion, Restraints
from scalescope.fitting.doubts import (
    doubts_about_coefficients,
    doubts_about_optimum,
    doubts_about_resamples,
    doubts_about_runs,
)
from scalescope.fitting.frontier import used_by
from scalescope.fitting.holdout import Holdout
from scalescope.fitting.identify import Identification, identify
from scalescope.fitting.inputs import target_of, variables_of
from scalescope.fitting.isoflop_fit import fit_isoflop
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import Optimum, find_optimum
from scalescope.fitting.resampling import Kind, default_kind, n_moving, resample_fit
from scalescope.fitting.result import Certificate, Fit, Parabola
from scalescope.fitting.rolling import group_runs, holdouts_of, predict_beyond
from scalescope.laws import Law, get_law
from scalescope.points import Array, Estimate, Finding, Provenance, Runs, digest_of
from scalescope.units import format_significant

MOST_ROLLED = 3000
"""Rows beyond which a fit neither rolls a hold-out nor profiles its coefficients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """What was asked of a fit, beside the table."""

    form: Law
    criterion: Criterion
    restraints: Restraints
    bootstrap: Kind | None
    profiles: bool
    resamples: int
    level: float
    seed: int
    executor: Executor | None


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
    identification: Identification | None = None
    kind: Kind = "wild"


def fit(
    runs: Runs,
    law: str = "chinchilla",
    *,
    criterion: Criterion = HUBER,
    restraints: Restraints = FREE,
    bootstrap: Kind | None = None,
    profiles: bool = True,
    resamples: int = 300,
    level: float = 0.9,
    seed: int = 0,
    executor: Executor | None = None,
) -> Fit:
    """Fit a law to a table.

    Most laws are fitted to all rows at once: the criterion is minimised from every start of the law. The law
    `isoflop` is fitted budget by budget: a parabola each, then power laws through the minima. Laws of one
    factor use only the runs where the other does not bind: the best loss at each size, token count or budget
    (see `used_by`); their `residuals`, `n_runs` and `ranges` are those of the runs used. Held-out rows and
    rows that lack a value the law needs are never used.

    Parameters
    ----------
    runs
        At least two more rows than the law has free coefficients, in which every variable varies.
    law
        Name of the law; `scalescope laws` lists them.
    criterion
        What is minimised. The default is the convention of the literature and nearly an absolute loss on
        small grids; `Criterion(delta=1e-2)` gave intervals a quarter narrower, still at their nominal
        coverage, in simulated studies with normal noise of 1%. `isoflop` has its own and takes only this.
    restraints
        Coefficients that are fixed, tied, bounded or have a prior; not for `isoflop`.
    bootstrap
        What is drawn again behind every interval; see `resampling`. By default whole training runs
        (`cluster`) where they are plentiful, since token counts branched off one run share its luck, else
        noise that looks like the residuals (`residual`). `isoflop` gives residuals random signs, one for each
        training run, whatever is asked here.
    profiles
        Whether every coefficient is profiled, to say which the rows leave open; more than half the time of
        a small fit.
    resamples
        How many; 0 gives intervals that are nan.
    level
        Share of the resamples inside every interval.
    seed
        Of the resamples; the same seed gives the same result.
    executor
        Spreads the resamples over the cores of this machine or a cluster; the result does not depend on it.

    Returns
    -------
    Fit
        The best optimum. A fit that ended but looks doubtful is returned with `findings`.

    Raises
    ------
    InputError
        If the table lacks a column, has too few rows or a variable that does not vary, or fewer than three
        budgets have a bracketed minimum.
    FitError
        If no start reached a finite objective.
    """
    options = _Options(
        form=get_law(law),
        criterion=criterion,
        restraints=restraints,
        bootstrap=bootstrap,
        profiles=profiles,
        resamples=resamples,
        level=level,
        seed=seed,
        executor=executor,
    )
    check_options(resamples, level, seed)
    usable, left_out = usable_rows(options.form, runs, criterion, restraints)
    found = _by_isoflop(options, usable) if law == "isoflop" else _by_parameters(options, usable)
    found = replace(found, findings=(*left_out, *found.findings))
    return replace(
        _assemble(options, found, _provenance(runs, options)),
        noise_sd=seed_noise(usable),
        holdout=_last_holdout(options, usable) if resamples else None,
    )


def _by_parameters(options: _Options, runs: Runs) -> _Estimated:
    form = options.form
    used = runs.select(used_by(runs, form.name))
    if form.family == "one-factor" and len(used) < len(form.coefficients) + 1:
        raise InputError(
            f"{form.name} has {len(form.coefficients)} coefficients, and only {len(used)} of {len(runs)} "
            "runs are on the lower envelope",
            hint="It needs more distinct values of its variable; a law in two variables uses all runs.",
        )
    objective, target = Objective.of(form, used, options.criterion, options.restraints), target_of(form, used)
    labels = cluster_labels(used)
    optimum, identification = _identified(options, objective, target, labels)
    kind = options.bootstrap or default_kind(labels, n_moving(objective))
    drawn = resample_fit(
        optimum.settled,
        used,
        optimum.warm,
        resamples=options.resamples,
        seed=options.seed,
        kind=kind,
        executor=options.executor,
    )
    return _Estimated(
        runs=used,
        theta=optimum.theta,
        resamples=drawn,
        objective=optimum.objective,
        certificate=optimum.certificate,
        identification=identification,
        kind=kind,
        findings=(
            *doubts_about_runs(form, used, len(runs)),
            *doubts_about_optimum(optimum.certificate, optimum.relative_gradient),
            *doubts_about_certificate(optimum.certificate),
            *(identification.findings if identification else ()),
            *doubts_about_resamples(drawn, options.resamples, options.level),
            *_doubts_of_convention(options, objective, target, labels, optimum.theta),
        ),
    )


def _identified(
    options: _Options, objective: Objective, target: Array, labels: Labels
) -> tuple[Optimum, Identification | None]:
    """The optimum and what the rows tell about it; anew from a better one that the profiles came across."""
    optimum = find_optimum(objective, target)
    if not (options.profiles and options.resamples) or len(target) > MOST_ROLLED:
        return optimum, None
    found = identify(optimum.settled, target, optimum.theta, level=options.level, labels=labels)
    if found.near_optima and found.near_optima[0].objective < optimum.objective * (1 - 1e-9):
        seen = [list(one.coefficients.values()) for one in found.near_optima]
        starts = np.concatenate([np.array(seen), objective.law.starts(target, **objective.x)])
        better = find_optimum(objective, target, starts=starts)
        if better.objective < optimum.objective:
            return better, identify(better.settled, target, better.theta, level=options.level, labels=labels)
    return optimum, found


def _doubts_of_convention(
    options: _Options, objective: Objective, target: Array, labels: Labels, theta: Array
) -> list[Finding]:
    """What the convention of the law's paper leaves open, where it holds some coefficients at printed values.

    Fitting all of them at once is a different question; whoever reads one answer should know the other.
    """
    law = objective.law
    if law.held is None or options.restraints != FREE or not (options.profiles and options.resamples):
        return []
    printed = law.published[law.held.published].coefficients
    held = replace(
        objective, restraints=Restraints(fixed={name: printed[name] for name in law.held.coefficients})
    )
    optimum = find_optimum(held, target)
    found = identify(optimum.settled, target, optimum.theta, level=options.level, labels=labels)
    ours = dict(zip(law.coefficients, theta.tolist(), strict=True))
    free = [name for name in law.coefficients if name not in law.held.coefficients]
    here = ", ".join(f"{name} {format_significant(ours[name])}" for name in free)
    said = " ".join(one.text for one in found.findings if one.code in ("FIT030", "FIT031"))
    if not said:
        return []
    which = f"{', '.join(law.held.coefficients)} held as printed ({law.held.published})"
    return [
        Finding(
            code="FIT018",
            text=f"Fitted the way of its paper, with {which}: {said}",
            hint=f"With all of them free it is {here}: the constants depend on what else is fitted.",
        )
    ]


def _by_isoflop(options: _Options, runs: Runs) -> _Estimated:
    form = options.form
    if options.restraints != FREE:
        raise InputError(
            "isoflop cannot hold coefficients: each budget is fitted by itself",
            hint="Leave the restraints out, or fit a law such as chinchilla.",
        )
    found = fit_isoflop(runs, resamples=options.resamples, level=options.level, seed=options.seed)
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
            *doubts_about_resamples(found.resamples, options.resamples, options.level),
        ),
    )


def _assemble(options: _Options, found: _Estimated, provenance: Provenance) -> Fit:
    form, runs = options.form, found.runs
    scale = options.criterion.scale or form.scale
    target, predicted = target_of(form, runs), form.value(found.theta, **variables_of(form, runs))
    with np.errstate(invalid="ignore", divide="ignore"):
        y, at = (np.log(target), np.log(predicted)) if scale == "log" else (target, predicted)
    residuals = y - at
    squares = float((residuals**2).sum())
    varied = float(((y - y.mean()) ** 2).sum())
    r_squared = 1 - squares / varied if varied > 0 else float("nan")
    coefficients = {
        name: Estimate.from_samples(value, found.resamples[:, index], options.level)
        for index, (name, value) in enumerate(zip(form.coefficients, found.theta.tolist(), strict=True))
    }
    return Fit(
        law=form.name,
        method="isoflop" if form.name == "isoflop" else "parametric",
        criterion=options.criterion,
        restraints=options.restraints,
        coefficients=coefficients,
        resamples=found.resamples,
        level=options.level,
        count=runs.count,
        objective=found.objective,
        r_squared=r_squared,
        residual_sd=float(np.sqrt(squares / max(len(runs) - len(form.coefficients), 1))),
        n_runs=len(runs),
        ranges=_ranges(form, runs),
        residuals=residuals,
        parabolas=found.parabolas,
        certificate=found.certificate,
        identification=found.identification,
        bootstrap=found.kind,
        findings=(*found.findings, *doubts_about_coefficients(coefficients, target, r_squared)),
        provenance=provenance,
    )


def _last_holdout(options: _Options, runs: Runs) -> Holdout | None:
    """How far off the law is on the dearest group of runs when fitted to the others."""
    if "compute" not in runs or options.restraints != FREE or len(runs) > MOST_ROLLED:
        return None
    groups = group_runs(runs)
    last = len(groups) - 1
    predictions = predict_beyond(options.form, runs, groups, [last], criterion=options.criterion)
    return holdouts_of(predictions[0], groups).get(last) if predictions else None


def _ranges(form: Law, runs: Runs) -> Mapping[str, tuple[float, float]]:
    columns = {letter: column for letter, column in variables_of(form, runs).items() if letter not in "NDC"}
    for letter, column in (("N", runs.count), ("D", "tokens"), ("C", "compute")):
        if column in runs:
            columns[letter] = runs[column]
    return {
        letter: (float(np.nanmin(column)), float(np.nanmax(column))) for letter, column in columns.items()
    }


def _provenance(runs: Runs, options: _Options) -> Provenance:
    parts = [
        part for name, column in sorted(runs.columns.items()) for part in (name.encode(), column.tobytes())
    ]
    held = {name: str(value) for name, value in asdict(options.restraints).items() if value}
    return Provenance(
        source=runs.provenance.source,
        digest=digest_of(runs.count.encode(), *parts),
        options={
            "law": options.form.name,
            "bootstrap": options.bootstrap,
            "resamples": options.resamples,
            "level": options.level,
            **asdict(options.criterion),
            **held,
        },
        seed=options.seed,
    )
