"""An extrapolation as a screen of text."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from scalescope.laws import get_law
from scalescope.units import format_count, format_factor, format_percent, format_significant

if TYPE_CHECKING:
    from scalescope.fitting.extrapolation.result import Extrapolation, FormFit

MOST_ROWS = 12
LEAST_WEIGHT = 1e-3


def summary_of(result: Extrapolation) -> str:
    """Write the curve beyond its end, the forms behind it, and the findings."""
    low, high = (format_count(x) for x in result.range)
    level = format_percent(result.level)
    lines = [f"{result.n_points} points from x = {low} to {high}; a point lies inside with {level}", ""]
    lines += [f"  {'x':>10}  {'beyond':>7}  {'y':>10}  interval"]
    step = max(-(-len(result.at) // MOST_ROWS), 1)
    for row in result.frame()[::step]:
        y, least, most = (format_significant(row[key], 4) for key in ("value", "low", "high"))
        beyond = format_factor(row["ratio"])
        lines.append(f"  {format_count(row['x']):>10}  {beyond:>7}  {y:>10}  {least} to {most}")
    if step > 1:
        lines.append(f"  (every {step}th of {len(result.at)})")
    lines += ["", f"  {'form':<17} weight  error inside  coefficients"]
    lines += [_row(one) for one in result.forms]
    top = get_law(result.forms[0].law)
    lines += ["", f"  {top.name}: {top.formula}", *_level(result)]
    noise, drift = format_percent(result.noise_sd), format_percent(result.drift)
    lines += [f"  noise {noise} a point; {drift} of the change beyond the data taken to be wrong"]
    return "\n".join(lines + [f"  {finding}" for finding in result.findings])


def _row(one: FormFit) -> str:
    error = format_percent(one.error) if isfinite(one.error) else "-"
    values = ", ".join(f"{name} {format_significant(value)}" for name, value in one.coefficients.items())
    weight = format_percent(one.weight) if one.weight >= LEAST_WEIGHT else "<0.1%"
    return f"  {one.law:<17} {weight:>6}  {error:>12}  {values}"


def _level(result: Extrapolation) -> list[str]:
    if result.ceiling is not None:
        return [f"  its y is the distance below {format_significant(result.ceiling + result.shift)}"]
    return [f"  its y is y + {format_significant(result.shift)}"] if result.shift else []
