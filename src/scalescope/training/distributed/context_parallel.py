"""Ranks that share a sequence: each has the queries of its tokens and gathers the keys and values of all.

Torch's own `context_parallel` knows no CPU. Keys and values are narrow where heads share them, so that one
gather a layer is cheap (Llama 3, https://arxiv.org/abs/2407.21783, section 3.3.2); its gradient is a
reduce-scatter.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right

from scalescope.training.blocks.attention import Attention
from scalescope.training.blocks.window import WindowAttention
from scalescope.training.distributed.exchange import gather
from scalescope.training.distributed.mesh import Ranks
from scalescope.training.network import Network


def share_sequences(network: Network, ranks: Ranks) -> None:
    """Let every attention of a network gather keys and values from the ranks of its sequence."""
    if ranks.layout.cp == 1:
        return
    for block in network.blocks.values():
        mixer = block.mixer
        assert isinstance(mixer, Attention)
        mixer.attend = partial(_attend, mixer, ranks)  # type: ignore[method-assign]


def _attend(
    mixer: Attention, ranks: Ranks, query: Tensor, key: Tensor, value: Tensor, positions: Tensor
) -> Tensor:
    """Do what `Attention.attend` does, over all tokens of the sequence."""
    key, value = _in_order(gather(torch.stack((key, value)), ranks.data.get_group("cp")))
    shared = query.shape[1] != key.shape[1]
    if isinstance(mixer, WindowAttention):
        apart = positions.unsqueeze(1) - torch.arange(key.shape[2], device=key.device)
        near = (apart <= mixer.before) & (apart >= -mixer.after)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=near, enable_gqa=shared)
    if not mixer.causal:
        return F.scaled_dot_product_attention(query, key, value, enable_gqa=shared)
    half = query.shape[2] // 2
    pieces = []
    for rows, piece in zip(query.chunk(2, 2), pieces_of(ranks.layout.cp, ranks.part), strict=True):
        seen = half * (piece + 1)
        mask: Any = causal_lower_right(half, seen)
        pieces.append(
            F.scaled_dot_product_attention(
                rows, key[:, :, :seen], value[:, :, :seen], attn_mask=mask, enable_gqa=shared
            )
        )
    return torch.cat([one.transpose(1, 2) for one in pieces], 1).transpose(1, 2)


def pieces_of(parts: int, part: int) -> tuple[int, int]:
    """Return which two of `2 * parts` pieces of a sequence a rank has: one of the front, one of the back.

    Under a causal mask that is equal work for all (Llama 3, https://arxiv.org/abs/2407.21783, section 3.3.2).
    """
    return part, 2 * parts - 1 - part


def own_tokens(context: int, parts: int, part: int) -> Tensor:
    """Return the places of a rank's tokens in the sequence."""
    pieces = torch.arange(context).chunk(2 * parts)
    return torch.cat([pieces[one] for one in pieces_of(parts, part)]) if parts > 1 else torch.arange(context)


def _in_order(gathered: Tensor) -> Tensor:
    """Put the pieces of all ranks, (ranks, ..., time, size), into the order of the sequence."""
    front, back = gathered.chunk(2, -2)
    return torch.cat((*front.unbind(), *back.flip(0).unbind()), -2)
