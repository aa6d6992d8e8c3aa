r"""Compute at the table against compute in training, for one playing strength: Jones (2021).

.. math:: \log_{10} C_{test} = a + b \log_{10} C_{train} + c\, Elo
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.terms import stacked


@register
class TrainTestTrade(Law):
    """A plane through logarithms of compute and playing strength."""

    name = "train-test-trade"
    title = "Compute at play against compute in training, Jones 2021"
    family = "after-training"
    formula = "C_test = 10^(a + b log10(C_train) + c Elo)"
    variables = named(
        C_train=Variable(column="compute", low=1e13, high=1e18, trend=-1),
        Elo=Variable(column="elo", low=-2000.0, high=0.0, logarithmic=False, trend=1),
    )
    coefficients = named(
        a=Coefficient(meaning="intercept, decades", example=29.0),
        b=Coefficient(meaning="decades of play that a decade of training saves, below zero", example=-1.2),
        c=Coefficient(meaning="decades per Elo point", example=0.004),
    )
    target = "compute_test"
    reference = "https://arxiv.org/abs/2104.03113, section 5"
    caveats = (
        "Measured on the board game Hex, 9x9 and below; Elo is relative to perfect play, at zero.",
        "Only for players below perfect play, where either kind of compute still helps.",
    )
    published = MappingProxyType(
        {
            "jones2021": Published(
                coefficients={"a": 29.0, "b": -1.2, "c": 0.004},
                source="https://arxiv.org/abs/2104.03113, section 5",
                verified=True,
                note="As printed, to one or two digits.",
            )
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted compute at play, FLOP; `theta` is ordered as `coefficients`."""
        a, b, c = theta
        return np.asarray(np.exp(np.log(10) * (a + b * np.log10(x["C_train"]) + c * x["Elo"])))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        slope = np.log(10) * self.value(theta, **x)
        return stacked(slope, slope * np.log10(x["C_train"]), slope * x["Elo"])

    def starts(self, target: Array, **x: Array) -> Array:
        """The least-squares plane, which is the optimum but for the penalty."""
        columns = np.column_stack([np.ones(len(target)), np.log10(x["C_train"]), x["Elo"]])
        return np.asarray(np.linalg.lstsq(columns, np.log10(target), rcond=1e-10)[0][None])
