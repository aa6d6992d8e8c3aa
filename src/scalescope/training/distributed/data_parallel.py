"""Ranks that have sequences of their own: equal weights, or shards of them that are gathered when needed.

Through FSDP2 (Zhao et al. 2023, https://arxiv.org/abs/2304.11277). What `Layout.zero` means here:

* 3: weights are gathered for a block's pass and forgotten after it; gradients are scattered in every pass.
* 2: weights stay gathered from the first pass of a step to the last; gradients as before.
* 1: as 2, and gradients are scattered once, after the last pass: optimiser states alone are sharded before.

Replicas (`dp`) reduce their gradients once a step. In a pipeline a stage stays gathered, and its gradients
whole, through the passes of a step, whatever `zero` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.distributed._composable.replicate_with_fsdp import replicate
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import Shard

from scalescope.training.distributed.mesh import Ranks
from scalescope.training.distributed.stage import Stage


def share_weights(stage: Stage, ranks: Ranks, precision: str) -> None:
    """Wrap every block of a stage, and what is beside them, for the ranks that share its weights."""
    wrap = _wrapper(ranks, precision)
    if wrap is None:
        return
    _share_experts(stage, ranks, precision)
    for block in stage.network.blocks.values():
        wrap(block)
    wrap(stage)
    _keep_ends(stage, ranks)
    for part in _wrapped(stage):  # the loss is a share of the whole batch's: gradients add up
        part.set_gradient_divide_factor(1.0)
        part.set_force_sum_reduction_for_comms(True)


def begin_pass(stage: Stage, ranks: Ranks, *, last: bool) -> None:
    """Say whether the gradients of the coming pass are the last of a step."""
    wrapped: nn.Module = stage
    if not isinstance(wrapped, FSDPModule):
        return
    wrapped.set_is_last_backward(last)
    if ranks.layout.zero == 1 or ranks.weights["shard"].size() == 1:
        wrapped.set_requires_gradient_sync(last)
    else:
        wrapped.set_requires_all_reduce(last)
    if ranks.layout.zero < 3:
        wrapped.set_reshard_after_backward(last)


def rest(stage: Stage) -> None:
    """Forget gathered weights, so that the next pass gathers the new ones."""
    for part in _wrapped(stage):
        part.reshard()


def policy_of(precision: str) -> MixedPrecisionPolicy:
    """Return in which types weights are gathered and gradients reduced: the latter always in fp32."""
    if precision == "bf16":
        return MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    return MixedPrecisionPolicy()


def _share_experts(stage: Stage, ranks: Ranks, precision: str) -> None:
    """Wrap experts that only some ranks have; all that have them share them, `dp` and `fsdp` together."""
    if ranks.experts is None:
        return
    mesh, policy = ranks.experts["beside"], policy_of(precision)
    plain = ranks.weights["shard"].size() == 1
    for _, feed in stage.network.expert_layers():
        if plain:
            replicate(feed.experts, mesh=mesh, mp_policy=policy)
        else:
            fully_shard(
                feed.experts,
                mesh=mesh,
                mp_policy=policy,
                reshard_after_forward=_forgets(ranks),
                shard_placement_fn=partial(_axis, mesh.size()),
            )


def _axis(ranks: int, stack: nn.Parameter) -> Shard:
    """Cut a stack by outputs, since a rank may have fewer experts than there are ranks beside it."""
    return Shard(1 if stack.shape[1] % ranks == 0 else 0)


def _wrapper(ranks: Ranks, precision: str) -> Callable[[nn.Module], Any] | None:
    replicas, shards = ranks.weights["dp"].size(), ranks.weights["shard"].size()
    policy = policy_of(precision)
    if replicas * shards == 1:
        return None
    if shards == 1:
        return partial(replicate, mesh=ranks.weights["dp"], mp_policy=policy)
    mesh = ranks.weights["dp", "shard"] if replicas > 1 else ranks.weights["shard"]
    return partial(fully_shard, mesh=mesh, mp_policy=policy, reshard_after_forward=_forgets(ranks))


def _keep_ends(stage: nn.Module, ranks: Ranks) -> None:
    """Keep embedding and head gathered until the backward pass, which begins where the forward pass ends."""
    if ranks.weights["shard"].size() > 1 and isinstance(stage, FSDPModule):
        stage.set_reshard_after_forward(False, recurse=False)


def _forgets(ranks: Ranks) -> bool:
    """Whether gathered weights are forgotten between forward and backward pass."""
    return ranks.layout.zero == 3 and ranks.layout.pp == 1


def _wrapped(stage: Stage) -> Iterator[FSDPModule]:
    return (part for part in stage.modules() if isinstance(part, FSDPModule))
