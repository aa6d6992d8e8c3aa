r"""Best loss against compute from a fitted family, and the compute that another variant needs for it.

Compute is what was counted: :math:`C = \kappa N^p D` with :math:`\kappa, p` of the variant's own runs, so
that attention, experts and whatever else a variant costs is charged (p is 1 and :math:`\kappa` 6 where C = 6
N D). On the surface :math:`E + A N^{-\alpha} + B D^{-\beta}` the best N at C obeys
:math:`\alpha A N^{-\alpha} = p \beta B D^{-\beta}`, and the best loss is a power law again:

.. math:: L^*(C) = E + K C^{-\gamma}, \quad \gamma = \frac{\alpha\beta}{\alpha + p\beta}, \quad
          K = A \left(1 + \frac{\alpha}{p\beta}\right)
              \left(\frac{\alpha A}{p \beta B}\right)^{-\alpha/(\alpha + p\beta)} \kappa^\gamma .

With equal E the multiplier is a power law in turn, of exponent :math:`\gamma_v/\gamma_b - 1`:

.. math:: \ln m(C) = \frac{\ln K_b - \ln K_v + \gamma_v \ln C}{\gamma_b} - \ln C .
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalescope.fitting.multipliers.family import Family, Index
from scalescope.fitting.multipliers.pooled import Pooled, is_surface
from scalescope.points import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What all fits of one comparison have in common."""

    x: Array
    """Centred logarithms, shape (n_terms, n)."""
    centre: Array
    """What was taken off, shape (n_terms,)."""
    variant: Index
    cost: Array
    """ln kappa and p of every variant, shape (n_variants, 2); unused without a surface."""

    @classmethod
    def of(cls, pooled: Pooled) -> Setup:
        """Surface where sizes and tokens can be told apart in every variant, else compute alone."""
        if not is_surface(pooled):
            return cls.of_compute(np.log(pooled.compute), pooled.variant)
        raw = np.log(np.stack([pooled.size, pooled.tokens]))
        cost = [
            np.polyfit(raw[0, rows], np.log(pooled.compute[rows]) - raw[1, rows], 1)[::-1]
            for rows in map(pooled.of, range(len(pooled.names)))
        ]
        centre = raw.mean(axis=1)
        return cls(x=raw - centre[:, None], centre=centre, variant=pooled.variant, cost=np.array(cost))

    @classmethod
    def of_compute(cls, log_compute: Array, variant: Index) -> Setup:
        """Compute alone, shape (n,)."""
        centre = np.array([log_compute.mean()])
        n_variants = int(variant.max()) + 1
        cost = np.zeros((n_variants, 2))
        return cls(x=(log_compute - centre[0])[None], centre=centre, variant=variant, cost=cost)

    def beside(self, variant: int) -> Setup:
        """The baseline and one variant alone."""
        rows = np.flatnonzero((self.variant == 0) | (self.variant == variant))
        numbers = (self.variant[rows] == variant).astype(np.intp)
        return Setup(x=self.x[:, rows], centre=self.centre, variant=numbers, cost=self.cost[[0, variant]])

    @property
    def surface(self) -> bool:
        """Whether size and tokens are two terms."""
        return len(self.x) == 2

    @property
    def n_variants(self) -> int:
        """The baseline among them."""
        return len(self.cost)

    def family(self, *, rates: Index | None = None, floors: Index | None = None) -> Family:
        """Laws with these groups of exponents and of E by variant; all shared where not given."""
        shared = np.zeros(self.n_variants, dtype=np.intp)
        return Family(
            x=self.x,
            variant=self.variant,
            rates=shared if rates is None else rates,
            floors=shared if floors is None else floors,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontiers:
    """Best loss against compute of every variant, shape (batch, n_variants) each."""

    floor: Array
    """E."""
    log_scale: Array
    """ln K."""
    exponent: Array
    """gamma."""

    @classmethod
    def of(cls, setup: Setup, family: Family, u: Array) -> Frontiers:
        """From coefficients of shape (batch, m)."""
        e, s, r = family.places()
        floor, rates = np.exp(u[:, e]), np.exp(u[:, r])
        # Scales at the origin, not at the centre of the data.
        scales = u[:, s] + rates * setup.centre[:, None]
        if not setup.surface:
            return cls(floor=floor, log_scale=scales[:, 0], exponent=rates[:, 0])
        log_a, log_b, alpha, beta = scales[:, 0], scales[:, 1], rates[:, 0], rates[:, 1]
        log_kappa, p = setup.cost[:, 0], setup.cost[:, 1]
        whole = alpha + p * beta
        ratio = np.log(alpha) + log_a - np.log(p * beta) - log_b
        gamma = alpha * beta / whole
        log_k = log_a + np.log1p(alpha / (p * beta)) - alpha / whole * ratio + gamma * log_kappa
        return cls(floor=floor, log_scale=log_k, exponent=gamma)

    def loss(self, variant: int, compute: Array) -> Array:
        """Best loss at each compute, shape (batch, len(compute))."""
        v = variant
        above = np.exp(self.log_scale[:, [v]] - self.exponent[:, [v]] * np.log(compute))
        return np.asarray(self.floor[:, [v]] + above)

    def log_multiplier(self, variant: int, compute: Array) -> Array:
        """Log of the compute the baseline, variant 0, needs over that of the variant, (batch, len(compute)).

        Infinite where the baseline never gets there.
        """
        with np.errstate(all="ignore"):
            above = self.loss(variant, compute) - self.floor[:, [0]]
            needed = (self.log_scale[:, [0]] - np.log(above)) / self.exponent[:, [0]]
        return np.asarray(np.where(above > 0, needed - np.log(compute), np.inf))

    def log_growth(self, variant: int) -> Array:
        """Change of the log multiplier by one of log compute, where E is common, shape (batch,)."""
        return np.asarray(self.exponent[:, variant] / self.exponent[:, 0] - 1)


def best_size(setup: Setup, family: Family, u: Array, variant: int, compute: float) -> float:
    """N on the frontier of a surface."""
    _, s, r = family.places()
    alpha, beta = np.exp(u[r[:, variant]])
    log_a, log_b = u[s[:, variant]] + np.array([alpha, beta]) * setup.centre
    log_kappa, p = setup.cost[variant]
    ratio = np.log(alpha) + log_a - np.log(p * beta) - log_b
    return float(np.exp((ratio + beta * (np.log(compute) - log_kappa)) / (alpha + p * beta)))
