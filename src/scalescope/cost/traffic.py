"""What one rank of a layout gives to every kind of collective in one optimiser step, in bytes and calls.

This is the traffic of the own trainer (`scalescope.training.distributed`), to the byte where every first axis
of a weight is a multiple of the ranks that share it; else FSDP2 fills shards up. The step-time model takes
the same payloads (`payloads`) but what it was calibrated with in four places: weights are gathered in every
pass of a pipeline, where FSDP2 keeps them through a step; it leaves out both ends' weights; keys and values
go round a ring; and blocks are computed again to their end.

A payload is counted as in `collectives`: of one rank before an all-reduce, a reduce-scatter or a send, after
an all-gather, and all that a rank gives into an all-to-all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from scalescope.cost.collectives import Collective, share_sent
from scalescope.cost.groups import mixer_costs
from scalescope.cost.layout import Layout
from scalescope.cost.payloads import (
    EXCHANGES,
    EXCHANGES_AGAIN,
    REDUCTIONS,
    REDUCTIONS_AGAIN,
    SHARD_GATHERS,
    keys_and_values,
    sent_to_experts,
)
from scalescope.cost.shape import Shape
from scalescope.cost.stage_params import Cut, end_params, layer_params, own_layers

FP32, LONG = 4, 8
"""Bytes of a number at the loss, and of a count of tokens or of a sum of squares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Travel:
    """One kind of collective for one purpose, all its calls in a step together."""

    purpose: str
    collective: Collective
    ranks: int
    """That take part."""
    stride: int
    """How far apart the first two of them lie."""
    calls: int
    bytes: int
    """Payload of all calls."""
    small: bool = False
    """Whether it carries counts or scalars, which no estimate of time needs."""

    @property
    def sent(self) -> float:
        """Bytes that leave the rank when a ring does it."""
        return float(share_sent(self.collective, self.ranks) * self.bytes)


def traffic(
    shape: Shape,
    layout: Layout,
    *,
    global_batch: int,
    stage: int = 0,
    compute_bytes: int = 2,
    gradient_bytes: int = 4,
) -> tuple[Travel, ...]:
    """List what a rank of one stage starts in a step; groups of one rank are left out.

    Parameters
    ----------
    shape, layout
        What is trained, and how it is spread.
    global_batch
        Sequences of one step.
    stage
        Place in the pipeline, from 0.
    compute_bytes, gradient_bytes
        Of one number of the stream and of gathered weights, and of one reduced gradient.

    Raises
    ------
    InputError
        If the batch cannot be cut evenly.
    """
    passes = layout.micro_batches(global_batch)
    rank = _Rank(shape, layout, passes, stage, compute_bytes, gradient_bytes)
    return tuple(one for one in rank.travels() if one.ranks > 1 and one.calls)


