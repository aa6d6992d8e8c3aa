"""A training run over many processes: the schedule of a trial, driven through the engine of a layout."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from scalescope.corpora.corpus import Corpus, open_corpus
from scalescope.corpora.preparing import prepare_corpus
from scalescope.cost.layout import Layout
from scalescope.errors import InputError
from scalescope.metering import Meter
from scalescope.points import Finding
from scalescope.training.distributed.config import Config
from scalescope.training.distributed.engine import MeshEngine
from scalescope.training.distributed.faults import Roll
from scalescope.training.distributed.going_on import Keeper
from scalescope.training.distributed.journal import Journal
from scalescope.training.distributed.mesh import place_ranks
from scalescope.training.distributed.recorded import Recorded, StoppedError
from scalescope.training.distributed.support import check_numbers
from scalescope.training.tasks.opening import open_task
from scalescope.training.trial import Training

STOPPED = "TRN140"
"""A run was asked to end and did."""
NOT_COMPILED = "TRN141"
"""Blocks were to be compiled and no compiler was found."""


def run(config: Config, layout: Layout, device: torch.device) -> dict[str, Any]:
    """Train; every process of the group calls it.

    Parameters
    ----------
    config
        What to train.
    layout
        How, over as many processes as the group has.
    device
        Of this process.

    Returns
    -------
    dict
        `state` (`done` or `stopped`), `steps`, and of a run that is done what a trial returns.

    Raises
    ------
    InputError
        If shape, batch, corpus and layout do not go together.
    DivergedError
        If training left the numbers; it names step, batch and part.
    PeerError
        If another rank failed, died or hangs.
    RunError
        If a checkpoint cannot be written, or none is whole.
    """
    check_numbers(config.recipe.optimizer, config.precision, layout)
    trial = config.trial(layout)
    journal = Journal.open(config, rank=dist.get_rank(), ranks=layout.devices)
    ranks = place_ranks(layout, device)
    corpus = _corpus(config, device)
    task = open_task(trial, corpus)
    keeper = Keeper(config=config, layout=str(layout), corpus=corpus, journal=journal)
    made: list[Recorded] = []

    def engine() -> Recorded:
        spread = MeshEngine(trial, ranks, compiled=_compiles(config, journal))
        made.append(Recorded(spread, journal, after=keeper.after))
        return made[-1]

    training = Training(trial, task, engine, journal.message, Meter())
    try:
        with made[-1].listening(Roll()):
            keeper.go_on(training, made[-1])
            done = training.run()
    except StoppedError as stopped:
        hint = (
            f"Start it again: it goes on after step {stopped.step}."
            if config.checkpoint.every
            else "Nothing was kept: [checkpoint] every = 100 would let such a run go on."
        )
        journal.finding(Finding(code=STOPPED, text=f"The run was {stopped}.", hint=hint))
        return {"state": "stopped", "steps": stopped.step}
    return {"state": "done", "steps": made[-1].steps, **done}


def _corpus(config: Config, device: torch.device) -> Corpus:
    """Open the corpus; where it is not ready one process of each machine makes it so."""
    folder = Path(config.log.folder) / "corpus"
    if (Path(config.corpus) / "train.bin").is_file():
        return open_corpus(Path(config.corpus))
    failed = ""
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        try:
            prepare_corpus(config.corpus, folder)
        except InputError as error:
            failed = str(error)
    wrong = torch.tensor(int(bool(failed)), device=device)
    dist.all_reduce(wrong, op=dist.ReduceOp.MAX)
    if int(wrong):
        raise InputError(failed or "the corpus cannot be used", hint="Look at what rank 0 says.")
    return open_corpus(folder)


def _compiles(config: Config, journal: Journal) -> bool:
    if not config.compile:
        return False
    if torch.cuda.is_available() or any(map(shutil.which, ("g++", "clang++"))):
        return True
    text = "No C++ compiler was found, and blocks run as they are."
    journal.finding(Finding(code=NOT_COMPILED, text=text, hint="Install g++ or clang++."))
    return False
