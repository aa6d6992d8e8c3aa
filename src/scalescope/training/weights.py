"""Weights by name in one safetensors file that says what they are: one trial keeps it, another begins there.

The file appears under its name only when it is whole, and carries the SHA-256 of its tensors. Nothing in it
is ever executed: tensors as bytes, and one JSON text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import torch
from torch import Tensor, nn

from scalescope.cost import Shape
from scalescope.errors import InputError, MissingExtraError
from scalescope.points import from_plain, to_plain
from scalescope.points.files import replacing

KEY = "scalescope"
"""Of the metadata of the file that holds `About`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a file of weights says of itself."""

    schema: ClassVar[str] = "scalescope.weights/1"

    shape: Shape
    tokens: int
    """Trained on, in all."""
    corpus: str = ""
    corpus_digest: str = ""
    """Of the last text."""
    tokenizer: str = ""
    tokenizer_digest: str = ""
    """Empty where no text was read."""
    trial: str = ""
    """Name of the trial."""
    digest: str = ""
    """SHA-256 of names, types, shapes and bytes of the tensors."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> About:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters and lasting buffers by name, a shared one once."""
    named: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in model.state_dict(keep_vars=True).items():
        if id(value) not in seen:
            seen.add(id(value))
            named[name] = value.detach()
    return named


def put_weights(model: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Copy weights into a model.

    Raises
    ------
    InputError
        If a name or a shape differs; the message says which, and `where` the weights come from.
    """
    params = weights_of(model)
    hint = "Begin from weights of the same shape."
    for name in sorted(params.keys() ^ weights.keys()):
        missing = "has no" if name in params else "has a surplus"
        raise InputError(f"{where} {missing} {name}", hint=hint)
    for name, param in params.items():
        if param.shape != weights[name].shape:
            found, wanted = tuple(weights[name].shape), tuple(param.shape)
            raise InputError(f"{where}: {name} is {found}, the model needs {wanted}", hint=hint)
    with torch.no_grad():
        for name, param in params.items():
            param.copy_(weights[name])


def save_weights(path: Path, weights: Mapping[str, Tensor], about: About) -> About:
    """Write weights under `path`, and return `about` with their digest.

    Raises
    ------
    WorkError
        If the operating system refuses.
    """
    from safetensors.torch import save_file

    held = {name: weight.detach().cpu().contiguous().clone() for name, weight in weights.items()}
    about = replace(about, digest=digest_tensors(held))
    text = msgspec.json.encode(about.to_dict()).decode()
    with replacing(path) as part:
        save_file(held, part, metadata={KEY: text})
    return about


def load_weights(path: Path) -> tuple[dict[str, Tensor], About]:
    """Read what `save_weights` wrote.

    Raises
    ------
    InputError
        If the file is absent, damaged, or none of ours.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise MissingExtraError("safetensors", "train") from None
    again = "Save the weights again, or begin from another file."
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror or error}", hint=again) from None
    except SafetensorError as error:
        raise InputError(f"{path} is no whole file of weights: {error}", hint=again) from None
    if text is None:
        raise InputError(f"{path} does not say what its weights are", hint="Give weights that a trial kept.")
    about = About.from_dict(msgspec.json.decode(text))
    if digest_tensors(weights) != about.digest:
        raise InputError(f"the weights {path} are not those that were written", hint=again)
    return weights, about


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
