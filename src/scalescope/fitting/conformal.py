r"""Intervals of forecasts from how far earlier forecasts were off: split conformal prediction.

A law fitted below every cut in compute has forecast the next dearer group; its errors at m cuts, taken as
exchangeable with the next one, give an interval that holds the next with probability of at least `level`
whatever the law (Vovk et al. 2005; Lei et al. 2018, https://doi.org/10.1080/01621459.2017.1307116): the
:math:`\lceil (m + 1) \cdot level \rceil`-th smallest size of error, infinite where m is too small. Errors are
divided by what each forecast thought of itself, so that far forecasts may be wide and near ones narrow.
"""

from __future__ import annotations

import numpy as np

from scalescope.errors import InputError
from scalescope.points import Array, Estimate


def conformal_radius(errors: Array, level: float) -> float:
    """Size that the next error stays under with probability `level`; infinite for too few errors.

    Parameters
    ----------
    errors
        Signed errors of earlier forecasts, shape (m,).
    level
        Between 0 and 1.

    Raises
    ------
    InputError
        If the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, got {level}", hint="0.9 means 90% intervals.")
    size = np.sort(np.abs(errors[np.isfinite(errors)]))
    # The small number keeps 0.9 * 10 from being rounded up to 10.
    place = int(np.ceil((len(size) + 1) * level - 1e-9))
    return float(size[place - 1]) if 1 <= place <= len(size) else float("inf")


def fewest_errors(level: float) -> int:
    """Earlier forecasts needed for a finite interval at this level."""
    return int(np.ceil(level / (1 - level) - 1e-9))


def widen(forecast: Estimate, errors: Array, level: float, *, widths: Array | None = None) -> Estimate:
    """Stretch a forecast until it is as wide as earlier forecasts needed to be; never narrower.

    Parameters
    ----------
    forecast
        In the unit of the target, positive.
    errors
        log forecast minus log outcome of earlier forecasts, shape (m,).
    level
        Of the interval.
    widths
        Half the width in logarithms that each of them had given itself, shape (m,); with them, the stretch is
        relative to the forecast's own width.
    """
    middle = np.log(forecast.value)
    own = (np.log(forecast.high) - np.log(forecast.low)) / 2
    if widths is None:
        radius = conformal_radius(errors, level)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            radius = own * conformal_radius(errors / widths, level)
    if np.isfinite(radius):
        low, high = middle - radius, middle + radius
    else:
        low, high = -np.inf, np.inf
    return Estimate(
        value=forecast.value,
        low=float(min(forecast.low, np.exp(low))),
        high=float(max(forecast.high, np.exp(high))),
    )
