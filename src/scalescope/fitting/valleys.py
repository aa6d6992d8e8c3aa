r"""Parabolas of the loss in log size, one a budget, for many resamples of the losses at once.

With :math:`u = \ln N`, least squares of :math:`L = a_0 + a_1 (u - m) + a_2 (u - m)^2` about the mean
:math:`m` of the budget; the minimum is at :math:`u^* = m - a_1 / 2 a_2` with
:math:`L^* = a_0 - a_1^2 / 4 a_2`, and the delta method gives the variance of both in
units of the residual variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalescope.points import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Valley:
    """One budget's design; everything about it that does not depend on the losses."""

    compute: float
    rows: npt.NDArray[np.intp]
    """Index of each run, shape (n,)."""
    log_size: Array
    log_tokens: Array
    basis: Array
    """Columns 1, u - m, (u - m)^2, shape (n, 3)."""
    inverse: Array
    """(X'X)^-1, shape (3, 3)."""

    @classmethod
    def build(
        cls, *, compute: float, rows: npt.NDArray[np.intp], log_size: Array, log_tokens: Array
    ) -> Valley:
        """Prepare the least squares of one budget; needs three distinct sizes."""
        centred = log_size - log_size.mean()
        basis = np.stack([np.ones_like(centred), centred, centred**2], axis=1)
        return cls(
            compute=compute,
            rows=rows,
            log_size=log_size,
            log_tokens=log_tokens,
            basis=basis,
            inverse=np.linalg.inv(basis.T @ basis),
        )

    @property
    def leverage(self) -> Array:
        """Diagonal of the hat matrix, shape (n,)."""
        return np.asarray(np.einsum("ni,ij,nj->n", self.basis, self.inverse, self.basis))

    @property
    def n_free(self) -> int:
        """Runs beyond the three coefficients."""
        return len(self.rows) - 3

    def bend(self, loss: Array) -> Bend:
        """Fit losses of shape (batch, n)."""
        a = loss @ self.basis @ self.inverse
        convex = a[:, 2] > 0
        a2 = np.where(convex, a[:, 2], np.nan)
        ratio = a[:, 1] / (2 * a2)
        zero, one = np.zeros_like(ratio), np.ones_like(ratio)
        by_u = np.stack([zero, -1 / (2 * a2), ratio / a2], axis=1)
        by_loss = np.stack([one, -ratio, ratio**2], axis=1)
        log_tokens = self.inverse @ self.basis.T @ self.log_tokens
        at = np.stack([one, -ratio, ratio**2], axis=1)
        return Bend(
            coefficients=a,
            fitted=a @ self.basis.T,
            log_size=self.log_size.mean() - ratio,
            loss=a[:, 0] - a[:, 1] * ratio / 2,
            log_tokens=at @ log_tokens,
            size_variance=np.einsum("bi,ij,bj->b", by_u, self.inverse, by_u),
            loss_variance=np.einsum("bi,ij,bj->b", by_loss, self.inverse, by_loss),
        )

    def raw_coefficients(self, a: Array) -> tuple[float, float, float]:
        """Coefficients about the mean as coefficients of 1, u, u^2."""
        m = self.log_size.mean()
        return float(a[0] - a[1] * m + a[2] * m**2), float(a[1] - 2 * a[2] * m), float(a[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend:
    """Parabolas of one budget, one a resample; nan where it has no minimum."""

    coefficients: Array
    """About the mean of u, shape (batch, 3)."""
    fitted: Array
    """Shape (batch, n)."""
    log_size: Array
    """Of the minimum, shape (batch,), like all that follow."""
    loss: Array
    log_tokens: Array
    size_variance: Array
    """Of `log_size`, over the residual variance."""
    loss_variance: Array
