"""Collectives that a piece of code starts, as bytes and calls by group and kind.

What counts is the payload as `scalescope.cost.collectives` has it: of one rank before an all-reduce, a
reduce-scatter or a send, after an all-gather, and all that a rank gives into an all-to-all, its own part
included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import _resolve_process_group
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

from scalescope.cost.collectives import Collective
from scalescope.training.distributed.mesh import Ranks

_OPERATIONS: Mapping[str, tuple[Collective, int]] = {
    "c10d.allreduce_": ("all_reduce", 0),
    "c10d._allgather_base_": ("all_gather", 0),
    "c10d._reduce_scatter_base_": ("reduce_scatter", 1),
    "c10d.alltoall_base_": ("all_to_all", 1),
    "c10d.send": ("send", 0),
    "_c10d_functional.all_reduce": ("all_reduce", 0),
    "_c10d_functional.all_gather_into_tensor": ("all_gather", 0),
    "_c10d_functional.reduce_scatter_tensor": ("reduce_scatter", 0),
    "_c10d_functional.all_to_all_single": ("all_to_all", 0),
}
"""Operator to what it does and which argument is the payload, or the part that is gathered."""
_SILENT = frozenset({"recv_", "wait_tensor", "_wrap_tensor_autograd"})
"""What starts nothing, or is counted where it is sent."""


class Call(NamedTuple):
    """One kind of call."""

    group: str
    """Name of the process group."""
    collective: Collective
    dtype: str
    """Of what travels."""


class CountedCollectives(TorchDispatchMode):
    """Counts what is started while it is entered, by one process, whatever the backend.

    Raises
    ------
    KeyError
        From within what is counted, if a collective is started that none of the trainer's parts uses.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[Call] = Counter()
        self.bytes: Counter[Call] = Counter()

    def __torch_dispatch__(
        self,
        func: Any,
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Count and go on."""
        if any(issubclass(one, DTensor) for one in types):
            return NotImplemented  # what it is made of comes here again
        operation = func.name().rpartition("::")
        if operation[0] in ("c10d", "_c10d_functional"):
            self._count(f"{operation[0]}.{operation[2].partition('.')[0]}", args)
        return func(*args, **(kwargs or {}))

    def _count(self, operation: str, args: tuple[Any, ...]) -> None:
        if operation.partition(".")[2] in _SILENT:
            return
        collective, place = _OPERATIONS[operation]
        group = _group(args)
        given = args[place]
        tensors = given if isinstance(given, (list, tuple)) else (given,)
        size = sum(_bytes(one) for one in tensors)
        if operation == "_c10d_functional.all_gather_into_tensor":
            size *= group.size()
        call = Call(group.group_name, collective, str(tensors[0].dtype).removeprefix("torch."))
        self.calls[call] += 1
        self.bytes[call] += size


def group_names(ranks: Ranks) -> Mapping[str, str]:
    """Return which axis of a layout every process group of it is, by the group's name.

    The group of all ranks is `all`, that of those who share a batch `batch`; groups of one rank are left out.
    """
    names = {ranks.batch.group_name: "batch", dist.group.WORLD.group_name: "all"}  # type: ignore[union-attr]
    for mesh in (ranks.weights, ranks.data, ranks.experts):
        for axis in mesh.mesh_dim_names or () if mesh is not None else ():
            names[mesh.get_group(axis).group_name] = axis  # type: ignore[union-attr]
    return names


def _group(args: tuple[Any, ...]) -> dist.ProcessGroup:
    """Find the group among the arguments of an operator: itself, boxed, or its name."""
    unbox: Callable[[Any], dist.ProcessGroup] = dist.ProcessGroup.unbox
    for one in reversed(args):
        if isinstance(one, str) and one.isdigit():
            return _resolve_process_group(one)
        if type(one).__name__ == "ScriptObject" and "ProcessGroup" in str(one._type()):
            return unbox(one)
    return dist.group.WORLD  # type: ignore[return-value]


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
