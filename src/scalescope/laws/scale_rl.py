r"""Reward from the compute of reinforcement learning: Khatri et al. (2025).

.. math:: R(C) = R_0 + \frac{A - R_0}{1 + (C_{mid}/C)^B}

The asymptote A says what a recipe can reach, B and :math:`C_{mid}` how efficiently it gets there.
"""

from __future__ import annotations

from scalescope.laws.base import Coefficient, Variable, named, register
from scalescope.laws.logistic_compute import LogisticCompute


@register
class ScaleRL(LogisticCompute):
    """A logistic rise of the reward with the logarithm of compute."""

    name = "scale-rl"
    title = "Reward from the compute of reinforcement learning, Khatri et al. 2025"
    family = "after-training"
    formula = "R(C) = R_0 + (A - R_0)/(1 + (C_mid/C)^B)"
    variables = named(C=Variable(column="compute", low=1e18, high=1e24, trend=1))
    coefficients = named(
        R_0=Coefficient(meaning="reward before training", example=0.3),
        A=Coefficient(meaning="reward without limit of compute", example=0.65),
        C_mid=Coefficient(meaning="compute half-way, FLOP", example=1e21, positive=True, low=1.0, high=1e40),
        B=Coefficient(
            meaning="how efficiently compute is used", example=0.9, positive=True, low=1e-3, high=50.0
        ),
    )
    linear = ("R_0", "A")
    target = "reward"
    reference = "https://arxiv.org/abs/2510.13786"
    caveats = (
        "The paper counts compute in GPU-hours; here it is FLOP, which moves C_mid and nothing else.",
        "Leave the first steps out: the rise from a cold start is no part of the curve.",
        "A curve that has not begun to bend does not show its asymptote.",
    )
