"""What a training step does between matrix products, each with its gradient written by hand.

At widths of 16 to 200 a step spends as long in small operations, and in starting them, as in matrix products.
These functions pass over memory seldom, write in place what nobody reads again, and keep no graph. A function
`x_back` takes the gradient of what `x` returned, and may overwrite what it is given. Activations are
(tokens, width), heads are (heads, batch, time, head_size).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EPSILON = 1e-6
QUERY_BLOCK = 64
"""Queries that attend together. Their keys end where they end, so most of what is masked is never made."""


def normalise(x: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
    """Root-mean-square norm (Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467), and 1 / rms."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    scale = norm.mul_(norm).div_(x.shape[-1]).add_(EPSILON).rsqrt_()
    return torch.mul(x, scale).mul_(gain), scale


def normalise_back(
    grad: Tensor, x: Tensor, gain: Tensor, scale: Tensor, *, to_x: Tensor, to_gain: Tensor
) -> None:
    """Add the gradients of `x` and `gain` to `to_x`, that of the residual stream, and `to_gain`."""
    product = grad * x
    along = torch.mv(product, gain).unsqueeze(-1).mul_(scale).mul_(scale).mul_(scale).div_(-x.shape[-1])
    to_x.addcmul_(grad.mul_(gain), scale).addcmul_(x, along)
    to_gain.addmv_(product.mT, scale.squeeze(-1))


def make_turns(
    context: int, head_size: int, n_heads: int, n_kv_heads: int, *, base: float = 10_000.0
) -> Tensor:
    """Make what each pair of a head is multiplied by, as complex numbers (https://arxiv.org/abs/2104.09864).

    Queries also carry the 1 / sqrt(head_size) of attention, and values stay as they are, so that one product
    does it all. Shape (heads, 1, context, head_size / 2, 2) for the heads of queries, keys and values.
    """
    speeds = base ** -(torch.arange(0, head_size, 2, dtype=torch.float64) / head_size)
    angles = torch.outer(torch.arange(context, dtype=torch.float64), speeds)
    turns = torch.stack((angles.cos(), angles.sin()), -1).repeat(n_heads + 2 * n_kv_heads, 1, 1, 1, 1)
    turns[:n_heads] *= head_size**-0.5
    turns[n_heads + n_kv_heads :] = torch.tensor([1.0, 0.0])
    return turns.float()


def turn_heads(rows: Tensor, turns: Tensor, batch: int) -> Tensor:
    """Split (tokens, heads * head_size) into heads and turn neighbouring pairs by their position."""
    heads, _, time, half, _ = turns.shape
    pairs = torch.view_as_complex(rows.to(turns.dtype).view(batch, time, heads, half, 2))
    out = turns.new_empty(heads, batch, time, half, 2)
    torch.mul(pairs.permute(2, 0, 1, 3), torch.view_as_complex(turns), out=torch.view_as_complex(out))
    return out.flatten(3).to(rows.dtype)


def turn_heads_back(grad: Tensor, turns: Tensor) -> Tensor:
    """Turn back, and put the heads of a token side by side."""
    heads, batch, time, size = grad.shape
    pairs = torch.view_as_complex(torch.unflatten(grad.to(turns.dtype), 3, (-1, 2)))
    back = torch.view_as_complex(turns).conj().resolve_conj()
    out = turns.new_empty(batch, time, heads, size // 2, 2)
    torch.mul(pairs, back, out=torch.view_as_complex(out).permute(2, 0, 1, 3))
    return out.view(batch * time, heads * size).to(grad.dtype)


def make_mask() -> Tensor:
    """Make what is added to the scores of a block of queries and keys of the same places."""
    return torch.full((QUERY_BLOCK, QUERY_BLOCK), -torch.inf).triu(1)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Causal attention over (n, time, size), queries scaled before; also the weights of each block."""
    out, weights = [], []
    for start, stop in _blocks(query):
        scores = torch.bmm(query[:, start:stop], key[:, :stop].mT)
        scores[:, :, start:] += mask[: stop - start, : stop - start]
        weights.append(torch.softmax(scores, -1, out=scores))
        out.append(torch.bmm(scores, value[:, :stop]))
    return torch.cat(out, 1), weights


def attend_back(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weights: list[Tensor],
    *,
    out: Sequence[Tensor],
) -> None:
    """Write the gradients of queries, keys and values into the three tensors of `out`."""
    of_query, of_key, of_value = out
    for (start, stop), weight in reversed(list(zip(_blocks(query), weights, strict=True))):
        rows = grad[:, start:stop]
        of_weight = torch.bmm(rows, value[:, :stop].mT)
        of_scores = torch._softmax_backward_data(of_weight, weight, -1, weight.dtype)
        of_query[:, start:stop] = torch.bmm(of_scores, key[:, :stop])
        if stop == query.shape[1]:  # the last block has all keys
            torch.bmm(of_scores.mT, query[:, start:stop], out=of_key)
            torch.bmm(weight.mT, rows, out=of_value)
        else:
            of_key[:, :stop] += torch.bmm(of_scores.mT, query[:, start:stop])
            of_value[:, :stop] += torch.bmm(weight.mT, rows)


def _blocks(query: Tensor) -> list[tuple[int, int]]:
    time = query.shape[1]
    return [(start, min(start + QUERY_BLOCK, time)) for start in range(0, time, QUERY_BLOCK)]


def gate(opening: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """`silu(opening) * value` (SwiGLU, Shazeer 2020, https://arxiv.org/abs/2002.05202), and the silu."""
    silu = torch.ops.aten.silu(opening)
    return silu * value, silu


def gate_back(grad: Tensor, opening: Tensor, value: Tensor, silu: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of `opening` and `value`."""
    of_value = silu.mul_(grad)
    return torch.ops.aten.silu_backward(grad.mul_(value), opening), of_value


def cross_entropy(logits: Tensor, targets: Tensor, z_loss: float = 0.0) -> tuple[Tensor, Tensor]:
    """Sum over tokens in nats, and the gradient of `logits` in their place.

    The gradient, not the sum, has the penalty `z_loss` times the square of the log of the softmax's sum.
    """
    index = targets.unsqueeze(-1)
    normaliser = torch.logsumexp(logits, -1, keepdim=True) if z_loss else None
    torch.softmax(logits, -1, out=logits)
    loss = logits.gather(-1, index).log_().sum().neg_()
    if normaliser is not None:
        logits.mul_(normaliser.mul_(2 * z_loss).add_(1))
    logits.scatter_add_(-1, index, logits.new_full((), -1.0).expand(index.shape))
    return loss, logits
