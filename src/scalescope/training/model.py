"""The transformer that studies train: decoder-only, in the manner of Llama, made for small widths.

RMSNorm before each half block, rotary positions, grouped key/value heads, gated feed-forward, no biases.
The matrices of all layers are stacked in one parameter per kind, (n_layers, rows, columns): the
optimiser then treats equal shapes in one batched call, which is what a step of a tiny model is made of.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.training.kernels import rms_norm, rotate, swiglu, turns_of


class Transformer(nn.Module):
    """A decoder-only transformer of a given `Shape`."""

    turns: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        L, d, f, V = shape.n_layers, shape.width, shape.feed_forward, shape.vocabulary
        rows = (shape.n_heads + 2 * shape.n_kv_heads) * shape.head_size
        # Matrices start at unit spectral scale, and what writes into the residual stream starts at zero,
        # so that every width starts as the same function (https://arxiv.org/abs/2310.17813).
        self.qkv = nn.Parameter(torch.randn(L, rows, d) * d**-0.5)
        self.attention_out = nn.Parameter(torch.zeros(L, d, d))
        self.gate_up = nn.Parameter(torch.randn(L, 2 * f, d) * d**-0.5)
        self.down = nn.Parameter(torch.zeros(L, d, f))
        self.norms = nn.Parameter(torch.ones(2 * L + 1, d))
        self.embedding = nn.Parameter(torch.randn(V, d))
        self.head = self.embedding if shape.tied else nn.Parameter(torch.zeros(V, d))
        turns = turns_of(shape.context, shape.head_size, shape.n_heads + shape.n_kv_heads)
        self.register_buffer("turns", turns, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token, (batch, time, vocabulary), for `tokens` of (batch, time)."""
        gains = self.norms.unbind()
        x = F.embedding(tokens, self.embedding)
        layers = zip(
            self.qkv.unbind(),
            self.attention_out.unbind(),
            self.gate_up.unbind(),
            self.down.unbind(),
            strict=True,
        )
        for layer, (qkv, attention_out, gate_up, down) in enumerate(layers):
            attended = self._attend(F.linear(rms_norm(x, gains[2 * layer]), qkv))
            x = x + F.linear(attended, attention_out)
            hidden = F.linear(rms_norm(x, gains[2 * layer + 1]), gate_up)
            x = x + F.linear(swiglu(hidden), down)
        return F.linear(rms_norm(x, gains[-1]), self.head)

    def _attend(self, qkv: Tensor) -> Tensor:
        batch, time, _ = qkv.shape
        heads, kv_heads, size = self.shape.n_heads, self.shape.n_kv_heads, self.shape.head_size
        query_key, value = torch.split(qkv, [(heads + kv_heads) * size, kv_heads * size], -1)
        query_key = rotate(query_key, self.turns[:time]).to(value.dtype)
        query, key = torch.split(query_key.view(batch, time, -1, size).transpose(1, 2), [heads, kv_heads], 1)
        out = F.scaled_dot_product_attention(
            query,
            key,
            value.view(batch, time, kv_heads, size).transpose(1, 2),
            is_causal=True,
            enable_gqa=heads != kv_heads,
        )
        return out.transpose(1, 2).reshape(batch, time, heads * size)

    def loss(self, windows: Tensor, *, reduction: str = "mean") -> Tensor:
        """Cross-entropy in nats per token of windows (batch, time + 1)."""
        logits = self(windows[:, :-1]).float()
        return F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten(), reduction=reduction)
