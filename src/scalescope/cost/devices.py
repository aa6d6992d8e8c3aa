"""Devices that a reader may deploy on: memory, bandwidth, peak rates, power, each figure with its source.

Peaks are dense, with fp32 accumulation: halves of the sparse figures that data sheets print first. No device
reaches them; a measured matrix product is worth more than any of these lines. Memory is in units of 1e9
bytes, as sold, which is on the safe side of what a driver reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scalescope.errors import InputError, nearest

SHEET = "data sheet"
RECALLED = "data sheet, recalled"
EPOCH = "Epoch AI chip data set, 2026-04"
ML_ENGINEERING = "stas00/ml-engineering, compute/accelerator, 2026-08"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device of the catalogue."""

    name: str
    kind: str
    """`gpu`, `soc` (processor and accelerator share the memory) or `cpu`."""
    memory_bytes: float
    bytes_per_s: float
    """Of its memory."""
    flop_per_s: Mapping[str, float] = field(default_factory=dict)
    """Peak by type; int8 counts operations."""
    watts: float
    """Board or package power."""
    source: str
    sureness: str = "high"
    """`high`, `medium` or `low`: how far the sources agree."""


def _device(
    name: str,
    kind: str,
    memory: float,
    bandwidth: float,
    watts: float,
    source: str,
    sureness: str,
    **peaks: float,
) -> Device:
    return Device(
        name=name,
        kind=kind,
        memory_bytes=memory * 1e9,
        bytes_per_s=bandwidth * 1e9,
        flop_per_s={dtype: tera * 1e12 for dtype, tera in peaks.items()},
        watts=watts,
        source=source,
        sureness=sureness,
    )


_ROWS: tuple[Device, ...] = (
    _device(
        "H100 SXM 80GB", "gpu", 80, 3350, 700, f"{ML_ENGINEERING}; {EPOCH}", "high",
        fp32=66.9, bf16=989.4, fp16=989.4, int8=1979,
    ),
    _device(
        "A100 SXM 80GB", "gpu", 80, 2039, 400, f"{ML_ENGINEERING}; {EPOCH}", "high",
        fp32=19.5, bf16=312, fp16=312, int8=624,
    ),
    _device(
        "A100 SXM 40GB", "gpu", 40, 1555, 400, f"{ML_ENGINEERING}; {EPOCH}", "high",
        fp32=19.5, bf16=312, fp16=312, int8=624,
    ),
    _device("L4", "gpu", 24, 300, 72, EPOCH, "high", fp32=30.3, bf16=121, fp16=121, int8=242),
    _device(
        "L40S", "gpu", 48, 864, 350, f"{ML_ENGINEERING}; {EPOCH}", "high",
        fp32=91.6, bf16=362, fp16=362, int8=733,
    ),
    _device("T4", "gpu", 16, 320, 70, f"{RECALLED}; {EPOCH}", "medium", fp32=8.1, fp16=65, int8=130),
    _device(
        "RTX 3090", "gpu", 24, 936, 350, f"{RECALLED}; {EPOCH}", "medium",
        fp32=35.6, bf16=71, fp16=71, int8=284,
    ),
    _device(
        "RTX 4090", "gpu", 24, 1008, 450, f"{RECALLED}; {EPOCH}", "medium",
        fp32=82.6, bf16=165.2, fp16=165.2, int8=660.6,
    ),
    _device(
        "MI300X", "gpu", 192, 5300, 750, ML_ENGINEERING, "high",
        fp32=163.4, bf16=1307, fp16=1307, int8=2615,
    ),
    _device("Apple M2 Max 96GB", "soc", 96, 400, 80, RECALLED, "low", fp32=13.6, fp16=13.6),
    _device("Apple M3 Max 128GB", "soc", 128, 400, 80, f"{RECALLED}; {EPOCH}", "low", fp32=14.2, fp16=14.2),
    _device(
        "Xeon Sapphire Rapids 56 cores", "cpu", 512, 307, 350,
        f"{RECALLED}: cores x clock x FLOP a cycle (AMX 2048 bf16, AVX-512 64 fp32)", "low",
        fp32=7.2, bf16=300, int8=600,
    ),
    _device(
        "AVX2 laptop 8 cores", "cpu", 16, 50, 45,
        f"{RECALLED}: 8 cores x 3 GHz x 32 fp32 FLOP a cycle, two channels of DDR5", "low",
        fp32=0.77,
    ),
    _device(
        "Raspberry Pi 5 8GB", "cpu", 8, 17.1, 12,
        f"{RECALLED}: 4 Cortex-A76 x 2.4 GHz x 16 fp32 FLOP a cycle, 32 bits of LPDDR4X-4267", "low",
        fp32=0.154,
    ),
)  # fmt: skip

DEVICES: Mapping[str, Device] = {one.name: one for one in _ROWS}
"""By name."""


def find_device(name: str) -> Device:
    """Look a device up; case and spaces do not matter, and any part that only one name holds is enough.

    Raises
    ------
    InputError
        If no name or more than one fits.
    """
    wanted = _plain(name)
    exact = [one for one in DEVICES.values() if _plain(one.name) == wanted]
    fitting = exact or [one for one in DEVICES.values() if wanted and wanted in _plain(one.name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise InputError(
            f"{name!r} is {len(fitting)} devices",
            hint=f"One of: {', '.join(one.name for one in fitting)}.",
        )
    raise InputError(f"unknown device {name!r}", hint=nearest(name, DEVICES))


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
