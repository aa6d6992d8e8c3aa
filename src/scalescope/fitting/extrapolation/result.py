"""What an extrapolation returns: the curve beyond its end with an interval, and the forms behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError
from scalescope.fitting.extrapolation.averaging import average, half_width
from scalescope.fitting.extrapolation.forms import FORMS, Form
from scalescope.points import Array, Estimate, Finding, Provenance, from_plain, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class FormFit:
    """One form through the curve."""

    law: str
    coefficients: Mapping[str, float]
    """Of the law, natural units; of y + shift, or of ceiling + shift - y, where there is one."""
    weight: float
    """Share of this form in the average."""
    error: float
    """Root mean square error of log y behind the cuts inside the curve; nan where there was none."""
    shape: str
    """Key of `FORMS`: the law with the signs of its coefficients settled."""
    phi: Array
    """Coordinates that were fitted."""
    spread: Array
    """Their covariance."""

    @property
    def form(self) -> Form:
        """The formula in logarithms."""
        return FORMS[self.shape]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extrapolation:
    """A curve carried beyond its end.  Built by `extrapolate`, not by hand."""

    schema: ClassVar[str] = "scalescope.extrapolation/1"

    at: Array
    """Abscissae asked for, shape (n,)."""
    value: Array
    low: Array
    high: Array
    """Ordinate there with the interval that a measured point should lie in, shape (n,) each."""
    level: float
    """Share of points inside the interval."""
    forms: tuple[FormFit, ...]
    """By weight, the heaviest first."""
    n_points: int
    range: tuple[float, float]
    """Lowest and highest x of the points."""
    points: Array
    """x and y that the forms were fitted to, shape (2, up to 40): averages where there were more points."""
    unit: float
    """Level that logarithms are relative to."""
    shift: float
    """Added to y before its logarithm was taken."""
    ceiling: float | None
    """Highest y that can be, where one was given."""
    noise_sd: float
    """Standard deviation of a point, in log y."""
    drift: float
    """Share of the change since the end of the data by which the average is taken to be off."""
    freedom: float
    """Degrees of freedom of the interval."""
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def predict(self, x: npt.ArrayLike, level: float | None = None) -> list[Estimate]:
        """Return the ordinate elsewhere, with the interval that a measured point should lie in.

        Parameters
        ----------
        x
            Abscissae above zero.
        level
            Share of points inside the interval; that of the extrapolation where not given.

        Raises
        ------
        InputError
            If an abscissa is not above zero, or the level is not between 0 and 1.
        """
        value, low, high = curve_at(self, np.atleast_1d(np.asarray(x, dtype=np.float64)), level or self.level)
        return [
            Estimate(value=float(a), low=float(b), high=float(c))
            for a, b, c in zip(value, low, high, strict=True)
        ]

    def summary(self) -> str:
        """One screen for a terminal: the curve beyond its end, the forms, and what is doubtful."""
        from scalescope.fitting.extrapolation.text import summary_of

        return summary_of(self)

    def frame(self) -> list[dict[str, Any]]:
        """One row an abscissa, ready for any data-frame constructor."""
        columns = zip(self.at, self.value, self.low, self.high, strict=True)
        return [
            {"x": float(x), "value": float(value), "low": float(low), "high": float(high)}
            | {"ratio": float(x) / self.range[1]}
            for x, value, low, high in columns
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Extrapolation:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def curve_at(result: Extrapolation, x: Array, level: float) -> tuple[Array, Array, Array]:
    """Value, low and high at any abscissae.

    Raises
    ------
    InputError
        If an abscissa is not above zero, or the level is not between 0 and 1.
    """
    check_request(x, level)
    weights = np.array([one.weight for one in result.forms])
    parts = average(result.forms, weights, np.log(x / result.range[1]))
    half = half_width(parts, noise=result.noise_sd, drift=result.drift, level=level, freedom=result.freedom)
    value, one, other = (ordinate(result, parts.v + side * half) for side in (0, -1, 1))
    return value, np.minimum(one, other), np.maximum(one, other)


def check_request(x: Array, level: float) -> None:
    """Refuse what cannot be asked for.

    Raises
    ------
    InputError
        If an abscissa is not above zero, or the level is not between 0 and 1.
    """
    if not (np.isfinite(x) & (x > 0)).all() or not x.size:
        raise InputError(
            "x must be above zero and finite", hint="Give where the curve is wanted, such as 2e9."
        )
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, got {level}", hint="0.9 means 90% intervals.")


def ordinate(result: Extrapolation, v: Array) -> Array:
    """Turn logarithms of levels back into ordinates."""
    level = result.unit * np.exp(np.minimum(v, 600.0))
    return np.asarray(
        level - result.shift if result.ceiling is None else result.ceiling + result.shift - level
    )
