"""What a model keeps of a text while it writes: keys and values, or a state."""

from __future__ import annotations

from scalescope.cost.groups import mixer_costs
from scalescope.cost.shape import Shape


def cache_numbers(shape: Shape, tokens: int) -> int:
    """Count the numbers kept of one text of so many tokens; times their width they are bytes.

    Keys and values of every layer with attention, of at most the window; latent attention keeps its narrow
    vector and the rotary part of the key (https://arxiv.org/abs/2405.04434). A state space keeps its state
    and the inputs of its convolution, whatever the length.
    """
    return sum(cost.kept(shape, tokens) for cost in mixer_costs(shape))
