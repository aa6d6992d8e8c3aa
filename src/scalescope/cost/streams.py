"""How many tokens each side of a model sees in one call: useful ones, and those really computed.

An encoder-decoder asked to `encode` runs its encoder over the text and its decoder over a reply
(`reply_length`). A `decode` call is one output token of every text, at the mean context of the tokens to
come; the encoder has run before and is not part of it. A call over many texts is several passes, one for each
batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scalescope.cost.anatomy import Anatomy, Side
from scalescope.cost.batching import batches_in, computed_width, reply_length
from scalescope.points import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What one side sees."""

    queries: tuple[float, ...]
    """Useful new tokens of every text."""
    keys: tuple[float, ...]
    """Useful tokens that the last of them can look at, itself included."""
    widths: tuple[float, ...]
    """Computed new tokens of every row of the tensors: padded, or texts end to end."""
    reaches: tuple[float, ...]
    """Computed tokens that a row can look at."""
    passes: int = 1

    @property
    def useful(self) -> float:
        """New tokens of all texts, without padding."""
        return sum(self.queries)

    @property
    def computed(self) -> float:
        """New tokens of all rows, padding included."""
        return sum(self.widths)

    @property
    def rows(self) -> int:
        """Of all passes."""
        return len(self.widths)

    @property
    def width(self) -> float:
        """Mean of the rows."""
        return self.computed / len(self.widths)

    @property
    def reach(self) -> float:
        """Mean of the rows."""
        return sum(self.reaches) / len(self.reaches)


def streams_of(anatomy: Anatomy, workload: Workload) -> Mapping[Side, Stream]:
    """What every side of the model sees; a side that does not run is left out."""
    if workload.kind == "decode":
        step = _step(anatomy, workload)
        return {"decoder": step, "head": step}
    text = text_of(anatomy, workload)
    image = _alike(anatomy.image_tokens, text.rows, text.passes)
    if "input_ids" not in anatomy.inputs and anatomy.image_tokens:
        text = image
    sides: dict[Side, Stream] = {"encoder": text, "decoder": text}
    if anatomy.encoder_decoder:
        sides["decoder"] = _replies(anatomy, workload)
    if anatomy.image_tokens:
        sides["image"] = image
    if workload.head:
        whole = sides["decoder" if anatomy.causal else "encoder"]
        last = workload.kind == "prefill"
        sides["head"] = _alike(1, len(whole.queries), whole.passes) if last else whole
    return sides


def cross_keys(anatomy: Anatomy, workload: Workload) -> Stream:
    """What cross attention looks at: the encoder's tokens, or the image's."""
    text = text_of(anatomy, workload)
    if anatomy.encoder_decoder or not anatomy.image_tokens:
        return text
    return _alike(anatomy.image_tokens, text.rows, text.passes)


def text_of(anatomy: Anatomy, workload: Workload) -> Stream:
    """What the side that reads the texts sees."""
    batches = batches_in(workload)
    own = tuple(float(length) for batch in batches for length in batch.lengths)
    widths = tuple(
        float(computed_width(anatomy, batch.width)) for batch in batches for _ in range(batch.rows)
    )
    return Stream(queries=own, keys=own, widths=widths, reaches=widths, passes=len(batches))


def _replies(anatomy: Anatomy, workload: Workload) -> Stream:
    batches = batches_in(workload)
    own = tuple(float(reply_length(anatomy, batch.width)) for batch in batches for _ in range(batch.rows))
    return Stream(queries=own, keys=own, widths=own, reaches=own, passes=len(batches))


def _step(anatomy: Anatomy, workload: Workload) -> Stream:
    further = (max(1, workload.new_tokens) + 1) / 2
    prompts = batches_in(workload)[0].lengths
    contexts = tuple((1 if anatomy.encoder_decoder else prompt) + further for prompt in prompts)
    ones = (1.0,) * len(prompts)
    return Stream(queries=ones, keys=contexts, widths=ones, reaches=(max(contexts),) * len(prompts))


def _alike(length: int, texts: int, passes: int) -> Stream:
    each = (float(length),) * texts
    return Stream(queries=each, keys=each, widths=each, reaches=each, passes=passes)
