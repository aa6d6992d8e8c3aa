"""What turns gradients into updates: `roles` says what each parameter is for, `building` who updates it."""

from scalescope.training.optimizers.building import build_optimizers, set_rate
from scalescope.training.optimizers.muon import StackedMuon, orthogonalise

__all__ = ["StackedMuon", "build_optimizers", "orthogonalise", "set_rate"]
