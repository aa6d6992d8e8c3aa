"""What a configuration says about a model, as far as an audit of results needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scalescope.cost import Anatomy
from scalescope.points import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How far one model reaches and what it is made of; None where it is not known."""

    positions: int | None = None
    """Longest text that runs at all; None if nothing in the configuration stops it."""
    decoder_input: bool = False
    """Whether a call with the text alone fails, because the decoder needs an input of its own."""
    params: float | None = None
    """Of the bare model."""
    params_with_head: float | None = None
    flop_per_token: float | None = None
    """Of the matrices of the bare model; None for two per parameter."""

    def cause(self, length: int) -> State | None:
        """Say why a call with `length` tokens and nothing else cannot run; None if it can."""
        if self.decoder_input:
            return "missing_input"
        if self.positions is not None and length > self.positions:
            return "position_limit"
        return None


def limit_of(anatomy: Anatomy) -> Limit:
    """Take the limits of one architecture from its anatomy."""
    return Limit(
        positions=anatomy.positions.limit,
        decoder_input="decoder_input_ids" in anatomy.inputs,
        params=anatomy.params,
        params_with_head=anatomy.params_with_head,
        flop_per_token=anatomy.flop_per_token or None,
    )


class Limits:
    """Limits by name, found by the full name or by its last part where that is unique."""

    def __init__(self, limits: Mapping[str, Limit]) -> None:
        self._full = {name.lower(): limit for name, limit in limits.items()}
        self._short: dict[str, Limit | None] = {}
        for name, limit in self._full.items():
            short = name.rpartition("/")[2]
            same = short not in self._short or self._short[short] == limit
            self._short[short] = limit if same else None

    def __bool__(self) -> bool:
        return bool(self._full)

    def find(self, model: str) -> Limit | None:
        """Return the limit of a model as a table names it; None if it is unknown or ambiguous."""
        name = model.strip().lower()
        return self._full.get(name) or self._short.get(name.rpartition("/")[2])
