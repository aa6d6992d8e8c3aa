"""What a model is asked to do in one call, and in which arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["encode", "prefill", "decode"]
"""One pass of an encoder (or encoder-decoder); one causal pass that fills a cache; token after token."""

Batching = Literal["single", "padded", "bucketed", "packed"]
"""How texts of unequal length become a call: all alike, padded to the longest, sorted first, end to end."""

Dtype = Literal["fp32", "bf16", "fp16", "int8"]
"""int8 is dynamic quantisation of the matrices, activations in fp32."""

Attention = Literal["eager", "sdpa", "flex"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a model is asked to do in one call."""

    task: str = "length"
    """Where the shape is from: `length` for a plain length, else a task such as `question-answering`."""
    kind: Kind = "encode"
    length: int = 128
    """Tokens of the longest text of a call (patches follow from the image for image models)."""
    batch: int = 1
    new_tokens: int = 0
    """Tokens decoded after the prompt; 0 unless `kind` is decode."""
    lengths: tuple[int, ...] = ()
    """Length of every text of the call where they differ."""
    batching: Batching = "single"
    head: bool = False
    """Whether the task's head (logits over the vocabulary, classes) runs too, or the bare model."""

    @property
    def tokens(self) -> int:
        """Useful tokens of one call: of all texts, without padding; decoded ones for decode."""
        if self.kind == "decode":
            return self.batch * self.new_tokens
        return sum(self.lengths) if self.lengths else self.batch * self.length

    @property
    def name(self) -> str:
        """Short and unique, such as `prefill 512` or `decode 128+32 x4`."""
        more = f"+{self.new_tokens}" if self.new_tokens else ""
        times = f" x{self.batch}" if self.batch > 1 else ""
        how = "" if self.batching == "single" else f" {self.batching}"
        task = "" if self.task == "length" else f"{self.task} "
        return f"{task}{self.kind} {self.length}{more}{times}{how}{' head' if self.head else ''}"


def name_cell(
    model: str, workload: Workload, dtype: Dtype, attention: Attention, *, compiled: bool, device: str
) -> str:
    """Return what tells one cell from the others of a bench."""
    how = f"{dtype} {attention}{' compiled' if compiled else ''} {device}"
    return f"{model} | {workload.name} | {how}"
