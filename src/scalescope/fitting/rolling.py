"""Hold-outs inside the runs at hand: fit the cheaper ones, forecast the next dearer group."""

from __future__ import annotations

import numpy as np

from scalescope.errors import InputError, WorkError
from scalescope.fitting.budgets import compute_rungs
from scalescope.fitting.estimation import fit
from scalescope.fitting.frontier import used_by
from scalescope.fitting.holdout import Holdout
from scalescope.fitting.inputs import variables_of
from scalescope.laws import Law, get_law
from scalescope.points import Runs


def roll(runs: Runs, law: str, *, seed: int = 0) -> tuple[Holdout, ...]:
    """Fit the runs below every cut in compute and forecast the next dearer group.

    Cuts are the budgets of an IsoFLOP grid, or bins of a factor 3 in compute where there are none. Only
    points are fitted, no intervals. A law of one factor is judged on the runs of the next group that are on
    the lower envelope. Cuts that leave too little to fit are skipped, so few runs can give none at all.
    """
    form, free = get_law(law), runs.fitted()
    if len(free) == 0:
        return ()
    group_of = np.zeros(len(free), dtype=np.int64)
    groups = compute_rungs(free)
    for index, group in enumerate(groups):
        group_of[group.rows] = index
    found = (_hold_out(form, free, group_of, cut, seed) for cut in range(1, len(groups)))
    return tuple(holdout for holdout in found if holdout is not None)


def _hold_out(
    form: Law, runs: Runs, group_of: np.typing.NDArray[np.int64], cut: int, seed: int
) -> Holdout | None:
    known = runs.select(group_of < cut)
    try:
        fitted = fit(known, form.name, resamples=0, seed=seed)
    except (InputError, WorkError):
        return None
    next_group = group_of == cut
    if form.family == "one-factor":
        seen = runs.select(group_of <= cut)
        next_group[group_of <= cut] &= used_by(seen, form.name)
    target = runs.select(next_group)
    if len(target) == 0:
        return None
    error = np.log(fitted.value(**variables_of(form, target))) - np.log(target.loss)
    middle = float(np.exp(np.log(target.compute).mean()))
    return Holdout(
        law=form.name,
        n_fitted=fitted.n_runs,
        n_predicted=len(target),
        ratio=middle / fitted.ranges["C"][1],
        log_error=float(error.mean()),
        rms_error=float(np.sqrt((error**2).mean())),
    )
