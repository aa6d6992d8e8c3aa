"""The shell command that starts our own trainer: `scalescope.training.distributed` under `torchrun`.

That module takes `--layout`, as `Layout` writes itself, and `--config`, a TOML file with architecture,
batch, steps, precision and optimiser, which `scalescope.planning.emitting.training` writes. Options of
torchrun as in https://docs.pytorch.org/docs/stable/elastic/run.html (torch 2.13).
"""

from __future__ import annotations

from scalescope.planning.emitting.job import Emitted, Job, Notes, head

CONFIG = "training.toml"
"""What the configuration file is called in the command."""
RESTARTS = 3
"""Times that a run is started again after a fault."""


def emit_torchrun(job: Job) -> Emitted:
    """Write the command; on more than one node, HEAD_ADDRESS holds the address of the first."""
    told = (
        f"# {CONFIG} holds the rest: {job.global_batch} sequences a step, {job.steps} steps, "
        f"{job.precision}, {job.optimiser}, numbers kept as {job.keeping!r}"
    )
    lines = [head(job), told, trainer(job)]
    return Notes("torchrun").emitted(lines)


def trainer(job: Job) -> str:
    """Return the torchrun command of our trainer, which goes on from its checkpoints when it is restarted."""
    program = f"-m scalescope.training.distributed --layout {job.layout} --config {CONFIG}"
    return launch(job, f"--max-restarts={RESTARTS} {program}")


def launch(job: Job, program: str) -> str:
    """Return the torchrun command of a program, the same on every node."""
    if job.nodes == 1:
        return f"torchrun --standalone --nproc-per-node={job.devices_per_node} {program}"
    return (
        f"torchrun --nnodes={job.nodes} --nproc-per-node={job.devices_per_node} --rdzv-backend=c10d "
        f'--rdzv-id={job.name} --rdzv-endpoint="$HEAD_ADDRESS:29500" {program}'
    )
