r"""Matrix products of eight-bit operands, computed in floating point ("aware" training).

An operand :math:`x` becomes :math:`s \cdot \mathrm{round}(x / s)`; the gradient passes as if nothing had been
rounded (straight through, Bengio et al. 2013, https://arxiv.org/abs/1308.3432).

* `int8`: integers of -127 to 127, one scale a token of the activations and one an output of the weights, as
  integer products allow. Gradients are not rounded.
* `fp8`: e4m3 forward with one scale a tensor, and e5m2 for the gradient that comes back (Micikevicius et al.
  2022, https://arxiv.org/abs/2209.05433). On devices with and without such units the numbers are the same but
  for the order of sums.

Only linear layers of the blocks are changed: embedding, head, routers, norms and attention scores are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from scalescope.errors import InputError

Eight = Literal["int8", "fp8"]
Rounding = Callable[[Tensor], Tensor]

LARGEST_INT8 = 127.0
LARGEST_E4M3 = 448.0
LARGEST_E5M2 = 57344.0
LEAST_SCALE = 1e-12


def round_int8(x: Tensor) -> Tensor:
    """Round each row, over the last axis, to 255 equal steps."""
    scale = (x.abs().amax(-1, keepdim=True) / LARGEST_INT8).clamp_min(LEAST_SCALE)
    return (x / scale).round() * scale


def round_e4m3(x: Tensor) -> Tensor:
    """Round a whole tensor to four bits of exponent and three of mantissa."""
    return _round_float(x, torch.float8_e4m3fn, LARGEST_E4M3)


def round_e5m2(x: Tensor) -> Tensor:
    """Round a whole tensor to five bits of exponent and two of mantissa."""
    return _round_float(x, torch.float8_e5m2, LARGEST_E5M2)


def _round_float(x: Tensor, dtype: torch.dtype, largest: float) -> Tensor:
    scale = (x.abs().amax() / largest).clamp_min(LEAST_SCALE)
    return (x / scale).clamp(-largest, largest).to(dtype).to(x.dtype) * scale


class _Rounded(torch.autograd.Function):
    """Round on one of the two ways; the other passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Rounding | None, back: Rounding | None) -> Tensor:
        ctx.back = back
        return x.view_as(x) if there is None else there(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return grad if ctx.back is None else ctx.back(grad), None, None


ROUNDINGS: Mapping[Eight, tuple[Rounding, Rounding | None]] = {
    "int8": (round_int8, None),
    "fp8": (round_e4m3, round_e5m2),
}
"""Of operands on the way forward, and of the gradient on the way back."""


def _round(x: Tensor, *, there: Rounding | None = None, back: Rounding | None = None) -> Tensor:
    return _Rounded.apply(x, there, back)  # type: ignore[no-any-return, no-untyped-call]


class RoundedLinear(nn.Linear):
    """A linear layer whose operands have eight bits; its parameters are those of the layer it replaces."""

    def __init__(self, plain: nn.Linear, eight: Eight) -> None:
        with torch.device("meta"):
            super().__init__(plain.in_features, plain.out_features, bias=plain.bias is not None)
        self.weight, self.bias = plain.weight, plain.bias
        self.eight: Eight = eight

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Return the product of the rounded operands."""
        there, back = ROUNDINGS[self.eight]
        out = F.linear(_round(input, there=there), _round(self.weight, there=there), self.bias)
        return out if back is None else _round(out, back=back)


def quantise_products(blocks: nn.Module, eight: Eight) -> None:
    """Round the operands of every linear layer below a module, routers left out.

    Raises
    ------
    InputError
        If a parameter multiplies outside a linear layer, where nothing would be rounded.
    """
    for name, module in list(blocks.named_modules()):
        if isinstance(module, nn.Linear) and "router" not in name.split("."):
            blocks.set_submodule(name, RoundedLinear(module, eight))
    for name, param in blocks.named_parameters():
        if param.ndim == 3 and param.shape[1] > 1:
            raise InputError(
                f"{eight}: products of {name} cannot be rounded", hint="Train experts in fp32, bf16 or fp16."
            )
