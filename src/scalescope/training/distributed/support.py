"""What the trainer cannot spread, said before anything starts.

`Layout.obstacle` says what no program could; this says what this one does not do.
"""

from __future__ import annotations

from collections.abc import Iterator

from scalescope.cost import Shape
from scalescope.cost.layout import Layout
from scalescope.cost.obstacles import way_out
from scalescope.errors import InputError

ATTENTION = ("full", "window")
"""Mixers of which the heads are apart and the keys can be gathered."""
PRECISIONS = ("fp32", "bf16")


def check_layout(shape: Shape, layout: Layout) -> None:
    """Refuse a layout that a shape cannot be trained under.

    Raises
    ------
    InputError
        Naming what does not go together and, where degrees do not divide, the nearest that do.
    """
    if obstacle := layout.obstacle(shape):
        near = way_out(shape, layout)
        raise InputError(f"layout {layout}: {obstacle}", hint=f"Nearest: {near}." if near else "")
    for wrong in _lacks(shape, layout):
        raise InputError(f"layout {layout}: the trainer does not do {wrong}", hint="Take another layout.")


def check_numbers(optimizer: str, precision: str, layout: Layout) -> None:
    """Refuse an optimiser or a precision that a layout cannot have.

    Adafactor keeps rows and columns of whole matrices, which torch does not compute of cut ones.

    Raises
    ------
    InputError
        Naming what does not go together.
    """
    cut = layout.fsdp * layout.tp * layout.cp * layout.ep > 1
    if optimizer == "adafactor" and cut:
        raise InputError(
            f"layout {layout}: adafactor needs whole matrices, which fsdp, tp, cp and ep cut",
            hint="Take another optimiser, or a layout of dp and pp.",
        )
    if precision not in PRECISIONS:
        raise InputError(
            f"layout {layout}: the trainer does not compute in {precision} over processes",
            hint=f"Take {' or '.join(PRECISIONS)}.",
        )


def _lacks(shape: Shape, layout: Layout) -> Iterator[str]:
    others = sorted(set(shape.mixers) - set(ATTENTION))
    for degree in ("tp", "cp"):
        if getattr(layout, degree) > 1 and others:
            yield f"{degree} with {' and '.join(others)} layers"
    if layout.tp > shape.n_kv_heads:
        yield f"tp={layout.tp} beyond the {shape.n_kv_heads} key/value heads"
    if layout.tp > 1 and shape.experts is not None:
        yield "tp with experts"
    if layout.tp > 1 and (shape.positions == "learned" or shape.embedding_norm):
        yield "tp with learned positions or a norm of the embedding"
    local = shape.context // layout.cp
    if layout.tp > 1 and layout.sequence_parallel and local % layout.tp:
        yield f"sequence parallelism of tp={layout.tp} over {local} tokens"
    if layout.tp * layout.cp * layout.pp > 1 and shape.patches is not None:
        yield "tp, cp or pp with images"
    if layout.tp * layout.cp > 1 and shape.latent is not None:
        yield "tp or cp with latent attention"
    if layout.pp > 1 and shape.tied:
        yield "pp with tied embedding and head, which lie at its two ends"
    if layout.schedule == "zero-bubble" and layout.pp > 1 and layout.recompute != "none":
        yield "zero-bubble with recomputation"
