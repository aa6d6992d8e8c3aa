"""Seconds of collectives in a training step: which links a group of ranks goes through, and what travels.

Ranks are placed as Megatron-LM places them: tensor parallelism innermost, then context, then data, the
pipeline outermost (Narayanan et al. 2021, https://arxiv.org/abs/2104.04473). A ring moves 2 (n-1)/n of the
bytes in an all-reduce and (n-1)/n in a gather or scatter. Where a group spans nodes its ring leaves each node
once, so that its members on one node pool their shares of the way out (all-reduces over four nodes go at half
the speed with half the devices of each, https://github.com/NVIDIA/nccl/issues/1168); groups beside each other
divide it. An all-to-all cannot pool: every rank sends its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalescope.cost.layouts import Layouts
from scalescope.cost.payloads import (
    EXCHANGES,
    EXCHANGES_AGAIN,
    REDUCTIONS,
    REDUCTIONS_AGAIN,
    RING_TURNS,
    keys_and_values,
    sent_to_experts,
)
from scalescope.cost.shape import Shape
from scalescope.cost.step_constants import Number, StepConstants

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a step-time model takes from a data sheet."""

    flop_per_s: float
    """Dense peak of the type that multiplies."""
    bytes_per_s: float
    """Of the memory."""
    near_bytes_per_s: float
    """One way, of one device, to the others of its node."""
    far_bytes_per_s: float
    """One way, of one device's share, to other nodes."""
    node: int = 8
    """Devices that the near link joins."""
    attention_flop_per_s: float | None = None
    """Where attention multiplies in another type than the matrices."""


@dataclass(frozen=True, slots=True)
class Links:
    """The ways of one machine, at the shares of them that are reached."""

    node: int
    near: Number
    far: Number
    latency_s: Number

    @classmethod
    def of(cls, hardware: Hardware, constants: StepConstants) -> Links:
        """Take the rates of a data sheet and the shares of them that are reached."""
        return cls(
            hardware.node,
            constants.near * hardware.near_bytes_per_s,
            constants.far * hardware.far_bytes_per_s,
            constants.latency_s,
        )

    def ring(self, ranks: Whole, stride: Whole | int) -> Floats:
        """Bytes a second of a ring over ranks that lie `stride` apart."""
        together = np.clip(self.node // np.asarray(stride), 1, ranks)
        return np.where(ranks * stride <= self.node, self.near, np.minimum(self.far * together, self.near))

    def exchange(self, sent: Floats, ranks: Whole, stride: Whole | int) -> Floats:
        """Seconds of an all-to-all in which every rank keeps its own part of what it sends."""
        together = np.clip(self.node // np.asarray(stride), 1, ranks)
        inside = sent * (together - 1.0) / ranks / self.near
        outside = sent * (ranks - together) / ranks / self.far
        return np.asarray(np.maximum(inside, outside) + self.latency_s, dtype=np.float64)


def layer_seconds(shape: Shape, layouts: Layouts, links: Links, stream: Floats, again: Floats) -> Floats:
    """Return the seconds of one layer's collectives of tensor, context and expert parallelism in one pass.

    Tensor parallelism reduces four times (Shoeybi et al. 2019, https://arxiv.org/abs/1909.08053), six with
    full recomputation; context parallelism hands keys and values round; experts are sent tokens and back.
    `payloads` says what each carries.

    Parameters
    ----------
    stream
        Bytes of the activations between layers in one pass of one rank.
    again
        1 where blocks are computed again, else 0.
    """
    tp, cp, ep = layouts.tp, layouts.cp, layouts.ep
    total: Floats = np.zeros(len(layouts))
    if np.any(tp > 1):
        reduced = 2.0 * (tp - 1.0) / tp * stream / links.ring(tp, 1) + links.latency_s
        total = total + np.where(tp > 1, (REDUCTIONS + REDUCTIONS_AGAIN * again) * reduced, 0.0)
    if np.any(cp > 1):
        own = keys_and_values(shape, stream, tp)
        handed = own * (cp - 1.0) / links.ring(cp, tp) + links.latency_s
        total = total + np.where(cp > 1, (RING_TURNS + again) * handed, 0.0)
    if shape.experts is not None and np.any(ep > 1):
        sent = links.exchange(sent_to_experts(shape, stream, tp), ep, tp * cp)
        total = total + np.where(ep > 1, (EXCHANGES + EXCHANGES_AGAIN * again) * sent, 0.0)
    return total


def hand_over(layouts: Layouts, links: Links, stream: Floats) -> Floats:
    """Seconds in which one micro-batch passes on to the next stage and its gradient back.

    Every tensor-parallel rank sends its part, and those that hold the stream whole gather it again (Narayanan
    et al. 2021, section 4.1).
    """
    tp = layouts.tp
    way = np.where(layouts.devices <= links.node, links.near, links.far)
    whole = np.where(layouts.sequence_parallel == 1, 0.0, (tp - 1.0) / tp)
    seconds = stream / tp / way + whole * stream / links.ring(tp, 1)
    return np.where(layouts.pp > 1, 2.0 * layouts.virtual_stages * seconds, 0.0)
