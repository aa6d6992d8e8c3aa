r"""The parametric law of Hoffmann et al. (2022), their "approach 3".

.. math:: L(N, D) = E + A N^{-\alpha} + B D^{-\beta}
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import ClassVar

import numpy as np

from scalescope.laws.base import Array, Published, register


@register
class Chinchilla:
    """Irreducible loss plus one power law in size and one in data."""

    name: ClassVar[str] = "chinchilla"
    title: ClassVar[str] = "Loss from size and data, Hoffmann et al. 2022"
    question: ClassVar[str] = "How does loss fall with size and data together?"
    formula: ClassVar[str] = "L(N, D) = E + A/N^alpha + B/D^beta"
    variables: ClassVar[tuple[str, ...]] = ("N", "D")
    coefficients: ClassVar[tuple[str, ...]] = ("E", "A", "B", "alpha", "beta")
    positive: ClassVar[frozenset[str]] = frozenset({"E", "A", "B", "alpha", "beta"})
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "E": (1e-3, 20.0),
        "alpha": (0.01, 3.0),
        "beta": (0.01, 3.0),
    }
    reference: ClassVar[str] = "https://arxiv.org/abs/2203.15556, eq. 2 and appendix D.3"
    caveats: ClassVar[tuple[str, ...]] = (
        "E is hardly identified when the runs are far above it; forecasts then lean on the form.",
        "Every token must be fresh: repeated data needs the data-constrained law.",
    )
    published: ClassVar[Mapping[str, Published]] = {
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

    def loss(self, theta: Array, **x: Array) -> Array:
        """Predicted loss; `theta` is ordered as `coefficients`."""
        E, A, B, alpha, beta = theta
        return np.asarray(E + A * x["N"] ** -alpha + B * x["D"] ** -beta)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        E, A, B, alpha, beta = theta
        log_N, log_D = np.log(x["N"]), np.log(x["D"])
        size, data = np.exp(-alpha * log_N), np.exp(-beta * log_D)
        parts = (np.ones_like(E * size), size, data, -A * size * log_N, -B * data * log_D)
        return np.stack(np.broadcast_arrays(*parts))

    def starts(self, loss: Array, **x: Array) -> Array:
        """Exponents and floors on a grid; A and B share what the floor leaves at the median run."""
        floors = np.array([0.2, 0.5, 0.8, 0.95]) * loss.min()
        size, data = np.median(x["N"]), np.median(x["D"])
        rows = []
        for E, alpha, beta in product(floors, (0.2, 0.4, 0.8), (0.2, 0.4, 0.8)):
            share = max(np.median(loss) - E, 1e-3) / 2
            rows.append((E, share * size**alpha, share * data**beta, alpha, beta))
        return np.array(rows)
