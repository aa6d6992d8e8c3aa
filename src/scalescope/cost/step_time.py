"""Seconds of one training step by component, for many layouts at once.

The model is a sum of what must be done, each at a share of a data-sheet rate that measurements fix
(`StepConstants`): products, attention, memory traffic, collectives, the pipeline's bubble, the optimiser, and
the host, which starts kernels. It is meant to rank layouts and, calibrated, to be right within ten percent.

Formulas: products and attention count as `scalescope.cost.flop`; collectives as in
`scalescope.cost.step_links`; a pipeline of p stages and m micro-batches idles (p-1)/m of its work, divided by
the virtual stages (Narayanan et al. 2021, https://arxiv.org/abs/2104.04473), and a third of it without them
under zero-bubble schedules (Qi et al. 2023, https://arxiv.org/abs/2401.10241). The host starts kernels while
the device works: a layer takes what takes longer of the two, softly, because forward and backward passes
differ in which of them that is.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from scalescope.cost.flop import score_flop
from scalescope.cost.layout import RECOMPUTES, SCHEDULES
from scalescope.cost.layouts import Layouts
from scalescope.cost.payloads import SHARD_GATHERS
from scalescope.cost.saved import saved_tensors
from scalescope.cost.saved_operations import share_again
from scalescope.cost.shape import Shape
from scalescope.cost.step_constants import StepConstants
from scalescope.cost.step_links import Hardware, Links, hand_over, layer_seconds

__all__ = ["OPTIMISER_BYTES", "Hardware", "StepTimes", "step_times"]

Floats = NDArray[np.float64]

OPTIMISER_BYTES = 28.0
"""That an Adam step reads and writes for one parameter with weights in 16 and states in 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """Seconds of a step, a column each; they add up to `total`."""

    compute: Floats
    tensor: Floats
    """Collectives of tensor, context and expert parallelism."""
    data: Floats
    """Weights and gradients that travel and are not hidden behind compute."""
    pipeline: Floats
    """Idle stages and what passes between them."""
    optimiser: Floats
    overhead: Floats
    """Devices that wait for the host, and what a step takes whatever its size."""

    @property
    def total(self) -> Floats:
        """The whole step."""
        parts: list[Floats] = [getattr(self, one.name) for one in fields(self)]
        return np.asarray(sum(parts), dtype=np.float64)


def step_times(
    shape: Shape,
    layouts: Layouts,
    hardware: Hardware,
    constants: StepConstants,
    *,
    global_batch: int | NDArray[np.int64],
    compute_bytes: int = 2,
    gradient_bytes: int = 2,
    fused_attention: bool = True,
) -> StepTimes:
    """Return the seconds of one step by component.

    Parameters
    ----------
    shape
        What is trained, at its context.
    layouts
        How it is spread.
    hardware, constants
        The rates, and the shares of them that are reached. Constants of columns (`StepFit.rows`) give every
        component a row for each of theirs.
    global_batch
        Sequences of one step, a multiple of what the ranks take in one pass.
    compute_bytes, gradient_bytes
        Of one number in a pass, and of one gradient that travels.
    fused_attention
        Whether scores stay out of the memory.
    """
    work = _Work(shape, layouts, hardware, constants, compute_bytes, fused_attention)
    links = Links.of(hardware, constants)
    passes = np.asarray(global_batch) / (layouts.data_ranks * layouts.micro_batch)
    layers = shape.n_layers / layouts.pp
    stream = work.tokens * shape.width * compute_bytes
    layer = work.layer()
    tensor = layer_seconds(shape, layouts, links, stream, work.again)
    busy, host = layer + tensor, (3 + work.again) * constants.launch_s
    waiting = layers * (np.sqrt(busy * busy + host * host) - busy)
    stage = layers * busy + waiting
    exposed = np.maximum(0.0, work.shards(layers, links, gradient_bytes) - constants.hidden * stage)
    late = np.maximum(0.0, work.reduction(links, gradient_bytes) - constants.overlapped * stage)
    send = hand_over(layouts, links, stream)
    return StepTimes(
        compute=passes * (layers * layer + work.head()),
        tensor=passes * layers * tensor,
        data=passes * exposed + late,
        pipeline=passes * send + _idle(layouts) * (stage + exposed + send),
        optimiser=work.params / (layouts.fsdp * layouts.cp) * OPTIMISER_BYTES / hardware.bytes_per_s,
        overhead=passes * waiting + constants.step_s,
    )


def _idle(layouts: Layouts) -> Floats:
    """Passes of one stage that a rank waits for in a step."""
    waiting = (layouts.pp - 1.0) / layouts.virtual_stages
    third = layouts.schedule == SCHEDULES.index("zero-bubble")
    return np.where(third, waiting / 3, waiting)


