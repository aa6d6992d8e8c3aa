"""Memory of each phase of a cell, its parts told apart: weights, cache, activations, logits.

A part is never the difference of two readings of one long-lived process. The weights are the bytes of the
module's tensors; the peak of a call is the high-water mark of that call above what stays resident after it;
cache and logits are the bytes of the tensors that the call returned; activations are the rest. Where the
kernel and the tensors disagree, a note says so; an impossible figure is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from scalescope.inference.meters import HostMemory, host_memory
from scalescope.points import Memory

SLACK = 32 << 20
"""Bytes by which the kernel's figure may differ from the tensors': pages in part used, pools, our code."""


class PhaseMemory(Protocol):
    """Reads the memory of the phases of one cell, in their order."""

    notes: list[str]

    def loaded(self, module: Any) -> None:
        """Note what loading took; starts the phase of the calls."""
        ...

    def reset(self) -> None:
        """Forget the peak so far, before the calls that count."""
        ...

    def called(self) -> None:
        """Note the peak of the calls, before anything else is done."""
        ...

    def finish(self, cache: int, logits: int) -> Memory | None:
        """Return the parts; called when nothing of the last call is held any more."""
        ...


def memory_of(device: str, weights: Path) -> PhaseMemory:
    """Return the meter for a device."""
    if device.startswith("cuda"):
        return DeviceAllocator(device)
    meter = host_memory([weights])
    return NoMeter() if meter is None else HostPhases(meter)


class NoMeter:
    """Where nothing can be measured exactly, nothing is told."""

    def __init__(self) -> None:
        self.notes = ["memory was not measured: the system has no resettable high-water mark"]

    def loaded(self, module: Any) -> None:
        """Nothing."""

    def reset(self) -> None:
        """Nothing."""

    def called(self) -> None:
        """Nothing."""

    def finish(self, cache: int, logits: int) -> Memory | None:  # noqa: ARG002
        """Nothing is known."""
        return None


class HostPhases:
    """The kernel's high-water mark of this process."""

    def __init__(self, meter: HostMemory) -> None:
        self.notes: list[str] = []
        self._meter = meter
        self._start = meter.rest()
        self._libraries = meter.library_bytes()
        self._weights = 0
        self._load_peak = 0
        self._high = 0
        meter.reset()

    def loaded(self, module: Any) -> None:
        """See `PhaseMemory`."""
        now = self._meter.read()
        self._load_peak = now.high - self._start.total - (self._meter.library_bytes() - self._libraries)
        self._weights = tensor_bytes(module_tensors(module))
        self.reset()

    def reset(self) -> None:
        """See `PhaseMemory`."""
        self._meter.rest()
        self._meter.reset()

    def called(self) -> None:
        """See `PhaseMemory`."""
        self._high = self._meter.read().high

    def finish(self, cache: int, logits: int) -> Memory | None:
        """See `PhaseMemory`."""
        high = self._high
        resting = self._meter.rest()
        baseline = self._start.anonymous + self._meter.library_bytes()
        resident = resting.total - baseline
        if abs(resident - self._weights) > SLACK + 0.1 * self._weights:
            self.notes.append(
                f"{resident} bytes stayed resident after the call, the tensors have {self._weights}"
            )
        return Memory(
            source=self._meter.source,
            baseline=baseline,
            weights=self._weights,
            cache=cache,
            logits=logits,
            activations=self._positive(high - resting.total - cache - logits, "activations"),
            load_peak=self._positive(self._load_peak, "load peak"),
            peak=self._positive(high - baseline, "peak"),
        )

    def _positive(self, value: int, name: str) -> int | None:
        """Return a figure; a negative one is none, beyond what pages in part used can explain."""
        if value >= 0:
            return value
        if value > -(1 << 20):
            return 0
        self.notes.append(f"{name} came out at {value} bytes and was left out")
        return None


class DeviceAllocator:
    """The peak of torch's allocator on one GPU; the host's share is not counted."""

    def __init__(self, device: str) -> None:
        import torch

        self.notes: list[str] = []
        self._cuda = torch.cuda
        self._device = device
        self._baseline = torch.cuda.memory_allocated(device)
        self._weights = 0
        self._load_peak = 0
        self._high = 0
        torch.cuda.reset_peak_memory_stats(device)

    def loaded(self, module: Any) -> None:
        """See `PhaseMemory`."""
        self._weights = tensor_bytes(module_tensors(module))
        self._load_peak = self._cuda.max_memory_allocated(self._device) - self._baseline
        self.reset()

    def reset(self) -> None:
        """See `PhaseMemory`."""
        self._cuda.synchronize(self._device)
        self._cuda.reset_peak_memory_stats(self._device)

    def called(self) -> None:
        """See `PhaseMemory`."""
        self._cuda.synchronize(self._device)
        self._high = self._cuda.max_memory_allocated(self._device)

    def finish(self, cache: int, logits: int) -> Memory | None:
        """See `PhaseMemory`."""
        high = self._high
        resting = self._cuda.memory_allocated(self._device)
        return Memory(
            source="cuda allocator",
            baseline=self._baseline,
            weights=self._weights,
            cache=cache,
            logits=logits,
            activations=max(0, high - resting - cache - logits),
            load_peak=self._load_peak,
            peak=high - self._baseline,
        )


def module_tensors(module: Any, *, buffers: bool = True) -> Iterable[Any]:
    """Yield parameters, buffers unless they are not wanted, and what quantised modules pack."""
    yield from module.parameters()
    if buffers:
        yield from module.buffers()
    for part in module.modules():
        packed = getattr(part, "_packed_params", None)
        if packed is not None and hasattr(packed, "_weight_bias"):
            yield from (tensor for tensor in packed._weight_bias() if tensor is not None)


def tensor_bytes(tensors: Iterable[Any]) -> int:
    """Sum the bytes of tensors; those that are the same memory, such as tied weights, once."""
    sizes: dict[int, int] = {}
    for tensor in tensors:
        if not tensor.is_meta:
            place = id(tensor) if tensor.is_quantized else tensor.data_ptr()
            sizes[place] = max(sizes.get(place, 0), tensor.numel() * tensor.element_size())
    return sum(sizes.values())
