"""Which rule keeps layouts from being, for many at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.cost import Experts, LatentAttention, Shape
from scalescope.cost.layout import Layout
from scalescope.cost.layouts import Layouts
from scalescope.cost.obstacles import RULES, SHAPE_RULES, broken_rule, nearest_degrees, rule_text, way_out
from scalescope.errors import InputError

PLAIN = {"width": 96, "n_layers": 12, "n_heads": 12, "n_kv_heads": 4, "feed_forward": 80, "vocabulary": 64}
SHAPES = (
    Shape(**PLAIN, context=48),
    Shape(**PLAIN, context=40, experts=Experts(count=12, top_k=2, width=32)),
    Shape(
        **PLAIN,
        context=64,
        latent=LatentAttention(key_value_rank=16, nope=8, rotary=8, value=8, query_rank=8),
    ),
)
WORDS = ("heads", "key/value", "feed-forward", "more than", "divide", "cp=", "needs experts", "experts")
"""What `Layout.obstacle` says under each rule of the shape."""

degrees = st.sampled_from([1, 2, 3, 4, 5, 6, 8, 12, 24])


@st.composite
def layouts(draw):
    ep = draw(degrees)
    return Layout(
        dp=ep * draw(st.integers(1, 3)),
        tp=draw(degrees),
        pp=draw(degrees),
        cp=draw(degrees),
        ep=ep,
        schedule="interleaved",
        virtual_stages=draw(st.integers(1, 4)),
        micro_batch=draw(st.integers(1, 3)),
    )


@settings(max_examples=30)
@given(st.sampled_from(SHAPES), st.lists(layouts(), min_size=1, max_size=10), st.integers(1, 200))
def test_the_first_broken_rule_is_the_one_that_a_layout_names_itself(shape, rows, batch):
    found = broken_rule(shape, Layouts.of(rows), global_batch=batch, node=4)
    for layout, rule in zip(rows, found.tolist(), strict=True):
        text = rule_text(rule, shape, layout, global_batch=batch, node=4)
        assert bool(text) == bool(rule)
        assert (0 < rule <= len(SHAPE_RULES)) == bool(layout.obstacle(shape))
        if 0 < rule <= len(SHAPE_RULES):
            assert text == layout.obstacle(shape)
            assert WORDS[rule - 1] in text


@settings(max_examples=30)
@given(st.lists(layouts(), min_size=1, max_size=10), st.integers(1, 400))
def test_a_batch_that_cannot_be_cut_is_one_that_a_layout_refuses(rows, batch):
    shape = SHAPES[1]
    found = broken_rule(shape, Layouts.of(rows), global_batch=batch)
    for layout, rule in zip(rows, found.tolist(), strict=True):
        if layout.obstacle(shape):
            continue
        try:
            passes = layout.micro_batches(batch)
        except InputError:
            assert RULES[rule - 1] == "batch"
        else:
            woven = layout.pp > 1 and passes % layout.pp
            assert (RULES[rule - 1] == "interleaving") if woven else rule == 0


@pytest.mark.parametrize(("node", "rule"), [(8, 0), (4, len(RULES)), (None, 0)])
def test_tensor_parallelism_stays_inside_a_node_where_there_is_one(node, rule):
    wide = Shape(**{**PLAIN, "n_heads": 8, "n_kv_heads": 8}, context=48)
    assert broken_rule(wide, Layouts.of([Layout(tp=8)]), global_batch=1, node=node).tolist() == [rule]


def test_every_rule_has_a_case_that_breaks_it_first():
    shape = SHAPES[0]
    cases = [
        (shape, Layout(tp=5)),
        (Shape(**{**PLAIN, "n_kv_heads": 6}, context=48), Layout(tp=4)),
        (Shape(**{**PLAIN, "feed_forward": 82}, context=48), Layout(tp=4)),
        (shape, Layout(pp=24)),
        (shape, Layout(pp=5)),
        (shape, Layout(cp=5)),
        (shape, Layout(dp=2, ep=2)),
        (SHAPES[1], Layout(dp=5, ep=5)),
        (shape, Layout(dp=5)),
        (shape, Layout(pp=3, schedule="interleaved", virtual_stages=2)),
        (shape, Layout(tp=4)),
    ]
    found = [broken_rule(one, Layouts.of([layout]), global_batch=8, node=2)[0] for one, layout in cases]
    np.testing.assert_array_equal(found, np.arange(len(RULES)) + 1)


@pytest.mark.parametrize(
    ("shape", "layout", "words"),
    [
        (SHAPES[0], Layout(tp=5), "tp=4"),
        (SHAPES[0], Layout(tp=3), "tp=2 or tp=4"),
        (SHAPES[0], Layout(pp=5), "pp=4 or pp=6"),
        (SHAPES[0], Layout(pp=24), "pp=12"),
        (SHAPES[0], Layout(cp=5), "cp=4 or cp=6"),
        (SHAPES[0], Layout(dp=2, ep=2), "ep=1"),
        (SHAPES[1], Layout(dp=10, ep=5), "ep=2"),
        (SHAPES[0], Layout(pp=5, schedule="interleaved", virtual_stages=5), ""),
        (SHAPES[0], Layout(tp=4), ""),
    ],
)
def test_the_nearest_degrees_that_can_be_are_named(shape, layout, words):
    assert way_out(shape, layout) == words


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(SHAPES), layouts())
def test_the_nearest_degrees_mend_what_was_at_fault_and_nothing_nearer_does(shape, layout):
    degree, values = nearest_degrees(shape, layout)
    assert bool(degree) == bool(layout.obstacle(shape))
    for value in values:
        mended = replace(layout, **{degree: value})
        assert nearest_degrees(shape, mended)[0] != degree
        between = range(min(value, getattr(layout, degree)) + 1, max(value, getattr(layout, degree)))
        for nearer in between:
            if degree != "ep" or layout.data_ranks % nearer == 0:
                assert nearest_degrees(shape, replace(layout, **{degree: nearer}))[0] == degree
