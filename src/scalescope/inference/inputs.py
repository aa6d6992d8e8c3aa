"""Made-up inputs for any class: token ids, masks, positions, images, boxes, and the decoder's side.

Ids are drawn over the whole vocabulary but for the ones with a meaning (padding, end, mask, image), which
some classes treat apart. A mask is given only where there is padding: without one, attention may take its
fast path.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from scalescope.cost import Anatomy
from scalescope.cost.batching import Batch, reply_length
from scalescope.errors import InputError, MissingExtraError
from scalescope.inference.workloads import MAKEABLE, RIGHT_PADDED
from scalescope.points import Kind

BOX = 1000
"""Corners of LayoutLM's boxes are in thousandths of the page."""


def import_torch() -> Any:
    """Return torch.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtraError("torch", "bench") from None
    return torch


def parameters_of(module: Any) -> frozenset[str]:
    """Return the names that a module's forward takes, also of a compiled module."""
    inner = getattr(module, "_orig_mod", module)
    return frozenset(inspect.signature(type(inner).forward).parameters)


class InputMaker:
    """Draws the inputs of calls; the same seed gives the same ids.

    Parameters
    ----------
    module
        Whose forward is called; its configuration names the vocabulary, its weights the type of images.
    """

    def __init__(self, module: Any, anatomy: Anatomy, *, device: str = "cpu", seed: int = 0) -> None:
        self._torch = import_torch()
        self._module = module
        self._anatomy = anatomy
        self._device = device
        self._names = parameters_of(module)
        self._random = self._torch.Generator().manual_seed(seed)
        self._config = getattr(module.config, "text_config", module.config)

    @property
    def _takes_text(self) -> bool:
        return "input_ids" in self._anatomy.inputs

    def inputs(self, batch: Batch, kind: Kind) -> dict[str, Any]:
        """Return all inputs of one pass over a batch.

        Prompts are padded on the left where tokens follow them, else on the right. For decode the decoder's
        side of an encoder-decoder is its start token alone, otherwise `reply_length` tokens.

        Raises
        ------
        InputError
            If the model needs an input that cannot be made up.
        """
        unknown = sorted(set(self._anatomy.inputs) - MAKEABLE)
        if unknown:
            raise InputError(
                f"{self._anatomy.model_type} needs {', '.join(unknown)}, which cannot be made up here"
            )
        made = self._text(batch, kind) if self._takes_text else {}
        if "pixel_values" in self._anatomy.inputs:
            made["pixel_values"] = self._images(batch.rows)
        if "bbox" in self._anatomy.inputs:
            made["bbox"] = self._boxes(batch)
        if "token_type_ids" in self._anatomy.inputs:
            made["token_type_ids"] = self._torch.zeros_like(made["input_ids"])
        if self._anatomy.encoder_decoder:
            made["decoder_input_ids"] = self._reply(batch, kind)
        return {name: tensor.to(self._device) for name, tensor in made.items()}

    def ids(self, rows: int, width: int) -> Any:
        """Draw token ids without special meaning, on the device."""
        size = int(self._config.vocab_size)
        special = {one for one in special_ids(self._module.config.to_dict()) if 0 <= one < size}
        allowed = self._torch.ones(size, dtype=self._torch.bool)
        if len(special) < size:
            allowed[sorted(special)] = False
        allowed = allowed.nonzero().flatten()
        drawn = self._torch.randint(len(allowed), (rows, width), generator=self._random)
        return allowed[drawn].to(self._device)

    def _text(self, batch: Batch, kind: Kind) -> dict[str, Any]:
        ids = self.ids(batch.rows, batch.width).cpu()
        if batch.packed:
            return {"input_ids": ids, **self._apart(batch)}
        if not batch.padded:
            return {"input_ids": ids}
        follows = kind != "encode" and not self._anatomy.encoder_decoder
        left = follows and self._anatomy.model_type not in RIGHT_PADDED
        mask = self._torch.zeros_like(ids)
        for row, length in enumerate(batch.lengths):
            mask[row, batch.width - length :] = 1 if left else mask[row, batch.width - length :]
            mask[row, :length] = mask[row, :length] if left else 1
        ids[mask == 0] = self._pad()
        made = {"input_ids": ids}
        if "attention_mask" in self._names:
            made["attention_mask"] = mask
        if left and "position_ids" in self._names:
            made["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
        return made

    def _pad(self) -> int:
        pad = getattr(self._config, "pad_token_id", None)
        return pad if isinstance(pad, int) and 0 <= pad < self._config.vocab_size else 0

    def _apart(self, batch: Batch) -> dict[str, Any]:
        """Return positions that start anew with every text and, for encoders, a mask between texts.

        Causal classes find the borders in the positions, as long as they keep no cache. The classes of
        encoders do not, and take a whole mask: the square of the row in memory and, unless attention skips
        masked blocks, in time.
        """
        torch = self._torch
        positions = torch.cat([torch.arange(length) for length in batch.lengths])[None]
        if self._anatomy.causal:
            return {"position_ids": positions}
        text = torch.repeat_interleave(torch.arange(len(batch.lengths)), torch.tensor(batch.lengths))
        same = text[:, None] == text[None, :]
        kind = self._floating()
        mask = torch.zeros(same.shape, dtype=kind).masked_fill(~same, torch.finfo(kind).min)
        made = {"attention_mask": mask[None, None]}
        if "position_ids" in self._names:
            made["position_ids"] = positions + position_start(self._module)
        return made

    def _images(self, rows: int) -> Any:
        config = self._module.config
        config = getattr(config, "vision_config", config)
        size = config.image_size
        height, width = (size, size) if isinstance(size, int) else tuple(size)
        shape = (rows, getattr(config, "num_channels", 3), height, width)
        return self._torch.randn(shape, generator=self._random).to(self._floating())

    def _boxes(self, batch: Batch) -> Any:
        corners = self._torch.randint(BOX, (batch.rows, batch.width, 2, 2), generator=self._random)
        return corners.sort(dim=2).values.flatten(2)

    def _reply(self, batch: Batch, kind: Kind) -> Any:
        width = 1 if kind == "decode" else reply_length(self._anatomy, batch.width)
        ids = self.ids(batch.rows, width).cpu()
        start = getattr(self._module.config, "decoder_start_token_id", None)
        ids[:, 0] = start if isinstance(start, int) and 0 <= start < self._config.vocab_size else self._pad()
        return ids

    def _floating(self) -> Any:
        """Return the type of the weights: what images and masks have to be."""
        kinds = (one.dtype for one in self._module.parameters() if one.is_floating_point())
        return next(kinds, self._torch.float32)


def special_ids(config: Mapping[Any, Any]) -> Iterator[int]:
    """Yield the ids that a configuration, or one inside it, gives a meaning."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from special_ids(value)
        elif isinstance(name, str) and name.endswith(("_token_id", "_token_ids", "_token_index")):
            values = value if isinstance(value, (list, tuple)) else [value]
            yield from (one for one in values if isinstance(one, int) and not isinstance(one, bool))


def position_start(module: Any) -> int:
    """Return the position of a first token: 0, or past the padding index as in RoBERTa."""
    for part in module.modules():
        if type(part).__name__.endswith("Embeddings") and isinstance(getattr(part, "padding_idx", None), int):
            return int(part.padding_idx) + 1
    return 0
