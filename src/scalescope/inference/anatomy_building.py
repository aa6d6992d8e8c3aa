"""Configuration, classes and modules of an architecture, on the meta device: nothing is allocated.

Only classes that `transformers` ships are used; code that comes with a model is never run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from scalescope.errors import InputError, MissingExtraError, nearest

if TYPE_CHECKING:
    from torch.nn import Module

MOST: Mapping[str, int] = {
    "hidden_size": 1_000_000,
    "num_hidden_layers": 2_000,
    "num_attention_heads": 100_000,
    "num_key_value_heads": 100_000,
    "vocab_size": 100_000_000,
    "intermediate_size": 10_000_000,
    "max_position_embeddings": 2**31 - 1,
    "num_experts": 10_000,
    "num_local_experts": 10_000,
    "n_routed_experts": 10_000,
}
"""Largest value that makes sense, by the common name of the setting; the smallest is 1."""

TWO_TOWERS = {"clip", "siglip", "siglip2", "metaclip_2", "altclip", "chinese_clip", "align"}
"""Image and text side by side; their classes for images alone are another model."""

NO_CACHE = {"xlnet"}
"""Filed under causal models, but each pass sees the whole text: used, and measured, as an encoder."""

UNSET = {(-1, "max_position_embeddings")}
"""Values that say "none": XLNet's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An architecture as modules without data."""

    config: Any
    bare: Module
    head: Module | None


def known_types() -> tuple[str, ...]:
    """Name every model type that has a class here.

    Raises
    ------
    MissingExtraError
        If transformers is not installed.
    """
    return tuple(sorted(_mappings()["bare"]))


def classes_of(model_type: str, *, encoder_decoder: bool, decoder: bool) -> tuple[str, str]:
    """Name the class without a head and the one with the head of the main task ("" if there is none).

    Raises
    ------
    InputError
        If the model type has no class.
    """
    names = _mappings()
    if model_type not in names["bare"]:
        raise InputError(f"unknown model type {model_type!r}", hint=nearest(model_type, names["bare"]))
    bare = _first(names["bare"][model_type])
    order = ["causal", "masked"] if decoder else ["masked", "causal"]
    if model_type not in TWO_TOWERS:
        order.append("image")
    found = (names[kind].get(model_type) for kind in (["seq2seq"] if encoder_decoder else order))
    head = next((_first(name) for name in found if name), "")
    return bare, "" if head == bare else head


def generates(config: Any) -> bool:
    """Whether it makes text token after token: has a causal class, and no masked one unless it says so."""
    names, kind = _mappings(), config.model_type
    if kind in NO_CACHE or kind not in names["causal"]:
        return bool(getattr(config, "is_encoder_decoder", False))
    return bool(getattr(config, "is_decoder", False)) or kind not in names["masked"]


def configuration(model_type: str, config: Mapping[str, Any]) -> Any:
    """Make the configuration object, checked.

    Raises
    ------
    InputError
        If the type is unknown or a value cannot be.
    """
    transformers = libraries()
    classes_of(model_type, encoder_decoder=False, decoder=False)
    made = transformers.AutoConfig.for_model
    plain = {key: value for key, value in config.items() if key not in {"model_type", "transformers_version"}}
    try:
        result = made(model_type, **plain)
    except Exception as error:
        raise InputError(
            f"not a configuration of {model_type}: {one_line(error)}", hint="Check the values of the file."
        ) from error
    _check(model_type, result)
    return result


def build(model_type: str, config: Mapping[str, Any]) -> Built:
    """Make the modules, with and without a head, on the meta device.

    Raises
    ------
    InputError
        If the type is unknown or the configuration does not make a model.
    """
    import torch

    transformers = libraries()
    made = configuration(model_type, config)
    bare, head = classes_of(
        model_type,
        encoder_decoder=bool(getattr(made, "is_encoder_decoder", False)),
        decoder=bool(getattr(made, "is_decoder", False)),
    )
    try:
        with torch.device("meta"):
            body = getattr(transformers, bare)(made).eval()
            whole = getattr(transformers, head)(made).eval() if head else None
    except Exception as error:
        raise InputError(
            f"no {model_type} can be made of this configuration: {one_line(error)}",
            hint="Widths must fit each other: heads divide the hidden size, lists are as long as the layers.",
        ) from error
    return Built(config=made, bare=body, head=whole)


def one_line(error: BaseException) -> str:
    """Shorten a message of the libraries to its first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if len(lines) > 1 and "rror" in lines[0] else (lines or [type(error).__name__])[0])[
        :200
    ]


def libraries() -> Any:
    """Import transformers, quiet and without looking for a network.

    Raises
    ------
    MissingExtraError
        If it or torch is not installed.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    for library in ("torch", "transformers"):
        try:
            module = __import__(library)
        except ImportError:
            raise MissingExtraError(library, "bench") from None
    return module


@lru_cache(maxsize=1)
def _mappings() -> dict[str, Mapping[str, Any]]:
    libraries()
    from transformers.models.auto import modeling_auto as auto

    return {
        "bare": auto.MODEL_MAPPING_NAMES,
        "causal": auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        "masked": auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        "seq2seq": auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        "image": auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    }


def _first(names: str | tuple[str, ...]) -> str:
    return names if isinstance(names, str) else names[0]


def _one_value(part: Any, name: str) -> Any:
    try:
        return getattr(part, name, None)
    except Exception:  # settings that differ from layer to layer refuse to be one number
        return None


def _check(model_type: str, config: Any) -> None:
    """Refuse what would hang or make no sense, before anything is built."""
    parts = [config, *(getattr(config, name, None) for name in ("text_config", "vision_config"))]
    for part in parts:
        for name, most in MOST.items():
            value = _one_value(part, name)
            if isinstance(value, int) and not isinstance(value, bool) and not 1 <= value <= most:
                if (value, name) in UNSET or (value == 0 and name.endswith("experts")):
                    continue
                raise InputError(
                    f"{name} of this {model_type} is {value}; it must be 1 to {most:,}",
                    hint="Check the configuration file.",
                )
