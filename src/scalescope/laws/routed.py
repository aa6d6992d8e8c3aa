r"""Loss of routed networks from dense size and experts, Clark et al. (2022).

.. math:: \log_{10} L = a \log_{10} N + b \log_{10} \hat E + c \log_{10} N \log_{10} \hat E + d

with the saturated expert count :math:`\hat E` of `scalescope.laws.experts` between :math:`E_{start}` and
:math:`E_{max}`. N counts the dense network that the experts were added to. Source:
https://arxiv.org/abs/2202.01169, eq. 1 and 2 and table 3.
"""

from __future__ import annotations

from itertools import product
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from scalescope.laws.base import Array, Coefficient, Law, Published, Variable, named, register
from scalescope.laws.experts import saturated, saturated_slopes
from scalescope.laws.terms import stacked

TABLE_3 = "https://arxiv.org/abs/2202.01169, table 3"
RERUN = "https://arxiv.org/abs/2202.01169, a new fit to its published curves"
RANGES = MappingProxyType({"N": (1.5e7, 1.3e9), "E": (1.0, 512.0)})
NAMES = ("a", "b", "c", "d", "E_start", "E_max")


def effective_params(theta: npt.ArrayLike, N: npt.ArrayLike, E: npt.ArrayLike) -> Array:
    """Return the size of the dense network that has the loss of a routed one.

    Parameters
    ----------
    theta
        Coefficients of the law, first axis as `Routed.coefficients`; the rest broadcasts.
    N, E
        Dense size and experts of the routed network.
    """
    a, b, c, _, start, most = np.asarray(theta, dtype=np.float64)
    log_N, log_E = np.log10(np.asarray(N)), np.log10(saturated(np.asarray(E), start, most))
    log_start = np.log10(start)
    log_size = ((a + c * log_E) * log_N + b * (log_E - log_start)) / (a + c * log_start)
    return np.asarray(10.0**log_size)


def cutoff_params(theta: npt.ArrayLike) -> Array:
    """Return the dense size beyond which experts no longer lower the loss: 10**(-b/c)."""
    _, b, c, *_ = np.asarray(theta, dtype=np.float64)
    return np.asarray(10.0 ** (-b / c))


def _published(values: tuple[float, ...], source: str, note: str = "") -> Published:
    return Published(
        coefficients=dict(zip(NAMES, values, strict=True)),
        source=source,
        verified=True,
        note=note,
        ranges=RANGES,
    )


@register
class Routed(Law):
    """A power law in size whose exponent shrinks with experts, and in experts with size."""

    name = "routed"
    title = "Loss from dense size and experts, Clark et al. 2022"
    family = "sparse"
    formula = "log10 L = a log10 N + b log10 Ehat + c log10 N log10 Ehat + d"
    variables = named(
        N=Variable(column="params", low=1e7, high=2e9, trend=-1, meaning="parameters of the dense network"),
        E=Variable(column="experts", low=1.0, high=512.0, trend=-1),
    )
    coefficients = named(
        a=Coefficient(meaning="size exponent of one expert", example=-0.083, low=-3.0, high=3.0),
        b=Coefficient(meaning="expert exponent at one parameter", example=-0.118, low=-3.0, high=3.0),
        c=Coefficient(
            meaning="how much size takes from the exponent of experts", example=0.0099, low=-1.0, high=1.0
        ),
        d=Coefficient(meaning="logarithm of the loss at one parameter", example=1.1136, low=-10.0, high=10.0),
        E_start=Coefficient(
            meaning="count that a dense network stands for", example=2.07, positive=True, low=0.1, high=20.0
        ),
        E_max=Coefficient(
            meaning="count that no number of experts exceeds",
            example=239.0,
            positive=True,
            low=25.0,
            high=1e5,
        ),
    )
    reference = "https://arxiv.org/abs/2202.01169, eq. 1 and 2"
    caveats = (
        "The token count is fixed, at 130 billion in the paper: the law says nothing about data.",
        "Above the cut-off size 10^(-b/c) the law says that experts hurt; that is beyond its data.",
        "The cut-off moves tenfold with the third digit of c: use unrounded coefficients for it.",
        "One router a fit; N is the dense network, not the parameters of all experts.",
    )
    published = MappingProxyType(
        {
            "clark2022-sbase": _published((-0.082, -0.108, 0.009, 1.104, 1.847, 314.478), TABLE_3),
            "clark2022-rlr": _published((-0.083, -0.126, 0.012, 1.111, 1.880, 469.982), TABLE_3),
            "clark2022-hash": _published((-0.087, -0.136, 0.012, 1.157, 4.175, 477.741), TABLE_3),
            "rerun-sbase": _published(
                (-0.083, -0.118, 0.0099, 1.1136, 2.07, 238.7), RERUN, "Closer to the curves than table 3."
            ),
            "rerun-rlr": _published((-0.0827, -0.1234, 0.0112, 1.107, 1.72, 470.05), RERUN),
            "rerun-hash": _published((-0.0874, -0.1384, 0.0126, 1.1595, 4.27, 427.3), RERUN),
        }
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        a, b, c, d, start, most = theta
        log_N, log_E = np.log10(x["N"]), np.log10(saturated(x["E"], start, most))
        return np.asarray(10.0 ** (a * log_N + b * log_E + c * log_N * log_E + d))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, b, c, _, start, most = theta
        log_N, log_E = np.log10(x["N"]), np.log10(saturated(x["E"], start, most))
        by_start, by_most = saturated_slopes(x["E"], start, most)
        loss = self.value(theta, **x)
        slope = loss * np.log(10.0)
        turn = loss * (b + c * log_N)
        return stacked(
            slope * log_N, slope * log_E, slope * log_N * log_E, slope, turn * by_start, turn * by_most
        )

    def starts(self, target: Array, **x: Array) -> Array:
        """E_start and E_max on a grid; for each the rest solves log L, which is linear in it."""
        rows = []
        for start, most in product((1.2, 2.0, 4.0, 8.0), (60.0, 250.0, 500.0, 2000.0)):
            log_N, log_E = np.log10(x["N"]), np.log10(saturated(x["E"], np.array(start), np.array(most)))
            columns = np.stack([log_N, log_E, log_N * log_E, np.ones_like(log_N)], axis=1)
            rows.append((*np.linalg.lstsq(columns, np.log10(target), rcond=None)[0], start, most))
        low, high = self.bounds()
        return np.clip(np.array(rows), low, high)
