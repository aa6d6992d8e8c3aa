"""From the stacked model to the general network of the same function, for checkpoints and fine-tuning."""

from __future__ import annotations

import torch
from torch import Tensor

from scalescope.training.network import Network
from scalescope.training.stacked.transformer import StackedTransformer


@torch.no_grad()
def unstack(stacked: StackedTransformer) -> Network:
    """Return a network with copies of the weights; its logits are the same.

    The stacked model turns neighbouring numbers of a head together and the network those half a head apart,
    so rows of queries and keys change places.
    """
    shape = stacked.shape
    network = Network(shape)
    network.to(dtype=stacked.norms.dtype, device=stacked.norms.device)
    network.load_state_dict(_named(stacked))
    return network


def _named(stacked: StackedTransformer) -> dict[str, Tensor]:
    """The weights by the names that the network has for them."""
    shape = stacked.shape
    keys = shape.n_kv_heads * shape.head_size
    state = {
        "embedding.weight": stacked.embedding,
        "norm.weight": stacked.norms[-1],
        "head.weight": stacked.head,
    }
    for layer in range(shape.n_layers):
        query, key, value = torch.split(stacked.qkv[layer].mT, [shape.n_heads * shape.head_size, keys, keys])
        here = {
            "mixer_norm": stacked.norms[2 * layer],
            "mixer.query": halves(query, shape.head_size),
            "mixer.key": halves(key, shape.head_size),
            "mixer.value": value,
            "mixer.out": stacked.attention_out[layer],
            "feed_norm": stacked.norms[2 * layer + 1],
            "feed.gate": stacked.gate_up[layer, 0].mT,
            "feed.up": stacked.gate_up[layer, 1].mT,
            "feed.down": stacked.down[layer],
        }
        state |= {f"blocks.{layer}.{name}.weight": weight for name, weight in here.items()}
    return state


def halves(matrix: Tensor, head_size: int) -> Tensor:
    """Bring the rows of every head from pairs of neighbours into two halves: the even, then the odd ones."""
    pairs = matrix.reshape(-1, head_size // 2, 2, matrix.shape[-1])
    return pairs.transpose(1, 2).reshape(matrix.shape)
