r"""The mixture with the lowest loss under laws of mixing, for many sets of coefficients at once.

With the laws of `scalescope.laws.data_mixing` the loss that counts is
:math:`\sum_i q_i (c_i + \exp(\sum_j t_{ij} r_j))`, which is convex in the shares r, so that whatever lowest
point is found is the only one. Steps are multiplicative (exponentiated gradient, Kivinen and Warmuth 1997,
https://doi.org/10.1006/inco.1996.2612): shares stay above zero and sum to one.
"""

from __future__ import annotations

import numpy as np

from scalescope.points import Array

STEPS = 600


def lowest(target: Array, t: Array, least: Array) -> Array:
    """Return the best shares of every set of coefficients, shape (n, k).

    Parameters
    ----------
    target
        Weight of each source's loss, shape (k,).
    t
        Coefficients of the laws, shape (n, source judged, source read).
    least
        Shares below which none is looked for, shape (k,); they sum to less than one.
    """
    room = 1.0 - least.sum()
    s = np.full((len(t), t.shape[-1]), 1.0 / t.shape[-1])
    rate = np.ones(len(t))
    value, slope = _loss(target, t, least + room * s)
    for _ in range(STEPS):
        move = slope * room
        move = move - move.min(axis=1, keepdims=True)
        tried = s * np.exp(-rate[:, None] * move)
        tried /= tried.sum(axis=1, keepdims=True)
        tried_value, tried_slope = _loss(target, t, least + room * tried)
        better = tried_value <= value
        s[better], slope[better], value[better] = tried[better], tried_slope[better], tried_value[better]
        rate = np.where(better, rate * 1.5, rate * 0.5)
    shares: Array = least + room * s
    return shares


def _loss(target: Array, t: Array, shares: Array) -> tuple[Array, Array]:
    """Return what is above the floors, and its derivative by the shares."""
    above = target * np.exp(np.einsum("nij,nj->ni", t, shares))
    return above.sum(axis=1), np.einsum("ni,nij->nj", above, t)
