"""Bytes of the fullest rank of a training by component, for many layouts at once.

Stages of a pipeline differ: the first has the embedding and, where passes forward and back alternate, the
activations of as many micro-batches as there are stages; the last has the head and the logits. The larger of
the two decides. There are two full moments in a step: the loss, when its copies of the logits stand beside
all activations, and the backward pass of a layer, when what recomputation dropped is there again; the fuller
one is told. Gathered are the weights of the layer under way and of the next, and a layer's gradients before
they are scattered; in a pipeline a whole stage stays gathered between micro-batches, gradients too (FSDP2 as
torchtitan sets it up). Allocators round up and fragment: `RESERVED` is what they hold over what is used.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from scalescope.cost.assumptions import Assumption
from scalescope.cost.groups import Role, layer_counts
from scalescope.cost.layout import SCHEDULES
from scalescope.cost.layouts import Layouts
from scalescope.cost.loss_memory import SHARED_LOSS_BYTES, chunked_loss_bytes
from scalescope.cost.rank_activations import Keeper, layer_bytes
from scalescope.cost.shape import Shape
from scalescope.cost.states import KEEPINGS, Keeping

Floats = NDArray[np.float64]

RESERVED = 1.07
"""What the allocator holds over what tensors need; 5 to 10% in published runs."""

CONTEXT_BYTES = 2 * 2**30
"""Of the driver, its libraries and the buffers of collectives on one device; no allocator reports them."""

LOSS_BYTES = 12
"""Of one logit beside itself: a copy, its logarithm and its gradient in fp32, as unfused losses keep them. A
block that held numbers of 16 bits is too small for any of these, so that it counts to the end."""

PARALLEL_LOSS_BYTES = 16
"""The same where ranks share the vocabulary: maxima and sums travel, so that nothing is fused and one more
copy is there (torch/distributed/tensor/parallel/loss.py)."""

COMPILED_LOSS_BYTES = 2
"""The same where one kernel makes the loss, compiled or by hand: the gradient alone, in 16 bits."""

MEMORY_RATIO = Assumption(
    name="memory over its prediction",
    value=1.0,
    low=0.94,
    high=1.12,
    known="measured",
    source="20 peaks of torchtitan's benchmarks of 2024-12 and 2025-06 over `RankBytes.allocator`",
)
"""Within which measured peaks lie."""

_EXPERT_ROLES: frozenset[Role] = frozenset({"experts"})
_END_ROLES: frozenset[Role] = frozenset({"embedding", "positions", "patches", "head"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RankBytes:
    """Bytes of the fullest rank at its fullest moment, a column each."""

    weights: Floats
    gradients: Floats
    optimiser: Floats
    gathered: Floats
    """Weights of other ranks while they are needed."""
    activations: Floats
    logits: Floats
    """None at the moment when a layer's activations are made again, if that is the fuller one."""
    reserved: Floats
    """Context, libraries, and what the allocator holds in vain."""

    @property
    def total(self) -> Floats:
        """All of it."""
        parts: list[Floats] = [getattr(self, one.name) for one in fields(self)]
        return np.asarray(np.sum(parts, axis=0), dtype=np.float64)

    @property
    def allocator(self) -> Floats:
        """What a framework's allocator reports as reserved: all but what is held outside of it."""
        return self.total - CONTEXT_BYTES


