"""The verb `extrapolate`: fits every form to a curve, averages them, and carries the curve on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from scalescope.errors import FitError
from scalescope.fitting.extrapolation.averaging import (
    average,
    drift_of,
    freedom_of,
    half_width,
    noise_of,
    weights_of,
)
from scalescope.fitting.extrapolation.curve import Curve, prepare
from scalescope.fitting.extrapolation.doubts import (
    doubts_about_forms,
    doubts_about_points,
    doubts_about_reach,
)
from scalescope.fitting.extrapolation.forms import forms_for
from scalescope.fitting.extrapolation.result import Extrapolation, FormFit, check_request, curve_at
from scalescope.fitting.extrapolation.validation import Candidate, candidates, cuts_of
from scalescope.points import Array, Finding, Provenance, digest_of

REACH = (1.25, 1.5, 2.0, 3.0, 4.0)
"""How many times beyond the last x the curve is given where nothing is asked for."""


def extrapolate(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    at: npt.ArrayLike | None = None,
    level: float = 0.9,
    shift: float | None = None,
    ceiling: float | None = None,
    source: str = "",
) -> Extrapolation:
    """Carry one curve beyond its end: a learning curve, an error or an accuracy against anything.

    Five forms are fitted to log y: a power law, one with a constant, M3, M4 and the broken law of one break.
    Each is held to go on as the curve ended (see `solver`), judged on the ends of its own beginnings, and
    averaged with the others. The result does not depend on `at`.

    Parameters
    ----------
    x, y
        The curve, four points or more at distinct x above zero; in any order, falling or rising, noisy, with
        repeated x. More than 40 points are averaged over equal steps of log x.
    at
        Where the curve is wanted; 1.25 to 4 times the last x where not given.
    level
        Share of measured points that should lie inside the interval.
    shift
        Added to y before its logarithm is taken. Errors count relative to y + shift. By default 0, or, where
        y reaches zero or less, what lifts the lowest y to the range of all.
    ceiling
        Highest y that can be, such as 1 for an accuracy; the distance from it is then what is fitted.
    source
        Where the curve came from, for the provenance.

    Returns
    -------
    Extrapolation
        Values with intervals. What looks doubtful is told in `findings`.

    Raises
    ------
    InputError
        If there are too few points, or a number cannot be used.
    FitError
        If no form reached a finite fit.
    """
    curve = prepare(x, y, shift=shift, ceiling=ceiling)
    wanted = curve.end * np.array(REACH) if at is None else np.atleast_1d(np.asarray(at, dtype=np.float64))
    check_request(wanted, level)
    found = candidates(curve, forms_for(rises=curve.rises))
    if not found:
        raise FitError(
            "no form could be fitted to this curve", hint="Check that y is not constant or infinite."
        )
    return _assemble(curve, found, wanted, level, shift, _provenance(x, y, level, shift, ceiling, source))


def _assemble(
    curve: Curve, found: list[Candidate], at: Array, level: float, shift: float | None, origin: Provenance
) -> Extrapolation:
    weights = weights_of(found)
    u, v, _ = curve.bins
    bare = Extrapolation(
        at=at,
        value=at,
        low=at,
        high=at,
        level=level,
        forms=tuple(
            sorted((_form_fit(curve, *pair) for pair in zip(found, weights, strict=True)), key=_lightness)
        ),
        n_points=len(curve.u),
        range=(curve.end * float(np.exp(curve.u[0])), curve.end),
        points=np.stack([curve.end * np.exp(u), curve.ordinate(v)]),
        unit=curve.unit,
        shift=curve.shift,
        ceiling=curve.ceiling,
        noise_sd=noise_of(curve, found, weights),
        drift=drift_of(found),
        freedom=freedom_of(len(curve.u), found, weights),
        provenance=origin,
    )
    value, low, high = curve_at(bare, at, level)
    findings = (
        *doubts_about_points(curve, lifted=shift is None and curve.shift != 0),
        *doubts_about_forms(found, weights, bare.noise_sd),
        *_doubts_about_reach(curve, found, weights, bare),
    )
    return replace(bare, value=value, low=low, high=high, findings=findings)


def _lightness(one: FormFit) -> float:
    return -one.weight


def _form_fit(curve: Curve, one: Candidate, weight: float) -> FormFit:
    return FormFit(
        law=one.form.name,
        coefficients=one.form.coefficients(one.phi, end=curve.end, unit=curve.unit),
        weight=float(weight),
        error=float(np.exp(np.log(np.maximum(one.errors, 1e-300)).mean())) if one.beyond else float("nan"),
        shape=type(one.form).__name__,
        phi=one.phi,
        spread=one.spread,
    )


def _doubts_about_reach(
    curve: Curve, found: list[Candidate], weights: Array, result: Extrapolation
) -> tuple[Finding, ...]:
    ratio = float(result.at.max()) / curve.end
    farthest = average(found, weights, np.log([ratio]))
    half = half_width(
        farthest, noise=result.noise_sd, drift=result.drift, level=result.level, freedom=result.freedom
    )
    checked = float(np.exp(-cuts_of(curve.bins[0]).min()))
    laws = [one.form.name for one in found]
    return doubts_about_reach(farthest, ratio, weights, laws, max(checked, 2.0), float(half[0]))


def _provenance(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    level: float,
    shift: float | None,
    ceiling: float | None,
    source: str,
) -> Provenance:
    arrays = (np.ascontiguousarray(part, dtype=np.float64).tobytes() for part in (x, y))
    return Provenance(
        source=source,
        digest=digest_of(*arrays),
        options={"level": level, "shift": shift, "ceiling": ceiling},
    )
