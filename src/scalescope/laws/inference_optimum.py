r"""The best size when the model will also be used: training and inference paid from one budget.

Sardana et al. (2024, https://arxiv.org/abs/2401.00448, eq. 1 and 3) minimise

.. math:: 6 N D_{\mathrm{tr}} + 2 N D_{\mathrm{inf}} \quad \text{with} \quad L(N, D_{\mathrm{tr}}) = \ell

With :math:`\epsilon_N = \alpha A N^{-\alpha}` and :math:`\epsilon_D = \beta B D_{\mathrm{tr}}^{-\beta}` the
optimum has

.. math:: \frac{\epsilon_N}{\epsilon_D} = 1 + \frac{D_{\mathrm{inf}}}{3 D_{\mathrm{tr}}}

and so does the lowest loss for a given total. Both sides are monotone along either constraint, so bisection
finds the one solution. `theta` holds the coefficients of the law `chinchilla` on its first axis; the rest
broadcasts against the other arguments. Demand is taken as given: it does not depend on size or quality.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from scalescope.laws.base import Array

TRAINING: Final = 6.0
"""FLOP per parameter and training token."""
INFERENCE: Final = 2.0
"""FLOP per parameter and token served, prompt or answer."""
_HALVINGS: Final = 70


def inference_aware_size(
    theta: npt.ArrayLike, loss: npt.ArrayLike, tokens_inference: npt.ArrayLike
) -> tuple[Array, Array]:
    """Return the size and training tokens that reach a loss for the least FLOP of training and inference.

    Parameters
    ----------
    theta
        Coefficients of `chinchilla`, first axis in their order.
    loss
        To be reached, nats per token. At or below E no run reaches it and the answer is nan.
    tokens_inference
        Tokens served over the life of the model, prompts and answers; 0 is training alone.

    Returns
    -------
    tuple
        Parameters and training tokens, each of the broadcast shape.
    """
    E, A, B, alpha, beta = np.asarray(theta, dtype=np.float64)
    served = np.asarray(tokens_inference, dtype=np.float64)
    above = np.asarray(loss, dtype=np.float64) - E
    reachable = above > 0
    log_above = np.log(np.where(reachable, above, 1.0))

    def at(share: Array) -> tuple[Array, Array]:
        """Size and tokens where the size term is this share (as a logit) of what is above E."""
        log_N = (np.log(A) - log_above + np.logaddexp(0, -share)) / alpha
        log_D = (np.log(B) - log_above + np.logaddexp(0, share)) / beta
        return np.asarray(log_N), np.asarray(log_D)

    def excess(share: Array) -> Array:
        _, log_D = at(share)
        return np.asarray(share + np.log(alpha / beta) - np.log1p(served / 3 * np.exp(-log_D)))

    shape = np.broadcast_shapes(log_above.shape, served.shape, np.shape(alpha))
    log_N, log_D = at(_bisect(excess, np.full(shape, -60.0), np.full(shape, 60.0)))
    return np.where(reachable, np.exp(log_N), np.nan), np.where(reachable, np.exp(log_D), np.nan)


def inference_aware_size_for_compute(
    theta: npt.ArrayLike, compute: npt.ArrayLike, tokens_inference: npt.ArrayLike
) -> tuple[Array, Array]:
    """Return the size and training tokens of the lowest loss when training and inference share a budget.

    Parameters
    ----------
    theta
        Coefficients of `chinchilla`, first axis in their order.
    compute
        FLOP of training and inference together.
    tokens_inference
        Tokens served over the life of the model; 0 is training alone.

    Returns
    -------
    tuple
        Parameters and training tokens, each of the broadcast shape.
    """
    _, A, B, alpha, beta = np.asarray(theta, dtype=np.float64)
    C, served = np.asarray(compute, dtype=np.float64), np.asarray(tokens_inference, dtype=np.float64)
    shape = np.broadcast_shapes(C.shape, served.shape, np.shape(alpha))
    with np.errstate(divide="ignore"):
        largest = np.log(C) - np.log(INFERENCE * served)

    def tokens(log_N: Array) -> Array:
        return np.asarray((C * np.exp(-log_N) - INFERENCE * served) / TRAINING)

    def excess(log_N: Array) -> Array:
        D = np.maximum(tokens(log_N), 1e-300)
        size = np.log(alpha) + np.log(A) - alpha * log_N
        data = np.log(beta) + np.log(B) - beta * np.log(D)
        return np.asarray(data - size + np.log1p(served / (3 * D)))

    low = np.full(shape, -50.0)
    # Where nothing is served the size is bounded by one training token.
    log_N = _bisect(excess, low, np.minimum(largest, np.log(C / TRAINING)) + 0 * low)
    return np.asarray(np.exp(log_N)), tokens(log_N)


def _bisect(rising: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Root of a rising function between two bounds, all problems at once."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = rising(middle) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)
