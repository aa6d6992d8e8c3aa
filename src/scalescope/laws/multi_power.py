r"""A whole training curve from its learning-rate schedule: the multi-power law of Luo et al. (2025).

.. math:: L(t) = L_0 + A S_1(t)^{-\alpha}
          - B \sum_{k \le t} (\eta_{k-1} - \eta_k) \left(1 - (C \eta_k^{-\gamma} S_k(t) + 1)^{-\beta}\right)

with :math:`S_1(t)` the sum of all rates up to :math:`t` and :math:`S_k(t) = \sum_{\tau=k}^t \eta_\tau` that
since the rate fell to :math:`\eta_k`: every fall of the rate pays off bit by bit, as training goes on.

The inner sum runs over the points where the rate differs from the point before; a rate that holds adds
nothing, exactly. Between two points the rate is taken to run straight (see `rate_sums`) and its whole fall to
happen midway, at the mean of the two rates, which also keeps a last rate of zero finite.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from scalescope.laws.base import Array, Coefficient, Law, named, register, standard_starts
from scalescope.laws.rate_sums import CURVE_VARIABLES, Walk, curve_design
from scalescope.laws.terms import power_term, stacked

_PAIRS = 1_000_000
"""Points times falls times coefficient vectors worked on at once, so that memory stays bounded."""


@register
class MultiPower(Law):
    """A power law in the summed rate, less what each fall of the rate has paid off so far."""

    name = "multi-power"
    title = "A training curve from its learning-rate schedule, Luo et al. 2025"
    family = "curves"
    formula = "L(t) = L_0 + A/S1^alpha - B sum_k (eta_(k-1) - eta_k) (1 - (C eta_k^-gamma S_k + 1)^-beta)"
    variables = CURVE_VARIABLES
    coefficients = named(
        L_0=Coefficient(
            meaning="loss that no training removes", example=2.6, positive=True, low=1e-3, high=20.0
        ),
        A=Coefficient(meaning="scale of what is still to learn", example=0.5, positive=True),
        alpha=Coefficient(
            meaning="exponent of the summed rate",
            example=0.5,
            positive=True,
            low=0.01,
            high=5.0,
            start=(0.2, 1.0),
        ),
        B=Coefficient(meaning="gain from a fall of the rate by one", example=150.0, positive=True),
        beta=Coefficient(
            meaning="exponent at which a fall pays off",
            example=0.5,
            positive=True,
            low=0.02,
            high=10.0,
            start=(0.2, 2.0),
        ),
        C=Coefficient(
            meaning="how soon a fall pays off",
            example=0.2,
            positive=True,
            low=1e-6,
            high=1e6,
            start=(0.02, 5.0),
        ),
        gamma=Coefficient(
            meaning="how much sooner at a lower rate", example=0.5, low=-1.0, high=3.0, start=(0.1, 1.0)
        ),
    )
    linear = ("L_0", "A", "B")
    reference = "https://arxiv.org/abs/2503.12811"
    caveats = (
        "Leave the warm-up out: the rate is taken to be that of a curve's first point since step 0.",
        "Work grows with the square of the points of a curve whose rate keeps changing; 100 are enough.",
        "Where a fall pays off slowly beta ends at its lower limit, and B grows as it falls: read B beta.",
        "B and beta, C, gamma trade off unless schedules differ in how long they train at a low rate.",
    )

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted loss, nats per token; `theta` is ordered as `coefficients`."""
        L_0, A, alpha, B, beta, C, gamma = theta
        S1, (paid,) = _payoff(x, (beta, C, gamma), with_slopes=False)
        return np.asarray(L_0 + A * S1**-alpha - B * paid)

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        _, A, alpha, B, beta, C, gamma = theta
        S1, (paid, by_beta, by_C, by_gamma) = _payoff(x, (beta, C, gamma), with_slopes=True)
        _, fall, by_alpha = power_term(A, alpha, S1)
        return stacked(np.ones_like(fall), fall, by_alpha, -paid, -B * by_beta, -B * by_C, -B * by_gamma)

    def starts(self, target: Array, **x: Array) -> Array:
        """Fewer than the standard number, since the inner sum is dear."""
        return standard_starts(self, target, x, n=16)

    def design(self, n: int = 64) -> dict[str, Array]:
        """Points of four curves under different schedules."""
        return curve_design(n)


def _payoff(x: dict[str, Array], theta: tuple[Array, ...], *, with_slopes: bool) -> tuple[Array, list[Array]]:
    """S1, and the inner sum for B = 1 with its derivatives by beta, C and gamma where asked for."""
    walk = Walk.along(x["curve"], x["step"], x["rate"])
    total = walk.rate_sum()
    beta, C, gamma = np.broadcast_arrays(*(np.asarray(one) for one in theta))
    batch = beta.shape[:-1] if beta.ndim and beta.shape[-1] == 1 else beta.shape
    flat = [one.reshape(-1, 1, 1) for one in (beta, C, gamma)]
    sums = [
        np.zeros((flat[0].shape[0], len(total)), dtype=flat[0].dtype) for _ in range(4 if with_slopes else 1)
    ]
    for rows, falls, rates, since in _falls(walk, total, flat[0].shape[0]):
        for out, part in zip(sums, _paid(flat, falls, rates, since), strict=False):
            out[:, rows] = part
    return walk.restored(total), [walk.restored(one.reshape(*batch, len(total))) for one in sums]


def _falls(walk: Walk, total: Array, batch: int) -> Iterator[tuple[slice, Array, Array, Array]]:
    """Yield blocks of points of a curve: their places, falls, rates, and S_k (zero before a fall)."""
    change, middle = walk.before - walk.after, (walk.before + walk.after) / 2
    # Half of an interval's area lies after the middle of its fall, give or take how the rate bends inside it.
    placed = total - walk.span * (middle + walk.after) / 4
    ends = [*np.flatnonzero(walk.first), len(total)]
    for start, end in pairwise(ends):
        events = start + np.flatnonzero(change[start:end])
        if not events.size:
            continue
        block = max(1, _PAIRS // (events.size * batch))
        for at in range(int(events[0]), end, block):
            rows = slice(at, min(at + block, end))
            known = events[events < rows.stop]
            since = total[rows, None] - placed[known]
            reached: npt.NDArray[np.bool_] = known <= np.arange(rows.start, rows.stop)[:, None]
            yield rows, change[known], middle[known], np.where(reached, np.maximum(since, 0.0), 0.0)


def _paid(theta: list[Array], falls: Array, rates: Array, since: Array) -> Iterator[Array]:
    """Yield the sum over falls, shape (batch, points), then its derivatives by beta, C and gamma."""
    beta, C, gamma = theta
    log_rates = np.log(rates)
    grown = C * np.exp(-gamma * log_rates) * since
    log_left = np.log1p(grown)
    left = np.exp(-beta * log_left)
    yield -(falls * np.expm1(-beta * log_left)).sum(axis=-1)
    yield (falls * left * log_left).sum(axis=-1)
    by_log = falls * beta * left * grown / (1 + grown)
    yield by_log.sum(axis=-1) / C[..., 0]
    yield -(by_log * log_rates).sum(axis=-1)
