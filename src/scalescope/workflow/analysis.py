"""From a table of runs to all that a report shows, and to the files of a study's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from scalescope.errors import FitError, InputError
from scalescope.fitting import (
    LAWS,
    SURFACES,
    Approaches,
    Comparison,
    Fit,
    IsoflopBias,
    approaches,
    compare,
    fit_all,
    isoflop_bias,
    roll,
)
from scalescope.planning import Forecast, choose_headline, forecast_held_out, plan, with_measurement
from scalescope.points import Finding, Runs, read_runs, write_json, write_runs
from scalescope.reports import Contents, Curve, report

RANKED = (*LAWS, "nested", "overtraining")
"""Laws that a report compares; `scalescope compare` takes all that a table allows."""
MULTIPLES = (10.0, 100.0, 1000.0)
"""Budgets that are planned for unless others are asked, as multiples of what was spent."""


def contents_of(
    runs: Runs,
    *,
    title: str = "Scaling of the given runs",
    resamples: int = 300,
    level: float = 0.9,
    seed: int = 0,
    targets: Sequence[float] | None = None,
    noted: Sequence[Forecast] | None = None,
    curves: Sequence[Curve] = (),
    facts: Mapping[str, str] | None = None,
    command: str = "",
    findings: Sequence[Finding] = (),
) -> Contents:
    """Fit every law that the runs allow, forecast the held-out runs, plan, and gather it for a report.

    Parameters
    ----------
    targets
        Budgets in FLOP; 10, 100 and 1000 times what was spent if not given.
    noted
        Forecasts of the held-out runs that were written down earlier; made here if not given.

    Raises
    ------
    InputError
        If no law that can be planned with fits these runs; the message is that of the parametric one.
    """
    fits, unfitted = fit_all(runs, resamples=resamples, level=level, seed=seed)
    holdouts = tuple(one for law in fits for one in roll(runs, law))
    forecasts = noted if noted is not None else forecast_held_out(fits, holdouts, runs)
    measured = tuple(with_measurement(one, runs) for one in forecasts)
    headline = choose_headline(fits, measured, holdouts)
    budgets = list(targets) if targets else [runs.spent * multiple for multiple in MULTIPLES]
    other = next((fits[law] for law in SURFACES if law in fits and law != headline), None)
    beside = _approaches(runs, fits, resamples=resamples, level=level, seed=seed)
    return Contents(
        title=title,
        runs=runs,
        fits=fits,
        headline=headline,
        plan=plan(fits[headline], budgets, alternative=other, past=holdouts),
        forecasts=measured,
        written_before=noted is not None,
        holdouts=holdouts,
        comparison=_comparison(runs, level=level, seed=seed),
        approaches=beside,
        bias=_bias(runs, level=level, seed=seed),
        curves=tuple(curves),
        facts=dict(facts or {}),
        exponents_by_count={
            name: (one.value, one.low, one.high)
            for name, one in (beside.exponents_by_count if beside is not None else {}).items()
        },
        command=command,
        findings=(*findings, *runs.findings, *unfitted, *_verdict(measured, headline)),
    )


def _approaches(
    runs: Runs, fits: Mapping[str, Fit], *, resamples: int, level: float, seed: int
) -> Approaches | None:
    """Take the three approaches; None where the runs allow none."""
    try:
        return approaches(runs, resamples=resamples, level=level, seed=seed, fitted=fits.get("chinchilla"))
    except (InputError, FitError):
        return None


def _comparison(runs: Runs, *, level: float, seed: int) -> Comparison | None:
    """Rank the laws of a study and two more; None where no cut leaves enough runs."""
    try:
        return compare(runs, RANKED, level=level, seed=seed)
    except (InputError, FitError):
        return None


def _bias(runs: Runs, *, level: float, seed: int) -> IsoflopBias | None:
    """Measure the bias of the parabolas on this grid; None without one, or where no surface fits."""
    try:
        return isoflop_bias(runs, resamples=0, level=level, seed=seed)
    except (InputError, FitError):
        return None


def _verdict(forecasts: Sequence[Forecast], headline: str) -> tuple[Finding, ...]:
    missed = [
        one
        for one in forecasts
        if one.law == headline and one.measured and not one.loss.low <= one.measured <= one.loss.high
    ]
    return tuple(
        Finding(
            code="WFL002",
            text=f"The held-out rung measured {one.measured:.3f} nats/token, outside the forecast's interval "
            f"{one.loss.low:.3f} to {one.loss.high:.3f}.",
            hint="Take every forecast of this study with that much doubt, and add a dearer rung.",
        )
        for one in missed
    )


def demo(out: Path = Path("demo")) -> Contents:
    """Run fit, forecast, plan and report on the bundled runs of our own default study."""
    with resources.as_file(resources.files("scalescope.points") / "bundled" / "default_study.json") as path:
        runs = read_runs(path)
    contents = contents_of(
        runs,
        title="How byte-level transformers scale on Python's standard library",
        facts=_bundled_facts(),
        command="scalescope demo",
    )
    write_all(contents, out)
    return contents


def _bundled_facts() -> dict[str, str]:
    text = (resources.files("scalescope.points") / "bundled" / "default_study_facts.json").read_text("utf-8")
    return msgspec.json.decode(text, type=dict[str, str])


def write_all(contents: Contents, folder: Path) -> Path:
    """Write runs, fits, plan and report into a folder; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    write_runs(contents.runs, folder / "runs.csv")
    write_runs(contents.runs, folder / "runs.json")
    for law, found in contents.fits.items():
        write_json(folder / f"fit-{law}.json", found.to_dict())
    write_json(folder / "fit.json", contents.fits[contents.headline].to_dict())
    if contents.plan is not None:
        write_json(folder / "plan.json", contents.plan.to_dict())
    return report(contents, folder / "report.html")
