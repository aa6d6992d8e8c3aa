r"""May a variant share its exponents with the rest?  A nested comparison, its null drawn by training run.

The free fit gives one variant exponents of its own, E stays common. With S the sums of squared residuals of
the log loss, k the exponents freed and m the coefficients of the free fit,

.. math:: F = \frac{(S_{shared} - S_{free})/k}{S_{free}/(n - m)} .

Points of one training run share their luck, so that F does not follow its table. Its null comes from losses
made of the shared fit and fresh noise of the estimated parts (see `luck`), to which both are fitted again:
p is the share of these whose F is as large, each counted with one for the data. What is assumed: the surface
is of this form, noise of the log loss is normal, of one size for all variants and scales, and in these parts.
"""

from __future__ import annotations

import numpy as np

from scalescope.fitting.multipliers.family import Index
from scalescope.fitting.multipliers.frontiers import Setup
from scalescope.fitting.multipliers.result import SharingTest
from scalescope.points import Array


def rates_freeing(n_variants: int, own: list[int]) -> Index:
    """Groups of exponents: the variants of `own` each by itself, the rest together."""
    out = np.zeros(n_variants, dtype=np.intp)
    for number, variant in enumerate(own, start=1):
        out[variant] = number
    # With all but one freed the rest is a group of one, still numbered zero.
    return out


def check_sharing(setup: Setup, log_loss: Array, noise: Array, alpha: float) -> list[SharingTest]:
    """Test every variant but the baseline, each beside the baseline alone: others have no say in it.

    Parameters
    ----------
    setup
        Of all variants.
    log_loss
        Shape (n,).
    noise
        Fresh noise, shape (resamples, n).
    alpha
        p below which exponents are not shared.
    """
    tests = []
    for variant in range(1, setup.n_variants):
        rows = np.flatnonzero((setup.variant == 0) | (setup.variant == variant))
        tests.append(_check_pair(setup.beside(variant), log_loss[rows], noise[:, rows], alpha))
    return tests


def _check_pair(setup: Setup, log_loss: Array, noise: Array, alpha: float) -> SharingTest:
    shared = setup.family()
    u = shared.fit(log_loss)
    free = setup.family(rates=rates_freeing(2, [1]))
    start = free.from_shared(shared, u[None])
    best = free.fit(log_loss, start)
    freedom = (free.n_free - shared.n_free, max(len(log_loss) - free.n_free, 1))
    bound = shared.squares(u[None], log_loss[None])
    observed = float(_ratio(bound, free.squares(best[None], log_loss[None]), freedom)[0])
    null = shared.predicted(u[None]) + noise
    bounds = shared.squares(shared.refit(null, u), null)
    drawn = _ratio(bounds, free.squares(free.refit(null, start[0]), null), freedom)
    p_value = (1 + int((drawn >= observed).sum())) / (1 + len(drawn))
    return SharingTest(
        p_value=float(p_value),
        p_independent=_f_tail(observed, freedom),
        statistic=observed,
        freedom=freedom,
        shared=bool(p_value >= alpha),
    )


def _ratio(bound: Array, free: Array, freedom: tuple[int, int]) -> Array:
    rise = np.maximum(bound - free, 0.0) / freedom[0]
    return np.asarray(rise / np.maximum(free / freedom[1], 1e-300))


def _f_tail(statistic: float, freedom: tuple[int, int]) -> float:
    from scipy.stats import f

    return float(f.sf(statistic, *freedom))
