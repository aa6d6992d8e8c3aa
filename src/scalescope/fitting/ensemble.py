"""Every law that the runs allow, at once."""

from __future__ import annotations

from scalescope.errors import FitError, InputError
from scalescope.fitting.estimation import fit
from scalescope.fitting.result import Fit
from scalescope.points import Finding, Runs

SURFACES = ("isoflop", "chinchilla")
"""Laws that can be planned with."""
LAWS = (*SURFACES, "loss-size", "loss-data", "loss-compute", "kaplan")
"""What a study fits."""


def fit_all(
    runs: Runs, *, resamples: int, level: float, seed: int
) -> tuple[dict[str, Fit], tuple[Finding, ...]]:
    """Fit every law of `LAWS` that the runs allow; those that they do not allow become findings.

    Raises
    ------
    InputError
        If no law that can be planned with fits these runs; the message is that of the parametric one.
    """
    fits: dict[str, Fit] = {}
    missed: dict[str, InputError | FitError] = {}
    for law in LAWS:
        try:
            fits[law] = fit(runs, law, profiles=law in SURFACES, resamples=resamples, level=level, seed=seed)
        except (InputError, FitError) as error:
            missed[law] = error
    if not any(law in fits for law in SURFACES):
        raise missed[SURFACES[-1]]
    findings = tuple(
        Finding(code="FIT016", text=f"{law} was not fitted: {error}.", hint=error.hint)
        for law, error in missed.items()
    )
    return fits, findings
