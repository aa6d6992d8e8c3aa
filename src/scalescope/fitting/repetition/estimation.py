r"""What a token is worth when it is read again: the data-constrained law on own runs.

Of Muennighoff et al. (2023, https://arxiv.org/abs/2305.16264): D tokens of which U are different are worth
:math:`D' = U + U R_D (1 - e^{-(D/U - 1)/R_D})` fresh ones. What one more token adds after :math:`e = D/U`
epochs is :math:`dD'/dD = e^{-(e-1)/R_D}` of a fresh one: a share w at :math:`e = 1 + R_D \ln(1/w)`.

The answer depends on what else is fitted, so it is given under three forms: all seven coefficients at once,
which is headlined; excess size that keeps its worth; and the base law from fresh runs alone, held fixed, the
way of the paper. The law never rises with repetition; points of a run beyond its lowest loss are told as
overfitting and are not fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from scalescope.errors import FitError, InputError
from scalescope.fitting.checks import check_options
from scalescope.fitting.criterion import Criterion, Restraints
from scalescope.fitting.estimation import fit
from scalescope.fitting.repetition.doubts import doubts_of
from scalescope.fitting.repetition.overfitting import rising, seed_spread, told_overfitting
from scalescope.fitting.repetition.result import Form, Repetition, RepetitionForecast, Twin, Verdict
from scalescope.fitting.result import Fit
from scalescope.laws.data_constrained import NO_DECAY
from scalescope.points import Array, Estimate, Provenance, Runs, digest_of

Fitting = Callable[..., Fit]
"""`fit` with the options of the study."""

LAW, BASE = "data-constrained", "chinchilla"
NEARLY = 0.9
"""Worth of a token that is nearly as good as fresh."""
ALL, FIXED_SIZE, TWO_STEPS = "all seven at once", "excess size keeps its worth", "base law from fresh runs"
BEYOND = 30.0
"""A constant so many times the most epochs read is no decay that runs could show."""
OPEN = 3.0
"""Ratio of the ends of the interval, or of the forms, beyond which the constant is not told."""
CRITERION = Criterion(delta=1e-2)
"""Nearly least squares for noise of a percent: intervals a quarter narrower than under the usual 1e-3."""


def worth_of_epochs(runs: Runs, *, resamples: int = 300, level: float = 0.9, seed: int = 0) -> Repetition:
    """Fit what repeated tokens are worth.

    Parameters
    ----------
    runs
        Size, `tokens`, `tokens_unique` and `loss`; fresh runs have equal tokens and unique tokens. Rows of
        one name are points of one training run. Rows that are held out are not fitted.
    resamples
        Behind every interval.
    level
        Share of the resamples inside every interval.
    seed
        Of the resamples.

    Raises
    ------
    InputError
        If a column is absent, or nothing was read again.
    FitError
        If no law can be fitted.
    """
    check_options(resamples, level, seed)
    repeated = runs["tokens"] > 1.01 * runs["tokens_unique"]
    if not (repeated & ~runs.held_out).any():
        raise InputError("no run read its text again", hint="Give runs with fewer unique tokens than tokens.")
    noise, freedom = seed_spread(runs)
    rose = rising(runs, noise)
    used = ~rose & ~runs.held_out
    table = _without_seeds(runs.select(used))
    low_fresh = _without_seeds(runs.select(used & ~repeated))
    fitted: Fitting = partial(
        fit, criterion=CRITERION, profiles=False, resamples=resamples, level=level, seed=seed
    )
    most = float((table["tokens"] / table["tokens_unique"]).max())
    bounds = {"R_D": (0.05, BEYOND * most)}
    whole = fitted(table, LAW, restraints=Restraints(bounds=bounds))
    naive = fitted(table, BASE)
    others = {
        FIXED_SIZE: _other(table, {"R_N": NO_DECAY}, bounds, fitted),
        TWO_STEPS: _two_steps(table, low_fresh, bounds, fitted),
    }
    forms = (_form(ALL, whole), *(_form(name, one) for name, one in others.items() if one is not None))
    constant = whole.coefficients["R_D"]
    found = Repetition(
        fit=whole,
        naive=naive,
        nearly=_epochs(constant, NEARLY),
        half=_epochs(constant, 0.5),
        forms=forms,
        verdict=_verdict(forms, most),
        most_epochs=most,
        runs=runs,
        fitted=tuple(used.tolist()),
        twins=_twins(runs),
        overfitted=told_overfitting(runs, rose),
        noise=noise,
        noise_freedom=freedom,
        level=level,
        provenance=Provenance(
            source=runs.provenance.source,
            digest=digest_of(*(runs[name].tobytes() for name in ("tokens", "tokens_unique", "loss"))),
            options={"resamples": resamples, "level": level, "delta": CRITERION.delta},
            seed=seed,
        ),
    )
    return replace(found, findings=doubts_of(found))


def forecast_repeated(
    found: Repetition, *, size: float, tokens: float, unique: float, n_runs: int = 1
) -> RepetitionForecast:
    """Say what a run, or the mean of some, will measure."""
    point = {"N": np.array([size]), "D": np.array([tokens]), "U": np.array([unique])}
    fresh = {"N": point["N"], "D": point["D"]}
    unread = {"N": point["N"], "D": point["U"]}
    return RepetitionForecast(
        size=size,
        tokens=tokens,
        unique=unique,
        loss=_with_noise(found.fit, point, n_runs, found.level),
        as_fresh=_with_noise(found.naive, fresh, n_runs, found.level),
        as_unread=float(found.naive.value(**unread)[0]),
    )


def _with_noise(fitted: Fit, point: dict[str, Array], n_runs: int, level: float) -> Estimate:
    drawn = fitted.samples(**point)[:, 0]
    scatter = np.random.default_rng([0, len(drawn)]).standard_normal(len(drawn)) * fitted.residual_sd
    return Estimate.from_samples(
        float(fitted.value(**point)[0]), drawn * np.exp(scatter / n_runs**0.5), level
    )


def _without_seeds(runs: Runs) -> Runs:
    """Let the rows of one name share their luck: trunks of one size and seed read other texts."""
    kept = {name: column for name, column in runs.columns.items() if name != "seed"}
    return replace(runs, columns=kept)


def _other(
    table: Runs, fixed: dict[str, float], bounds: dict[str, tuple[float, float]], fitted: Fitting
) -> Fit | None:
    try:
        return fitted(table, LAW, restraints=Restraints(fixed=fixed, bounds=bounds))
    except (InputError, FitError):
        return None


def _two_steps(
    table: Runs, fresh: Runs, bounds: dict[str, tuple[float, float]], fitted: Fitting
) -> Fit | None:
    """Fit the base law to fresh runs, hold it, and fit the two constants to all."""
    try:
        base = fitted(fresh, BASE, resamples=0)
    except (InputError, FitError):
        return None
    return _other(table, {name: one.value for name, one in base.coefficients.items()}, bounds, fitted)


def _form(name: str, fitted: Fit) -> Form:
    constant = fitted.coefficients["R_D"]
    return Form(name=name, constant=constant, half=_epochs(constant, 0.5), objective=fitted.objective)


def _epochs(constant: Estimate, worth: float) -> Estimate:
    """Epochs after which one more token is worth a share of a fresh one."""
    return Estimate(
        **{name: 1 - getattr(constant, name) * float(np.log(worth)) for name in ("value", "low", "high")}
    )


def _verdict(forms: tuple[Form, ...], most: float) -> Verdict:
    first = forms[0]
    if first.half.low > most:
        return "not reached"
    values = [form.constant.value for form in forms]
    wide = first.constant.high > OPEN * first.constant.low or max(values) > OPEN * min(values)
    return "open" if wide else "told"


def _twins(runs: Runs) -> tuple[Twin, ...]:
    """Pair repeated rows with fresh ones of the same size, tokens and seed."""
    epochs = runs["tokens"] / runs["tokens_unique"]
    seeds = runs.columns.get("seed", np.zeros(len(runs)))
    keys = [
        (round(float(n)), round(float(d)), float(s))
        for n, d, s in zip(runs.size, runs.tokens, seeds, strict=True)
    ]
    fresh = {key: float(runs.loss[i]) for i, key in enumerate(keys) if epochs[i] <= 1.01}
    found = [
        Twin(
            size=keys[i][0],
            tokens=keys[i][1],
            epochs=float(epochs[i]),
            difference=float(runs.loss[i]) - fresh[keys[i]],
        )
        for i in range(len(runs))
        if epochs[i] > 1.01 and keys[i] in fresh
    ]
    return tuple(sorted(found, key=lambda one: (one.size, one.epochs, one.tokens)))