@dataclass(frozen=True)
class _Rank:
    shape: Shape
    layout: Layout
    passes: int
    stage: int
    compute: int
    gradient: int

    def travels(self) -> Iterator[Travel]:
        yield from self._weights()
        if self.layout.tp > 1:
            yield from self._tensor()
        if self.layout.cp > 1:
            yield from self._context()
        yield from self._experts()
        yield from self._pipeline()
        yield Travel(
            purpose="loss and norm of gradients",
            collective="all_reduce",
            ranks=self.layout.devices,
            stride=1,
            calls=1,
            bytes=2 * LONG,
            small=True,
        )

    @property
    def first(self) -> bool:
        return self.stage == 0

    @property
    def last(self) -> bool:
        return self.stage == self.layout.pp - 1

    @property
    def again(self) -> bool:
        """Whether a block's forward pass is made again but for what is kept on the way."""
        return self.layout.recompute in ("operations", "full")

    @cached_property
    def layers(self) -> tuple[int, ...]:
        return own_layers(self.shape, self.layout, self.stage)

    @cached_property
    def sparse(self) -> int:
        """Layers with experts."""
        experts = self.shape.experts
        return 0 if experts is None else sum(experts.has(layer) for layer in self.layers)

    @cached_property
    def cuts(self) -> tuple[tuple[Cut, ...], Cut]:
        """Parameters of every layer, and of the ends."""
        return (
            tuple(layer_params(self.shape, layer) for layer in self.layers),
            end_params(self.shape, first=self.first, last=self.last),
        )

    @property
    def stream(self) -> int:
        """Bytes of the whole stream of one pass of a rank's tokens."""
        layout, shape = self.layout, self.shape
        return layout.micro_batch * shape.context // layout.cp * shape.width * self.compute

    @property
    def scatters(self) -> int:
        """Times that gradients are reduced in a step."""
        layout = self.layout
        late = layout.pp > 1 or layout.zero == 1 or layout.fsdp * layout.cp == 1
        return 1 if late else self.passes

    @property
    def forgets(self) -> bool:
        """Whether weights are gathered for every pass."""
        return self.layout.zero == 3 and self.layout.pp == 1

    def _weights(self) -> Iterator[Travel]:
        """Weights that are gathered, and gradients; both ends together, and experts apart."""
        layout, (layers, ends) = self.layout, self.cuts
        apart = layout.ep > 1
        sizes = [one.of_rank(layout.tp) + (0 if apart else one.experts) for one in layers]
        shards, stride = layout.fsdp * layout.cp, layout.tp
        yield from self._sharded("weights", sizes, shards, stride)
        if end := ends.of_rank(layout.tp):
            yield from self._sharded("ends", [end], shards, stride, kept=True)
            sizes = [*sizes, end]
        yield self._replicas(sizes, shards)
        if apart:
            among = layout.data_ranks // layout.ep * layout.cp
            beside = layout.tp * (1 if layout.cp > 1 else layout.ep)
            routed = [one.experts // layout.ep for one in layers if one.experts]
            if shards > 1:
                yield from self._sharded("experts", routed, among, beside)
            else:
                yield self._travel(
                    "experts", "all_reduce", among, beside, len(routed), self.gradient * sum(routed)
                )

    def _sharded(
        self, what: str, sizes: list[int], ranks: int, stride: int, *, kept: bool = False
    ) -> Iterator[Travel]:
        gathers = (1 if kept else SHARD_GATHERS) * self.passes if self.forgets else 1
        total, count = sum(sizes), len(sizes)
        yield self._travel(what, "all_gather", ranks, stride, gathers * count, gathers * self.compute * total)
        times = self.scatters
        yield self._travel(
            what, "reduce_scatter", ranks, stride, times * count, times * self.gradient * total
        )

    def _replicas(self, sizes: list[int], shards: int) -> Travel:
        layout = self.layout
        size = self.gradient * sum(sizes) // shards
        stride = layout.tp * shards
        return self._travel("gradients", "all_reduce", layout.dp, stride, len(sizes), size)

    def _tensor(self) -> Iterator[Travel]:
        """The stream in every layer and at both ends, norms' gradients, and the parts of the loss."""
        layout, count, whole = self.layout, len(self.layers), self.stream
        ends = int(self.first) + int(self.last)
        reduced = REDUCTIONS * count + ends
        again = REDUCTIONS_AGAIN * count if self.again else 0
        shared = layout.sequence_parallel
        for collective, calls in (
            # the last reduction of a block is not made again; under `operations` none is that scatters
            ("all_gather", reduced + again if shared else 0),
            ("reduce_scatter", reduced + (again // 2 if layout.recompute == "full" else 0) if shared else 0),
            ("all_reduce", 0 if shared else reduced + again // 2),
        ):
            calls *= self.passes
            yield self._travel("stream", collective, layout.tp, 1, calls, calls * whole)  # type: ignore[arg-type]
        yield self._norms()
        tokens = layout.micro_batch * self.shape.context // layout.cp * self.passes
        if self.last:
            yield self._travel("loss", "all_reduce", layout.tp, 1, 2 * self.passes, 3 * FP32 * tokens)

    def _norms(self) -> Travel:
        """Gradients of norms that every rank has whole and applies to its part of the tokens or heads."""
        layers, ends = self.cuts
        sizes = [one.head_norms for one in layers]
        counts = [2 if one.head_norms else 0 for one in layers]
        if self.layout.sequence_parallel:
            sizes += [one.norms for one in (*layers, ends)]
            counts += [one.norms // self.shape.width for one in (*layers, ends)]
        times = self.scatters
        size = times * sum(sizes) * self.compute
        return self._travel("norms", "all_reduce", self.layout.tp, 1, times * sum(counts), size)

    def _context(self) -> Iterator[Travel]:
        """Keys and values of all tokens, kept or gathered again, and their gradients."""
        layout = self.layout
        costs = mixer_costs(self.shape)
        count = sum(costs[layer].role == "attention" for layer in self.layers) * self.passes
        size = round(keys_and_values(self.shape, float(self.stream), layout.tp)) * layout.cp
        again = 2 if layout.recompute != "none" else 1
        yield self._travel(
            "keys and values", "all_gather", layout.cp, layout.tp, again * count, again * count * size
        )
        yield self._travel("keys and values", "reduce_scatter", layout.cp, layout.tp, count, count * size)

    def _experts(self) -> Iterator[Travel]:
        """Tokens to their experts and back, and how many; the load that all ranks of a batch see."""
        layout, experts, count = self.layout, self.shape.experts, self.sparse * self.passes
        if experts is None or not self.sparse:
            return
        times = count * (2 if self.again else 1)
        calls = count * (EXCHANGES + (EXCHANGES_AGAIN if self.again else 0))
        sent = round(sent_to_experts(self.shape, float(self.stream), layout.tp))
        ranks, stride = layout.ep, layout.tp * layout.cp
        yield self._travel("tokens", "all_to_all", ranks, stride, calls, calls * sent)
        numbers = experts.count * LONG
        yield self._travel("counts", "all_to_all", ranks, stride, times, times * numbers, small=True)
        seen = times if experts.balance == "aux-loss" and experts.rate else 0
        size = seen * numbers + self.sparse * (numbers + LONG)
        batch = layout.data_ranks * layout.cp
        yield self._travel("loads", "all_reduce", batch, layout.tp, seen + self.sparse, size, small=True)

    def _pipeline(self) -> Iterator[Travel]:
        """The stream to the next stage and its gradient to the one before; whether all agree on sizes."""
        layout = self.layout
        chunks = layout.virtual_stages
        ways = 2 * chunks - int(self.first) - int(self.last)
        part = layout.tp if layout.sequence_parallel else 1
        stride, calls = layout.devices // layout.pp, ways * self.passes
        yield self._travel("stream", "send", layout.pp, stride, calls, calls * self.stream // part)
        yield self._travel("agreement", "send", layout.pp, stride, ways, ways * FP32, small=True)

    def _travel(
        self,
        purpose: str,
        collective: Collective,
        ranks: int,
        stride: int,
        calls: int,
        size: int,
        *,
        small: bool = False,
    ) -> Travel:
        return Travel(
            purpose=purpose,
            collective=collective,
            ranks=ranks,
            stride=stride,
            calls=calls,
            bytes=size,
            small=small,
        )
