"""Tensors that a piece of code leaves behind: between a forward and a backward pass, what autograd keeps."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class KeptTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches the storages that operations make while it is entered, each once however many views it has."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._made: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Go on, and remember what came out."""
        if any(issubclass(one, DTensor) for one in types):
            return NotImplemented  # what it is made of comes here again
        out = func(*args, **(kwargs or {}))
        for one in tree_iter(out):
            if isinstance(one, Tensor):
                storage = one.untyped_storage()
                # what lived at the same place before is gone
                self._made[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())  # type: ignore[no-untyped-call]
        return out

    def bytes(self, *, but: Iterable[Tensor] = ()) -> int:
        """Return the bytes of what is still there, without the storages of some tensors."""
        gc.collect()
        others = {_own(one).untyped_storage()._cdata for one in but}
        sizes: Iterable[int] = (
            size
            for place, (storage, size) in self._made.items()
            if place not in others and not bool(storage.expired())  # type: ignore[no-untyped-call]
        )
        return sum(sizes)


def _own(tensor: Tensor) -> Tensor:
    return tensor._local_tensor if isinstance(tensor, DTensor) else tensor
