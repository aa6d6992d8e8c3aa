"""Which rank is what: the axes of a layout as meshes of processes.

Ranks are placed as the planner counts them (`scalescope.cost.step_links`): tensor parallelism innermost,
then context, then data (`fsdp` inside `dp`), the pipeline outermost. Ranks that share a sequence hold equal
weights, so that weights are sharded over `fsdp` and `cp` together. Experts are spread over the ranks of the
data: there `ep` is inner and what lies beside it has equal experts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from scalescope.cost.layout import Layout
from scalescope.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The processes of a layout, seen from one of them.  Built by `place_ranks`."""

    layout: Layout
    device: torch.device
    weights: DeviceMesh
    """Axes `pp`, `dp`, `shard` (`fsdp` and `cp`) and `tp`."""
    data: DeviceMesh
    """Axes `pp`, `data` (`dp` and `fsdp`), `cp` and `tp`."""
    experts: DeviceMesh | None
    """Axes `pp`, `ep`, `beside` (equal experts) and `tp`; None without expert parallelism."""

    batch: dist.ProcessGroup
    """The ranks of one stage and column: all that share a batch."""

    @property
    def stage(self) -> int:
        """Place in the pipeline."""
        return self.weights.get_local_rank("pp")

    @property
    def replica(self) -> int:
        """Which part of the sequences is this rank's."""
        return self.data.get_local_rank("data")

    @property
    def part(self) -> int:
        """Which part of each sequence is this rank's."""
        return self.data.get_local_rank("cp")

    @property
    def column(self) -> int:
        """Which part of each matrix is this rank's."""
        return self.weights.get_local_rank("tp")


def place_ranks(layout: Layout, device: torch.device) -> Ranks:
    """Lay the ranks of the process group that runs out as a layout says.

    Raises
    ------
    InputError
        If there are more or fewer processes than the layout has devices.
    """
    check_world(layout, dist.get_world_size())
    ranks = torch.arange(layout.devices)
    pp, dp, fsdp, cp, tp = layout.pp, layout.dp, layout.fsdp, layout.cp, layout.tp
    return Ranks(
        layout=layout,
        device=device,
        weights=_mesh(device, ranks.view(pp, dp, fsdp * cp, tp), "pp", "dp", "shard", "tp"),
        data=_mesh(device, ranks.view(pp, dp * fsdp, cp, tp), "pp", "data", "cp", "tp"),
        experts=_experts(device, ranks, layout) if layout.ep > 1 else None,
        batch=_mesh(device, ranks.view(pp, -1, tp), "pp", "batch", "tp").get_group("batch"),
    )


def check_world(layout: Layout, processes: int) -> None:
    """Refuse a number of processes that a layout has no use for.

    Raises
    ------
    InputError
        If it is not the layout's number of devices.
    """
    if processes != layout.devices:
        raise InputError(
            f"layout {layout} needs {layout.devices} processes, this run has {processes}",
            hint=f"Start torchrun with --nproc-per-node={layout.devices}, or name a layout of {processes}.",
        )


def _experts(device: torch.device, ranks: torch.Tensor, layout: Layout) -> DeviceMesh:
    outer = layout.data_ranks // layout.ep
    apart = ranks.view(layout.pp, outer, layout.ep, layout.cp, layout.tp).permute(0, 2, 1, 3, 4)
    return _mesh(
        device, apart.reshape(layout.pp, layout.ep, outer * layout.cp, layout.tp), "pp", "ep", "beside", "tp"
    )


def _mesh(device: torch.device, ranks: torch.Tensor, *names: str) -> DeviceMesh:
    return DeviceMesh(device.type, ranks, mesh_dim_names=names)
