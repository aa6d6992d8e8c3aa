r"""The gated delta rule in chunks (Yang et al. 2024, https://arxiv.org/abs/2412.06464).

.. math:: S_t = a_t S_{t-1} + \beta_t k_t (v_t - a_t S_{t-1}^\top k_t)^\top, \qquad o_t = S_t^\top q_t

Inside a chunk the corrections solve one triangular system (the WY form of Yang et al.,
https://arxiv.org/abs/2406.06484); they are what the tokens write less what the state before the chunk already
holds. A chunk then maps the state linearly, so that the loop over chunks is one product a step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scalescope.training.blocks.bands import blocks_of
from scalescope.training.blocks.scan import decays_between, sums_of, wide


def gated_delta_scan(
    query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor, strength: Tensor, chunk: int
) -> Tensor:
    r"""Return what every query reads from the state, in the shape of `value`.

    Parameters
    ----------
    query, key
        (batch, heads, time, size); keys of length 1.
    value
        (batch, heads, time, width).
    log_decay
        Logarithm of a, not above 0, (batch, heads, time).
    strength
        The :math:`\beta` of the formula: from 0, keep the state, to 1, replace what it holds for this key.
    chunk
        Tokens of one triangular system.
    """
    time, width = value.shape[-2:]
    chunk = min(chunk, time)
    with torch.autocast(query.device.type, enabled=False):
        query, key, value, strength = (
            blocks_of(wide(x), chunk) for x in (query, key, value, strength.unsqueeze(-1))
        )
        total = sums_of(log_decay, chunk)
        between = decays_between(total, query.dtype)
        from_start = total.exp().to(query.dtype).unsqueeze(-1)
        stressed = strength * key
        system = (stressed @ key.mT) * between
        targets = torch.cat((strength * value, stressed * from_start), -1)
        solved: Tensor = torch.linalg.solve_triangular(system, targets, upper=False, unitriangular=True)
        written, known = solved[..., :width], solved[..., width:]
        weights = (query @ key.mT) * between
        if query.shape[2] == 1:
            return (weights @ written).flatten(2, 3)
        states = _states(key, written, known, total)
        mixed = weights @ (written - known @ states) + (query * from_start) @ states
        return mixed.flatten(2, 3)[:, :, :time]


def _states(key: Tensor, written: Tensor, known: Tensor, total: Tensor) -> Tensor:
    """Return the state before each chunk, (batch, heads, chunks, size, width)."""
    fading = (key * (total[..., -1:] - total).exp().to(key.dtype).unsqueeze(-1)).mT
    passed = total[..., -1].exp().to(key.dtype)
    unchanged = torch.eye(key.shape[-1], dtype=key.dtype, device=key.device)
    maps = (passed[..., None, None] * unchanged - fading @ known).flatten(0, 1)
    updates = (fading @ written).flatten(0, 1)
    added, changes = (
        updates.unbind(1),
        maps.unbind(1),
    )  # once: the gradient of an index is as long as the whole
    states = [torch.zeros_like(added[0]), added[0]]
    for update, change in zip(added[1:-1], changes[1:-1], strict=True):
        states.append(torch.baddbmm(update, change, states[-1]))
    return torch.unflatten(torch.stack(states, 1), 0, key.shape[:2])
