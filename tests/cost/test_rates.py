"""Measured tables, read off between their points."""

from __future__ import annotations

import pytest
from cost_examples import plain_rates

from scalescope.cost.rates import Curve, MatmulTable, Rates
from scalescope.errors import InputError


def table(*rates: float) -> MatmulTable:
    return MatmulTable(rows=(1, 100), inner=(64, 1024), columns=(64, 1024), flop_per_s=rates)


def test_a_rate_between_two_points_is_their_geometric_mean():
    found = table(1, 1, 1, 1, 100, 100, 100, 100)
    assert found.rate(10, 200, 200) == pytest.approx(10)
    assert found.rate(10**0.5, 64, 1024) == pytest.approx(100**0.25)


def test_beyond_the_grid_a_rate_is_that_of_its_border():
    found = table(1, 2, 3, 4, 5, 6, 7, 8)
    assert found.rate(1e6, 1e6, 1e6) == pytest.approx(8)
    assert found.rate(0.1, 1, 1) == pytest.approx(1)
    assert found.ceiling == 8


def test_each_axis_is_looked_up_by_its_own_width():
    found = table(1, 2, 3, 4, 5, 6, 7, 8)
    assert found.rate(1, 64, 1024) == pytest.approx(2)
    assert found.rate(1, 1024, 64) == pytest.approx(3)
    assert found.rate(100, 64, 64) == pytest.approx(5)


@pytest.mark.parametrize("rates", [(1.0,) * 7, (1.0,) * 7 + (0.0,), (1.0,) * 7 + (-1.0,)])
def test_a_table_that_cannot_be_is_refused(rates):
    with pytest.raises(InputError, match="matmul table"):
        table(*rates)


def test_a_curve_needs_a_rate_for_every_size():
    with pytest.raises(InputError, match="as many sizes as rates"):
        Curve(sizes=(1.0, 2.0), rates=(1.0,))


def test_rates_survive_being_written():
    rates = plain_rates()
    assert Rates.from_dict(rates.to_dict()) == rates


def test_a_machine_says_the_ceiling_of_every_type():
    machine = plain_rates().machine(cores=2.0)
    assert machine.matmul_flop_per_s == {"fp32": 1e11, "bf16": 4e11}
    assert machine.copy_bytes_per_s == 1e10
    assert machine.cores == 2.0
