r"""Which coefficients the runs settle, which trade off, and which extra run would help most.

Four looks at one fit:

- the Jacobian, the rows of its coefficients scaled to length one: its condition number, also with the linear
  coefficients projected out, which is as well-posed as variable projection makes the fit (Golub & Pereyra
  1973, https://doi.org/10.1137/0710036); and the directions in which predictions hardly change (`tradeoffs`);
- the profile of every coefficient (`profile`): how far it can go while the others make up for it;
- optima of nearly the same objective that are far apart;
- what one more run would do to one prediction (`extra`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from scalescope.fitting.clusters import Labels
from scalescope.fitting.covariance import covariance
from scalescope.fitting.extra import Extra, best_extra, far_corner
from scalescope.fitting.noise import free_slopes
from scalescope.fitting.objective import Objective
from scalescope.fitting.profile import Profile, profile
from scalescope.fitting.solver import minimise
from scalescope.fitting.tradeoffs import TradeOff, condition_of, find_trade_offs, projected
from scalescope.laws import Law
from scalescope.points import Array, Estimate, Finding, from_plain, to_plain
from scalescope.units import format_percent, format_significant

NEAR = 0.01
"""Relative difference between objectives that is called nearly equal."""
LOOSE = 4.0
"""Ratio of the ends of a positive coefficient's interval from which it is not identified."""
LOOSE_SCALE = 25.0
"""The same for the scale of a power, which is the value where the variable is one, far from any run: it
follows the exponent over orders of magnitude and decides nothing by itself."""
APART = 2.0
"""Ratio of a positive coefficient between near-equal optima that is worth saying."""
DISTINCT = 0.02
"""Difference of a fitted coordinate from which optima are two: 2% of a scale."""
STIFF = 1e4
"""Condition number from which a fit is called ill-posed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Width:
    """How far the runs settle one coefficient."""

    estimate: Estimate
    """The optimum and the interval from the profile; infinite, or zero, where it is open."""
    identified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NearOptimum:
    """An optimum of nearly the lowest objective."""

    coefficients: Mapping[str, float]
    objective: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """What the runs can and cannot tell about the coefficients of a law.  Built by `identify`."""

    schema: ClassVar[str] = "scalescope.identification/1"

    law: str
    condition: float
    """Of the Jacobian in fitted coordinates, scaled; infinite where two coefficients do the same."""
    condition_projected: float
    """The same for the non-linear coefficients once the linear ones follow from them."""
    trade_offs: tuple[TradeOff, ...]
    widths: Mapping[str, Width]
    unidentified: tuple[str, ...]
    near_optima: tuple[NearOptimum, ...]
    """Distinct optima within `NEAR` of the lowest objective, the lowest first."""
    extra: Extra | None
    """The run that would help most; None where no candidate would."""
    level: float
    findings: tuple[Finding, ...] = ()

    def summary(self) -> str:
        """A few lines for a terminal."""
        after = f"{self.condition_projected:.2g} with the linear coefficients projected out"
        lines = [f"condition {self.condition:.2g}, {after}"]
        for name, width in self.widths.items():
            mark = "" if width.identified else "  not identified"
            lines.append(f"  {name:<10s} {_span(width.estimate)}{mark}")
        lines += [f"  {one.text}" for one in self.trade_offs]
        lines += [f"  {self.extra.text}"] if self.extra else []
        return "\n".join(lines + [f"  {finding}" for finding in self.findings])

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one a coefficient."""
        return [
            {
                "law": self.law,
                "coefficient": name,
                "value": width.estimate.value,
                "low": width.estimate.low,
                "high": width.estimate.high,
                "identified": width.identified,
                "level": self.level,
            }
            for name, width in self.widths.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Identification:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def identify(
    objective: Objective,
    target: Array,
    theta: Array,
    *,
    level: float = 0.9,
    x: Mapping[str, float] | None = None,
    labels: Labels | None = None,
    n: int = 11,
) -> Identification:
    """Say what the runs settle.

    Parameters
    ----------
    objective
        What was minimised.
    target
        What the law predicts, shape (n,).
    theta
        The optimum, natural units, shape (k,).
    level
        Of the intervals.
    x
        Where the prediction matters that an extra run should narrow; by default `extra.far_corner`.
    labels
        Cluster of every run; every run by itself where not given.
    n
        Values of each profile about the optimum; see `profile`.
    """
    law, phi = objective.law, objective.fitted(theta[None])[0]
    slopes, moves = free_slopes(objective, phi)
    # Tied coefficients go by the name of their first.
    free = moves.argmax(axis=0)
    names = [list(law.coefficients)[place] for place in free]
    profiles = {
        name: profile(objective, target, theta, name, level=level, n=n, labels=labels) for name in names
    }
    widths = {name: _width(one, law, name) for name, one in profiles.items()}
    spread = covariance(objective, target, theta, labels=labels, form="model").fitted
    weighted = slopes * np.sqrt(objective.weighted(np.ones(len(target))))
    condition = condition_of(weighted)
    trades = find_trade_offs(objective, names, spread[np.ix_(free, free)], weighted)
    near = _near_optima(objective, target, phi, list(profiles.values()))
    return Identification(
        law=law.name,
        condition=condition,
        condition_projected=condition_of(projected(weighted, names, law.linear)),
        trade_offs=trades,
        widths=widths,
        unidentified=tuple(name for name, width in widths.items() if not width.identified),
        near_optima=near,
        extra=best_extra(objective, theta, far_corner(objective, theta) if x is None else x),
        level=level,
        findings=(
            *_doubts_about_widths(widths, level),
            *_doubts_about_optima(objective, near, names),
            *_doubts_about_condition(condition, trades),
        ),
    )


def _width(one: Profile, law: Law, name: str) -> Width:
    at, coefficient = one.estimate, law.coefficients[name]
    if any(one.open_ends) or not np.isfinite(at.high - at.low):
        return Width(estimate=at, identified=False)
    # Scales have no limits of their own; a floor, linear too, does.
    is_scale = name in law.linear and coefficient.low is None
    most = LOOSE_SCALE if is_scale else LOOSE
    loose = at.high > most * at.low if coefficient.positive else at.high - at.low > 2 * abs(at.value)
    return Width(estimate=at, identified=not loose)


def _near_optima(
    objective: Objective, target: Array, phi: Array, profiles: Sequence[Profile]
) -> tuple[NearOptimum, ...]:
    """Minimise from every good point of a profile; keep what is distinct and nearly as low."""
    y, ones = objective.transform(target), np.ones((1, len(target)))
    good = [one.theta[one.objective <= (1 + 10 * NEAR) * one.objective.min()] for one in profiles]
    starts = np.concatenate([phi[None], *[objective.fitted(theta) for theta in good]])
    ends = minimise(objective, starts, y[None], ones, near=True)
    every, value, converged = ends.phi, ends.objective, ends.converged
    lowest, kept = value.min(), list[int]()
    for index in np.argsort(value, kind="stable"):
        if not value[index] <= lowest * (1 + NEAR) + 1e-16 * len(y):
            break
        # What was still moving along a valley is no optimum.
        apart = [float(np.abs(every[index] - every[other]).max()) for other in kept]
        if not kept or (converged[index] and min(apart) > DISTINCT):
            kept.append(int(index))
    return tuple(
        NearOptimum(
            coefficients=dict(zip(objective.law.coefficients, row.tolist(), strict=True)),
            objective=float(value[index]),
        )
        for row, index in zip(objective.natural(every[kept]), kept, strict=True)
    )


def _doubts_about_widths(widths: Mapping[str, Width], level: float) -> list[Finding]:
    loose = {name: width for name, width in widths.items() if not width.identified}
    if not loose:
        return []
    each = "; ".join(f"{name} {_span(width.estimate)}" for name, width in loose.items())
    text = f"These runs do not settle {each} ({format_percent(level)} profile intervals)."
    hint = "Do not read the values as measured; predictions inside the range of the runs can still hold."
    return [Finding(code="FIT030", text=text, hint=hint)]


def _doubts_about_optima(
    objective: Objective, near: Sequence[NearOptimum], names: Sequence[str]
) -> list[Finding]:
    if len(near) < 2:
        return []
    lowest = near[0].objective
    gap = max(one.objective for one in near) / lowest - 1 if lowest > 0 else 0.0
    parts = []
    for name in names:
        values = [one.coefficients[name] for one in near]
        low, high = min(values), max(values)
        if objective.law.coefficients[name].positive and high > APART * low:
            parts.append(f"{name} runs from {format_significant(low, 3)} to {format_significant(high, 3)}")
    if not parts:
        return []
    text = (
        f"{len(near)} optima have objectives within {format_significant(100 * gap, 2)}% of each other: "
        f"{', '.join(parts)}."
    )
    hint = "None of them is the value; fix the coefficient from other data, or add runs that tell them apart."
    return [Finding(code="FIT031", text=text, hint=hint)]


def _doubts_about_condition(condition: float, trades: Sequence[TradeOff]) -> list[Finding]:
    if condition < STIFF:
        return []
    text = f"The fit is ill-posed: condition number {condition:.1g}."
    hint = trades[0].text if trades else "Fix or tie coefficients, or use a law with fewer."
    return [Finding(code="FIT032", text=text, hint=hint)]


def _span(at: Estimate) -> str:
    low = "anything" if not np.isfinite(at.low) else format_significant(at.low, 3)
    if not np.isfinite(at.high):
        return f"{format_significant(at.value, 3)} [{low}, no upper end]"
    return f"{format_significant(at.value, 3)} [{low}, {format_significant(at.high, 3)}]"
