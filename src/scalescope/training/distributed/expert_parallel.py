"""Experts on ranks of their own: tokens travel to them and back (GShard, https://arxiv.org/abs/2006.16668).

The stacks of experts are cut by expert over `ep`. Ranks beside each other have equal experts and share their
weights as `data_parallel` says. Gradients of an expert arrive with its tokens, from all ranks that sent some.
The load that an auxiliary loss or a bias sees is that of all ranks that share a batch.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import Shard, distribute_tensor

from scalescope.training.blocks.experts import ExpertFeedForward
from scalescope.training.distributed.exchange import swap
from scalescope.training.distributed.mesh import Ranks
from scalescope.training.network import Network


def share_experts(network: Network, ranks: Ranks) -> None:
    """Give each rank of expert parallelism some experts of every layer, and all of them one account."""
    for _, feed in network.expert_layers():
        feed.router.count = partial(_count, feed, ranks)  # type: ignore[method-assign]
        if ranks.experts is None:
            continue
        mesh = ranks.experts["ep"]
        for name, stack in list(feed.experts.named_parameters()):
            own = distribute_tensor(stack.detach(), mesh, [Shard(0)], src_data_rank=None)
            feed.experts.register_parameter(name, nn.Parameter(own))
        feed.compute = partial(_compute, feed, mesh.get_group())  # type: ignore[method-assign]


def _count(feed: ExpertFeedForward, ranks: Ranks, experts: Tensor) -> Tensor:
    """Do what `Router.count` does, over all ranks that share a batch."""
    counts = torch.bincount(experts.flatten(), minlength=feed.settings.count)
    dist.all_reduce(counts, group=ranks.batch)
    return counts


def _compute(feed: ExpertFeedForward, group: dist.ProcessGroup, rows: Tensor, counts: Tensor) -> Tensor:
    """Do what `ExpertFeedForward.compute` does, at the ranks that have the experts."""
    ranks = group.size()
    sent = counts.view(ranks, -1)
    come = torch.empty_like(sent)
    dist.all_to_all_single(come, sent, group=group)
    out_rows, in_rows = sent.sum(1).tolist(), come.sum(1).tolist()
    here = swap(rows, out_rows, in_rows, group)
    order = _by_expert(come)
    done = feed.experts(here[order], come.sum(0))
    return swap(done[order.argsort()], in_rows, out_rows, group)


def _by_expert(come: Tensor) -> Tensor:
    """Return the order that sorts rows by expert, for counts of rows by rank and expert, (ranks, experts)."""
    numbers = torch.arange(come.shape[1], device=come.device).repeat(come.shape[0])
    return numbers.repeat_interleave(come.flatten()).argsort(stable=True)
