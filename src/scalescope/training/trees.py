"""Nested state as tensors and JSON, so that no pickle is needed to keep it.

A tree is made of dictionaries, lists, tuples, tensors, strings, numbers, booleans and None. Its tensors get
names after their place; what stands in that place, and all that JSON would change, is spelled as
`{"$kind": value}`: a dictionary is a list of pairs, since its keys may be numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def split_tree(tree: Any, name: str = "") -> tuple[Any, dict[str, Tensor]]:
    """Return JSON-ready values, and the tensors by name, on the processor and with memory of their own."""
    tensors: dict[str, Tensor] = {}
    return _split(tree, name, tensors), tensors


def join_tree(plain: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Undo `split_tree`."""
    if isinstance(plain, list):
        return [join_tree(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    ((kind, value),) = plain.items()
    if kind == "$tensor":
        return tensors[value]
    if kind == "$float":
        return float(value)
    if kind == "$dtype":
        return getattr(torch, value)
    if kind == "$tuple":
        return tuple(join_tree(item, tensors) for item in value)
    assert kind == "$pairs", kind
    return {key: join_tree(item, tensors) for key, item in value}


def copy_tree(tree: Any) -> Any:
    """Copy a tree, its tensors where they are."""
    if isinstance(tree, Tensor):
        return tree.clone()
    if isinstance(tree, dict):
        return {key: copy_tree(item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(copy_tree(item) for item in tree)
    return tree


def _split(tree: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, Tensor):
        tensors[name] = tree.detach().cpu().contiguous().clone()
        return {"$tensor": name}
    if isinstance(tree, Mapping):
        return {"$pairs": [[key, _split(item, f"{name}.{key}", tensors)] for key, item in tree.items()]}
    if isinstance(tree, (list, tuple)):
        items = [_split(item, f"{name}.{place}", tensors) for place, item in enumerate(tree)]
        return items if isinstance(tree, list) else {"$tuple": items}
    if isinstance(tree, float) and not math.isfinite(tree):
        return {"$float": repr(tree)}
    if isinstance(tree, torch.dtype):
        return {"$dtype": str(tree).removeprefix("torch.")}
    if tree is None or isinstance(tree, (str, int, float)):
        return tree
    raise TypeError(f"{name} is a {type(tree).__name__}, which no checkpoint keeps")
