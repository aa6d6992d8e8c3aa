"""What can be benchmarked: a model as configuration, classes, anatomy and, perhaps, weights of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalescope.cost import Anatomy


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model.  Made by `find_model`, not by hand."""

    name: str
    """Hub name such as `openai-community/gpt2`, or the name of a folder or file."""
    set: str = ""
    """Of the registry: `core`, `study` or `next`; empty for other models."""
    category: str = ""
    family: str = ""
    architecture: str
    """Digest of configuration and classes; models that share it run alike."""
    model_type: str
    config: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the configuration class, JSON values."""
    source: str = ""
    """Where the numbers are from."""
    sureness: str = ""
    """What the configuration was checked against."""
    anatomy: Anatomy
    weights: Path | None = None
    """Folder with safetensors of its own; None if weights are drawn at random."""

    @property
    def short(self) -> str:
        """Last part of the name."""
        return self.name.rpartition("/")[2]
