r"""Linear attention with a decay of each head, in chunks: the scan of retention and of Mamba-2.

.. math:: S_t = a_t S_{t-1} + k_t v_t^\top, \qquad o_t = S_t^\top q_t

Within a chunk all pairs are products of matrices; between chunks only the state passes on (the dual form of
Dao & Gu 2024, section 6 of https://arxiv.org/abs/2405.21060). Nothing of length x length is made or kept.
Decays and states are in fp32 at least, under autocast too; sums of log decays are in fp64, since the
difference of two large sums would lose a weak decay that follows strong ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from scalescope.training.blocks.bands import blocks_of


def decayed_scan(query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor, chunk: int) -> Tensor:
    """Return what every query reads from the state, in the shape of `value`.

    Parameters
    ----------
    query, key
        (batch, groups, time, size); heads of a group share them.
    value
        (batch, groups, heads, time, width).
    log_decay
        Logarithm of a, not above 0, (batch or 1, groups, heads, time or 1).
    chunk
        Tokens whose pairs are compared at once.
    """
    time = query.shape[-2]
    chunk = min(chunk, time)
    with torch.autocast(query.device.type, enabled=False):
        query, key, value = (blocks_of(wide(x), chunk) for x in (query, key, value))
        total = sums_of(log_decay, chunk)
        weights = (query @ key.mT).unsqueeze(2) * decays_between(total, query.dtype)
        mixed = weights @ value
        if query.shape[2] > 1:
            mixed = mixed + _from_before(query, key, value, total)
        return mixed.flatten(-3, -2)[..., :time, :]


def _from_before(query: Tensor, key: Tensor, value: Tensor, total: Tensor) -> Tensor:
    """What queries read from the chunks before their own; heads of a group side by side in one product."""
    heads, dtype = value.shape[2], query.dtype
    to_end = (total[..., -1:] - total).exp().to(dtype).unsqueeze(-1)
    written = (value * to_end).movedim(2, -2).flatten(-2)
    updates = torch.unflatten(key.mT @ written, -1, (heads, -1))
    passed = total[..., -1].exp().to(dtype).movedim(2, -1)  # (batch, groups, chunks, heads)
    states = _carry(updates, passed.unsqueeze(-2).unsqueeze(-1))
    read = torch.unflatten(query @ states.flatten(-2), -1, (heads, -1)).movedim(-2, 2)
    return read * total.exp().to(dtype).unsqueeze(-1)


def _carry(updates: Tensor, passed: Tensor) -> Tensor:
    """Return the state before each chunk, (batch, groups, chunks, ...), from what each adds and lets pass."""
    fading = passed.expand(-1, -1, updates.shape[2], -1, -1, -1)
    added, shares = (
        updates.unbind(2),
        fading.unbind(2),
    )  # once: the gradient of an index is as long as the whole
    states = [torch.zeros_like(added[0]), added[0]]
    for update, share in zip(added[1:-1], shares[1:-1], strict=True):
        states.append(torch.addcmul(update, share, states[-1]))
    return torch.stack(states, 2)


def sums_of(log_decay: Tensor, chunk: int) -> Tensor:
    """Sum log decays from the start of each chunk, (..., chunks, chunk); one chunk where all are alike."""
    log_decay = log_decay.double()
    if log_decay.shape[-1] == 1:
        return (log_decay * torch.arange(1, chunk + 1, device=log_decay.device)).unsqueeze(-2)
    padded = F.pad(log_decay, (0, -log_decay.shape[-1] % chunk))
    return torch.unflatten(padded, -1, (-1, chunk)).cumsum(-1)


def decays_between(total: Tensor, dtype: torch.dtype) -> Tensor:
    """Decay from each token of a chunk to each later one, (..., chunk, chunk); 0 towards the past."""
    between = (total.unsqueeze(-1) - total.unsqueeze(-2)).to(dtype)
    future = torch.ones(between.shape[-2:], dtype=torch.bool, device=total.device).triu(1)
    return between.masked_fill_(future, float("-inf")).exp_()  # in place: the largest tensor of a scan


def wide(x: Tensor) -> Tensor:
    """Return numbers of at least 32 bits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
