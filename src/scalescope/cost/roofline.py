r"""The roofline: what a machine can reach at an arithmetic intensity (Williams, Waterman and Patterson 2009).

.. math:: P(I) = \min(P_\text{peak}, I \cdot B)

below the ridge :math:`P_\text{peak} / B` a call waits for memory, above it for arithmetic. A device of the
catalogue has its data sheet's figures, a measured machine those that were reached.
"""

from __future__ import annotations

from dataclasses import dataclass

from scalescope.cost.devices import Device
from scalescope.errors import InputError
from scalescope.points import BenchMachine


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """Two ceilings of one machine and type."""

    name: str
    dtype: str
    flop_per_s: float
    """Peak: of the data sheet, or of the best matrix product measured."""
    bytes_per_s: float
    measured: bool
    """Whether both figures were measured here, and not read."""

    @property
    def ridge(self) -> float:
        """FLOP for every byte at which the two ceilings meet."""
        return self.flop_per_s / self.bytes_per_s

    def attainable(self, intensity: float) -> float:
        """FLOP/s that can be reached at FLOP for every byte."""
        return min(self.flop_per_s, intensity * self.bytes_per_s)

    def least_seconds(self, flop: float, moved: float) -> float:
        """Time below which no call of so many FLOP and bytes can end."""
        return max(flop / self.flop_per_s, moved / self.bytes_per_s)


def roofline(where: Device | BenchMachine, dtype: str = "fp32") -> Roofline:
    """Read the ceilings of a device or of a machine that was measured.

    Raises
    ------
    InputError
        If the figures of this type are not known.
    """
    if isinstance(where, Device):
        rates, name = where.flop_per_s, where.name
        bandwidth: float | None = where.bytes_per_s
    else:
        rates, bandwidth = where.matmul_flop_per_s, where.copy_bytes_per_s
        name = where.device_name or where.processor or where.device
    peak = rates.get(dtype)
    if peak is None or not bandwidth:
        raise InputError(
            f"{name or 'this machine'}: no rate of {dtype}" if bandwidth else f"{name}: no memory bandwidth",
            hint=f"Known types: {', '.join(sorted(rates)) or 'none; measure the machine first'}.",
        )
    return Roofline(
        name=name,
        dtype=dtype,
        flop_per_s=peak,
        bytes_per_s=bandwidth,
        measured=isinstance(where, BenchMachine),
    )
