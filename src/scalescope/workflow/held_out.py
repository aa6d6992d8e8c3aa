"""The rung that no fit may use: chosen by the fit, forecast, and only then trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalescope.fitting import fit_all, roll
from scalescope.laws import get_law
from scalescope.planning import Forecast, choose_headline, forecast, plan, with_measurement
from scalescope.points import Finding, to_plain

if TYPE_CHECKING:
    from scalescope.studies.design import Design
    from scalescope.studies.prepared import Ready
    from scalescope.studies.study import Study


def forecast_then_measure(work: Study, design: Design, ready: Ready) -> tuple[Forecast, ...]:
    """Choose the held-out rung by the fit, write its forecasts down, train it."""
    if work.ledger.meta("held_out") is None and not _choose(work, design, ready):
        return _forecasts(work)
    work.held_out(ready)
    return _forecasts(work)


def _choose(work: Study, design: Design, ready: Ready) -> bool:
    """Write down the rung and what is forecast of it; False where there is no time for one."""
    from scalescope.studies.sizes import size_of

    seed = work.settings.seed
    runs = work.runs()
    fits, _ = fit_all(runs, resamples=300, level=0.9, seed=seed)
    holdouts = tuple(one for law in fits for one in roll(runs, law))
    compute = work.held_out_compute(design, ready)
    if compute < 1.3 * float(runs.compute[~runs.held_out].max()):
        work.ledger.record_finding(
            Finding(
                code="WFL003",
                text="No time was left for a held-out rung beyond the grid.",
                hint="The forecasts are unchecked; give the study more time.",
            )
        )
        return False
    trusted = choose_headline(fits, (), holdouts)
    if design.kind == "ladder":
        shape = design.held_out_guess()
    else:
        shape = design.sizes.nearest(plan(fits[trusted], [compute]).allocations[0].params.value)
    horizon = max(1, round(compute / (6 * size_of(shape)) / shape.context)) * shape.context
    made = [
        forecast(found, params=size_of(shape), tokens=horizon, past=holdouts)
        for found in fits.values()
        if get_law(found.law).is_surface
    ]
    for one in made:
        work.ledger.note("forecast", one.to_dict())
    rung = {"shape": to_plain(shape, "shape"), "horizon": horizon, "compute": compute, "law": trusted}
    work.ledger.set_meta("held_out", rung)
    return True


def _forecasts(work: Study) -> tuple[Forecast, ...]:
    """Return what was forecast of the rungs that were measured, the latest rung first."""
    noted = [Forecast.from_dict(note.data) for note in work.ledger.notes("forecast")]
    latest = noted[::-1]
    # A study that was killed while it noted them has the same forecasts twice.
    distinct = {(one.params, one.tokens, one.law): one for one in latest}
    runs = work.runs()
    known = [one for one in distinct.values() if with_measurement(one, runs).measured is not None]
    order = list(dict.fromkeys((one.params, one.tokens) for one in latest))
    return tuple(
        one
        for setting in order
        for one in sorted(known, key=lambda one: one.law)
        if (one.params, one.tokens) == setting
    )
