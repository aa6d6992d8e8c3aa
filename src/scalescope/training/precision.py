"""In what numbers a step is computed; weights and optimiser states stay in fp32.

* `bf16`, `fp16`: matrix products by torch's autocast; gradients of fp16 are scaled so that small ones survive
  (Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740), and a step whose scaled gradients overflow is
  left out.
* `int8`, `fp8`: matrix products of the blocks as if their operands had been rounded to eight bits, see
  `quantised`. What a study sees is the loss that such training reaches, not its speed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from scalescope.cost import Shape
from scalescope.training.building import Model, build_model
from scalescope.training.network import Network
from scalescope.training.quantised import quantise_products
from scalescope.training.trial_settings import Precision

AUTOCAST: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
FIRST_SCALE = 2.0**13
"""Of fp16 gradients; it doubles after so many steps without overflow and halves at each."""
STEPS_TO_DOUBLE = 200


def build_in(precision: Precision, shape: Shape) -> Model:
    """Make the model of a shape; the stacked one's own gradients are for fp32 and bf16 alone."""
    if precision in ("fp32", "bf16"):
        return build_model(shape)
    network = Network(shape)
    if precision in ("int8", "fp8"):
        quantise_products(network.blocks, precision)
    return network


class Numbers:
    """A precision on a device: what a forward pass runs in, and the scale of its gradients."""

    def __init__(self, precision: Precision, device: torch.device) -> None:
        self.device, self.dtype = device, AUTOCAST.get(precision)
        self._scaler = (
            torch.amp.GradScaler(device.type, init_scale=FIRST_SCALE, growth_interval=STEPS_TO_DOUBLE)
            if precision == "fp16"
            else None
        )

    def context(self) -> AbstractContextManager[Any]:
        """Return what a forward pass runs in."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device.type, dtype=self.dtype)

    def backward(self, loss: Tensor, optimizers: Iterable[torch.optim.Optimizer]) -> None:
        """Leave gradients in the parameters, in their own scale."""
        if self._scaler is None:
            loss.backward()  # type: ignore[no-untyped-call]
            return
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            self._scaler.unscale_(optimizer)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """Return the scale of the gradients and how long it has held; empty where there is none."""
        return {} if self._scaler is None else self._scaler.state_dict()

    def put(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned."""
        if self._scaler is not None and state:
            self._scaler.load_state_dict(state)

    def tolerates(self, loss: float, norm: float) -> bool:
        """Whether a gradient that is not finite only means that its scale was too large."""
        return (
            self._scaler is not None
            and math.isfinite(loss)
            and not math.isfinite(norm)
            and self._scaler.get_scale() >= 1
        )
