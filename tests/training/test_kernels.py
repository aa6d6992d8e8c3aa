"""Hand-written gradients against autograd of the plain formula, in float64."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

import torch.nn.functional as F  # noqa: E402, N812

from scalescope.training.stacked.kernels import (  # noqa: E402
    EPSILON,
    QUERY_BLOCK,
    attend,
    attend_back,
    cross_entropy,
    gate,
    gate_back,
    make_mask,
    make_turns,
    normalise,
    normalise_back,
    turn_heads,
    turn_heads_back,
)

pytestmark = pytest.mark.torch


def random(*size):
    return torch.randn(*size, dtype=torch.float64, requires_grad=True)


def plain_heads(rows, turns, batch):
    """Rotate pairs by real arithmetic."""
    heads, _, time, half, _ = turns.shape
    even, odd = rows.view(batch, time, heads, half, 2).permute(2, 0, 1, 3, 4).unbind(-1)
    cos, sin = turns.unbind(-1)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(3)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_the_norm_and_its_gradients_are_those_of_the_formula():
    x, gain, grad = random(7, 12), random(12), torch.randn(7, 12, dtype=torch.float64)
    expected = F.rms_norm(x, (12,), gain, EPSILON)
    of_x, of_gain = torch.autograd.grad(expected, (x, gain), grad)
    with torch.no_grad():
        out, scale = normalise(x, gain)
        to_x, to_gain = torch.ones(7, 12, dtype=torch.float64), torch.ones(12, dtype=torch.float64)
        normalise_back(grad.clone(), x, gain, scale, to_x=to_x, to_gain=to_gain)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(to_x, of_x + 1)
    torch.testing.assert_close(to_gain, of_gain + 1)


@pytest.mark.parametrize(("heads", "kv_heads"), [(3, 3), (4, 2), (2, 1)])
def test_turning_heads_and_back_is_a_product_and_its_gradient(heads, kv_heads):
    turns = make_turns(9, 6, heads, kv_heads).double()[:, :, :5]
    rows = random(2 * 5, (heads + 2 * kv_heads) * 6)
    expected = plain_heads(rows, turns, batch=2)
    grad = torch.randn_like(expected)
    (of_rows,) = torch.autograd.grad(expected, rows, grad)
    with torch.no_grad():
        torch.testing.assert_close(turn_heads(rows, turns, 2), expected)
        torch.testing.assert_close(turn_heads_back(grad, turns), of_rows)


def test_turns_keep_lengths_scale_queries_and_leave_values_alone():
    turns = make_turns(16, 8, 2, 1)
    lengths = turns.square().sum(-1).sqrt()
    torch.testing.assert_close(lengths[:2], torch.full_like(lengths[:2], 8**-0.5))
    torch.testing.assert_close(lengths[2], torch.ones_like(lengths[2]))
    assert torch.equal(turns[3, ..., 0], torch.ones(1, 16, 4))
    assert torch.equal(turns[3, ..., 1], torch.zeros(1, 16, 4))


def test_scores_after_turning_depend_on_the_distance_only():
    turns = make_turns(32, 8, 1, 1).double()
    query, key = torch.randn(2, 8, dtype=torch.float64)
    rows = torch.cat((query, key, key)).repeat(32, 1)
    heads = turn_heads(rows, turns, batch=1)[:, 0]
    scores = heads[0] @ heads[1].mT
    torch.testing.assert_close(scores.diagonal(3), scores[0, 3].expand(29))
    assert not torch.allclose(scores[0, 3], scores[0, 4])


@pytest.mark.parametrize("time", [1, QUERY_BLOCK - 1, QUERY_BLOCK, QUERY_BLOCK + 1, 2 * QUERY_BLOCK + 5])
def test_attention_and_its_gradients_are_those_of_the_formula(time):
    query, key, value = (random(3, time, 4) for _ in range(3))
    masked = torch.full((time, time), -torch.inf, dtype=torch.float64).triu(1)
    expected = torch.softmax(query @ key.mT + masked, -1) @ value
    grad = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, (query, key, value), grad)
    with torch.no_grad():
        out, weights = attend(query, key, value, make_mask().double())
        found = torch.full((9, time, 4), torch.nan, dtype=torch.float64).chunk(3)
        attend_back(grad, query, key, value, weights, out=found)
    torch.testing.assert_close(out, expected)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_attention_multiplies_the_blocks_below_the_diagonal_and_no_others():
    from torch.utils.flop_counter import FlopCounterMode

    time, n, size = 2 * QUERY_BLOCK, 3, 4
    query, key, value = torch.randn(3, n, time, size)
    with FlopCounterMode(display=False) as counter:
        attend(query, key, value, make_mask())
    causal = 2 * n * size * time * time  # half of all pairs, for scores and for values
    assert counter.get_total_flops() == 1.5 * causal


def test_the_gate_and_its_gradients_are_those_of_the_formula():
    opening, value, grad = random(5, 6), random(5, 6), torch.randn(5, 6, dtype=torch.float64)
    expected = F.silu(opening) * value
    wanted = torch.autograd.grad(expected, (opening, value), grad)
    with torch.no_grad():
        out, silu = gate(opening, value)
        torch.testing.assert_close(out, expected)
        for one, other in zip(gate_back(grad.clone(), opening, value, silu), wanted, strict=True):
            torch.testing.assert_close(one, other)


def test_the_cross_entropy_and_its_gradient_are_those_of_the_formula():
    logits, targets = random(9, 11), torch.randint(11, (9,))
    expected = F.cross_entropy(logits, targets, reduction="sum")
    (of_logits,) = torch.autograd.grad(expected, logits)
    with torch.no_grad():
        loss, found = cross_entropy(logits.detach().clone(), targets)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(found, of_logits)


def test_a_target_of_probability_zero_costs_infinitely_much():
    loss, _ = cross_entropy(torch.tensor([[0.0, 1000.0]]), torch.tensor([0]))
    assert loss == torch.inf
