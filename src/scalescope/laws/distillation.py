r"""Loss of a student distilled from a teacher: Busbridge et al. (2025), eq. 8.

.. math:: L_S = L_T + L_T^{-c_0}
          \left(1 + \left(\frac{L_T}{\tilde L_S d_1}\right)^{1/f_1}\right)^{-c_1 f_1}
          \left(A' N^{-\alpha'} + B' D^{-\beta'}\right)^{\gamma'}

with :math:`\tilde L_S = E + (A N^{-\alpha} + B D^{-\beta})^\gamma` what the student would reach without a
teacher, from the same size and data. Distilled runs show :math:`\tilde L_S d_1` only, never the two apart, so
that the fitted coefficients are those of

.. math:: \tilde L_S d_1 = T \left(1 + (A_r N^{-\alpha} + B_r D^{-\beta})^\gamma\right), \qquad
          T = E d_1, \quad A_r = A E^{-1/\gamma}, \quad B_r = B E^{-1/\gamma}
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.terms import stacked


def _scale(meaning: str, example: float) -> Coefficient:
    return Coefficient(meaning=meaning, example=example, positive=True, start=(example / 1.5, example * 1.5))


def _power(meaning: str, example: float, high: float = 5.0) -> Coefficient:
    return Coefficient(
        meaning=meaning,
        example=example,
        positive=True,
        low=0.005,
        high=high,
        start=(example / 1.1, example * 1.1),
    )


@register
class Distillation(Law):
    """The teacher's loss, plus a broken power law of what the student lacks."""

    name = "distillation"
    title = "Loss of a distilled student, Busbridge et al. 2025"
    family = "precision"
    formula = (
        "L_S = L_T + L_T^-c0 (1 + (L_T/L_w)^(1/f1))^(-c1 f1) (A'/N^alpha' + B'/D^beta')^gamma';"
        " L_w = T (1 + (A_r/N^alpha + B_r/D^beta)^gamma)"
    )
    variables = named(
        L_T=Variable(column="teacher_loss", low=1.8, high=3.2, meaning="loss of the teacher"),
        N=Variable(column="params", low=1e8, high=1e10, trend=-1),
        D=Variable(column="tokens", low=2e9, high=5e11, trend=-1),
    )
    coefficients = named(
        T=_scale("loss of a teacher that is too weak for any student", 1.6),
        A_r=_scale("scale of what a finite size costs without a teacher, by E^(1/gamma)", 2160.0),
        B_r=_scale("scale of what finite data cost without a teacher, by E^(1/gamma)", 11700.0),
        alpha=_power("size exponent without a teacher", 0.408),
        beta=_power("data exponent without a teacher", 0.431),
        gamma=_power("joint exponent without a teacher", 0.452),
        A_distilled=_scale("scale of what a finite student costs", 2243.0),
        B_distilled=_scale("scale of what finite distillation data cost", 24181.0),
        alpha_distilled=_power("size exponent of the student", 0.321),
        beta_distilled=_power("data exponent of the student", 0.637),
        gamma_distilled=_power("joint exponent of the student", 0.764),
        c0=_power("power of the teacher's loss", 2.549, high=20.0),
        c1=_power("steepness of the penalty of a teacher that is too weak", 522.6, high=1e5),
        f1=_power("how gradually it sets in", 0.0905),
    )
    reference = "https://arxiv.org/abs/2502.08606, eq. 8"
    caveats = (
        "A_r to gamma come best from runs without a teacher: fit those first and fix them.",
        "c1 and T trade off unless teachers are both much better and much worse than the student.",
    )
    published = MappingProxyType(
        {
            "busbridge2025": Published(
                coefficients={
                    "T": 1.220 * 1.315,
                    "A_r": 3355.0 * 1.220 ** (-1 / 0.452),
                    "B_r": 18186.0 * 1.220 ** (-1 / 0.452),
                    "alpha": 0.408,
                    "beta": 0.431,
                    "gamma": 0.452,
                    "A_distilled": 2243.0,
                    "B_distilled": 24181.0,
                    "alpha_distilled": 0.321,
                    "beta_distilled": 0.637,
                    "gamma_distilled": 0.764,
                    "c0": 2.549,
                    "c1": 522.6,
                    "f1": 0.0905,
                },
                source="https://arxiv.org/abs/2502.08606, appendix",
                note="Remembered, not checked. Of E 1.220, A 3355, B 18186 and d1 1.315; see the formula.",
            )
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss of the student, nats per token; `theta` is ordered as `coefficients`."""
        c0 = theta[11]
        _, _, own, brake = self._penalty(theta, x)
        return np.asarray(x["L_T"] + np.exp(own + brake - c0 * np.log(x["L_T"])))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        T, A, B, alpha, beta, gamma, A2, B2, alpha2, beta2, gamma2, c0, c1, f1 = theta
        weak, ratio, own, brake = self._penalty(theta, x)
        log_T, log_N, log_D = np.log(x["L_T"]), np.log(x["N"]), np.log(x["D"])
        gap = np.exp(own + brake - c0 * log_T)
        # How the logarithm of the gap moves with that of the ratio, without its sign.
        steep = c1 / (1 + np.exp(-ratio))
        by_weak = gap * steep / weak
        size, data = np.exp(-alpha * log_N), np.exp(-beta * log_D)
        lack = A * size + B * data
        by_lack = by_weak * T * gamma * lack ** (gamma - 1)
        size2, data2 = np.exp(-alpha2 * log_N), np.exp(-beta2 * log_D)
        lack2 = A2 * size2 + B2 * data2
        by_lack2 = gap * gamma2 / lack2
        smooth = np.logaddexp(0.0, ratio)
        return stacked(
            by_weak * weak / T,
            by_lack * size,
            by_lack * data,
            -by_lack * A * size * log_N,
            -by_lack * B * data * log_D,
            by_weak * T * lack**gamma * np.log(lack),
            by_lack2 * size2,
            by_lack2 * data2,
            -by_lack2 * A2 * size2 * log_N,
            -by_lack2 * B2 * data2 * log_D,
            gap * np.log(lack2),
            -gap * log_T,
            -gap * f1 * smooth,
            gap * (steep * ratio - c1 * smooth),
        )

    @staticmethod
    def _penalty(theta: Array, x: dict[str, Array]) -> tuple[Array, Array, Array, Array]:
        """Loss of a teacher too weak, and logarithms: of the ratio to 1/f1, of the own part, of the brake."""
        T, A, B, alpha, beta, gamma, A2, B2, alpha2, beta2, gamma2, _, c1, f1 = theta
        log_N, log_D = np.log(x["N"]), np.log(x["D"])
        weak = T * (1 + (A * np.exp(-alpha * log_N) + B * np.exp(-beta * log_D)) ** gamma)
        ratio = np.log(x["L_T"] / weak) / f1
        own = gamma2 * np.log(A2 * np.exp(-alpha2 * log_N) + B2 * np.exp(-beta2 * log_D))
        brake = -c1 * f1 * np.log1p(np.exp(ratio))
        return weak, ratio, own, brake
