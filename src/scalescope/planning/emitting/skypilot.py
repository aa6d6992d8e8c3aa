"""A SkyPilot task that rents the devices and starts our own trainer on them.

Fields as in https://docs.skypilot.co/en/latest/reference/yaml-spec.html and environment variables as in
https://docs.skypilot.co/en/stable/running-jobs/distributed-jobs.html, read 2026-11. Names of devices are
those that `sky show-gpus -a` lists (https://docs.skypilot.co/en/stable/compute/gpus.html).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from scalescope.planning.emitting.job import NAMING, Emitted, Job, Notes, head
from scalescope.planning.emitting.torchrun import trainer

NAMES: Mapping[str, str] = {
    "a100": "A100-80GB",
    "a100sxm40gb": "A100",
    "a100sxm80gb": "A100-80GB",
    "a10g": "A10G",
    "b200": "B200",
    "b200sxm180gb": "B200",
    "h100": "H100",
    "h100sxm80gb": "H100",
    "h200": "H200",
    "h200sxm141gb": "H200",
    "l4": "L4",
    "l40s": "L40S",
    "t4": "T4",
    "v100": "V100-32GB",
    "v100sxm32gb": "V100-32GB",
}
"""A name of our catalogue, letters and digits alone, to SkyPilot's."""


def emit_skypilot(job: Job) -> Emitted:
    """Write the task; the folder that it is started from holds the trainer's configuration."""
    notes = Notes("skypilot")
    command = trainer(job)
    run = [command]
    if job.nodes > 1:
        run.insert(0, 'export HEAD_ADDRESS=$(echo "$SKYPILOT_NODE_IPS" | head -n1)')
    lines = [
        head(job),
        f"name: {_scalar(job.name)}",
        "workdir: .",
        f"num_nodes: {job.nodes}",
        "resources:",
        f"  accelerators: {_scalar(f'{_accelerator(job, notes)}:{job.devices_per_node}')}",
        *_block("setup", ["pip install 'scalescope[train]'"]),
        *_block("run", run),
    ]
    return notes.emitted(lines)


def _accelerator(job: Job, notes: Notes) -> str:
    name = NAMES.get(re.sub(r"[^a-z0-9]", "", job.device.lower()))
    if name is None:
        notes.lack(
            NAMING,
            f"no accelerator is known to be called {job.device!r} there; the name stands as it is.",
            "Compare with `sky show-gpus -a`.",
        )
    return name or job.device


def _scalar(text: str) -> str:
    """Write text so that YAML reads it as that text, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _block(key: str, lines: list[str]) -> list[str]:
    return [f"{key}: |", *(f"  {line}" for line in lines)]
