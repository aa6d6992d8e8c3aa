r"""Error of contrastive image-text models from compute: Cherti et al. (2022).

.. math:: E(C) = \beta C^{-\alpha}
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.terms import power_term, stacked


@register
class Clip(Law):
    """A plain power law of an error."""

    name = "clip"
    title = "Error of contrastive image-text models from compute, Cherti et al. 2022"
    family = "modalities"
    formula = "E(C) = beta/C^alpha"
    variables = named(C=Variable(column="compute", low=1e17, high=1e23, trend=-1))
    coefficients = named(
        beta=Coefficient(meaning="scale", example=70.0, positive=True),
        alpha=Coefficient(
            meaning="exponent", example=0.11, positive=True, low=0.001, high=3.0, start=(0.02, 0.5)
        ),
    )
    linear = ("beta",)
    target = "error"
    reference = "https://arxiv.org/abs/2212.07143, section 4"
    caveats = (
        "The paper's exponents for zero-shot ImageNet, from memory, are 0.11 on LAION and 0.16 on WIT.",
        "Its scales count compute in multiply-adds and are not shipped.",
        "An error has a floor that this form lacks; do not draw it on far.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted error; `theta` is ordered as `coefficients`."""
        beta, alpha = theta
        return np.asarray(beta * x["C"] ** -alpha)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        beta, alpha = theta
        _, fall, by_alpha = power_term(beta, alpha, x["C"])
        return stacked(fall, by_alpha)
