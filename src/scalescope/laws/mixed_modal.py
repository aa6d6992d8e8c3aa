r"""Loss of networks of one and of two modalities, Aghajanyan et al. (2023).

With :math:`D_1 = rD` tokens of the first modality and :math:`D_2 = (1 - r)D` of the second,

.. math::

    L_i(N, D_i) &= E_i + A_i N^{-\alpha_i} + B_i D_i^{-\beta_i} \qquad (r = 1 \text{ or } r = 0) \\
    L(N, D, r) &= \tfrac12 \left[L_1(N, D_1) + L_2(N, D_2)\right]
                  - C + A N^{-\alpha} + B D^{-\beta} \qquad (0 < r < 1)

the mean of the two, less what they teach each other, plus what they cost each other. Source:
https://arxiv.org/abs/2301.03728, eq. 3 to 5. The loss of a row is that of its modality, or the mean over
both. The coefficients of one modality come from rows of that modality alone, so a table has all three kinds
of rows; networks of one modality alone are the law `chinchilla`.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Variable, named, register
from scalescope.laws.designs import low_discrepancy
from scalescope.laws.terms import power_term, stacked


def _exponent(meaning: str, example: float) -> Coefficient:
    return Coefficient(meaning=meaning, example=example, positive=True, low=0.01, high=3.0, start=(0.08, 0.8))


@register
class MixedModal(Law):
    """Two laws of Hoffmann et al., and a third that joins them where both modalities are trained."""

    name = "mixed-modal"
    title = "Loss of one and of two modalities, Aghajanyan et al. 2023"
    family = "modalities"
    formula = (
        "L = (L1(N, rD) + L2(N, (1 - r)D))/2 - C + A/N^alpha + B/D^beta for 0 < r < 1, "
        "L1 at r = 1, L2 at r = 0; Li = E_i + A_i/N^alpha_i + B_i/D^beta_i"
    )
    variables = named(
        N=Variable(column="params", low=1e7, high=1e10, trend=-1),
        D=Variable(column="tokens", low=1e9, high=1e12, trend=-1),
        r=Variable(
            column="mixture", low=0.0, high=1.0, logarithmic=False, meaning="share of the first modality"
        ),
    )
    coefficients = named(
        E_1=Coefficient(meaning="irreducible loss of the first modality", example=1.8, low=0.0, high=20.0),
        A_1=Coefficient(meaning="scale of its size term", example=60.0, positive=True),
        B_1=Coefficient(meaning="scale of its data term", example=150.0, positive=True),
        alpha_1=_exponent("its size exponent", 0.25),
        beta_1=_exponent("its data exponent", 0.24),
        E_2=Coefficient(meaning="irreducible loss of the second modality", example=2.6, low=0.0, high=20.0),
        A_2=Coefficient(meaning="scale of its size term", example=250.0, positive=True),
        B_2=Coefficient(meaning="scale of its data term", example=700.0, positive=True),
        alpha_2=_exponent("its size exponent", 0.34),
        beta_2=_exponent("its data exponent", 0.32),
        C=Coefficient(
            meaning="most that the two modalities teach each other", example=0.3, low=-20.0, high=20.0
        ),
        A=Coefficient(meaning="scale of what sharing a finite size costs", example=100.0, positive=True),
        B=Coefficient(meaning="scale of what sharing finite data costs", example=350.0, positive=True),
        alpha=_exponent("size exponent of the competition", 0.3),
        beta=_exponent("data exponent of the competition", 0.28),
    )
    linear = ("E_1", "A_1", "B_1", "E_2", "A_2", "B_2", "C", "A", "B")
    reference = "https://arxiv.org/abs/2301.03728, eq. 3 to 5"
    caveats = (
        "Rows of one modality must be there: from mixed rows alone the constants and the scales trade.",
        "Losses of unlike modalities are per token of unlike tokenizers; the mean weighs them equally.",
        "The paper's alpha/beta: code .37/.32, image and text .12/.11, image .13/.13, molecules .37/.26.",
        "And further: speech and text .32/.24, speech .31/.24, text .18/.22; scales are not at hand.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss of a row's modality or mean over both, nats per token."""
        rest = -theta[10] + theta[11] * x["N"] ** -theta[13] + theta[12] * x["D"] ** -theta[14]
        total, both = np.zeros_like(x["D"]), np.where((x["r"] > 0) & (x["r"] < 1), 1.0, 0.0)
        for (E, A, B, alpha, beta), tokens, part in self._modalities(theta, x):
            total = total + part * (E + A * x["N"] ** -alpha + B * tokens**-beta)
        return np.asarray(total + both * rest)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first; zero for a modality that a row does not have."""
        parts: list[Array] = []
        for (_, A, B, alpha, beta), tokens, part in self._modalities(theta, x):
            _, by_A, by_alpha = power_term(A, alpha, x["N"])
            _, by_B, by_beta = power_term(B, beta, tokens)
            parts += [one * part for one in (np.ones_like(by_A), by_A, by_B, by_alpha, by_beta)]
        both = np.where((x["r"] > 0) & (x["r"] < 1), 1.0, 0.0)
        _, by_A, by_alpha = power_term(theta[11], theta[13], x["N"])
        _, by_B, by_beta = power_term(theta[12], theta[14], x["D"])
        return stacked(*parts, -both, *(one * both for one in (by_A, by_B, by_alpha, by_beta)))

    def design(self, n: int = 64) -> dict[str, Array]:
        """A third of the rows each of the first modality, of the second and of both."""
        N, D, share = (low_discrepancy(n, column) for column in range(3))
        kind = np.arange(n) % 3
        r = np.choose(kind, [np.ones(n), np.zeros(n), 0.1 + 0.8 * share])
        return {"N": 10 ** (7 + 3 * N), "D": 10 ** (9 + 3 * D), "r": r}

    @staticmethod
    def _modalities(theta: Array, x: dict[str, Array]) -> list[tuple[Array, Array, Array]]:
        """Coefficients, tokens and weight in the loss of either modality; one token where it has none."""
        out = []
        for at, share in ((0, x["r"]), (5, 1 - x["r"])):
            weight = np.where(share >= 1, 1.0, np.where(share > 0, 0.5, 0.0))
            out.append((theta[at : at + 5], np.where(share > 0, share * x["D"], 1.0), weight))
        return out
