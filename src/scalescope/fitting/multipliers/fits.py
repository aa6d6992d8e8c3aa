"""Every fit of a comparison: shared and own exponents, everything own, best runs only, and resamples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.fitting.frontier import falling_hull
from scalescope.fitting.multipliers.family import Family
from scalescope.fitting.multipliers.frontiers import Frontiers, Setup
from scalescope.fitting.multipliers.luck import Luck, luck_of
from scalescope.fitting.multipliers.pooled import Pooled
from scalescope.fitting.multipliers.result import SharingTest
from scalescope.fitting.multipliers.sharing import check_sharing, rates_freeing
from scalescope.points import Array

SHARED, OWN, ALL_OWN, HULL = "shared exponents", "own exponents", "everything own", "best runs only"
"""Names of the forms: E and exponents common; E common; nothing common; E + K C^-gamma through the lower
hull of each variant's runs, E and gamma common, so that the lever is one multiplier on compute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Frontiers of one form: of the runs, and of every resample."""

    value: Frontiers
    draws: Frontiers


@dataclass(frozen=True, slots=True, kw_only=True)
class Fits:
    """All fits of one comparison."""

    setup: Setup
    family: Family
    """Of the headline."""
    u: Array
    """Its coefficients, shape (m,)."""
    final: Drawn
    """Frontiers of the headline: exponents shared by those variants that may."""
    free: Drawn
    """Frontiers under own exponents."""
    forms: dict[str, Drawn]
    tests: list[SharingTest]
    """Of every variant but the baseline."""
    luck: Luck
    log_loss: Array
    """Shape (n,)."""
    losses: Array
    """Log losses of every resample, shape (resamples, n)."""

    @property
    def residuals(self) -> Array:
        """Measured less fitted log loss of the headline, shape (n,)."""
        return np.asarray(self.log_loss - self.family.predicted(self.u[None])[0])

    def coefficients(self, variant: int) -> dict[str, float]:
        """E, A, B, alpha and beta of a variant under the headline; empty where there is no surface."""
        if not self.setup.surface:
            return {}
        e, s, r = self.family.places()
        alpha, beta = (float(one) for one in np.exp(self.u[r[:, variant]]))
        log_a, log_b = self.u[s[:, variant]] + np.array([alpha, beta]) * self.setup.centre
        named = (np.exp(self.u[e[variant]]), np.exp(log_a), np.exp(log_b), alpha, beta)
        return dict(zip(("E", "A", "B", "alpha", "beta"), map(float, named), strict=True))


def fit_all_forms(pooled: Pooled, *, resamples: int, seed: int, alpha: float) -> Fits:
    """Fit every form to the runs and to fresh losses made of the fit with own exponents and the noise."""
    rng = np.random.default_rng(seed)
    setup, y = Setup.of(pooled), np.log(pooled.loss)
    each = np.arange(setup.n_variants)
    shared = setup.family()
    u = shared.fit(y)
    own = setup.family(rates=each)
    u_own = own.fit(y, own.from_shared(shared, u[None]))
    at_own = own.predicted(u_own[None])[0]
    luck = luck_of(y - at_own, own.slopes(u_own[None])[0], pooled.trunks, pooled.pairs)
    tests = check_sharing(setup, y, luck.draw(resamples, rng), alpha)
    losses = at_own + luck.draw(resamples, rng)
    forms = {
        SHARED: _drawn(setup, shared, u, losses),
        OWN: _drawn(setup, own, u_own, losses),
    }
    apart = setup.family(rates=each, floors=each)
    forms[ALL_OWN] = _drawn(setup, apart, apart.fit(y, apart.from_shared(own, u_own[None])), losses)
    hull = _hull_form(pooled, y, losses)
    if setup.surface and hull is not None:
        forms[HULL] = hull
    freed = [v for v, test in enumerate(tests, start=1) if not test.shared]
    if not freed:
        family, best, final = shared, u, forms[SHARED]
    elif len(freed) == setup.n_variants - 1:
        family, best, final = own, u_own, forms[OWN]
    else:
        family = setup.family(rates=rates_freeing(setup.n_variants, freed))
        best = family.fit(y, family.from_shared(shared, u[None]))
        final = _drawn(setup, family, best, losses)
    return Fits(
        setup=setup,
        family=family,
        u=best,
        final=final,
        free=forms[OWN],
        forms=forms,
        tests=tests,
        luck=luck,
        log_loss=y,
        losses=losses,
    )


def _drawn(setup: Setup, family: Family, u: Array, losses: Array) -> Drawn:
    return Drawn(
        value=Frontiers.of(setup, family, u[None]),
        draws=Frontiers.of(setup, family, family.refit(losses, u)),
    )


def _hull_form(pooled: Pooled, y: Array, losses: Array) -> Drawn | None:
    """One multiplier on compute, from the runs on each variant's lower hull; None where they are too few."""
    log_c = np.log(pooled.compute)
    chosen = []
    for v in range(len(pooled.names)):
        rows = pooled.of(v)
        hull = rows[falling_hull(log_c[rows], y[rows])]
        if len(hull) < 3:
            return None
        chosen.append(hull)
    kept = np.concatenate(chosen)
    setup = Setup.of_compute(log_c[kept], pooled.variant[kept])
    family = setup.family()
    return _drawn(setup, family, family.fit(y[kept]), losses[:, kept])
