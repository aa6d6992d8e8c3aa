"""A model without its numbers: constructed on the meta device, then given tensors and its constant buffers.

This is the way of `transformers`' own loader (from 5.0): nothing is allocated twice, tied weights are one
tensor, and buffers that no file holds (rotary frequencies, position indices) are computed by the class.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalescope.errors import InputError, MissingExtraError, nearest
from scalescope.inference.models import Model
from scalescope.points import Attention, Dtype

if TYPE_CHECKING:
    import mmap

    import torch

    from scalescope.inference.tensor_files import TensorTable

ATTENTION: Mapping[Attention, str] = {"eager": "eager", "sdpa": "sdpa", "flex": "flex_attention"}
"""Our names to those of `transformers`."""

STORED_AS: Mapping[Dtype, str] = {"fp32": "F32", "bf16": "BF16", "fp16": "F16", "int8": "F32"}
"""Types of the weights in a file; int8 is made from fp32 while loading."""

_TORCH_NAMES: Mapping[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place for one stored tensor."""

    names: tuple[str, ...]
    """Where it stands in the model: more than one if tied. The first is its name in a file."""
    shape: tuple[int, ...]
    dtype: str
    """As safetensors call it."""


def torch_dtype(name: str) -> torch.dtype:
    """Find torch's type for the name that safetensors use."""
    import torch

    found: torch.dtype = getattr(torch, _TORCH_NAMES[name])
    return found


def class_of(model: Model, *, head: bool) -> type[torch.nn.Module]:
    """Import the class that runs a model, bare or with its head.

    Raises
    ------
    InputError
        If the model has no head, or transformers no such class.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "bench") from error
    name = model.anatomy.head_class if head else model.anatomy.bare_class
    if not name:
        raise InputError(f"{model.name} has no head", hint="Measure the bare model.")
    try:
        found: type[torch.nn.Module] = getattr(transformers, name)
    except AttributeError as error:
        known = [one for one in dir(transformers) if one.endswith("Model")]
        raise InputError(f"transformers has no class {name}", hint=nearest(name, known)) from error
    return found


def construct(model: Model, kind: type[Any], *, dtype: Dtype, attention: Attention) -> Any:
    """Build a model on the meta device: shapes and types, no memory.

    Raises
    ------
    ValueError
        Of transformers, if the class has no such attention.
    """
    import torch

    config = kind.config_class(**model.config)
    wanted = torch_dtype(STORED_AS[dtype])
    with torch.device("meta"):
        module = kind._from_config(config, dtype=wanted, attn_implementation=ATTENTION[attention])
    return module.eval().requires_grad_(False)


def slots(module: Any, dtype: Dtype) -> tuple[Slot, ...]:
    """List what a file must hold for a model, each tied tensor once."""
    names: dict[int, list[str]] = {}
    tensors: dict[int, torch.Tensor] = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        names.setdefault(id(tensor), []).append(name)
        tensors[id(tensor)] = tensor
    wide = _kept_wide(module, dtype)
    codes = {torch_dtype(code): code for code in _TORCH_NAMES}
    return tuple(
        Slot(
            names=tuple(names[key]),
            shape=tuple(tensor.shape),
            dtype="F32" if wide and wide.search(names[key][0]) else codes[tensor.dtype],
        )
        for key, tensor in tensors.items()
    )


def _kept_wide(module: Any, dtype: Dtype) -> re.Pattern[str] | None:
    """Names of the tensors that the class keeps in fp32 whatever is asked."""
    kept = set(getattr(module, "_keep_in_fp32_modules_strict", None) or ()) if dtype != "fp32" else set()
    if dtype == "fp16":
        kept |= set(getattr(module, "_keep_in_fp32_modules", None) or ())
    return re.compile("|".join(one.replace("*", ".*") for one in sorted(kept))) if kept else None


def place(module: Any, wanted: Iterable[Slot], tensors: Mapping[str, torch.Tensor]) -> None:
    """Put tensors, without copying them, wherever their slots stand."""
    import torch

    owners = dict(module.named_modules(remove_duplicate=False))
    for slot in wanted:
        tensor = tensors[slot.names[0]]
        parent, _, last = slot.names[0].rpartition(".")
        if last in owners[parent]._parameters:
            tensor = torch.nn.Parameter(tensor, requires_grad=False)
        for name in slot.names:
            parent, _, last = name.rpartition(".")
            owner = owners[parent]
            (owner._parameters if last in owner._parameters else owner._buffers)[last] = tensor


def tensor_views(mapped: mmap.mmap, table: TensorTable) -> dict[str, torch.Tensor]:
    """Make the tensors of a mapped file, each a view of it."""
    import torch

    if table.size == table.data_start:
        return {
            name: torch.empty(one.shape, dtype=torch_dtype(one.dtype)) for name, one in table.tensors.items()
        }
    everything = torch.frombuffer(mapped, dtype=torch.uint8)
    return {
        name: everything[one.start : one.start + one.size].view(torch_dtype(one.dtype)).view(one.shape)
        for name, one in table.tensors.items()
    }


def allocate_buffers(module: Any, device: str = "cpu") -> None:
    """Give memory to the buffers that no file holds; their numbers are still to come."""
    import torch

    for owner in module.modules():
        for name in owner._non_persistent_buffers_set:
            if (buffer := owner._buffers.get(name)) is not None and buffer.is_meta:
                owner._buffers[name] = torch.empty_like(buffer, device=device)


def compute_buffers(module: Any) -> None:
    """Compute the buffers that no file holds, by the class's own initialisation; all else stays."""
    for tensor in module.state_dict(keep_vars=True).values():
        tensor._is_hf_initialized = True
    allocate_buffers(module)
    initialise(module)


def initialise(module: Any) -> None:
    """Run the classes' own initialisation on whatever is not marked as loaded."""
    for owner in module.modules():
        owner._is_hf_initialized = False
    module.initialize_weights()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from writing progress bars and advice to the terminal."""
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging  # its functions have no types
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
