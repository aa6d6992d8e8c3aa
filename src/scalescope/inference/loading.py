"""Loading a model, each part by the clock: code, construction, mapping, touching every page, moving."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalescope.errors import InputError
from scalescope.inference.folders import load_folder, weight_files
from scalescope.inference.models import Model
from scalescope.inference.quantisation import quantise
from scalescope.inference.skeletons import (
    Slot,
    class_of,
    compute_buffers,
    construct,
    place,
    quiet,
    slots,
    tensor_views,
)
from scalescope.inference.tensor_files import (
    TensorTable,
    drop_from_page_cache,
    forget_pages,
    map_private,
    page_cache_of,
    read_table,
    touch_pages,
)
from scalescope.points import Attention, Dtype, Finding, Load


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model that is ready to run."""

    module: Any
    """In evaluation mode, without gradients."""
    load: Load
    findings: tuple[Finding, ...] = ()
    """What was drawn at random, left out or quantised."""

    @property
    def notes(self) -> tuple[str, ...]:
        """The findings as text."""
        return tuple(finding.text for finding in self.findings)


class Clock:
    """Seconds of named parts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of a block to a part."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def load(
    model: Model,
    *,
    weights: Path,
    dtype: Dtype = "fp32",
    attention: Attention = "sdpa",
    head: bool = False,
    device: str = "cpu",
    compiled: bool = False,
    cold: bool = False,
) -> Loaded:
    """Load a model, from the cache of random weights or from a folder with weights of its own.

    Weights in the type that runs are mapped, not copied: the page cache holds them once.

    Parameters
    ----------
    weights
        What `ensure_weights` returned, or a folder with safetensors.
    compiled
        Wrap in `torch.compile` for fixed shapes; it compiles at the first call.
    cold
        Ask the kernel to forget the file first.

    Returns
    -------
    Loaded
        With the seconds of each part; parts that cannot be told apart stay None.

    Raises
    ------
    InputError
        If a file is damaged, pickled, or of another shape than the model.
    NotImplementedError
        If int8 is asked for elsewhere than on the processor.
    ValueError
        Of transformers, if the class has no such attention.
    """
    if dtype == "int8" and device != "cpu":
        raise NotImplementedError("dynamic quantisation to int8 runs on the processor only")
    files = weight_files(weights)
    if cold:
        for file in files:
            drop_from_page_cache(file)
    seen = {page_cache_of(file) for file in files}
    clock = Clock()
    with clock.part("import_s"):
        kind = class_of(model, head=head)
    with quiet():
        one = _load_folder if weights.is_dir() else _load_file
        module, findings = one(model, kind, weights, dtype, attention, clock)
    if device != "cpu":
        with clock.part("to_device_s"):
            module = _moved(module, device)
    if compiled:
        module = _compiled(module)
    load = Load(
        **clock.seconds,
        page_cache=seen.pop() if len(seen) == 1 else "unknown",
        weight_bytes=sum(file.stat().st_size for file in files),
    )
    return Loaded(module=module, load=load, findings=findings)


def _load_file(
    model: Model, kind: type[Any], path: Path, dtype: Dtype, attention: Attention, clock: Clock
) -> tuple[Any, tuple[Finding, ...]]:
    """Load a file whose tensors are named as the module's."""
    with clock.part("construct_s"):
        module = construct(model, kind, dtype=dtype, attention=attention)
        wanted = slots(module, dtype)
    with clock.part("map_s"):
        table = read_table(path)
        _check(path, table, wanted)
        mapped = map_private(path)
        views = tensor_views(mapped, table)
        place(module, wanted, views)
    with clock.part("construct_s"):
        compute_buffers(module)
    with clock.part("materialise_s"):
        if dtype != "int8":
            touch_pages(mapped, table.data_start)
            return module, ()
        where = {view.data_ptr(): table.tensors[name] for name, view in views.items()}
        views.clear()

        def converted(weight: Any) -> None:
            stored = where[weight.data_ptr()]
            forget_pages(mapped, stored.start, stored.size)

        note = quantise(module, converted=converted)
        for tensor in module.parameters():
            stored = where[tensor.data_ptr()]
            touch_pages(mapped, stored.start, stored.size)
    return module, (note,)


def _check(path: Path, table: TensorTable, wanted: Sequence[Slot]) -> None:
    """Refuse a file that is not this model's."""
    for slot in wanted:
        name = slot.names[0]
        stored = table.tensors.get(name)
        if stored is None:
            raise InputError(f"{path} has no tensor {name}", hint="Is it the file of another model?")
        if stored.shape != slot.shape or stored.dtype != slot.dtype:
            raise InputError(
                f"{path}: {name} is {stored.dtype} {list(stored.shape)}, "
                f"the model has {slot.dtype} {list(slot.shape)}",
                hint="Is it the file of another model or type?",
            )
    extra = sorted(set(table.tensors) - {slot.names[0] for slot in wanted})
    if extra:
        raise InputError(f"{path} has a tensor that the model lacks: {extra[0]}")


def _load_folder(
    model: Model, kind: type[Any], folder: Path, dtype: Dtype, attention: Attention, clock: Clock
) -> tuple[Any, tuple[Finding, ...]]:
    """Load a folder by the loader of transformers, which knows older names of tensors.

    It constructs, maps and converts at once; all of it counts as mapping.
    """
    with clock.part("map_s"):
        module, findings = load_folder(model, kind, folder, dtype=dtype, attention=attention)
    with clock.part("materialise_s"):
        for tensor in module.parameters():
            _touch(tensor)
        if dtype == "int8":
            findings = (*findings, quantise(module, converted=lambda _: None))
    return module, findings


def _touch(tensor: Any) -> None:
    """Read one number of every page of a tensor."""
    if tensor.numel() and tensor.is_contiguous():
        tensor.detach().view(-1)[:: max(1, 4096 // tensor.element_size())].sum()


def _moved(module: Any, device: str) -> Any:
    import torch

    module = module.to(device)
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return module


def _compiled(module: Any) -> Any:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch's compiler about torch's scripts
        return torch.compile(module, dynamic=False)
