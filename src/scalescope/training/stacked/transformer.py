"""The transformer that studies train: decoder-only, in the manner of Llama, made for small widths.

RMSNorm before each half block, rotary positions, grouped key/value heads, gated feed-forward, no biases.
The matrices of all layers are stacked in one parameter per kind: the optimiser then treats equal shapes in
one batched call. Every matrix has the width as its rows, whether it reads the residual stream (`x @ matrix`)
or writes it (`h @ matrix.mT`): the gradients of such wide matrices are the faster ones to compute.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.training.blocks.cross_entropy import cross_entropy_of_logits
from scalescope.training.stacked.gradients import Constants, MeanLoss, Parameters
from scalescope.training.stacked.kernels import EPSILON, make_mask, make_turns

Watch = Callable[[str, Tensor], None]

LONGEST_EXPLICIT = 512
"""Sequences up to this length have their attention weights kept; longer ones go through autograd and SDPA."""


class StackedTransformer(nn.Module):
    """A decoder-only transformer of a given `Shape`."""

    turns: Tensor
    mask: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        L, d, f, V = shape.n_layers, shape.width, shape.feed_forward, shape.vocabulary
        columns = (shape.n_heads + 2 * shape.n_kv_heads) * shape.head_size
        # Matrices start at unit spectral scale, and what writes into the residual stream starts at zero,
        # so that every width starts as the same function (https://arxiv.org/abs/2310.17813).
        self.qkv = nn.Parameter(torch.randn(L, d, columns) * d**-0.5)
        self.attention_out = nn.Parameter(torch.zeros(L, d, d))
        self.gate_up = nn.Parameter(torch.randn(L, 2, d, f) * d**-0.5)
        self.down = nn.Parameter(torch.zeros(L, d, f))
        self.norms = nn.Parameter(torch.ones(2 * L + 1, d))
        # Where it is the head, too, logits then start alike at every width.
        self.embedding = nn.Parameter(torch.randn(V, d) * (1 / d if shape.tied else 1.0))
        self.head = self.embedding if shape.tied else nn.Parameter(torch.zeros(V, d))
        turns = make_turns(shape.context, shape.head_size, shape.n_heads, shape.n_kv_heads)
        self.register_buffer("turns", turns, persistent=False)
        self.register_buffer("mask", make_mask(), persistent=False)

    def forward(self, tokens: Tensor, watch: Watch | None = None) -> Tensor:
        """Logits of the next token, (batch, time, vocabulary), for `tokens` of (batch, time).

        `watch` is shown what each part gives, by its name in the general network.
        """
        x = F.embedding(tokens, self.embedding)
        show = watch or _ignore
        show("embedding", x)
        for layer in range(self.shape.n_layers):
            attended = self._attend(self._norm(x, 2 * layer) @ self.qkv[layer])
            mixed = attended @ self.attention_out[layer].mT
            show(f"blocks.{layer}.mixer", mixed)
            x = x + mixed
            h = self._norm(x, 2 * layer + 1)
            gate, up = self.gate_up[layer]
            fed = (F.silu(h @ gate) * (h @ up)) @ self.down[layer].mT
            show(f"blocks.{layer}.feed", fed)
            x = x + fed
        logits = self._norm(x, -1) @ self.head.mT
        show("head", logits)
        return logits

    def _norm(self, x: Tensor, index: int) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.norms[index], EPSILON)

    def _attend(self, qkv: Tensor) -> Tensor:
        heads, kv_heads, size = self.shape.n_heads, self.shape.n_kv_heads, self.shape.head_size
        pairs = torch.view_as_complex(torch.unflatten(qkv.to(self.turns.dtype), -1, (-1, size // 2, 2)))
        turns = torch.view_as_complex(self.turns)[:, 0, : qkv.shape[1]]
        turned = torch.view_as_real(pairs.transpose(1, 2) * turns).flatten(3).to(qkv.dtype)
        query, key, value = torch.split(turned, [heads, kv_heads, kv_heads], 1)
        out = F.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=1.0, enable_gqa=heads != kv_heads
        )
        return out.transpose(1, 2).flatten(2)

    def loss(
        self, tokens: Tensor, targets: Tensor, *, reduction: str = "mean", z_loss: float = 0.0
    ) -> Tensor:
        """Cross-entropy in nats per token of tokens and targets, both (batch, time).

        A mean whose gradient is wanted comes with that gradient: `gradients` computes it by hand. The penalty
        `z_loss` is in the gradient alone, see `blocks.cross_entropy`.
        """
        explicit = tokens.device.type == "cpu" and tokens.shape[1] <= LONGEST_EXPLICIT
        if reduction == "mean" and torch.is_grad_enabled() and explicit:
            return MeanLoss.apply(tokens, targets, self._constants(z_loss), *self._named())  # type: ignore[no-any-return, no-untyped-call]
        return cross_entropy_of_logits(self(tokens), targets, reduction=reduction, z_loss=z_loss)[0]

    def _named(self) -> Parameters:
        return Parameters(**{name: getattr(self, name) for name in Parameters._fields})

    def _constants(self, z_loss: float = 0.0) -> Constants:
        autocast = torch.is_autocast_enabled("cpu")
        return Constants(
            turns=self.turns,
            mask=self.mask,
            n_heads=self.shape.n_heads,
            n_kv_heads=self.shape.n_kv_heads,
            dtype=torch.get_autocast_dtype("cpu") if autocast else self.norms.dtype,
            z_loss=z_loss,
        )


def _ignore(name: str, value: Tensor) -> None:
    """Watch nothing."""
