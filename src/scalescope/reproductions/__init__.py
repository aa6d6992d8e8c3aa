"""Published results made again from their own tables: the verb `reproduce`, one file a result."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

from scalescope.errors import InputError, nearest
from scalescope.reproductions.result import Reproduction, Row

NAMES: Final[dict[str, str]] = {
    "epoch": "Epoch's re-fit of Hoffmann's figure",
    "overtraining": "Over-training: losses and errors of larger models, extrapolated",
    "data-constrained": "Repeated data: the published constants, and how little they are identified",
    "routed": "Routed language models: loss from size and experts",
    "gemstones": "Gemstones: a published fit that is not at its optimum",
    "isoflop-bias": "The bias of IsoFLOP parabolas, and its correction",
    "counting": "One set of optima, three ways of counting, three exponents",
    "curves": "Learning curves extrapolated",
    "tables": "Printed tables and optima from printed coefficients",
}
"""What can be reproduced, and its title."""

__all__ = ["NAMES", "Reproduction", "Row", "reproduce"]


def reproduce(name: str, *, data: str | Path | None = None) -> Reproduction:
    """Make a published result again from its own table.

    Parameters
    ----------
    name
        One of `NAMES`.
    data
        Folder of the published tables, by default what the variable SCALESCOPE_DATA names. `tables` needs
        none.

    Returns
    -------
    Reproduction
        Every published number beside ours; `holds` is false when one misses.

    Raises
    ------
    InputError
        If there is no such name, or a table is absent.
    """
    if name not in NAMES:
        raise InputError(f"nothing called {name!r} can be reproduced", hint=nearest(name, NAMES))
    room = import_module(f"scalescope.reproductions.{name.replace('-', '_')}")
    run: Callable[[str | Path | None], Reproduction] = room.reproduce
    return run(data)
