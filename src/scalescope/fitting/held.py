"""Holding one quantity of a fit, a coefficient or the prediction at one place, while the rest is free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from scalescope.fitting.objective import Objective
from scalescope.fitting.solver import minimise
from scalescope.points import Array

TIGHT = 1e4
"""Weight of the run that holds a prediction, over that of all others together."""
TOLERANCE, MOST_ITERATIONS = 1e-8, 60
"""Of the solver; a profile revisits every value from its neighbours, so one that is not done is not lost."""
REACH = float(np.log(1e6))
"""How far a logarithm is followed."""


class Held(Protocol):
    """A quantity on its fitted scale, and the fit with it held."""

    @property
    def range(self) -> tuple[float, float]:
        """Limits of the quantity on its fitted scale."""
        ...

    @property
    def reach(self) -> float:
        """How far from the optimum it is followed, on the fitted scale."""
        ...

    @property
    def open_end(self) -> tuple[float, float]:
        """What stands for an end that is open, on the fitted scale."""
        ...

    def of(self, phi: Array) -> Array:
        """Return the quantity at fitted coordinates (batch, k), shape (batch,)."""
        ...

    def slope(self, phi: Array) -> Array:
        """Return its gradient at one point, shape (k,)."""
        ...

    def natural(self, at: Array) -> Array:
        """Return values on the fitted scale in natural units."""
        ...

    def value(self, phi: Array) -> Array:
        """Return the objective of the runs alone, shape (batch,)."""
        ...

    def minimise(self, at: Array, starts: Array) -> tuple[Array, Array]:
        """Minimise with the quantity held at each of `at`; coordinates (batch, k) and objectives (batch,)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCoefficient:
    """One coefficient; its limits in the solver coincide."""

    objective: Objective
    y: Array
    index: int

    @property
    def range(self) -> tuple[float, float]:
        """Limits of the coordinate."""
        low, high = self.objective.bounds()
        return float(low[self.index]), float(high[self.index])

    @property
    def reach(self) -> float:
        """A factor of a million for a logarithm, else anything."""
        return REACH if self.objective.logged[self.index] > 0 else np.inf

    @property
    def open_end(self) -> tuple[float, float]:
        """Zero and infinity for what is fitted as a logarithm, else its limits."""
        return (-np.inf, np.inf) if self.objective.logged[self.index] > 0 else self.range

    def of(self, phi: Array) -> Array:
        """Return the coordinate."""
        return np.asarray(phi[:, self.index])

    def slope(self, phi: Array) -> Array:
        """Return a unit vector."""
        out = np.zeros_like(phi)
        out[self.index] = 1.0
        return out

    def natural(self, at: Array) -> Array:
        """Return natural units."""
        return np.exp(at) if self.objective.logged[self.index] > 0 else at

    def value(self, phi: Array) -> Array:
        """Return the objective."""
        return self.objective.total(phi, self.y[None], np.ones((1, len(self.y))))

    def minimise(self, at: Array, starts: Array) -> tuple[Array, Array]:
        """Minimise over the other coordinates."""
        low, high = (np.tile(bound, (len(at), 1)) for bound in self.objective.bounds())
        low[:, self.index] = high[:, self.index] = at
        starts = starts.copy()
        starts[:, self.index] = at
        ones = np.ones((1, len(self.y)))
        solution = minimise(
            self.objective,
            starts,
            self.y[None],
            ones,
            tolerance=TOLERANCE,
            max_iterations=MOST_ITERATIONS,
            low=low,
            high=high,
        )
        return solution.phi, solution.objective


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPrediction:
    """The prediction at one place; one more run there, of overwhelming weight, holds it."""

    objective: Objective
    extended: Objective
    """With the place as its last run."""
    y: Array

    @classmethod
    def build(cls, objective: Objective, y: Array, x: Mapping[str, float]) -> HeldPrediction:
        """Add the place to the runs."""

        def one_more(column: Array | None) -> Array | None:
            return None if column is None else np.append(column, 1.0)

        extended = replace(
            objective,
            x={name: np.append(column, x[name]) for name, column in objective.x.items()},
            errors=one_more(objective.errors),
            weights=one_more(objective.weights),
        )
        return cls(objective=objective, extended=extended, y=y)

    @property
    def range(self) -> tuple[float, float]:
        """No limits of its own."""
        return -np.inf, np.inf

    @property
    def reach(self) -> float:
        """Anything."""
        return np.inf

    @property
    def open_end(self) -> tuple[float, float]:
        """Minus and plus infinity on the scale of the fit."""
        return -np.inf, np.inf

    def of(self, phi: Array) -> Array:
        """Return the prediction on the scale of the fit."""
        return np.asarray(self.extended.predicted(phi)[:, -1])

    def slope(self, phi: Array) -> Array:
        """Return its gradient."""
        return np.asarray(self.extended.jacobian(phi[None])[0][:, -1])

    def natural(self, at: Array) -> Array:
        """Return the prediction in its unit."""
        return np.exp(at) if self.objective.scale == "log" else at

    def value(self, phi: Array) -> Array:
        """Return the objective of the runs alone."""
        return self.objective.total(phi, self.y[None], np.ones((1, len(self.y))))

    def minimise(self, at: Array, starts: Array) -> tuple[Array, Array]:
        """Minimise with the extra run."""
        y = np.column_stack([np.tile(self.y, (len(at), 1)), at])
        total = float(self.objective.weighted(np.ones(len(self.y))).sum())
        w = np.append(np.ones(len(self.y)), TIGHT * total)[None]
        solution = minimise(self.extended, starts, y, w, tolerance=TOLERANCE, max_iterations=MOST_ITERATIONS)
        # Where the place cannot take the value, the runs' objective says nothing: out of reach.
        missed = np.abs(self.of(solution.phi) - at) > 1e-4
        return solution.phi, np.where(missed, np.inf, self.value(solution.phi))