def training_bytes(
    shape: Shape,
    layouts: Layouts,
    *,
    global_batch: int | NDArray[np.int64],
    keeping: Keeping = KEEPINGS["fsdp"],
    optimiser: str = "adamw",
    fused_attention: bool = True,
    fused_loss: bool = False,
    compiled: bool = False,
    loss_bytes: float | None = None,
    offloaded: bool = False,
) -> RankBytes:
    """Return the memory of the fullest rank by component.

    Parameters
    ----------
    shape
        What is trained, at its context.
    layouts
        How it is spread.
    global_batch
        Sequences of one step.
    keeping
        How numbers are kept, of `KEEPINGS`.
    optimiser
        A key of `MOMENTS`.
    fused_attention, fused_loss
        Whether scores, and logits, are never written whole.
    compiled
        Whether blocks are compiled: outputs that no gradient needs are not kept.
    loss_bytes
        Of one logit beside itself at the loss, as `COMPILED_LOSS_BYTES`; those of an unfused one if None.
    offloaded
        Whether what layers keep waits in the memory of the host.

    Raises
    ------
    InputError
        If the optimiser is unknown.
    """
    keeper = Keeper(
        shape=shape,
        compute=keeping.compute,
        fused_attention=fused_attention,
        fused_norms=keeping.fused_norms,
        compiled=compiled,
        gathers_again=keeping.gathers_again,
        own_turns=keeping.own_turns,
        gathered_keys=keeping.gathered_keys,
    )
    beside = np.where(layouts.tp > 1, PARALLEL_LOSS_BYTES, LOSS_BYTES) if loss_bytes is None else loss_bytes
    logit = np.where(fused_loss, 0.0, beside + np.full(len(layouts), float(keeping.compute)))
    chunked = fused_loss and keeping.chunked_loss
    kept, again = layer_bytes(keeper, layouts)
    under_way = _Rank(
        shape=shape,
        layouts=layouts,
        keeping=keeping,
        optimiser=keeping.optimiser(optimiser),
        passes=np.asarray(global_batch) / (layouts.data_ranks * layouts.micro_batch),
        kept=np.zeros_like(kept) if offloaded else kept,
        again=again,
        logit=np.where(layouts.tp > 1, SHARED_LOSS_BYTES, 0.0) if chunked else logit,
        chunked=chunked,
    )
    first, last = under_way.stage(last=False), under_way.stage(last=True)
    fuller = last.total > first.total
    return RankBytes(
        **{
            one.name: np.where(fuller, getattr(last, one.name), getattr(first, one.name))
            for one in fields(RankBytes)
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rank:
    """What all stages of a pipeline have in common."""

    shape: Shape
    layouts: Layouts
    keeping: Keeping
    optimiser: float
    """Bytes of one parameter."""
    passes: Floats
    kept: Floats
    """Bytes of one token in one layer."""
    again: Floats
    logit: Floats
    """Bytes of one at the loss, where those of all tokens are there at once."""
    chunked: bool
    """Whether the loss takes some tokens at a time where ranks do not share the vocabulary."""

    def stage(self, *, last: bool) -> RankBytes:
        """Return the bytes of the first or the last stage."""
        layouts, keeping = self.layouts, self.keeping
        dense, experts, end = _params(self.shape, layouts, last=last)
        shards = (layouts.fsdp * layouts.cp).astype(float)
        among = np.maximum(1.0, shards / layouts.ep)

        def held(size: float, from_level: int) -> Floats:
            sharded = layouts.zero >= from_level
            own = (dense + end) / np.where(sharded, shards, 1) + experts / np.where(sharded, among, 1)
            return size * own

        activations, logits = self._activations(last=last)
        used = RankBytes(
            weights=held(keeping.weights, 3),
            gradients=held(keeping.gradients, 2),
            optimiser=held(self.optimiser, 1),
            gathered=self._gathered(dense, experts, end, shards, among),
            activations=activations,
            logits=logits,
            reserved=np.zeros(len(layouts)),
        )
        return replace(used, reserved=(RESERVED - 1) * used.total + CONTEXT_BYTES)

    def _gathered(self, dense: Floats, experts: Floats, end: Floats, shards: Floats, among: Floats) -> Floats:
        """Weights of the fullest layer and of the next with its gradients, or a whole stage."""
        layouts, keeping = self.layouts, self.keeping
        sparse = layer_counts(self.shape)[3]
        others = np.where(among > 1, experts, 0.0)
        layer = layouts.pp * (dense / self.shape.n_layers + others / max(sparse, 1))
        one = np.maximum(layer * (2 * keeping.compute + keeping.gradients), end * keeping.compute)
        stage = (dense + others + end) * (keeping.compute + keeping.gradients)
        gathered = np.where(layouts.pp == 1, one, stage)
        return np.where((layouts.zero == 3) & (shards > 1), gathered, 0.0)

    def _activations(self, *, last: bool) -> tuple[Floats, Floats]:
        """Activations and logits of the fuller moment."""
        layouts = self.layouts
        tokens = layouts.micro_batch * self.shape.context / layouts.cp
        chunks = np.minimum(_under_way(layouts, self.passes, last=last), self.passes)
        layers = self.shape.n_layers / layouts.pp
        stream = self.shape.width * self.keeping.compute / _sharing(layouts)
        # of each micro-batch under way: what goes to the next stage, and the gradient that comes from it
        sent = 0.0 if last else np.where(layouts.pp > 1, 2 * layouts.virtual_stages * stream, 0.0)
        waiting = tokens * chunks * (layers * self.kept + sent)
        ends = np.where(self._has_head(last), self._ends(stream), 0.0)
        logits = np.where(self._has_head(last), self._loss(tokens), 0.0)
        at_loss = tokens * ends + logits > tokens * self.again
        beside = np.where(at_loss, ends, self.again)
        return waiting + tokens * beside, np.where(at_loss, logits, 0.0)

    def _loss(self, tokens: Floats) -> Floats:
        """Bytes that the loss of some tokens holds beside what the head reads and its gradient."""
        layouts = self.layouts
        whole = tokens * self.logit * self.shape.vocabulary / layouts.tp
        if not self.chunked:
            return whole
        spread = (layouts.zero == 3) & (layouts.fsdp * layouts.cp > 1)  # then the head is gathered in 16 bits
        return whole + np.where(
            layouts.tp > 1, 0.0, chunked_loss_bytes(self.shape, tokens, self.keeping.compute, copied=~spread)
        )

    def _has_head(self, last: bool) -> NDArray[np.bool_]:
        return np.asarray((self.layouts.pp == 1) | last, dtype=np.bool_)

    def _ends(self, stream: Floats) -> Floats:
        """The last norm's input and output, and the gradient of that; gathered where ranks share tokens."""
        whole = float(self.shape.width * self.keeping.compute)
        return stream + whole + (stream if self.keeping.gathers_again else whole)


def _sharing(layouts: Layouts) -> NDArray[np.int64]:
    """Ranks that share the tokens between the matrices."""
    return np.where(layouts.sequence_parallel == 1, layouts.tp, 1)


def _params(shape: Shape, layouts: Layouts, *, last: bool) -> tuple[Floats, Floats, Floats]:
    """Parameters of one rank before data parallelism: of layers without and with experts, and of an end."""
    roles = {group.role: group.params for group in shape.groups}
    experts = sum(count for role, count in roles.items() if role in _EXPERT_ROLES)
    ends = sum(count for role, count in roles.items() if role in _END_ROLES)
    # every rank of tensor parallelism has norms, routers, and the narrow matrices of latent attention
    alike = roles.get("norms", 0) + roles.get("router", 0) + _latent_params(shape)
    inside = shape.params - experts - ends - alike
    dense = inside / (layouts.tp * layouts.pp) + alike / layouts.pp
    own = shape.params_head if last else ends - (0 if shape.tied else shape.params_head)
    end = np.where(layouts.pp == 1, ends, own) / layouts.tp
    return dense, experts / (layouts.tp * layouts.pp * layouts.ep), end


def _latent_params(shape: Shape) -> int:
    """Parameters of the matrices that make latents."""
    latent = shape.latent
    if latent is None:
        return 0
    narrow = (latent.query_rank or 0) + latent.key_value_rank + latent.rotary
    return layer_counts(shape)[0] * shape.width * narrow


def _under_way(layouts: Layouts, passes: Floats, *, last: bool) -> Floats:
    """Micro-batches whose activations a stage holds at once, in whole stages."""
    stages, chunks = layouts.pp.astype(float), layouts.virtual_stages
    # zero-bubble puts gradients of weights off, so that the last stage holds as much as the first
    late = layouts.schedule == SCHEDULES.index("zero-bubble")
    held = np.where(late, stages, 1.0) if last else stages
    interleaved = ((chunks - 1) * stages + 1) / chunks if last else stages + (stages - 1) / chunks
    held = np.where(chunks > 1, np.maximum(interleaved, np.where(late, stages, 0.0)), held)
    return np.where(layouts.schedule == SCHEDULES.index("gpipe"), passes, held)
