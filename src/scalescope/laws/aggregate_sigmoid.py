r"""Mean score over many tasks from compute: Owen (2024).

.. math:: Acc(C) = floor + \frac{ceiling - floor}{1 + (C_{mid}/C)^k}

A logistic curve in the logarithm of compute.
"""

from __future__ import annotations

from scalescope.laws.base import Coefficient, Variable, named, register
from scalescope.laws.logistic_compute import LogisticCompute


@register
class AggregateSigmoid(LogisticCompute):
    """A logistic rise of a mean score with the logarithm of compute."""

    name = "aggregate-sigmoid"
    title = "Mean score over many tasks from compute, Owen 2024"
    family = "downstream"
    formula = "Acc(C) = floor + (ceiling - floor)/(1 + (C_mid/C)^k)"
    variables = named(C=Variable(column="compute", low=1e19, high=1e26, trend=1))
    coefficients = named(
        floor=Coefficient(meaning="score of guessing", example=0.2, low=0.0, high=1.0),
        ceiling=Coefficient(meaning="score without limit of compute", example=0.9, low=0.0, high=1.0),
        C_mid=Coefficient(meaning="compute half-way, FLOP", example=1e23, positive=True, low=1.0, high=1e40),
        k=Coefficient(
            meaning="steepness, per factor e of compute", example=0.5, positive=True, low=1e-3, high=50.0
        ),
    )
    target = "accuracy"
    reference = "https://arxiv.org/abs/2401.04757"
    caveats = (
        "For means over many tasks; single tasks are far less predictable.",
        "Compute stands for everything else: families that use it better lie above the curve.",
    )
