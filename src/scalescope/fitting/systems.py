"""Many small symmetric systems at once, by Cholesky's method along the batch."""

from __future__ import annotations

import numpy as np

from scalescope.points import Array

JITTER = 1e-13
"""Added to a diagonal of ones: keeps singular systems solvable, far below any curvature that counts."""


def solve_systems(matrices: Array, right: Array) -> Array:
    """Solve positive semi-definite systems after scaling their diagonals to one; a hopeless one gives zero.

    A routine of LAPACK per system costs more in calls than in arithmetic: here every step of the elimination
    runs over the whole batch.

    Parameters
    ----------
    matrices
        Shape (batch, m, m).
    right
        Shape (batch, m).
    """
    m = right.shape[1]
    diagonal = np.maximum(np.einsum("bmm->mb", matrices), 1e-300)
    scale = 1 / np.sqrt(diagonal)
    with np.errstate(all="ignore"):
        lower = np.moveaxis(matrices, 0, 2) * scale[:, None] * scale[None, :]
        out = right.T * scale
        for j in range(m):
            pivot = lower[j, j] + JITTER
            if j:
                pivot = pivot - np.einsum("jb,jb->b", lower[j, :j], lower[j, :j])
            root = np.sqrt(np.maximum(pivot, JITTER))
            lower[j, j] = root
            if j + 1 < m:
                below = lower[j + 1 :, j]
                if j:
                    below = below - np.einsum("ijb,jb->ib", lower[j + 1 :, :j], lower[j, :j])
                lower[j + 1 :, j] = below / root
            out[j] = out[j] / root
            if j + 1 < m:
                out[j + 1 :] -= lower[j + 1 :, j] * out[j]
        for j in range(m - 1, -1, -1):
            out[j] = out[j] / lower[j, j]
            if j:
                out[:j] -= lower[j, :j] * out[j]
        out *= scale
    return np.where(np.isfinite(out).all(axis=0), out, 0.0).T
