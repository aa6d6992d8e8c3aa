"""A trial as a study plans it: what is trained, for which budgets, in which arm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from scalescope.studies.data import Data
from scalescope.studies.machine import Machine
from scalescope.training.trial_settings import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A trial of a phase with the nominal budget of each of its horizons."""

    key: str
    phase: str
    trial: Trial
    budgets: tuple[float, ...]
    arm: str = ""
    """Name of the arm; empty in a study that varies nothing."""
    keep: str = ""
    """File below the study's folder for the weights that it leaves; empty to leave none."""

    def payload(self) -> dict[str, Any]:
        """What the ledger keeps."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        kept = {"phase": self.phase, "budgets": plain["budgets"], "trial": plain["trial"]}
        kept |= {"keep": self.keep} if self.keep else {}
        return kept | ({"arm": self.arm} if self.arm else {})

    @classmethod
    def from_payload(cls, key: str, payload: dict[str, Any]) -> Planned:
        """Read what `payload` wrote."""
        return msgspec.convert({"key": key, **payload}, cls, strict=False)

    @property
    def title(self) -> str:
        """What it is called when it is spoken of."""
        return f"{self.arm} {self.trial.name}" if self.arm else self.trial.name

    def below(self, budget: float) -> Planned | None:
        """Return the trial with only the horizons of cheaper budgets, or None if it has none."""
        n = sum(one < budget * 0.999 for one in self.budgets)
        if n == 0:
            return None
        trial = replace(self.trial, horizons=self.trial.horizons[:n])
        return replace(self, trial=trial, budgets=self.budgets[:n])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the trials of an arm stand on."""

    corpus: Data
    machine: Machine
    """With the arm's own speed; its slots are those of the first arm."""
