"""What a reader of an extrapolation should know.

* FIT040: there are few points.
* FIT041: the forms disagree at the farthest x.
* FIT042: the farthest x is farther beyond the data than any cut could check.
* FIT043: the curve has bent shortly before its end.
* FIT044: noise hides how the curve ends.
* FIT045: ordinates at or below zero were lifted.
* FIT046: the curve is too short for a cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalescope.fitting.extrapolation.averaging import Average
from scalescope.fitting.extrapolation.curve import Curve
from scalescope.fitting.extrapolation.validation import Candidate
from scalescope.points import Array, Finding
from scalescope.units import format_factor, format_percent, format_significant

FEW = 8
COUNTS = 0.05
"""Weight from which a form is listened to."""
BENT = np.log(2.0)
"""Log ratio of slopes over one step of log x."""


def doubts_about_points(curve: Curve, *, lifted: bool) -> tuple[Finding, ...]:
    """Say what is doubtful before any fit: few points, or a level that is not y."""
    found = []
    if len(curve.u) < FEW:
        text = f"There are only {len(curve.u)} points."
        found.append(
            Finding(code="FIT040", text=text, hint="The interval rests on how curves usually go on.")
        )
    if lifted:
        text = (
            f"Some y are at or below zero; {format_significant(curve.shift)} was added before the logarithm."
        )
        hint = "Give the shift yourself if zero means something, such as 1."
        found.append(Finding(code="FIT045", text=text, hint=hint))
    return tuple(found)


def doubts_about_forms(found: list[Candidate], weights: Array, noise: float) -> tuple[Finding, ...]:
    """Say what is doubtful about the end of the curve and about its forms."""
    doubts = []
    change = float(weights @ [np.clip(one.slope_change, -3, 3) for one in found])
    if abs(change) > BENT:
        way = "steeper" if change > 0 else "flatter"
        text = f"The curve became {format_factor(np.exp(abs(change)))} {way} shortly before its end."
        doubts.append(Finding(code="FIT043", text=text, hint="It may bend again; measure a little farther."))
    last = abs(float(weights @ [one.last_change for one in found]))
    if noise > last:
        text = f"Noise of {format_percent(noise)} hides the last change of {format_percent(last)}."
        doubts.append(Finding(code="FIT044", text=text, hint="Average more points before the end."))
    if not found[0].beyond:
        text = "The curve is too short to hold out its end."
        doubts.append(Finding(code="FIT046", text=text, hint="Forms are weighed by their fit alone."))
    return tuple(doubts)


def doubts_about_reach(
    farthest: Average, ratio: float, weights: Array, laws: Sequence[str], checked: float, half: float
) -> tuple[Finding, ...]:
    """Say what is doubtful at the farthest x; `half` is half the interval there, in log y."""
    doubts = []
    heard = np.flatnonzero(weights >= COUNTS)
    v = farthest.each[heard, 0]
    if len(heard) > 1 and np.ptp(v) > half:
        low, high = laws[heard[int(v.argmin())]], laws[heard[int(v.argmax())]]
        text = f"The forms disagree by {format_percent(float(np.expm1(np.ptp(v))))} at the farthest x"
        text += f": {low} is lowest, {high} highest."
        doubts.append(Finding(code="FIT041", text=text, hint="More points tell them apart."))
    if ratio > checked * (1 + 1e-9):
        text = f"The farthest x is {format_factor(ratio)} the last one; at most {format_factor(checked)}"
        text += " is what forms were judged on."
        doubts.append(Finding(code="FIT042", text=text, hint="Measure one point in between."))
    return tuple(doubts)
