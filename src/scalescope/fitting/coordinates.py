r"""The coordinates that a fit moves in: logarithms of scales, limits, coefficients held fixed or tied.

A law has k coefficients. In *fitted* coordinates `phi` every coefficient that is a scale is its logarithm.

The solver moves in *free* coordinates `u`. There every tied group is one number, and a scale that has limits
on both sides, such as an exponent or a floor, is itself: the valley that joins A and alpha of :math:`A
N^{-\alpha}` is a straight line in log A and alpha, and a curve in log A and log alpha.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError, nearest
from scalescope.fitting.criterion import Restraints
from scalescope.laws import Law
from scalescope.points import Array

LOG_LIMIT: Final = 690.0
"""A logarithm further from zero than this is not a float any more; at its negative a scale is zero."""

WIDE: Final = 1e5
"""A scale whose limits are further apart than this factor moves as its logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinates:
    """How coefficients become coordinates.  Built by `Coordinates.of`."""

    logged: npt.NDArray[np.bool_]
    """Which coefficients are fitted as logarithms, shape (k,)."""
    moved: npt.NDArray[np.bool_]
    """Which of them also move as logarithms, shape (k,)."""
    low: Array
    """Lower limits in fitted coordinates, shape (k,)."""
    high: Array
    group: npt.NDArray[np.intp]
    """Free coordinate of every coefficient, shape (k,); tied ones share theirs."""
    prior_mean: Array
    """In fitted coordinates, shape (k,)."""
    prior_precision: Array
    """One over the variance of the prior, shape (k,); zero where there is none."""

    @classmethod
    def of(cls, law: Law, restraints: Restraints) -> Coordinates:
        """Join the limits of a law with restraints.

        Raises
        ------
        InputError
            If a restraint names no coefficient, contradicts another, or asks a scale not to be above zero.
        """
        names = list(law.coefficients)
        _check_names(law, restraints)
        logged = np.array([one.positive for one in law.coefficients.values()])
        low, high = law.bounds()
        for name, limits in restraints.bounds.items():
            low[names.index(name)], high[names.index(name)] = limits
        for name, value in restraints.fixed.items():
            if not np.isfinite(value) or (value < 0 and law.coefficients[name].positive):
                raise InputError(
                    f"{name} cannot be fixed at {value:g}",
                    hint="A scale needs a number that is zero or above.",
                )
            low[names.index(name)] = high[names.index(name)] = value
        empty = [name for name, least, most in zip(names, low, high, strict=True) if not least <= most]
        if empty:
            raise InputError(f"the bounds of {empty[0]} leave nothing", hint="Give the lower one first.")
        group = _groups(law, restraints)
        moved = _moved(logged, low, high, group)
        low, high = _logarithms(low, logged), _logarithms(high, logged)
        least, most = _reduced_limits(low, high, group)
        crossed = np.flatnonzero(least > most)
        if crossed.size:
            tied = ", ".join(name for name, at in zip(names, group, strict=True) if at == crossed[0])
            raise InputError(
                f"tied coefficients {tied} have no value in common",
                hint="Their bounds must overlap, and fixed values of one group be equal.",
            )
        mean, precision = _priors(law, restraints, logged)
        return cls(
            logged=logged,
            moved=moved,
            low=low,
            high=high,
            group=group,
            prior_mean=mean,
            prior_precision=precision,
        )

    @property
    def n_free(self) -> int:
        """How many free coordinates there are, fixed ones included."""
        return int(self.group.max()) + 1

    @property
    def tied(self) -> bool:
        """Whether any coefficients share a coordinate."""
        return self.n_free < len(self.group)

    def fitted(self, theta: Array) -> Array:
        """Natural coefficients, last axis k, in fitted coordinates."""
        return _logarithms(theta, self.logged)

    def natural(self, phi: Array) -> Array:
        """Fitted coordinates, last axis k, as natural coefficients."""
        scale = np.exp(np.where(self.logged, np.minimum(phi, LOG_LIMIT), 0.0))
        return np.where(self.logged, np.where(phi <= -LOG_LIMIT, 0.0, scale), phi)

    def theta(self, u: Array) -> Array:
        """Free coordinates, last axis m, as natural coefficients, last axis k."""
        apart = u[..., self.group] if self.tied else u
        scale = np.exp(np.where(self.moved, np.minimum(apart, LOG_LIMIT), 0.0))
        return np.where(self.moved, np.where(apart <= -LOG_LIMIT, 0.0, scale), apart)

    def expanded(self, u: Array) -> Array:
        """Free coordinates, last axis m, as fitted ones, last axis k."""
        apart = u[..., self.group] if self.tied else u
        return _logarithms(apart, self.logged & ~self.moved)

    def reduced(self, phi: Array) -> Array:
        """Fitted coordinates as free ones: tied coefficients meet at their mean."""
        return self.pulled(self._apart(phi)) / np.bincount(self.group) if self.tied else self._apart(phi)

    def _apart(self, phi: Array) -> Array:
        return np.where(self.moved, phi, self.natural(phi))

    def rate(self, theta: Array) -> Array:
        """Derivative of fitted by free coordinates at natural coefficients, last axis k."""
        itself = self.logged & ~self.moved
        return np.where(itself, 1 / np.where(itself, np.maximum(theta, 1e-300), 1.0), 1.0)

    @property
    def scales(self) -> npt.NDArray[np.bool_]:
        """Which free coordinates are scales or their logarithms, shape (m,)."""
        out = np.zeros(self.n_free, dtype=bool)
        out[self.group] = self.logged
        return out

    @property
    def logs(self) -> npt.NDArray[np.bool_]:
        """Which free coordinates are logarithms, shape (m,)."""
        out = np.zeros(self.n_free, dtype=bool)
        out[self.group] = self.moved
        return out

    def pulled(self, slopes: Array) -> Array:
        """Sum slopes by fitted coordinates, last axis k, into slopes by free ones, last axis m."""
        return slopes @ np.eye(self.n_free)[self.group] if self.tied else slopes

    def limits(self, low: Array | None = None, high: Array | None = None) -> tuple[Array, Array]:
        """Limits in free coordinates, last axis m; given ones, last axis k, replace those of the law."""
        least, most = (self.low if low is None else low), (self.high if high is None else high)
        return _reduced_limits(self._apart(least), self._apart(most), self.group)


