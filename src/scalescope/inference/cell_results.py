"""From what became of a process to a row of the bench."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import msgspec

from scalescope.cost.calls import count_call
from scalescope.cost.grids import find_grid
from scalescope.executors import JSON
from scalescope.inference.failures import classify
from scalescope.inference.outcomes import Outcome
from scalescope.inference.probe import Measured
from scalescope.inference.requests import CellRequest
from scalescope.points import Cell, Energy, Load, State


def cell_of(request: CellRequest, outcome: Outcome) -> Cell:
    """Return the row of a cell that was tried."""
    state, cause = classify(outcome, model=request.model, workload=request.workload)
    cell = replace(
        _blank(request, state, cause),
        exception=outcome.exception or outcome.signal,
        traceback_digest=outcome.traceback_digest,
        free_bytes=outcome.free_bytes_at_start,
        limit_bytes=outcome.limit_bytes,
        peak_bytes=outcome.peak_bytes,
        load=_load_told(outcome),
    )
    if state != "ok" or outcome.result is None:
        return cell
    measured = msgspec.convert(outcome.result["measured"], Measured)
    count = count_call(
        request.model.anatomy, request.workload, attention=request.attention, dtype=request.dtype
    )
    return replace(
        cell,
        params=measured.params,
        load=measured.load,
        memory=measured.memory,
        timing=measured.timing,
        first_token=measured.first_token,
        energy=_with_carbon(measured.energy, request.grid),
        flop=count.flop,
        computed_tokens=measured.computed_tokens,
        notes=(*measured.notes, *(str(finding) for finding in measured.findings)),
    )


def without_running(request: CellRequest, state: State, cause: str) -> Cell:
    """Return the row of a cell that was not tried."""
    return _blank(request, state, cause)


def owner_of(one: Cell | CellRequest) -> str:
    """Return who shares a measurement: an architecture, or one model alone where its weights are its own."""
    if isinstance(one, Cell):
        architecture, name, random = one.architecture, one.model, one.random_weights
    else:
        architecture, name, random = one.model.architecture, one.model.name, one.model.weights is None
    return architecture if random else f"{architecture} {name}"


def identity_of(one: Cell | CellRequest) -> str:
    """Return what tells a measurement from all others of a bench: whose it is, of what, on what."""
    lengths = one.workload.lengths
    texts = f" | {hashlib.sha256(repr(lengths).encode()).hexdigest()[:8]}" if lengths else ""
    return f"{owner_of(one)} | {one.key.partition(' | ')[2]}{texts}"


def told_cell(cell: Cell) -> JSON:
    """Return a row as JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(cell)
    return plain


def _blank(request: CellRequest, state: State, cause: str) -> Cell:
    model = request.model
    return Cell(
        model=model.name,
        category=model.category,
        architecture=model.architecture,
        params=model.anatomy.params_with_head if request.workload.head else model.anatomy.params,
        workload=request.workload,
        dtype=request.dtype,
        attention=request.attention,
        compiled=request.compiled,
        device=request.device,
        threads=request.threads,
        state=state,
        cause=cause,
        expected=request.expected,
        random_weights=model.weights is None,
    )


def _with_carbon(energy: Energy | None, country: str | None) -> Energy | None:
    """Add what the energy emits where the electricity is from."""
    if energy is None or country is None:
        return energy
    grid = find_grid(country)
    return replace(energy, grams=grid.grams(energy.joules), grid=f"{grid.name} {grid.year}")


def _load_told(outcome: Outcome) -> Load | None:
    """Return the load times that a process told before it ended."""
    told = next((one["load"] for one in reversed(outcome.messages) if "load" in one), None)
    return None if told is None else msgspec.convert(told, Load)
