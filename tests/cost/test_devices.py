"""Catalogues of devices and grids, and the roofline."""

from __future__ import annotations

import pytest

from scalescope.cost.devices import DEVICES, find_device
from scalescope.cost.grids import GRIDS, find_grid
from scalescope.cost.roofline import roofline
from scalescope.errors import InputError
from scalescope.points import BenchMachine


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_every_device_has_all_that_a_prediction_needs_and_a_source(device):
    assert device.memory_bytes >= 8e9
    assert 1e10 < device.bytes_per_s < 1e13
    assert device.flop_per_s["fp32"] > 1e11
    assert device.watts > 0
    assert device.source
    assert device.sureness in ("high", "medium", "low")


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_a_narrower_type_is_never_slower(device):
    peaks = device.flop_per_s
    for dtype in set(peaks) - {"fp32"}:
        assert peaks[dtype] >= peaks["fp32"]


def test_the_peak_of_an_h100_is_the_dense_one():
    assert find_device("h100").flop_per_s["bf16"] == 989.4e12  # 1979 is the sparse figure


def test_a_part_of_a_name_that_is_unique_is_enough():
    assert find_device("rtx4090").name == "RTX 4090"
    assert find_device("L4").name == "L4"
    with pytest.raises(InputError, match="2 devices"):
        find_device("A100")
    with pytest.raises(InputError, match="unknown device"):
        find_device("H1000")


def test_a_kilowatt_hour_emits_what_the_grid_says():
    assert find_grid("france").grams(3.6e6) == pytest.approx(84.82)
    assert find_grid("DEU").grams(3.6e6) == pytest.approx(385.38)
    assert len(GRIDS) >= 20
    with pytest.raises(InputError, match="no grid"):
        find_grid("Atlantis")


def test_below_the_ridge_memory_limits_and_above_it_arithmetic():
    roof = roofline(find_device("A100 SXM 80GB"), "bf16")
    assert roof.ridge == pytest.approx(153, rel=0.01)
    assert roof.attainable(roof.ridge / 2) == pytest.approx(roof.flop_per_s / 2)
    assert roof.attainable(roof.ridge * 2) == roof.flop_per_s
    assert roof.least_seconds(roof.flop_per_s, 0) == pytest.approx(1)


def test_a_machine_has_the_ceilings_that_were_measured():
    machine = BenchMachine(matmul_flop_per_s={"fp32": 1e11}, copy_bytes_per_s=1e10, device_name="here")
    assert roofline(machine).measured
    assert roofline(machine).ridge == 10
    with pytest.raises(InputError, match="no rate of bf16"):
        roofline(machine, "bf16")
    with pytest.raises(InputError, match="no memory bandwidth"):
        roofline(BenchMachine())
