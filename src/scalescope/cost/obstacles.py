"""Which rule keeps a layout from being, for many layouts at once.

The first eight rules are those of `Layout.obstacle`, in its order; the others need the batch and the machine.
An interleaved pipeline takes its micro-batches in groups of as many as there are stages (Narayanan et
al. 2021, section 2.2, https://arxiv.org/abs/2104.04473).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scalescope.cost.layout import SCHEDULES, Layout
from scalescope.cost.layouts import Column, Layouts
from scalescope.cost.shape import Shape
from scalescope.errors import InputError

SHAPE_RULES: tuple[str, ...] = (
    "tp and heads",
    "tp and key/value heads",
    "tp and feed-forward",
    "more stages than layers",
    "stages and layers",
    "cp and context",
    "ep without experts",
    "ep and experts",
)
"""Rules of `Layout.obstacle`, in its order."""

BLAMED: tuple[str, ...] = ("tp", "tp", "tp", "pp", "pp", "cp", "ep", "ep")
"""The degree at fault under each of them."""

RULES: tuple[str, ...] = (*SHAPE_RULES, "batch", "interleaving", "tp beyond a node")
"""All rules, by what is at odds."""


def broken_rule(
    shape: Shape, layouts: Layouts, *, global_batch: int | Column, node: int | None = None
) -> Column:
    """Return 0 where a layout keeps all rules, else one more than the place in `RULES` of the first broken.

    Parameters
    ----------
    shape
        What is trained.
    layouts
        How it is spread.
    global_batch
        Sequences of one step.
    node
        Devices beyond which tensor parallelism must not reach; None lets it reach anywhere.
    """
    one = layouts.data_ranks * layouts.micro_batch
    wrong = (
        *_shape_rules(shape, layouts),
        (np.asarray(global_batch) % one != 0) | (np.asarray(global_batch) < one),
        badly_woven(layouts, global_batch),
        layouts.tp > (np.iinfo(np.int64).max if node is None else node),
    )
    return _first(wrong)


def badly_woven(layouts: Layouts, global_batch: int | Column) -> NDArray[np.bool_]:
    """Return where micro-batches of an interleaved pipeline are no multiple of its stages."""
    passes = np.asarray(global_batch) // (layouts.data_ranks * layouts.micro_batch)
    woven = (layouts.schedule == SCHEDULES.index("interleaved")) & (layouts.pp > 1)
    return np.asarray(woven & (passes % layouts.pp != 0), dtype=np.bool_)


def _shape_rules(shape: Shape, layouts: Layouts) -> tuple[NDArray[np.bool_], ...]:
    tp, cp, ep = layouts.tp, layouts.cp, layouts.ep
    keys = shape.n_kv_heads if shape.latent is None else shape.n_heads
    experts = shape.experts.count if shape.experts else 0
    stages = layouts.pp * layouts.virtual_stages
    return (
        shape.n_heads % tp != 0,
        (keys % tp != 0) & (tp % keys != 0),
        shape.feed_forward % tp != 0,
        stages > shape.n_layers,
        shape.n_layers % stages != 0,
        (cp > 1) & (shape.context % (2 * cp) != 0),
        (ep > 1) & (experts == 0),
        experts % ep != 0,
    )


def _first(wrong: Sequence[NDArray[np.bool_]]) -> Column:
    found = np.zeros(len(wrong[0]), dtype=np.int64)
    for place in range(len(wrong), 0, -1):
        found[wrong[place - 1]] = place
    return found


def rule_text(rule: int, shape: Shape, layout: Layout, *, global_batch: int, node: int | None) -> str:
    """Say in one line which rule a layout breaks; `rule` is what `broken_rule` returned for it."""
    if rule == 0:
        return ""
    if rule <= len(SHAPE_RULES):
        return layout.obstacle(shape)
    one = layout.data_ranks * layout.micro_batch
    return {
        "batch": f"a batch of {global_batch} sequences is not a multiple of {one}",
        "interleaving": f"{global_batch // one} micro-batches are not a multiple of pp={layout.pp}",
        "tp beyond a node": f"tp={layout.tp} reaches beyond the {node} devices of a node",
    }[RULES[rule - 1]]


def nearest_degrees(shape: Shape, layout: Layout) -> tuple[str, tuple[int, ...]]:
    """Return the degree at fault where a shape cannot be spread so, and the nearest values that it may have.

    The values are the largest one below and the smallest one above, as far as there are any; the other
    degrees stay. Name and values are empty where nothing is wrong.
    """
    degree = _blamed(shape, layout)
    if not degree:
        return "", ()
    given = getattr(layout, degree)
    most = max(shape.n_heads, shape.n_layers, shape.context, shape.experts.count if shape.experts else 1)
    below = next(_able(shape, layout, degree, range(given - 1, 0, -1)), None)
    above = next(_able(shape, layout, degree, range(given + 1, most + 1)), None)
    return degree, tuple(one for one in (below, above) if one is not None)


def way_out(shape: Shape, layout: Layout) -> str:
    """Say which values of the degree at fault come nearest, as `tp=2 or tp=4`; empty where there are none."""
    degree, values = nearest_degrees(shape, layout)
    return " or ".join(f"{degree}={value}" for value in values)


def _blamed(shape: Shape, layout: Layout) -> str:
    one = layout.data_ranks * layout.micro_batch
    rule = int(broken_rule(shape, Layouts.of([layout]), global_batch=one * layout.pp)[0])
    return BLAMED[rule - 1] if 0 < rule <= len(SHAPE_RULES) else ""


def _able(shape: Shape, layout: Layout, degree: str, values: range) -> Iterator[int]:
    for value in values:
        try:
            changed = replace(layout, **{degree: value})  # type: ignore[arg-type]
        except InputError:
            continue
        if _blamed(shape, changed) != degree:
            yield value
