r"""The best size for a compute, under a law and C = 6 N D, for one or very many coefficient vectors at once.

Closed forms. Chinchilla, with :math:`D = C / (6 N)`:

.. math:: N^* = \left(\frac{\alpha A}{\beta B}\right)^{1/(\alpha+\beta)} (C/6)^{\beta/(\alpha+\beta)}

Kaplan, with :math:`p = \alpha_N / \alpha_D`:

.. math:: N^* = \left(\frac{p\, N_c^p\, C}{6 D_c}\right)^{1/(1+p)}

Any other law in (N, D) or (N, C) is minimised by golden-section search in :math:`\ln N`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError
from scalescope.laws.base import Array, Law, get_law

FLOP_PER_PARAM_TOKEN: Final = 6.0
"""C = 6 N D."""

_LOG_RANGE: Final = (0.0, np.log(1e18))
_GOLDEN: Final = (np.sqrt(5) - 1) / 2


def optimal_size(law: str, theta: npt.ArrayLike, compute: npt.ArrayLike) -> Array:
    """Return the size that a law expects to be best for a compute.

    Parameters
    ----------
    law
        Name of a law in (N, D) or (N, C).
    theta
        Coefficients, first axis as `coefficients` of the law; the rest is free, such as one per resample.
    compute
        FLOP; broadcasts against the rest of `theta`: with theta of shape (k, n_resamples, 1) and compute of
        shape (n,) the result has shape (n_resamples, n).

    Raises
    ------
    InputError
        If the law does not trade size against anything.
    """
    form = get_law(law)
    if not form.is_surface:
        raise InputError(
            f"{law} has no best size: it does not weigh size against data",
            hint="Use chinchilla, isoflop or kaplan.",
        )
    coefficients, C = np.asarray(theta, dtype=np.float64), np.asarray(compute, dtype=np.float64)
    if law in CLOSED_FORMS:
        return np.asarray(CLOSED_FORMS[law](coefficients, C))
    return search_size(form, coefficients, C)


def _chinchilla(theta: Array, C: Array) -> Array:
    _, A, B, alpha, beta = theta
    # In logs: alpha A / (beta B) can be far outside the range of floats to the power 1/(alpha + beta).
    log_G = np.log(alpha) + np.log(A) - np.log(beta) - np.log(B)
    return np.asarray(np.exp((log_G + beta * np.log(C / FLOP_PER_PARAM_TOKEN)) / (alpha + beta)))


def _isoflop(theta: Array, C: Array) -> Array:
    return np.asarray(theta[3] * C ** theta[4])


def _kaplan(theta: Array, C: Array) -> Array:
    Nc, Dc, alpha_N, alpha_D = theta
    p = alpha_N / alpha_D
    return np.asarray(
        np.exp((np.log(p) + p * np.log(Nc) + np.log(C / FLOP_PER_PARAM_TOKEN) - np.log(Dc)) / (1 + p))
    )


CLOSED_FORMS: Final[dict[str, Callable[[Array, Array], Array]]] = {
    "chinchilla": _chinchilla,
    "isoflop": _isoflop,
    "kaplan": _kaplan,
}


def search_size(form: Law, theta: Array, C: Array) -> Array:
    """Minimise the loss along C = 6 N D between 1 and 1e18 parameters, all coefficient vectors at once.

    The loss along the line must have one minimum; the result is good to about 1e-8 in ln N, which is where a
    minimum drowns in the rounding of the loss.
    """
    shape = np.broadcast_shapes(theta.shape[1:], C.shape)
    low, high = (np.full(shape, bound) for bound in _LOG_RANGE)

    def loss(log_N: Array) -> Array:
        N = np.exp(log_N)
        other = {"D": C / (FLOP_PER_PARAM_TOKEN * N)} if "D" in form.variables else {"C": C + 0 * N}
        # Far from the runs a law may be beyond floats; infinity then says which side is worse.
        with np.errstate(all="ignore"):
            return form.value(theta, N=N, **other)

    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(45):
        go_left = at_left < at_right
        low, high = np.where(go_left, low, left), np.where(go_left, right, high)
        probe = np.where(go_left, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        at_probe = loss(probe)
        left, right = np.where(go_left, probe, right), np.where(go_left, left, probe)
        at_left, at_right = np.where(go_left, at_probe, at_right), np.where(go_left, at_left, at_probe)
    return np.asarray(np.exp((low + high) / 2))
