r"""All parameters from those without embeddings, Pearce and Song (2024).

.. math:: N = N_{\mathrm{ne}} + \omega N_{\mathrm{ne}}^{p}, \quad p = 1/3

Width grows as about the cube root of the size without embeddings, and embeddings as the width. At small sizes
embeddings are most of the model, which is why Kaplan et al. and Hoffmann et al. find different exponents of
the best size on what can be one surface.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register


@register
class TotalSize(Law):
    """The blocks themselves plus embeddings that grow as a power of them."""

    name = "total-size"
    title = "All parameters from those without embeddings, Pearce and Song 2024"
    family = "shape"
    formula = "T(N) = N + omega N^p"
    variables = named(
        N=Variable(column="params_nonembedding", low=1e3, high=1e10, trend=1, meaning="without embeddings")
    )
    coefficients = named(
        omega=Coefficient(meaning="scale of the embeddings", example=47491.0, positive=True),
        p=Coefficient(
            meaning="exponent of the embeddings", example=1 / 3, positive=True, low=0.01, high=0.99
        ),
    )
    linear = ("omega",)
    target = "params"
    count = "params_nonembedding"
    reference = "https://arxiv.org/abs/2406.12907"
    caveats = (
        "Holds for one vocabulary and one family of shapes; tied embeddings halve omega.",
        "The table must count N as all parameters, since these are predicted.",
    )
    published = MappingProxyType(
        {
            "pearce2024": Published(
                coefficients={"omega": 47491.0, "p": 1 / 3},
                source="https://arxiv.org/abs/2406.12907",
                count="params_nonembedding",
                verified=True,
                note="With p held at 1/3. The shapes of Hoffmann et al. with tied embeddings give 58,000.",
            ),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted number of all parameters; `theta` is ordered as `coefficients`."""
        omega, p = theta
        return np.asarray(x["N"] + omega * x["N"] ** p)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        omega, p = theta
        log_N = np.log(x["N"])
        power = np.exp(p * log_N)
        return np.stack(np.broadcast_arrays(power, omega * power * log_N))

    def starts(self, target: Array, **x: Array) -> Array:
        """Powers on a grid; the embeddings are what is left at the smallest model."""
        smallest = int(np.argmin(x["N"]))
        left = max(target[smallest] - x["N"][smallest], 1e-3 * target[smallest])
        return np.array([(left / x["N"][smallest] ** p, p) for p in (0.1, 1 / 3, 0.6)])
