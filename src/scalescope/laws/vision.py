r"""Error of image classifiers from compute: Zhai et al. (2021).

.. math:: E(C) = a + b\,(C + d)^{-c}

C is counted in core-days of a TPU v3, as the paper prints it: those of a column of that name, never FLOP.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.terms import stacked


@register
class Vision(Law):
    """A power law in shifted compute: it levels off at both ends."""

    name = "vision"
    title = "Error of image classifiers from compute, Zhai et al. 2021"
    family = "modalities"
    formula = "E(C) = a + b/(C + d)^c"
    variables = named(C=Variable(column="tpu_core_days", low=0.02, high=1e4, trend=-1))
    coefficients = named(
        a=Coefficient(meaning="error that compute does not remove", example=0.1, low=0.0, high=1.0),
        b=Coefficient(meaning="scale of what finite compute costs", example=0.5, positive=True),
        c=Coefficient(meaning="exponent", example=0.33, positive=True, low=0.01, high=5.0, start=(0.1, 1.0)),
        d=Coefficient(
            meaning="compute that stands for the error at none, core-days",
            example=0.3,
            positive=True,
            low=1e-8,
            high=1e6,
            start=(1e-3, 10.0),
        ),
    )
    linear = ("a", "b")
    target = "error"
    reference = "https://arxiv.org/abs/2106.04560, section 3.1"
    caveats = (
        "C is in core-days of a TPU v3: at most 5.3e18 FLOP each, at 61.5e12 FLOP/s a core.",
        "What share of that was used is not known, so the printed numbers are not converted to FLOP.",
        "The frontier of many models, each the best for its compute.",
    )
    published = MappingProxyType(
        {
            "zhai2021-finetuned": Published(
                coefficients={"a": 0.09, "b": 0.26, "c": 0.35, "d": 0.01},
                source="https://arxiv.org/abs/2106.04560, figure 2",
                verified=True,
                note="ImageNet error after fine-tuning.",
            ),
            "zhai2021-10-shot": Published(
                coefficients={"a": 0.12, "b": 0.63, "c": 0.32, "d": 0.52},
                source="https://arxiv.org/abs/2106.04560, figure 2",
                verified=True,
                note="ImageNet error of a linear classifier on 10 images a class.",
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted error; `theta` is ordered as `coefficients`."""
        a, b, c, d = theta
        return np.asarray(a + b * (x["C"] + d) ** -c)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, b, c, d = theta
        log_C = np.log(x["C"] + d)
        fall = np.exp(-c * log_C)
        return stacked(np.ones_like(fall), fall, -b * fall * log_C, -b * c * fall / (x["C"] + d))