def _moved(
    logged: npt.NDArray[np.bool_], low: Array, high: Array, group: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    """Which scales move as logarithms: those without limits, or with limits many decades apart."""
    with np.errstate(all="ignore"):
        itself = logged & (low > 0) & np.isfinite(high) & (high / low < WIDE)
    return np.asarray(logged & ~np.array([itself[group == label].all() for label in group]))


def _check_names(law: Law, restraints: Restraints) -> None:
    tied = [name for group in restraints.tied for name in group]
    for name in (*restraints.fixed, *tied, *restraints.bounds, *restraints.priors):
        if name not in law.coefficients:
            raise InputError(f"{law.name} has no coefficient {name!r}", hint=nearest(name, law.coefficients))
    for group in restraints.tied:
        if len(set(group)) < len(group):
            raise InputError(
                f"{' and '.join(group)} are tied, which is one coefficient twice",
                hint="Tie different coefficients, such as alpha and beta.",
            )
    for name in restraints.priors:
        if name in restraints.fixed:
            raise InputError(f"{name} is fixed and has a prior", hint="Leave one of them out.")


def _groups(law: Law, restraints: Restraints) -> npt.NDArray[np.intp]:
    names = list(law.coefficients)
    label = np.arange(len(names))
    for group in restraints.tied:
        places = [names.index(name) for name in group]
        signs = {law.coefficients[name].positive for name in group}
        if len(signs) > 1:
            raise InputError(
                f"{', '.join(group)} cannot be tied: some are scales above zero and some are not",
                hint="Tie coefficients of one kind; `scalescope laws NAME` shows which are above zero.",
            )
        for old in {int(label[place]) for place in places}:
            label[label == old] = label[places[0]]
    return np.unique(label, return_inverse=True)[1].reshape(-1)


def _reduced_limits(low: Array, high: Array, group: npt.NDArray[np.intp]) -> tuple[Array, Array]:
    if group.max() + 1 == len(group):
        return low, high
    members = [np.flatnonzero(group == label) for label in range(int(group.max()) + 1)]
    return (
        np.stack([low[..., places].max(axis=-1) for places in members], axis=-1),
        np.stack([high[..., places].min(axis=-1) for places in members], axis=-1),
    )


def _priors(law: Law, restraints: Restraints, logged: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    mean, precision = np.zeros(len(logged)), np.zeros(len(logged))
    for name, prior in restraints.priors.items():
        at = law.place(name)[0]
        if not (np.isfinite(prior.mean) and prior.sd > 0) or (logged[at] and not prior.mean > 0):
            raise InputError(
                f"the prior of {name} has mean {prior.mean:g} and sd {prior.sd:g}",
                hint="The sd must be above zero, and so must the mean of a scale.",
            )
        mean[at] = np.log(prior.mean) if logged[at] else prior.mean
        precision[at] = 1 / prior.sd**2
    return mean, precision


def _logarithms(values: Array, logged: npt.NDArray[np.bool_]) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.clip(np.log(np.where(logged, np.maximum(values, 0.0), 1.0)), -LOG_LIMIT, LOG_LIMIT)
    return np.where(logged, inside, values)
