"""What the figures of levers share: a colour for every variant, and the rows of a curve."""

from __future__ import annotations

from collections.abc import Sequence

from scalescope.fitting.multipliers import Multipliers
from scalescope.points import Array, Estimate, Runs
from scalescope.reports.figures import theme

_FIRST = (theme.HOFFMANN, theme.KAPLAN, theme.PLAN, theme.HELD_OUT)
MOST_PANELS = 8


def colours(made: Multipliers) -> dict[str, theme.Colour]:
    """Colour of every variant, the baseline's first; it is the ink."""
    names = [lever.name for lever in made.levers]
    ramp: Sequence[theme.Colour] = _FIRST if len(names) <= len(_FIRST) else theme.ordered(len(names))
    return {made.baseline: theme.INK, **dict(zip(names, ramp, strict=False))}


def charged(made: Multipliers, runs: Runs) -> Array:
    """Compute of every run as the multipliers count it, FLOP."""
    return runs[made.compute_column]


def bars(estimate: Estimate) -> dict[str, float]:
    """Ends of an interval for a row; nothing where they are not known."""
    return {"low": estimate.low, "high": estimate.high} if estimate.low < estimate.high else {}
