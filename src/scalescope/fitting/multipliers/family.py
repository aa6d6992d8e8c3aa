r"""A family of laws that share what their groups say they share, fitted in a batch.

.. math:: \hat L_i = E_{e(v_i)} + \sum_t \exp\!\left(s_{v_i t} - \rho_{g(v_i) t}\, x_{it}\right)

with v the variant of row i, e and g its groups for the irreducible loss and the exponents, and x the centred
logarithm of what term t falls with: size and tokens of a surface, or compute alone. Least squares of the log
loss; all coefficients are positive and moved as logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scalescope.errors import FitError
from scalescope.fitting.descent import Task, descend
from scalescope.fitting.objective import Local
from scalescope.points import Array

Index = npt.NDArray[np.intp]

EXPONENTS = (0.02, 2.5)
"""Limits of every exponent."""
STARTS = (0.15, 0.3, 0.5, 0.8)
"""Exponents that the first fit starts from, in all combinations."""
FLOORS = (0.3, 0.6, 0.85)
"""Irreducible losses that the first fit starts from, over the least measured loss."""
NEARBY = 0.35
"""Step in the logarithm of exponents to the other starts about a known point."""
FAINTEST, STRONGEST = 1e-5, 10.0
"""Limits of a term at the centre of the data, and of E from below, over the mean loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Rows of all variants and who shares what."""

    x: Array
    """Centred logarithms, shape (n_terms, n)."""
    variant: Index
    """Of every row, shape (n,)."""
    floors: Index
    """Group of every variant for E, shape (n_variants,), numbered from zero without gaps."""
    rates: Index
    """Group of every variant for the exponents, likewise."""
    where: tuple[Index, Index, Index] = field(init=False, repr=False, compare=False)
    """Coordinate of E (n,), of the scales and of the exponents (n_terms, n) at every row."""

    def __post_init__(self) -> None:
        floor, scale, rate = self.places()
        v = self.variant
        object.__setattr__(self, "where", (floor[v], scale[:, v], rate[:, v]))

    def places(self) -> tuple[Index, Index, Index]:
        """Coordinate of E (n_variants,), of the scales and of the exponents (n_terms, n_variants)."""
        n_terms, n_variants = len(self.x), len(self.floors)
        n_floors, n_rates = int(self.floors.max()) + 1, int(self.rates.max()) + 1
        terms = np.arange(n_terms)[:, None]
        scale = n_floors + terms * n_variants + np.arange(n_variants)
        rate = n_floors + n_terms * n_variants + terms * n_rates + self.rates
        return self.floors, scale, rate

    @property
    def n_free(self) -> int:
        """Coefficients."""
        return int(self.floors.max()) + 1 + len(self.x) * (len(self.floors) + int(self.rates.max()) + 1)

    def predicted(self, u: Array) -> Array:
        """Logarithm of the loss of every row, shape (batch, n)."""
        return np.log(self._parts(u)[0])

    def _parts(self, u: Array) -> tuple[Array, Array, Array, Array]:
        """Loss (batch, n), E (batch, n), terms and exponents (batch, n_terms, n)."""
        floor, scale, rate = self.where
        exponents = np.exp(u[:, rate])
        terms = np.exp(u[:, scale] - exponents * self.x)
        bottom = np.exp(u[:, floor])
        return bottom + terms.sum(axis=1), bottom, terms, exponents

    def slopes(self, u: Array) -> Array:
        """Derivative of the log losses by the coordinates, shape (batch, m, n)."""
        floor, scale, rate = self.where
        loss, bottom, terms, exponents = self._parts(u)
        out = np.zeros((len(u), self.n_free, len(self.variant)))
        rows = np.arange(len(self.variant))
        out[:, floor, rows] = bottom / loss
        share = terms / loss[:, None]
        out[:, scale, rows] = share
        out[:, rate, rows] = -share * exponents * self.x
        return out

    def local(self, u: Array, y: Array, weights: Array, mix: Array, delta: Array | float) -> Local:
        """Half the squared residuals and their derivatives; see `descent.Model`."""
        del mix, delta  # of penalties that turn linear
        with np.errstate(all="ignore"):
            left = y - self.predicted(u)
            slopes = self.slopes(u)
            value = 0.5 * (weights * left**2).sum(axis=1)
            downhill = np.einsum("bmn,bn->bm", slopes, weights * left)
            curvature = (slopes * np.broadcast_to(weights, left.shape)[:, None]) @ slopes.transpose(0, 2, 1)
        good = np.isfinite(value)
        return Local(np.where(good, value, np.inf), downhill, curvature)

    def limits(self, log_loss: Array) -> tuple[Array, Array]:
        """Lower and upper limits of the coordinates, each of shape (m,)."""
        n_floors, n_scales = int(self.floors.max()) + 1, len(self.x) * len(self.floors)
        n_rates = self.n_free - n_floors - n_scales
        middle, least = float(log_loss.mean()), float(log_loss.min())
        faint = middle + np.log(FAINTEST)
        low = [faint] * (n_floors + n_scales) + [np.log(EXPONENTS[0])] * n_rates
        high = [least] * n_floors + [middle + np.log(STRONGEST)] * n_scales + [np.log(EXPONENTS[1])] * n_rates
        return np.array(low), np.array(high)

    def starts(self, log_loss: Array) -> Array:
        """Points to start from without a fit to start at, shape (n_starts, m)."""
        floor, scale, rate = self.places()
        least = float(np.exp(log_loss.min()))
        grid = np.meshgrid(FLOORS, *[STARTS] * len(self.x), indexing="ij")
        rows = np.stack([one.ravel() for one in grid], axis=1)
        out = np.zeros((len(rows), self.n_free))
        out[:, floor] = np.log(rows[:, [0]] * least)
        mean = np.array([np.exp(log_loss[self.variant == v]).mean() for v in range(len(self.floors))])
        above = np.maximum(mean[None] - rows[:, [0]] * least, 0.05 * mean) / len(self.x)
        for term in range(len(self.x)):
            out[:, scale[term]] = np.log(above)
            out[:, rate[term]] = np.log(rows[:, [1 + term]])
        return out

    def from_shared(self, shared: Family, u: Array) -> Array:
        """The same losses in this family's coordinates, from a family that shares more; (batch, m)."""
        out = np.empty((len(u), self.n_free))
        for mine, theirs in zip(self.places(), shared.places(), strict=True):
            out[:, mine] = u[:, theirs]
        return out

    def fit(self, log_loss: Array, start: Array | None = None) -> Array:
        """Coefficients of least squares, shape (m,).

        Parameters
        ----------
        log_loss
            Shape (n,).
        start
            A point with more shared, in these coordinates, shape (1, m): then the search begins there and at
            exponents somewhat smaller and larger, and not everywhere.

        Raises
        ------
        FitError
            If no start reached a finite objective.
        """
        starts = self.starts(log_loss) if start is None else self._around(start)
        found, value = self._descend(np.broadcast_to(log_loss, (len(starts), len(log_loss))), starts)
        if not np.isfinite(value).any():
            raise FitError("no start of the joint fit is finite", hint="Look at the losses of the variants.")
        return np.asarray(found[int(np.argmin(value))])

    def _around(self, start: Array) -> Array:
        shift = np.zeros(self.n_free)
        shift[self.places()[2]] = NEARBY
        return np.concatenate([start, start - shift, start + shift])

    def refit(self, log_losses: Array, start: Array) -> Array:
        """Coefficients for every row of losses (batch, n), all from one start (m,); shape (batch, m)."""
        return self._descend(log_losses, np.repeat(start[None], len(log_losses), axis=0))[0]

    def _descend(self, y: Array, start: Array) -> tuple[Array, Array]:
        low, high = self.limits(y)
        batch = len(start)
        task = Task(
            model=self,
            y=np.ascontiguousarray(y),
            weights=np.ones((1, y.shape[1])),
            low=np.repeat(low[None], batch, axis=0),
            high=np.repeat(high[None], batch, axis=0),
            delta=np.inf,
            smallest=np.full(batch, 1e-9),
            reach=1.5,
        )
        state = descend(task, np.clip(start, low, high), damping=0.3, tolerance=1e-7, max_iterations=120)
        return state.u, state.value

    def squares(self, u: Array, log_losses: Array) -> Array:
        """Sum of squared residuals, shape (batch,)."""
        return np.asarray(((log_losses - self.predicted(u)) ** 2).sum(axis=1))