class _Work:
    """One pass of one micro-batch through one rank, forward, backward and what is done again."""

    def __init__(
        self,
        shape: Shape,
        layouts: Layouts,
        hardware: Hardware,
        constants: StepConstants,
        compute_bytes: int,
        fused: bool,
    ) -> None:
        self.shape, self.layouts, self.hardware, self.constants = shape, layouts, hardware, constants
        self.compute_bytes, self.fused = compute_bytes, fused
        self.tokens: Floats = layouts.micro_batch * shape.context / layouts.cp
        self.whole: Floats = (layouts.recompute == RECOMPUTES.index("full")).astype(np.float64)
        single = layouts.recompute == RECOMPUTES.index("operations")
        self.again: Floats = self.whole + share_again(shape) * single
        """What is done again of the products and the traffic of a block: all, or what was not kept."""
        ends = 2.0 if shape.tied else 1.0
        inside = shape.params_nonembedding / layouts.pp
        self.params: Floats = (inside + ends * shape.params_head) / layouts.tp
        """Of one rank before data parallelism shards them: its stage, and an end of the model."""

    def layer(self) -> Floats:
        """Seconds of one layer beside its collectives."""
        constants, tp = self.constants, self.layouts.tp
        narrow = 1 + constants.half_width * tp / self.shape.width
        flop = 2.0 * self.shape.params_matrices_active / self.shape.n_layers * self.tokens / tp
        matrices = (3 + self.again) * flop / (self.hardware.flop_per_s * constants.matmul) * narrow
        moved = (2 + self.again) * self.tokens * self._traffic() / self.hardware.bytes_per_s
        return np.asarray(matrices + self._attention() + constants.traffic * moved, dtype=np.float64)

    def _attention(self) -> Floats:
        """Scores of one layer: of the pairs that are seen where fused, two and a half times backward."""
        shape, layouts = self.shape, self.layouts
        forward = score_flop(shape, shape.context, causal=self.fused) / 3 / shape.n_layers
        selective = layouts.recompute == RECOMPUTES.index("selective")
        times = (3.5 if self.fused else 3.0) + self.whole + selective
        peak = (self.hardware.attention_flop_per_s or self.hardware.flop_per_s) * self.constants.attention
        return np.asarray(times * self.tokens * forward / layouts.tp / peak, dtype=np.float64)

    def _traffic(self) -> Floats:
        """Bytes that one token writes and reads in one layer of one rank."""
        split = {"stream": 0.0, "tensor": 0.0, "none": 0.0}
        for one in saved_tensors(self.shape, fused_attention=self.fused):
            if one.place != "ends":
                split[one.split] += one.bytes_per_token(self.compute_bytes) / self.shape.n_layers
        tp = self.layouts.tp
        stream = np.where(self.layouts.sequence_parallel == 1, tp, 1)
        return 2 * (split["stream"] / stream + split["tensor"] / tp + split["none"])

    def head(self) -> Floats:
        """Seconds of logits and loss on the rank that has them."""
        logits = self.shape.vocabulary / self.layouts.tp * self.tokens
        products = 6.0 * self.shape.width / (self.hardware.flop_per_s * self.constants.matmul)
        return logits * (products + self.constants.traffic * 10.0 / self.hardware.bytes_per_s)

    def shards(self, layers: Floats, links: Links, gradient_bytes: int) -> Floats:
        """Seconds in which the weights of one pass are gathered twice and its gradients scattered."""
        layouts, ranks = self.layouts, self.layouts.fsdp * self.layouts.cp
        inside = self.shape.params_nonembedding / self.shape.n_layers * layers / layouts.tp
        weights = np.where(layouts.zero == 3, float(SHARD_GATHERS * self.compute_bytes), 0.0)
        gradients = np.where(layouts.zero >= 2, float(gradient_bytes), 0.0)
        rate = links.ring(ranks, layouts.tp)
        return np.asarray(inside * (weights + gradients) * (ranks - 1.0) / ranks / rate, dtype=np.float64)

    def reduction(self, links: Links, gradient_bytes: int) -> Floats:
        """Seconds after the last pass: gradients over the replicas, and what was not scattered before."""
        layouts = self.layouts
        late = layouts.zero == 1
        shards = layouts.fsdp * layouts.cp
        ranks = layouts.dp * np.where(late, shards, 1)
        apart = layouts.tp * np.where(late, 1, shards)
        size = self.params / np.where(late, 1, shards) * gradient_bytes
        return np.asarray(2.0 * (ranks - 1.0) / ranks * size / links.ring(ranks, apart), dtype=np.float64)
