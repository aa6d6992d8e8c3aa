"""Hold-outs inside the runs at hand: fit the cheaper ones, forecast the dearer, note the error."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """How far off a law was when asked for runs dearer than those it was fitted to."""

    law: str
    n_fitted: int
    n_predicted: int
    ratio: float
    """Compute of the predicted runs over the largest fitted compute."""
    log_error: float
    """Mean of log L̂ − log L over the predicted runs: positive is pessimistic."""
    rms_error: float
    """Root mean square of the same."""
