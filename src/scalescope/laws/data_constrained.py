r"""Loss when data are repeated and networks larger than the data deserve, Muennighoff et al. (2023).

.. math::

    L(N, D, U) = E + A N'^{-\alpha} + B D'^{-\beta}, \qquad
    D' = U + U R_D \left(1 - e^{-(D/U - 1)/R_D}\right), \qquad
    N' = U_N + U_N R_N \left(1 - e^{-(N/U_N - 1)/R_N}\right)

D counts every token seen and U the distinct ones. :math:`U_N = \min(N, N_{opt}(U))` is the size that U tokens
are compute-optimal for, under the same coefficients:
:math:`N_{opt}(U) = (\alpha A / \beta B)^{1/\alpha} U^{\beta/\alpha}`. Source:
https://arxiv.org/abs/2305.16264, eq. 5 and 6 and appendix A.

The paper first fits the base law to fresh data and then, with it held fixed, the two decay constants:
`Restraints(fixed={"E": ..., "A": ..., "B": ..., "alpha": ..., "beta": ...})`. An infinite constant means no
decay, so its variants with decay of the data alone and of the size alone are R_N and R_D fixed at 1e7.

R_D is practically unidentified by the paper's own 182 runs: values from 15 to 160 fit them equally well, each
with its own R_N. Do not read it as a property of the data. With all seven coefficients free the same runs ask
for no decay of the size at all (R_N ends at its limit, R_D near 25) and leave less than half the objective:
much of what R_N stands for is a base law that was fitted to other runs.
"""

from __future__ import annotations

from itertools import product
from types import MappingProxyType
from typing import Final

import numpy as np

from scalescope.laws.base import (
    Array,
    Coefficient,
    Held,
    Law,
    Published,
    Variable,
    named,
    register,
    solve_linear,
)
from scalescope.laws.chinchilla import Chinchilla
from scalescope.laws.designs import low_discrepancy
from scalescope.laws.terms import power_term, stacked

BASE = Chinchilla()
NO_DECAY: Final = 1e7
"""A decay constant that no number of epochs or sizes reaches; beyond it only rounding would be fitted."""


def repeated_worth(R: Array, total: Array, fresh: Array) -> Array:
    """Return what `total` is worth when only `fresh` of it is new and repeats decay with constant `R`."""
    return np.asarray(fresh - fresh * R * np.expm1(-(total / fresh - 1) / R))


def optimal_size_for(A: Array, B: Array, alpha: Array, beta: Array, U: Array) -> Array:
    """Return the size that `U` fresh tokens are compute-optimal for, under C = 6 N D."""
    log_size = (np.log(alpha) + np.log(A) - np.log(beta) - np.log(B) + beta * np.log(U)) / alpha
    return np.asarray(np.exp(log_size))


