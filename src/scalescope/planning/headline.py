"""Which law is headlined: the one that forecast best what it had not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from scalescope.fitting.ensemble import SURFACES
from scalescope.fitting.holdout import Holdout
from scalescope.fitting.result import Fit
from scalescope.laws import get_law
from scalescope.planning.prediction import forecast
from scalescope.planning.results import Forecast
from scalescope.points import Runs


def forecast_held_out(
    fits: Mapping[str, Fit], holdouts: Sequence[Holdout], runs: Runs
) -> tuple[Forecast, ...]:
    """Forecast every held-out setting by every law of size and data."""
    held_out = runs.select(runs.held_out)
    settings = sorted(set(zip(held_out.size, held_out.tokens, strict=True)))
    return tuple(
        forecast(found, params=size, tokens=tokens, past=holdouts)
        for size, tokens in settings
        for found in fits.values()
        if get_law(found.law).is_surface
    )


def choose_headline(
    fits: Mapping[str, Fit], forecasts: Sequence[Forecast], holdouts: Sequence[Holdout]
) -> str:
    """Return the law that erred least on the held-out rung, or before that on the cuts inside the grid."""
    candidates = [law for law in SURFACES if law in fits]

    def held_out_error(law: str) -> float:
        errors = [
            abs(np.log(one.loss.value / one.measured)) for one in forecasts if one.law == law and one.measured
        ]
        return float(np.mean(errors)) if errors else np.inf

    def rolling_error(law: str) -> float:
        errors = [one.rms_error for one in holdouts if one.law == law]
        return float(np.mean(errors)) if errors else np.inf

    return min(candidates, key=lambda law: (held_out_error(law), rolling_error(law)))


def with_measurement(one: Forecast, runs: Runs) -> Forecast:
    """Return the forecast beside the mean loss of the held-out runs of its setting, if there are any."""
    same = runs.held_out & np.isclose(runs.size, one.params) & np.isclose(runs.tokens, one.tokens, rtol=1e-3)
    return replace(one, measured=float(runs.loss[same].mean())) if same.any() else one
