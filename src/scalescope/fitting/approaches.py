"""The three approaches of Hoffmann et al. (2022) beside each other, on the same runs.

Approach 1 reads the lower envelope (`envelope`), approach 2 the vertices of parabolas (`isoflop`), as they
are and without the parabolas' bias (`isoflop_bias`), approach 3 a law through all runs (`parametric`). They
share the runs and their noise but not their errors of form, so their differences show those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from scalescope.errors import FitError, InputError
from scalescope.fitting.counting import doubt_about_count, exponent_by_count
from scalescope.fitting.envelope import envelope
from scalescope.fitting.estimation import fit
from scalescope.fitting.isoflop_bias import Corrected, isoflop_bias
from scalescope.fitting.result import Fit
from scalescope.laws import get_law, optimal_size
from scalescope.laws.optimum import FLOP_PER_PARAM_TOKEN
from scalescope.points import Array, Estimate, Finding, Provenance, Runs, from_plain, to_plain
from scalescope.units import format_count, format_flop, format_significant

NAMES: Mapping[str, str] = {
    "1": "envelope of the runs",
    "2": "parabolas",
    "2 corrected": "parabolas without their bias",
    "3": "a law through all runs",
}
"""Approach to what it looks at."""
_STEP = 10.0
"""The exponent of approach 3 is its slope from a compute to this many times as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """What one approach says of the optimum."""

    name: str
    """A key of `NAMES`."""
    size_exponent: Estimate
    """a of N* = G C^a, at the compute asked for."""
    token_exponent: Estimate
    """b of D* = H C^b."""
    size: Estimate
    """N* at the compute asked for."""
    tokens: Estimate
    tokens_per_param: Estimate

    def lines(self) -> tuple[str, str]:
        """Two lines for a terminal: size and its exponent, tokens and theirs."""
        a, b = (one.text(format_significant) for one in (self.size_exponent, self.token_exponent))
        ratio = self.tokens_per_param.text(format_significant)
        return (
            f"  approach {self.name:<11}  a {a:<21}  N* {self.size.text(format_count)}",
            f"  {'':<20}  b {b:<21}  D* {self.tokens.text(format_count)}, D/N {ratio}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Approaches:
    """Every approach that the runs allow.  Built by `approaches`, not by hand."""

    schema: ClassVar[str] = "scalescope.approaches/1"

    compute: float
    """FLOP of N* and D*."""
    reach: float
    """That over the dearest run."""
    count: str
    """What N counts; see `Runs.count`."""
    rows: tuple[Approach, ...]
    missed: Mapping[str, str]
    """Approach to why it could not be taken."""
    exponents_by_count: Mapping[str, Estimate]
    """What N counts to the exponent a of approach 2."""
    level: float
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def __getitem__(self, name: str) -> Approach:
        for row in self.rows:
            if row.name == name:
                return row
        raise InputError(
            f"approach {name} is not among these: {', '.join(row.name for row in self.rows)}",
            hint=self.missed.get(name, f"There are {', '.join(NAMES)}."),
        )

    def summary(self) -> str:
        """One line an approach, for a terminal."""
        reach, at = format_significant(self.reach, 2), format_flop(self.compute)
        lines = [f"The optimum at {at}, {reach}x the dearest run (N counts {self.count})"]
        lines += [line for row in self.rows for line in row.lines()]
        lines += [f"  approach {name} was not possible: {why}" for name, why in self.missed.items()]
        if len(self.exponents_by_count) > 1:
            shown = (
                f"{one.text(format_significant)} under {name}"
                for name, one in self.exponents_by_count.items()
            )
            lines.append(f"  a by count: {', '.join(shown)}")
        return "\n".join(lines + [str(finding) for finding in self.findings])

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one for each approach and quantity."""
        quantities = ("size_exponent", "token_exponent", "size", "tokens", "tokens_per_param")
        return [
            {
                "approach": row.name,
                "quantity": quantity,
                "compute": self.compute,
                "count": self.count,
                "value": getattr(row, quantity).value,
                "low": getattr(row, quantity).low,
                "high": getattr(row, quantity).high,
                "level": self.level,
            }
            for row in self.rows
            for quantity in quantities
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Approaches:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def approaches(
    runs: Runs,
    *,
    compute: float | None = None,
    law: str = "chinchilla",
    resamples: int = 200,
    level: float = 0.9,
    seed: int = 0,
    fitted: Fit | None = None,
) -> Approaches:
    """Take the three approaches to the compute-optimal size and tokens, as far as the runs allow.

    Parameters
    ----------
    runs
        Training runs or points of training curves; held-out rows are not used.
    compute
        FLOP at which N* and D* are wanted; ten times the dearest run if not given.
    law
        Of approach 3 and of the correction of approach 2: a surface in N and D.
    resamples
        Behind every interval.
    level
        Share of the resamples inside every interval.
    seed
        Of the resamples.
    fitted
        The fit of `law` to these runs, where there is one already.

    Raises
    ------
    InputError
        If none of the three is possible; the message is that of approach 3.
    """
    dearest = float(runs.fitted().compute.max())
    at = 10 * dearest if compute is None else compute
    options: dict[str, Any] = {"resamples": resamples, "level": level, "seed": seed}
    makers: dict[str, Callable[[], list[Approach]]] = {
        "1": lambda: _by_envelope(runs, at, options),
        "2": lambda: _by_parabolas(runs, at, law, options),
        "3": lambda: _by_law(runs, at, law, options, fitted),
    }
    rows: list[Approach] = []
    missed: dict[str, InputError | FitError] = {}
    for name, make in makers.items():
        try:
            rows += make()
        except (InputError, FitError) as error:
            missed[name] = error
    if not rows:
        raise missed["3"]
    by_count = exponent_by_count(runs, **options)
    return Approaches(
        compute=at,
        reach=at / dearest,
        count=runs.count,
        rows=tuple(rows),
        missed={name: str(error) for name, error in missed.items()},
        exponents_by_count=by_count,
        level=level,
        findings=(*disagreements(rows, at), *doubt_about_count(by_count)),
        provenance=Provenance(
            source=runs.provenance.source,
            options={"law": law, "resamples": resamples, "level": level, "compute": at},
            seed=seed,
        ),
    )


def _by_envelope(runs: Runs, compute: float, options: Mapping[str, Any]) -> list[Approach]:
    found = envelope(runs, **options)
    size, tokens = (np.exp(found.lines[:, at] + found.lines[:, at + 1] * np.log(compute)) for at in (0, 2))
    return [_row("1", found.lines[:, 1], found.lines[:, 3], size, tokens, found.level)]


def _by_parabolas(runs: Runs, compute: float, law: str, options: Mapping[str, Any]) -> list[Approach]:
    found = isoflop_bias(runs, compute=compute, law=law, **options)

    def part(one: Corrected, corrected: bool) -> Estimate:
        return one.corrected if corrected else one.raw

    return [
        Approach(
            name=name,
            size_exponent=part(found.size_exponent, corrected),
            token_exponent=part(found.token_exponent, corrected),
            size=part(found.size, corrected),
            tokens=part(found.tokens, corrected),
            tokens_per_param=part(found.tokens_per_param, corrected),
        )
        for name, corrected in (("2", False), ("2 corrected", True))
    ]


def _by_law(
    runs: Runs, compute: float, law: str, options: Mapping[str, Any], fitted: Fit | None
) -> list[Approach]:
    if not get_law(law).is_surface:
        raise InputError(f"{law} has no best size", hint="chinchilla is a surface in N and D.")
    found: Fit = fitted if fitted is not None and fitted.law == law else fit(runs, law, **options)
    theta = np.column_stack([found.theta, found.resamples.T])
    at = np.array([compute, _STEP * compute])
    size = optimal_size(law, theta[:, :, None], at)
    a = np.log(size[:, 1] / size[:, 0]) / np.log(_STEP)
    return [_row("3", a, 1 - a, size[:, 0], compute / FLOP_PER_PARAM_TOKEN / size[:, 0], found.level)]


def _row(name: str, a: Array, b: Array, size: Array, tokens: Array, level: float) -> Approach:
    """Row 0 of every array is the estimate, the rest are resamples."""

    def estimate(every: Array) -> Estimate:
        return Estimate.from_samples(float(every[0]), every[1:], level)

    return Approach(
        name=name,
        size_exponent=estimate(a),
        token_exponent=estimate(b),
        size=estimate(size),
        tokens=estimate(tokens),
        tokens_per_param=estimate(tokens / size),
    )


def disagreements(rows: Sequence[Approach], compute: float) -> tuple[Finding, ...]:
    """Return a finding for each pair whose intervals of N*, or of a, have nothing in common.

    Parabolas with their bias are not asked where they are there without it.
    """
    asked = [row for row in rows if row.name != "2" or "2 corrected" not in {one.name for one in rows}]
    findings = []
    for one, other in combinations(asked, 2):
        if _apart(one.size, other.size) or _apart(one.size_exponent, other.size_exponent):
            sizes = " and ".join(row.size.text(format_count) for row in (one, other))
            slopes = " and ".join(format_significant(row.size_exponent.value) for row in (one, other))
            text = (
                f"Approaches {one.name} and {other.name} disagree beyond their intervals: "
                f"N* {sizes} at {format_flop(compute)}, a {slopes}."
            )
            hint = (
                "One of their forms is wrong here; plan with the whole range, or add runs near the optimum."
            )
            findings.append(Finding(code="FIT054", text=text, hint=hint))
    return tuple(findings)


def _apart(one: Estimate, other: Estimate) -> bool:
    return one.high < other.low or other.high < one.low