@register
class DataConstrained(Law):
    """The law of Hoffmann et al. with repeated tokens and excess parameters that lose their worth."""

    name = "data-constrained"
    title = "Loss with repeated data, Muennighoff et al. 2023"
    family = "limited-data"
    formula = (
        "L(N, D, U) = E + A/N'^alpha + B/D'^beta, D' = U + U R_D (1 - exp(-(D/U - 1)/R_D)), "
        "N' = V + V R_N (1 - exp(-(N/V - 1)/R_N)), V = min(N, Nopt(U))"
    )
    variables = named(
        N=Variable(column="params", low=1e7, high=1e10, trend=-1),
        D=Variable(column="tokens", low=1e8, high=1e12, trend=-1),
        U=Variable(column="tokens_unique", low=1e8, high=1e10, trend=-1),
    )
    coefficients = named(
        E=Coefficient(meaning="irreducible loss", example=1.87, positive=True, low=1e-3, high=20.0),
        A=Coefficient(meaning="scale of what a finite size costs", example=521.0, positive=True),
        B=Coefficient(meaning="scale of what finite data cost", example=1488.0, positive=True),
        alpha=Coefficient(meaning="size exponent", example=0.353, positive=True, low=0.01, high=3.0),
        beta=Coefficient(meaning="data exponent", example=0.353, positive=True, low=0.01, high=3.0),
        R_D=Coefficient(
            meaning="epochs over which repeated tokens lose their worth",
            example=15.4,
            positive=True,
            low=1e-3,
            high=NO_DECAY,
        ),
        R_N=Coefficient(
            meaning="sizes over which excess parameters lose their worth",
            example=5.3,
            positive=True,
            low=1e-3,
            high=NO_DECAY,
        ),
    )
    linear = ("E",)
    reference = "https://arxiv.org/abs/2305.16264, eq. 5 and 6 and appendix A"
    caveats = (
        "R_D is practically unidentified: on the 182 runs of the paper 15 and 160 fit equally well.",
        "Loss never rises with repetition here; real runs overfit after some tens of epochs.",
        "The paper holds the base law fixed; with all seven free R_N ends at its limit on its runs.",
        "Distinct tokens above the tokens seen count as the tokens seen.",
    )
    held = Held(published="muennighoff2023", coefficients=("E", "A", "B", "alpha", "beta"))
    published = MappingProxyType(
        {
            "muennighoff2023": Published(
                coefficients={
                    "E": float(np.exp(0.6254804)),
                    "A": float(np.exp(6.255414)),
                    "B": float(np.exp(7.3049974)),
                    "alpha": 0.3526596,
                    "beta": 0.3526596,
                    "R_D": 15.387756,
                    "R_N": 5.309743,
                },
                source="https://arxiv.org/abs/2305.16264, appendix A and its code, on C4",
                verified=True,
                note="Not the lowest minimum of its own 182 runs: R_D 95.4 with R_N 1.7 fits them better.",
                ranges={"N": (7e6, 9e9), "U": (1e8, 2e11), "D": (1e8, 1e12)},
            )
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        E, A, B, alpha, beta, R_D, R_N = theta
        fresh = np.minimum(x["U"], x["D"])
        data = repeated_worth(R_D, x["D"], fresh)
        size = repeated_worth(R_N, x["N"], self._fresh_size(theta, x["N"], fresh))
        return np.asarray(E + A * size**-alpha + B * data**-beta)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first; A, B and both exponents also move the best size."""
        _, A, B, alpha, beta, R_D, R_N = theta
        fresh, N = np.minimum(x["U"], x["D"]), x["N"]
        base = self._fresh_size(theta, N, fresh)
        data, size = repeated_worth(R_D, x["D"], fresh), repeated_worth(R_N, N, base)
        of_size, by_A, by_alpha = power_term(A, alpha, size)
        of_data, by_B, by_beta = power_term(B, beta, data)
        left_D, left_N = np.exp(-(x["D"] / fresh - 1) / R_D), np.exp(-(N / base - 1) / R_N)
        data_by_R = fresh * (1 - left_D * (1 + (x["D"] / fresh - 1) / R_D))
        size_by_R = base * (1 - left_N * (1 + (N / base - 1) / R_N))
        # d log base; nothing where the size itself is the smaller.
        turn = np.where(base < N, 1.0, 0.0) * (base + base * R_N * (1 - left_N) - left_N * N)
        by_size, by_data = -alpha * of_size / size, -beta * of_data / data
        moved = by_size * turn
        return stacked(
            np.ones_like(of_size + of_data),
            by_A + moved / (alpha * A),
            by_B - moved / (alpha * B),
            by_alpha + moved * (1 / alpha - np.log(base)) / alpha,
            by_beta + moved * (np.log(fresh) - 1 / beta) / alpha,
            by_data * data_by_R,
            by_size * size_by_R,
        )

    def starts(self, target: Array, **x: Array) -> Array:
        """Decay constants and exponents on grids; E, A and B by least squares, twice, as A and B move N'."""
        fresh, rows = np.minimum(x["U"], x["D"]), []
        grid = product((3.0, 15.0, 60.0, 200.0), (1.5, 5.0, 30.0), (0.25, 0.35, 0.5))
        for R_D, R_N, exponent in grid:
            data, size = repeated_worth(np.array(R_D), x["D"], fresh), x["N"]
            base = np.array([[1.0, 1.0, 1.0, exponent, exponent]])
            for _ in range(2):
                base[:, :3] = solve_linear(BASE, base, target, {"N": size, "D": data})
                vector = np.array([*base[0], R_D, R_N])
                with np.errstate(all="ignore"):
                    moved = repeated_worth(np.array(R_N), x["N"], self._fresh_size(vector, x["N"], fresh))
                size = np.where(np.isfinite(moved) & (moved > 0), moved, size)
            rows.append(vector)
        low, high = self.bounds()
        return np.asarray(np.clip(np.array(rows), low, high))

    def design(self, n: int = 64) -> dict[str, Array]:
        """Sizes on both sides of the best one for U, and one to a hundred epochs, half of them few."""
        size, fresh, repeats = (low_discrepancy(n, column) for column in range(3))
        U = 10 ** (8 + 2 * fresh)
        return {"N": 10 ** (7 + 3 * size), "D": U * 100 ** (repeats * (np.arange(n) % 4 > 0)), "U": U}

    @staticmethod
    def _fresh_size(theta: Array, N: Array, fresh: Array) -> Array:
        _, A, B, alpha, beta = theta[:5]
        best = optimal_size_for(A, B, alpha, beta, fresh)
        return np.asarray(np.where(np.real(best) < N, best, N))
