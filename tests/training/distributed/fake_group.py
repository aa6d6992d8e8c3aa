"""One rank of a layout on a group of which the others are not there: it computes, nothing travels."""

from __future__ import annotations

from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch.distributed.tensor._redistribute import _gen_transform_infos
from torch.distributed.tensor.debug import _clear_sharding_prop_cache
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import _disable_current_modes

from scalescope.training.distributed import context_parallel
from scalescope.training.distributed.counting import CountedCollectives
from scalescope.training.distributed.engine import MeshEngine
from scalescope.training.distributed.mesh import place_ranks
from scalescope.training.recipe import Recipe
from scalescope.training.tasks.protocol import Batch
from scalescope.training.trial_settings import Trial


@contextmanager
def fake_group(rank, processes):
    """Be one of many ranks; what is remembered of groups by name is forgotten before."""
    _clear_sharding_prop_cache()
    _gen_transform_infos.cache_clear()
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=processes)
    plain = context_parallel.causal_lower_right
    context_parallel.causal_lower_right = _unseen(plain)
    try:
        yield
    finally:
        context_parallel.causal_lower_right = plain
        dist.destroy_process_group()


def _unseen(make_mask):
    """Torch's mask is a tensor of its own class, which cannot be made while operations are watched."""

    def made(*sizes):
        with _disable_current_modes():
            return make_mask(*sizes)

    return made


class Answered(CountedCollectives):
    """Counts, and writes what others would have sent where sizes depend on it.

    Every rank sends what this one does, so that as many tokens come as go; and all stages of a pipeline agree
    (with ones) that the sizes they were given will do.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = super().__torch_dispatch__(func, types, args, kwargs)
        if func.name() == "c10d::alltoall_base_":
            args[0].copy_(args[1])
        if func.name() == "c10d::recv_":
            for one in args[0]:
                one.fill_(1)
        return out


def collectives_of_a_step(shape, layout, *, global_batch, rank=0, precision="fp32", recipe=None):
    """Return (collective, ranks, stride) -> (calls, bytes) of one optimiser step of one rank."""
    with fake_group(rank, layout.devices):
        ranks = place_ranks(layout, torch.device("cpu"))
        trial = Trial(
            name="counted",
            shape=shape,
            seed=1,
            horizons=(1000,),
            recipe=recipe or Recipe(optimizer="adamw", init="normal"),
            layout=layout,
            precision=precision,
        )
        engine = MeshEngine(trial, ranks)
        engine.optimizers = []  # they work on what a rank has
        tokens = torch.randint(shape.vocabulary, (global_batch, shape.context + 1))
        with Answered() as counted:
            engine.step(Batch(tokens[:, :-1], tokens[:, 1:].clone()), 1.0)
    return {tuple(call): (calls, counted.bytes[call]) for call, calls in counted.calls.items()}
