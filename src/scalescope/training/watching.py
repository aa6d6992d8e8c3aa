"""What is seen of a run that goes wrong: the part where numbers end, and spikes of the loss.

Findings go to whoever started the trial as messages, `{"kind": "finding", "code", "text", "hint"}`:

* TRN120: the training loss rose far above its run and stayed there for several steps;
* TRN121: a loss or gradient was not finite, and the trial ended;
* TRN122: many fp16 steps were left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from scalescope.training.optimizers.roles import parts_of
from scalescope.training.stacked.transformer import StackedTransformer

SPIKE, NOT_FINITE, LEFT_OUT = "TRN120", "TRN121", "TRN122"

WINDOW = 64
"""Steps whose median and spread a loss is held against."""
LEAST = 32
"""Steps before anything is called a spike."""
SPREADS = 6.0
"""Robust standard deviations above the median, and at least `RISE` of it."""
RISE = 0.1
LASTING = 3
"""Steps in a row; a single high loss is a batch of rare text."""
TOLD = 3
"""Spikes of one trial that are told one by one."""


def finding(code: str, text: str, hint: str) -> dict[str, Any]:
    """Return a finding as a trial's message."""
    return {"kind": "finding", "code": code, "text": text, "hint": hint}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A step of a run."""

    step: int
    tokens: int
    """Before the step."""
    sequences: tuple[int, int]
    """First and last of its batch, by their numbers in the run."""

    def __str__(self) -> str:
        first, last = self.sequences
        return f"step {self.step}, token {self.tokens}, sequences {first} to {last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """A rise of the training loss that lasted."""

    place: Place
    """Where it began."""
    usual: float
    """Median before, nats."""
    height: float
    """Highest loss of it so far, nats."""

    def message(self, name: str) -> dict[str, Any]:
        """Return the finding."""
        return finding(
            SPIKE,
            f"{name}: the loss rose from {self.usual:.2f} to {self.height:.2f} and stayed high, "
            f"from {self.place} on.",
            "Lower the rate, clip gradients or lengthen the warm-up if it returns; look at the batch.",
        )


@dataclass(slots=True)
class SpikeDetector:
    """Compares each loss with the median of those before it; what is too high does not join them."""

    usual: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    high: list[tuple[Place, float]] = field(default_factory=list)

    def see(self, place: Place, loss: float) -> Spike | None:
        """Take the next loss; return a spike at the step that makes it one."""
        ordered = sorted(self.usual)
        if len(ordered) < LEAST or loss <= _limit(ordered):
            self.high.clear()
            self.usual.append(loss)
            return None
        self.high.append((place, loss))
        if len(self.high) > WINDOW // 2:  # no spike but a new level
            self.usual.extend(one for _, one in self.high)
            self.high.clear()
            return None
        if len(self.high) != LASTING:
            return None
        return Spike(
            place=self.high[0][0],
            usual=ordered[len(ordered) // 2],
            height=max(one for _, one in self.high),
        )


def _limit(ordered: list[float]) -> float:
    middle = ordered[len(ordered) // 2]
    spread = sorted(abs(one - middle) for one in ordered)[len(ordered) // 2]
    return middle + max(SPREADS * 1.4826 * spread, RISE * middle)


def outputs_of(model: nn.Module, inputs: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield what every part of a model gives, by its name in the general network, in order."""
    seen: list[tuple[str, Tensor]] = []
    with torch.no_grad():
        if isinstance(model, StackedTransformer):
            model.forward(inputs, watch=lambda name, value: seen.append((name, value)))
        else:
            hooks = [
                module.register_forward_hook(_keeper(name, seen)) for name, module in model.named_modules()
            ]
            try:
                model(inputs)
            finally:
                for hook in hooks:
                    hook.remove()
    yield from seen


def _keeper(name: str, seen: list[tuple[str, Tensor]]) -> Any:
    def keep(module: nn.Module, given: Any, output: Any) -> None:  # noqa: ARG001
        if isinstance(output, Tensor):
            seen.append((name, output))

    return keep


def first_not_finite(model: nn.Module, inputs: Tensor) -> str:
    """Name the first part whose weights, output or gradient is not finite; empty if all are.

    Outputs are looked at in order, gradients from the head down, as each pass meets them.
    """
    parts = parts_of(model)
    for part in parts:
        if not _finite(part.param):
            return f"weights of {_layer(part.name, part.param)}"
    for name, output in outputs_of(model, inputs):
        if not _finite(output):
            return f"output of {name or 'the model'}"
    broken = [part for part in parts if part.param.grad is not None and not _finite(part.param.grad)]
    if not broken:
        return ""
    last = broken[-1]
    assert last.param.grad is not None
    return f"gradient of {_layer(last.name, last.param.grad)}"


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value).all())


def _layer(name: str, value: Tensor) -> str:
    """Add the last bad layer to the name of a stacked parameter."""
    if "." in name or value.ndim < 3:
        return name
    bad = [layer for layer, one in enumerate(value) if not _finite(one)]
    return f"{name}, layer {bad[-1]}" if bad else name
