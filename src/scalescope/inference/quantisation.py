"""Dynamic quantisation of matrices to int8: weights per tensor ahead of time, activations while running.

PyTorch keeps this in `torch.ao.quantization`, which it has announced to remove in favour of torchao; where it
is gone, int8 cells end as an unsupported operation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from scalescope.points import Finding
from scalescope.units import format_percent

if TYPE_CHECKING:
    import torch


def quantise(module: Any, *, converted: Callable[[torch.Tensor], None]) -> Finding:
    """Replace every linear layer of a model on the processor by an int8 one, in place, one after the other.

    GPT-2's `Conv1D`, a linear layer with its matrix transposed, is replaced too. Embeddings, convolutions,
    fused experts and subclasses of `Linear` stay in fp32.

    Parameters
    ----------
    converted
        Called with each weight that is no longer needed.

    Returns
    -------
    Finding
        Which share of the parameters was converted.

    Raises
    ------
    NotImplementedError
        If this PyTorch has no dynamic quantisation.
    """
    total = sum(tensor.numel() for tensor in module.parameters())
    count = share = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the announcement of the removal, once for each layer
        for parent, name, layer in list(_linear_layers(module)):
            weight = layer.weight
            setattr(parent, name, _int8(layer))
            count, share = count + 1, share + weight.numel()
            converted(weight.detach())
            del weight, layer
    part = format_percent(min(share / total, 1.0)) if total else "none"
    return Finding(
        code="BEN012",
        text=f"int8 replaced {count} linear layers, {part} of the parameters.",
        hint="The rest stays in fp32: embeddings, norms, convolutions and fused experts.",
    )


def _linear_layers(module: Any) -> Iterator[tuple[Any, str, Any]]:
    """Yield parent, name and layer of all that can be quantised."""
    import torch
    from transformers.pytorch_utils import Conv1D

    for parent in module.modules():
        for name, child in parent.named_children():
            if type(child) in (torch.nn.Linear, Conv1D):
                yield parent, name, child


def _int8(layer: Any) -> Any:
    import torch

    try:
        from torch.ao.nn.quantized.dynamic import Linear
        from torch.ao.quantization import default_dynamic_qconfig
    except ImportError as error:
        raise NotImplementedError("this PyTorch has no dynamic quantisation to int8") from error
    if not isinstance(layer, torch.nn.Linear):
        layer = _as_linear(layer)
    layer.qconfig = default_dynamic_qconfig
    from_float: Any = Linear.from_float  # it has no types
    return from_float(layer).eval()


def _as_linear(layer: Any) -> torch.nn.Linear:
    """Turn a `Conv1D` round."""
    import torch

    rows, columns = layer.weight.shape
    linear = torch.nn.Linear(rows, columns, device="meta")
    linear.weight = torch.nn.Parameter(layer.weight.detach().t().contiguous(), requires_grad=False)
    linear.bias = torch.nn.Parameter(layer.bias.detach(), requires_grad=False)
    return linear
