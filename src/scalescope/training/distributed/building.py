"""From a trial to the stages of one rank: the whole network is drawn, then cut along every axis.

Each rank draws all weights, so that they are those of one process, and keeps its part: the host needs room
for the whole network once a process.
"""

from __future__ import annotations

import torch

from scalescope.training.distributed.context_parallel import own_tokens, share_sequences
from scalescope.training.distributed.data_parallel import share_weights
from scalescope.training.distributed.expert_parallel import share_experts
from scalescope.training.distributed.mesh import Ranks
from scalescope.training.distributed.pipeline import cut, stages_of
from scalescope.training.distributed.recomputation import forget
from scalescope.training.distributed.stage import Stage
from scalescope.training.distributed.support import check_layout
from scalescope.training.distributed.tensor_parallel import share_matrices
from scalescope.training.network import Network
from scalescope.training.starting import start
from scalescope.training.trial_settings import Trial


def build_stages(trial: Trial, ranks: Ranks, *, compiled: bool = False) -> tuple[Stage, ...]:
    """Make the stages of this rank.

    Raises
    ------
    InputError
        If the shape cannot be trained under the layout.
    """
    check_layout(trial.shape, ranks.layout)
    layout = ranks.layout
    stages = tuple(
        Stage(
            cut(drawn(trial), number, layout.pp * layout.virtual_stages),
            own_tokens(trial.shape.context, layout.cp, ranks.part),
            z_loss=trial.recipe.z_loss,
            halves=layout.pp > 1 and layout.schedule == "zero-bubble",
        ).to(ranks.device)
        for number in stages_of(ranks)
    )
    for stage in stages:
        share_matrices(stage, ranks)
        share_experts(stage.network, ranks)
        share_sequences(stage.network, ranks)
        forget(stage.network, layout.recompute)
        if compiled:
            for block in stage.network.blocks.values():
                block.compile()
        share_weights(stage, ranks, trial.precision)
    return stages


def drawn(trial: Trial) -> Network:
    """Draw the weights that one process would begin with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trial.seed)
        network = Network(trial.shape)
        start(network, trial.recipe)
    return network
