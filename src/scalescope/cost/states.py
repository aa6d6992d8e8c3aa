"""Bytes that a training keeps of every parameter: weights, gradients, and what the optimiser remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scalescope.errors import InputError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How numbers are kept, bytes each."""

    weights: int
    gradients: int
    master: int
    """Of a second copy of the weights for the update; 0 for none."""
    moment: int
    """Of one number that the optimiser remembers."""
    compute: int
    """Of the numbers that products take, and of what autograd keeps."""
    used_by: str
    gathers_again: bool = False
    """Whether inputs of products that sequence parallelism gathers are dropped and gathered once more on the
    way back, as Megatron-LM does (https://arxiv.org/abs/2205.05198, section 4.2.2); autograd keeps them."""
    fused_norms: bool = True
    """Whether a norm keeps its input alone."""
    own_turns: bool = False
    gathered_keys: bool = False
    """Both as `cost.saved.saved_tensors` has them."""
    chunked_loss: bool = False
    """Whether a fused loss makes its gradients on the way forward, see `cost.loss_memory`."""

    def optimiser(self, name: str) -> float:
        """Return the bytes of master weights and of what an optimiser remembers of one parameter.

        Raises
        ------
        InputError
            If the optimiser is unknown.
        """
        if name not in MOMENTS:
            raise InputError(f"no optimiser is called {name!r}", hint=nearest(name, MOMENTS))
        kept = MOMENTS[name]
        return self.master + (kept.bytes if kept.bytes is not None else kept.moments * self.moment)


@dataclass(frozen=True, slots=True)
class Moments:
    """What an optimiser remembers of one parameter."""

    moments: float
    source: str
    bytes: float | None = None
    """Where its numbers have a width of their own."""


KEEPINGS: Mapping[str, Keeping] = {
    "megatron": Keeping(
        weights=2,
        gradients=4,
        master=4,
        moment=4,
        compute=2,
        used_by="Megatron-LM, bf16 with fp32 gradients",
        gathers_again=True,
    ),
    "zero": Keeping(
        weights=2,
        gradients=2,
        master=4,
        moment=4,
        compute=2,
        used_by="DeepSpeed, https://arxiv.org/abs/1910.02054",
    ),
    "fsdp": Keeping(
        weights=4, gradients=4, master=0, moment=4, compute=2, used_by="FSDP2 with fp32 weights, torchtitan"
    ),
    "scalescope": Keeping(
        weights=4,
        gradients=4,
        master=0,
        moment=4,
        compute=2,
        used_by="python -m scalescope.training.distributed, bf16",
        fused_norms=False,
        own_turns=True,
        gathered_keys=True,
        chunked_loss=True,
    ),
    "bf16": Keeping(weights=2, gradients=2, master=0, moment=2, compute=2, used_by="everything in bf16"),
    "fp32": Keeping(weights=4, gradients=4, master=0, moment=4, compute=4, used_by="everything in fp32"),
}
"""Name to how a training stack keeps its numbers."""

MOMENTS: Mapping[str, Moments] = {
    "adamw": Moments(2, "https://arxiv.org/abs/1711.05101"),
    "adamw-8bit": Moments(2, "https://arxiv.org/abs/2110.02861", bytes=2),
    "lion": Moments(1, "https://arxiv.org/abs/2302.06675"),
    "muon": Moments(
        1, "https://kellerjordan.github.io/posts/muon/; AdamW's two for embedding and head left out"
    ),
    "adafactor": Moments(
        0, "https://arxiv.org/abs/1804.04235; rows and columns of a matrix, next to nothing"
    ),
    "sgd": Moments(0, "without momentum"),
}
"""Optimiser to what it remembers."""
