"""What a block forgets after its forward pass and computes again in the backward pass.

After Chen et al. 2016 (https://arxiv.org/abs/1604.06174), by `Layout.recompute`: `full` keeps a block's
input alone. `selective` forgets the attention (Korthikanti et al. 2022, https://arxiv.org/abs/2205.05198).
`operations` keeps what attention and reduce-scatters return and every second matrix product, as
`scalescope.cost.saved_operations` counts it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import (
    CheckpointPolicy,
    SelectiveCheckpointContext,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from scalescope.cost.layout import Recompute
from scalescope.training.network import Network

_ATEN = torch.ops.aten
PRODUCTS = frozenset({_ATEN.mm.default, _ATEN.addmm.default})
KEPT = frozenset(
    {
        _ATEN._scaled_dot_product_efficient_attention.default,
        _ATEN._scaled_dot_product_flash_attention.default,
        _ATEN._scaled_dot_product_flash_attention_for_cpu.default,
        _ATEN._scaled_dot_product_cudnn_attention.default,
        torch.ops._c10d_functional.reduce_scatter_tensor.default,
    }
)
"""Operations of which the result is never computed again."""


def forget(network: Network, recompute: Recompute) -> None:
    """Let the blocks of a network compute again what `recompute` says."""
    for block in network.blocks.values():
        if recompute == "full":
            _again(block, "forward")
        elif recompute == "operations":
            _again(block, "forward", _contexts)
        elif recompute == "selective" and hasattr(block.mixer, "attend"):
            assert isinstance(block.mixer, nn.Module)
            _again(block.mixer, "attend")


def _again(module: nn.Module, method: str, contexts: Callable[[], Any] | None = None) -> None:
    """Replace a method by one that computes itself again; names of modules and weights stay."""
    options: dict[str, Any] = {} if contexts is None else {"context_fn": contexts}
    plain = getattr(module, method)
    setattr(module, method, partial(checkpoint, plain, use_reentrant=False, **options))


def _contexts() -> Any:
    return create_selective_checkpoint_contexts(_EverySecond())  # type: ignore[no-untyped-call]


class _EverySecond:
    """Decides operation by operation; forward and again each count for themselves."""

    def __init__(self) -> None:
        self.seen = {False: 0, True: 0}

    def __call__(
        self, context: SelectiveCheckpointContext, operation: Any, *_: Any, **__: Any
    ) -> CheckpointPolicy:
        if operation in PRODUCTS:
            self.seen[context.is_recompute] += 1
            kept = self.seen[context.is_recompute] % 2 == 1
        else:
            kept = operation in KEPT
        return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE
