r"""What quantising the weights of a trained network costs: Kumar et al. (2024).

.. math:: \delta(N, D, P) = C_T \frac{D^{\gamma_D}}{N^{\gamma_N}} e^{-P/\gamma_P}

Networks trained on more data lose more, so that past some token count further training makes the quantised
network worse.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.terms import stacked


@register
class PostTrainingQuantisation(Law):
    """Rise of the loss with tokens, its fall with size and with bits."""

    name = "post-training-quantisation"
    title = "What quantising a trained network costs, Kumar et al. 2024"
    family = "precision"
    formula = "delta = C_T D^gamma_D / N^gamma_N exp(-P/gamma_P)"
    variables = named(
        N=Variable(column="params", low=1e7, high=1e10, trend=-1),
        D=Variable(column="tokens", low=1e9, high=1e12, trend=1),
        P=Variable(column="bits_serving", low=2.0, high=8.0, logarithmic=False, trend=-1),
    )
    coefficients = named(
        C_T=Coefficient(meaning="scale", example=0.06, positive=True),
        gamma_D=Coefficient(meaning="data exponent", example=0.5, low=-3.0, high=5.0, start=(0.1, 1.0)),
        gamma_N=Coefficient(meaning="size exponent", example=0.35, low=-3.0, high=5.0, start=(0.1, 1.0)),
        gamma_P=Coefficient(
            meaning="bits that lower the cost by a factor e",
            example=0.6,
            positive=True,
            low=0.02,
            high=20.0,
            start=(0.2, 2.0),
        ),
    )
    linear = ("C_T",)
    target = "loss_increase"
    reference = (
        "https://arxiv.org/abs/2411.04330, section 3 (the last term of eq. 9 at full training precision)"
    )
    caveats = (
        "For networks trained at full precision; training in few bits lowers the cost.",
        "The constants hold for one way of quantising (GPTQ on weights); others cost more or less.",
        "A rise of zero or less has no logarithm: fit it on the raw scale.",
    )
    published = MappingProxyType(
        {
            "kumar2024": Published(
                coefficients={"C_T": 0.0598, "gamma_D": 0.5068, "gamma_N": 0.3439, "gamma_P": 0.5907},
                source="https://arxiv.org/abs/2411.04330, eq. 9 and its fitted constants",
                verified=True,
            )
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted rise of the loss, nats per token; `theta` is ordered as `coefficients`."""
        scale, gamma_D, gamma_N, gamma_P = theta
        exponent = gamma_D * np.log(x["D"]) - gamma_N * np.log(x["N"]) - x["P"] / gamma_P
        return np.asarray(scale * np.exp(exponent))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        scale, _, _, gamma_P = theta
        value = self.value(theta, **x)
        return stacked(
            value / scale, value * np.log(x["D"]), -value * np.log(x["N"]), value * x["P"] / gamma_P**2
        )
