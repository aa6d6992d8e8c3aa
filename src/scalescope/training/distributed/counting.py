"""Collectives that a piece of code starts, as bytes and calls by kind and by the ranks that take part.

What counts is the payload as `scalescope.cost.collectives` has it: of one rank before an all-reduce, a
reduce-scatter or a send, after an all-gather, and all that a rank gives into an all-to-all, its own part
included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch.distributed as dist
from torch import ScriptObject, Tensor
from torch.distributed.distributed_c10d import _resolve_process_group  # type: ignore[attr-defined]
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

from scalescope.cost.collectives import Collective

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
    """One kind of call, as `scalescope.cost.traffic` tells them apart."""

    collective: Collective
    ranks: int
    """That take part."""
    stride: int
    """How far apart the first two of them lie."""


class CountedCollectives(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is started while it is entered, by one process, whatever the backend.

    Raises
    ------
    KeyError
        From within what is counted, if a collective is started that none of the trainer's parts uses.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
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
        ranks = dist.get_process_group_ranks(_group(args))
        given = args[place]
        size = sum(_bytes(one) for one in (given if isinstance(given, (list, tuple)) else (given,)))
        if operation == "_c10d_functional.all_gather_into_tensor":
            size *= len(ranks)
        call = Call(collective, len(ranks), ranks[1] - ranks[0])
        self.calls[call] += 1
        self.bytes[call] += size


def _group(args: tuple[Any, ...]) -> dist.ProcessGroup:
    """Find the group among the arguments of an operator: by its name, which comes last, or boxed."""
    if isinstance(args[-1], str):
        return _resolve_process_group(args[-1])  # type: ignore[arg-type]
    unbox: Callable[[Any], dist.ProcessGroup] = dist.ProcessGroup.unbox
    return next(unbox(one) for one in args if "ProcessGroup" in _type(one))


def _type(value: Any) -> str:
    return str(value._type()) if isinstance(value, ScriptObject) else ""


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
