"""Weights that one trial leaves and others begin from: files of the study, known by their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from scalescope.executors import Task
from scalescope.ledgers.ledger import Ledger
from scalescope.studies.driver import Driver
from scalescope.studies.planned import Planned

HASHES = "weights"
"""Name under which the ledger has the SHA-256 of every file."""


def is_whole(ledger: Ledger, name: str) -> bool:
    """Whether a file of weights is there, and is what the trial left."""
    path = ledger.folder / name
    return path.is_file() and ledger.meta(HASHES, {}).get(name) == _hash(path)


def due(ledger: Ledger, pretrained: Iterable[Planned], wanted: Iterable[Planned]) -> list[Planned]:
    """Return the trials whose weights others that are still to run begin from, and are not whole.

    One that was done before is trained again under another key: the same settings give the same weights.
    """
    states = {trial.key: trial.state for trial in ledger.trials()}
    starts = {item.trial.start for item in wanted if states.get(item.key, "pending") == "pending"}
    return [
        _fresh(item, {key for key, state in states.items() if state == "done"})
        for item in pretrained
        if item.keep in starts and not is_whole(ledger, item.keep)
    ]


def _fresh(item: Planned, done: set[str]) -> Planned:
    key, again = item.key, 2
    while key in done:
        key, again = f"{item.key}-again-{again}", again + 1
    return replace(item, key=key)


class KeepingDriver(Driver):
    """A driver whose trials may begin from weights and leave some."""

    def _task(self, item: Planned) -> Task:
        task = super()._task(item)
        if item.keep:
            path = (self.ledger.folder / item.keep).resolve()
            path.parent.mkdir(parents=True, exist_ok=True)
            return replace(task, payload={**task.payload, "keep": str(path)})
        if item.trial.start:
            return replace(task, files={**task.files, "start": self.ledger.folder / item.trial.start})
        return task

    def _done(self, item: Planned, result: dict[str, Any]) -> None:
        path = self.ledger.folder / item.keep
        if item.keep and not result["cut"]:
            if not path.is_file():
                self._remove(item)
                self.ledger.fail(
                    item.key,
                    f"its weights did not arrive at {path}: the nodes of the cluster share no folder",
                )
                return
            self.ledger.set_meta(HASHES, {**self.ledger.meta(HASHES, {}), item.keep: _hash(path)})
        super()._done(item, result)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
