"""Attention within a band: blocks of queries meet their own keys and the neighbouring blocks' alone.

Time and memory grow with the length times the width of the band, never with the square of the length.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def banded_attention(query: Tensor, key: Tensor, value: Tensor, *, before: int, after: int) -> Tensor:
    """Let every query see so many tokens before it and after it, and itself.

    Parameters
    ----------
    query, key, value
        (batch, heads, time, size); keys and values may have fewer heads.
    before, after
        Tokens on either side; `after` is 0 where none sees the future.
    """
    time, size = query.shape[-2], max(before + 1 if not after else before, after)
    queries = blocks_of(query, size)
    keys, values = (neighbours(blocks_of(x, size), after=after > 0) for x in (key, value))
    band = band_of(size, before=before, after=after, device=query.device)
    sections = []
    for start, end in _sections(queries.shape[-3], both=after > 0):
        places = torch.arange(band.shape[1], device=query.device) + (start - 1) * size
        # a query of the padding sees itself, since softmax over nothing is not a number
        exists = ((places >= 0) & (places < time)) | (_distances(band) == 0)
        here = slice(start, end)
        sections.append(_attend(queries[:, :, here], keys[:, :, here], values[:, :, here], band & exists))
    return torch.cat(sections, 2).flatten(2, 3)[:, :, :time]


def blocks_of(x: Tensor, size: int) -> Tensor:
    """Cut (..., time, width) into (..., blocks, size, width), zeros at the end."""
    missing = -x.shape[-2] % size
    padded = F.pad(x, (0, 0, 0, missing)) if missing else x
    return torch.unflatten(padded, -2, (-1, size))


def neighbours(blocks: Tensor, *, after: bool, fill: float = 0.0) -> Tensor:
    """Put before each block, (..., blocks, size, width), the one before it, and behind it the one after."""
    shifted = [F.pad(blocks[..., :-1, :, :], (0, 0, 0, 0, 1, 0), value=fill), blocks]
    if after:
        shifted.append(F.pad(blocks[..., 1:, :, :], (0, 0, 0, 0, 0, 1), value=fill))
    return torch.cat(shifted, -2)


def band_of(size: int, *, before: int, after: int, device: torch.device) -> Tensor:
    """Mask of a block of queries over the block before, its own, and where `after` is not 0 the next one."""
    band = torch.ones(size, size * (3 if after else 2), dtype=torch.bool, device=device)
    distances = _distances(band)
    return (distances <= before) & (distances >= -after)


def _distances(band: Tensor) -> Tensor:
    """Places from each query back to each key."""
    size, keys = band.shape
    here = torch.arange(size, device=band.device).unsqueeze(1) + size
    return here - torch.arange(keys, device=band.device)


def _sections(n_blocks: int, *, both: bool) -> list[tuple[int, int]]:
    """Runs of blocks that share a mask: the first lacks keys before it, the last two may lack some after."""
    cuts = sorted({0, 1, *((max(n_blocks - 2, 1), n_blocks - 1) if both else ()), n_blocks})
    return list(pairwise(cuts))


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Attend in blocks, (batch, heads, blocks, size, width), which go as heads, queries by their keys."""
    kv_heads, n_blocks = key.shape[1:3]
    shared = query.shape[1] // kv_heads
    grouped = torch.unflatten(query, 1, (kv_heads, shared)).transpose(2, 3).flatten(1, 3)
    mixed = F.scaled_dot_product_attention(
        grouped, key.flatten(1, 2), value.flatten(1, 2), attn_mask=mask, enable_gqa=shared > 1
    )
    return torch.unflatten(mixed, 1, (kv_heads, n_blocks, shared)).transpose(2, 3).flatten(1, 2)
