"""Many small symmetric systems at once."""

from __future__ import annotations

import numpy as np

from scalescope.points import Array

JITTER = 1e-13
"""Added to a diagonal of ones: keeps singular systems solvable, far below any curvature that counts."""


FEW = 300
"""Systems up to which LAPACK's calls cost less than those of numpy."""


def solve_systems(matrices: Array, right: Array) -> Array:
    """Solve positive semi-definite systems after scaling their diagonals to one; a hopeless one gives zero.

    A routine of LAPACK per system costs more in calls than in arithmetic: for many of them every step of
    Cholesky's elimination runs over the whole batch instead.

    Parameters
    ----------
    matrices
        Shape (batch, m, m).
    right
        Shape (batch, m).
    """
    scale = 1 / np.sqrt(np.maximum(np.einsum("bmm->bm", matrices), 1e-300))
    with np.errstate(all="ignore"):
        if len(right) <= FEW:
            out = _by_lapack(matrices * scale[:, :, None] * scale[:, None, :], right * scale)
        else:
            columns = scale.T
            lower = np.moveaxis(matrices, 0, 2) * columns[:, None] * columns[None, :]
            out = _along_the_batch(lower, right.T * columns).T
        out = out * scale
    return np.where(np.isfinite(out).all(axis=1)[:, None], out, 0.0)


def _by_lapack(scaled: Array, right: Array) -> Array:
    usable = np.asarray(np.isfinite(scaled).all(axis=(1, 2)) & np.isfinite(right).all(axis=1))
    identity = np.eye(right.shape[1])
    scaled = np.where(usable[:, None, None], scaled, identity) + JITTER * identity
    right = np.where(usable[:, None], right, 0.0)
    try:
        return np.asarray(np.linalg.solve(scaled, right[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:  # one of them is exactly singular in spite of the jitter
        return _along_the_batch(np.moveaxis(scaled, 0, 2).copy(), right.T.copy()).T


def _along_the_batch(lower: Array, out: Array) -> Array:
    """Factorise and solve in place; matrices of shape (m, m, batch), right-hand sides (m, batch)."""
    m = len(out)
    for j in range(m):
        pivot = lower[j, j] + JITTER
        if j:
            pivot = pivot - np.einsum("jb,jb->b", lower[j, :j], lower[j, :j])
        lower[j, j] = np.sqrt(np.maximum(pivot, JITTER))
        if j + 1 < m:
            below = lower[j + 1 :, j]
            if j:
                below = below - np.einsum("ijb,jb->ib", lower[j + 1 :, :j], lower[j, :j])
            lower[j + 1 :, j] = below / lower[j, j]
        out[j] = out[j] / lower[j, j]
        if j + 1 < m:
            out[j + 1 :] -= lower[j + 1 :, j] * out[j]
    for j in range(m - 1, -1, -1):
        out[j] = out[j] / lower[j, j]
        if j:
            out[:j] -= lower[j, :j] * out[j]
    return out
