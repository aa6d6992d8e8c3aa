r"""What follows from :math:`L = E + A N^{-\alpha} + B D^{-\beta}` and :math:`C = 6 N D`, in closed form.

.. math::

    G = \left(\frac{\alpha A}{\beta B}\right)^{1/(\alpha+\beta)}, \quad
    a = \frac{\beta}{\alpha+\beta}, \quad b = \frac{\alpha}{\alpha+\beta}

    N^* = G\,(C/6)^a, \quad D^* = G^{-1} (C/6)^b, \quad
    L^* = E + K C^{-\gamma}, \quad \gamma = \frac{\alpha\beta}{\alpha+\beta}

after Hoffmann et al. (2022, https://arxiv.org/abs/2203.15556, eq. 4). `theta` holds the coefficients of the
law `chinchilla` on its first axis; the rest is free, such as one per resample, and broadcasts against the
other arguments. Products are formed in logarithms: a tiny :math:`\alpha + \beta` does not overflow early.
"""

from __future__ import annotations

import numpy as np

from scalescope.laws.base import Array
from scalescope.laws.optimum import FLOP_PER_PARAM_TOKEN


def allocation_constants(theta: Array) -> tuple[Array, Array, Array]:
    """Return G, a and b of N* = G (C/6)^a and D* = (C/6)^b / G.

    G is a number of parameters per FLOP^a; a + b is 1.
    """
    _, A, B, alpha, beta = theta
    log_G = (np.log(alpha) + np.log(A) - np.log(beta) - np.log(B)) / (alpha + beta)
    return np.asarray(np.exp(log_G)), np.asarray(beta / (alpha + beta)), np.asarray(alpha / (alpha + beta))


def compute_frontier(theta: Array) -> tuple[Array, Array, Array]:
    """Return E, K and gamma of L*(C) = E + K C^-gamma: the coefficients of the law `loss-compute`.

    E in nats per token, K in nats per token times FLOP^gamma.
    """
    E, A, _, alpha, beta = theta
    G, _, _ = allocation_constants(theta)
    gamma = alpha * beta / (alpha + beta)
    # At the optimum alpha A/N^alpha = beta B/D^beta, so the two terms are A/N^alpha (1 + alpha/beta).
    log_K = np.log(A) - alpha * np.log(G) + np.log1p(alpha / beta) + gamma * np.log(FLOP_PER_PARAM_TOKEN)
    return np.asarray(E), np.asarray(np.exp(log_K)), np.asarray(gamma)


def optimal_loss(theta: Array, compute: Array) -> Array:
    """Return the loss of the best size for a compute in FLOP, nats per token."""
    E, K, gamma = compute_frontier(theta)
    return np.asarray(E + K * compute**-gamma)


def equivalent_compute(theta: Array, params: Array, tokens: Array) -> Array:
    """Return the FLOP at which the best size would reach the loss of a run of this size and these tokens."""
    _, A, B, alpha, beta = theta
    _, K, gamma = compute_frontier(theta)
    above = A * params**-alpha + B * tokens**-beta
    return np.asarray(np.exp((np.log(K) - np.log(above)) / gamma))


def compute_penalty(theta: Array, params: Array, tokens: Array) -> Array:
    """Return how many times more FLOP a run spends than the best size would for the same loss; 1 or more."""
    spent = FLOP_PER_PARAM_TOKEN * params * tokens
    return np.asarray(spent / equivalent_compute(theta, params, tokens))


def tokens_per_param(theta: Array, compute: Array) -> Array:
    """Return D*/N* = (C/6)^(b - a) / G^2 at a compute in FLOP."""
    G, a, b = allocation_constants(theta)
    return np.asarray(np.exp((b - a) * np.log(compute / FLOP_PER_PARAM_TOKEN) - 2 * np.log(G)))
