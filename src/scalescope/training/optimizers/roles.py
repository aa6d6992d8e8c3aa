"""What every parameter of a model is for, by one function for both models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from scalescope.training.blocks.convolution import ShortConvolution
from scalescope.training.rates import Role
from scalescope.training.stacked.transformer import StackedTransformer

CONVOLUTIONS = (ShortConvolution, nn.Conv1d, nn.Conv2d)
"""Depthwise ones, before a state space: a few numbers a channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A parameter and what it is for."""

    name: str
    param: nn.Parameter
    role: Role
    inputs_first: bool = False
    """Whether the rows of a matrix are inputs; in torch's linear layers they are outputs."""
    outputs: tuple[int, ...] = ()
    """Outputs of each matrix of a fused one; empty where it is one."""
    writes: bool = False
    """Whether it writes into the stream."""

    @property
    def fan_in(self) -> int:
        """Numbers that one output of a matrix is the sum of."""
        return int(self.param.shape[-2 if self.inputs_first else -1])


def parts_of(model: nn.Module) -> list[Part]:
    """Return every parameter once, in the order of the model."""
    return list(_stacked(model) if isinstance(model, StackedTransformer) else _general(model))


def _stacked(model: StackedTransformer) -> Iterator[Part]:
    shape = model.shape
    keys = shape.n_kv_heads * shape.head_size
    outputs = {"qkv": (shape.width, keys, keys)}
    roles: dict[str, Role] = {"norms": "vector", "head": "head"}
    roles["embedding"] = "head" if shape.tied else "embedding"
    for name, param in model.named_parameters():
        yield Part(
            name=name,
            param=param,
            role=roles.get(name, "matrix"),
            inputs_first=name in ("qkv", "gate_up"),
            outputs=outputs.get(name, ()),
            writes=name in ("attention_out", "down"),
        )


def _general(model: nn.Module) -> Iterator[Part]:
    head = getattr(model, "head", None)
    tied = None if head is None else getattr(head, "weight", None)
    seen: set[int] = set()
    for place, module in model.named_modules():
        for own, param in module.named_parameters(recurse=False):
            if id(param) in seen:
                continue
            seen.add(id(param))
            path = f"{place}.{own}" if place else own
            yield Part(
                name=path,
                param=param,
                role="head" if param is tied else _role(path.split("."), module, param),
                inputs_first=bool(getattr(module, "inputs_first", False)),
                outputs=tuple(getattr(module, "outputs", ())),
                writes=bool({"out", "down"} & set(path.split("."))),
            )


def _role(path: list[str], module: nn.Module, param: Tensor) -> Role:
    if param.ndim < 2 or isinstance(module, CONVOLUTIONS):
        return "vector"
    if path[0] == "head":
        return "head"
    if path[0] == "embedding" or isinstance(module, nn.Embedding):
        return "embedding"
    if "router" in path:
        return "router"
    return "matrix" if param.ndim == 2 else "expert"
