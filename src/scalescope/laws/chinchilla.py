r"""The parametric law of Hoffmann et al. (2022), their "approach 3".

.. math:: L(N, D) = E + A N^{-\alpha} + B D^{-\beta}
"""

from __future__ import annotations

from itertools import product
from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register


@register
class Chinchilla(Law):
    """Irreducible loss plus one power law in size and one in data."""

    name = "chinchilla"
    title = "Loss from size and data, Hoffmann et al. 2022"
    family = "size-and-data"
    formula = "L(N, D) = E + A/N^alpha + B/D^beta"
    variables = named(
        N=Variable(column="params", low=1e5, high=1e10, trend=-1),
        D=Variable(column="tokens", low=1e6, high=1e12, trend=-1),
    )
    coefficients = named(
        E=Coefficient(meaning="irreducible loss", example=1.7, positive=True, low=1e-3, high=20.0),
        A=Coefficient(meaning="scale of what a finite size costs", example=400.0, positive=True),
        B=Coefficient(meaning="scale of what finite data cost", example=900.0, positive=True),
        alpha=Coefficient(meaning="size exponent", example=0.34, positive=True, low=0.01, high=3.0),
        beta=Coefficient(meaning="data exponent", example=0.32, positive=True, low=0.01, high=3.0),
    )
    linear = ("E", "A", "B")
    reference = "https://arxiv.org/abs/2203.15556, eq. 2 and appendix D.3"
    caveats = (
        "E is hardly identified when the runs are far above it; forecasts then lean on the form.",
        "Every token must be fresh: repeated data needs the data-constrained law.",
    )
    published = MappingProxyType(
        {
            "hoffmann2022": Published(
                coefficients={
                    "E": float(np.exp(0.5267228)),
                    "A": float(np.exp(6.0073404)),
                    "B": float(np.exp(6.0179186)),
                    "alpha": 0.33917084,
                    "beta": 0.2849083,
                },
                source="https://arxiv.org/abs/2203.15556, appendix D.3 (unrounded, from its TeX source)",
                verified=True,
                note="Printed as 1.69, 406.4, 410.7, 0.34, 0.28; its own data reject it (arXiv 2404.10102).",
                ranges={"N": (44e6, 16e9), "D": (5e8, 5e11), "C": (1e18, 1e22)},
            ),
            "epoch2024": Published(
                coefficients={"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658},
                source="https://arxiv.org/abs/2404.10102, the re-fit of Hoffmann's figure 4",
                verified=True,
                ranges={"N": (44e6, 16e9), "D": (5e8, 5e11), "C": (1e18, 1e22)},
            ),
            "muennighoff2023": Published(
                coefficients={
                    "E": float(np.exp(0.6254804)),
                    "A": float(np.exp(6.255414)),
                    "B": float(np.exp(7.3049974)),
                    "alpha": 0.3526596,
                    "beta": 0.3526596,
                },
                source="https://arxiv.org/abs/2305.16264, appendix A (unrounded, from its code), on C4",
                verified=True,
                note="Printed as E 1.87, A 521, B 1488, alpha = beta = 0.353; fitted with equal exponents.",
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        E, A, B, alpha, beta = theta
        return np.asarray(E + A * x["N"] ** -alpha + B * x["D"] ** -beta)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        E, A, B, alpha, beta = theta
        log_N, log_D = np.log(x["N"]), np.log(x["D"])
        size, data = np.exp(-alpha * log_N), np.exp(-beta * log_D)
        parts = (np.ones_like(E * size), size, data, -A * size * log_N, -B * data * log_D)
        return np.stack(np.broadcast_arrays(*parts))

    def starts(self, target: Array, **x: Array) -> Array:
        """Exponents and floors on a grid; A and B share what the floor leaves at the median run."""
        floors = np.array([0.2, 0.5, 0.8, 0.95]) * target.min()
        size, data = np.median(x["N"]), np.median(x["D"])
        rows = []
        for E, alpha, beta in product(floors, (0.2, 0.4, 0.8), (0.2, 0.4, 0.8)):
            share = max(np.median(target) - E, 1e-3) / 2
            rows.append((E, share * size**alpha, share * data**beta, alpha, beta))
        return np.array(rows)
