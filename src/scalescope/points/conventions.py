r"""Conventions of a table changed on request, never silently: units, what N counts, how FLOP are counted.

Every function returns new runs whose provenance notes the conversion. The relation between all parameters and
those outside the embedding, for tables that have neither width nor vocabulary, is the one that Pearce & Song
(2024, https://arxiv.org/abs/2406.12907) fitted to the models of Hoffmann et al.:

.. math:: N = N_{ne} + \omega N_{ne}^{1/3}, \qquad \omega = 47491
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from scalescope.errors import InputError, nearest
from scalescope.points.columns import SIZES
from scalescope.points.conversions import TextRates, find_unit, from_base
from scalescope.points.estimates import Array
from scalescope.points.findings import Finding
from scalescope.points.provenance import Provenance
from scalescope.points.runs import Runs

OMEGA = 47491.0
"""Pearce & Song's coefficient, for the family of Hoffmann et al."""
RATES = ("bytes_per_token", "characters_per_token")


def total_of_nonembedding(nonembedding: Array) -> Array:
    """Estimate all parameters from those outside the embedding, any shape, by the relation above."""
    return np.asarray(nonembedding + OMEGA * np.cbrt(nonembedding))


def nonembedding_of_total(total: Array) -> Array:
    """Estimate the parameters outside the embedding from all, any shape: the inverse of that relation."""
    # With u the cube root of N_ne, u^3 + omega u = N is monotone; Newton from above converges from any N.
    total = np.asarray(total, dtype=np.float64)
    root = np.cbrt(total)
    for _ in range(60):
        root = root - (root**3 + OMEGA * root - total) / (3 * root**2 + OMEGA)
    return np.asarray(root**3)


def convert(runs: Runs, units: Mapping[str, str | float]) -> Runs:
    """Take columns as given in other units and bring them to base units.

    A third of size, tokens and compute that was derived is derived again; a standard error of the loss
    follows the loss.

    Parameters
    ----------
    runs
        A table whose numbers are not in base units yet.
    units
        Column to the unit that its numbers are in, such as `{"loss": "bits", "compute": "PF-days"}`, and
        where needed `bytes_per_token` or `characters_per_token`; see `conversions.to_base`.

    Raises
    ------
    InputError
        If the table lacks a column, the column has no such unit, or a rate is missing.
    """
    given, rates = split_units(units)
    columns = dict(runs.columns)
    for name, unit in given.items():
        if name not in columns:
            raise InputError(f"these runs have no column {name!r}", hint=nearest(name, columns))
        scale_errors(columns, name, unit, rates, given)
        columns[name] = np.asarray(find_unit(name, unit, rates).forward(columns[name]))
    derived = runs.provenance.options.get("derived")
    if derived in columns and derived not in given and set(given) & {runs.count, "tokens", "compute"}:
        del columns[str(derived)]
    text = ",".join(f"{name}={unit}" for name, unit in units.items())
    return Runs.from_columns(
        columns,
        names=runs.names,
        count=runs.count,
        findings=runs.findings,
        provenance=_noted(runs, "units", text),
    )


def express(runs: Runs, column: str, unit: str, **rates: float) -> Array:
    """Return one column in another unit than its base unit, such as a loss in bits, shape (n_runs,).

    Parameters
    ----------
    rates
        `bytes_per_token` or `characters_per_token` where the unit needs it.

    Raises
    ------
    InputError
        If the table lacks the column, or the column has no such unit.
    """
    return from_base(column, runs[column], unit, split_units(dict(rates))[1])


def split_units(units: Mapping[str, str | float]) -> tuple[dict[str, str], TextRates]:
    """Tell units of columns from rates of the text.

    Raises
    ------
    InputError
        If a rate is no number, or a unit is one.
    """
    rates: dict[str, float] = {}
    given: dict[str, str] = {}
    for name, unit in units.items():
        if name in RATES:
            try:
                rates[name] = float(unit)
            except ValueError:
                raise InputError(f"{name} must be a number, got {unit!r}", hint=f"{name}=4.2") from None
        else:
            given[name] = str(unit)
    return given, TextRates(**rates)


def scale_errors(
    columns: dict[str, Array], name: str, unit: str, rates: TextRates, given: Mapping[str, str]
) -> None:
    """Bring the standard error of the loss along, to first order, before the loss itself is converted."""
    if name == "loss" and "loss_stderr" in columns and "loss_stderr" not in given:
        with np.errstate(all="ignore"):
            columns["loss_stderr"] = columns["loss_stderr"] * find_unit(name, unit, rates).slope(
                columns["loss"]
            )


def recount(
    runs: Runs,
    count: str,
    *,
    vocabulary: float | None = None,
    width: float | None = None,
    tied: bool = False,
    estimate: bool = False,
) -> Runs:
    """Count N by another convention, computing it where the table lacks it.

    Exactly where vocabulary V and width d are known: the embedding has V d parameters, the output head
    another V d unless `tied`. Tokens and compute stay as they are.

    Parameters
    ----------
    runs
        Runs that count N in one way.
    count
        `params`, `params_nonembedding` or `params_matmul`; `params_active` only where the table has it.
    vocabulary, width
        Where the table has no such column.
    tied
        Whether the head shares the embedding's matrix.
    estimate
        Whether the relation of Pearce & Song may stand in where V and d are unknown; a finding says so.

    Raises
    ------
    InputError
        If the count is unknown, or cannot be computed from what there is.
    """
    if count not in SIZES:
        raise InputError(f"N cannot be counted by {count!r}", hint=nearest(count, SIZES))
    if count in runs:
        return runs.counted_by(count)
    if count == "params_active" or runs.count == "params_active":
        raise InputError(
            f"{count} does not follow from {runs.count}", hint="Which experts a token meets must be counted."
        )
    lookup = _lookup(runs, vocabulary, width)
    if lookup is not None:
        outside = runs.size - _share(runs.count, tied) * lookup
        how = f"{count} from {runs.count} with vocabulary x width"
        return _recounted(runs, count, outside + _share(count, tied) * lookup, how)
    if not estimate or {count, runs.count} != {"params", "params_nonembedding"}:
        raise InputError(
            f"{count} does not follow from {runs.count} alone",
            hint="Give vocabulary and width, or allow an estimate between params and params_nonembedding.",
        )
    convert_size = total_of_nonembedding if count == "params" else nonembedding_of_total
    how = f"{count} from {runs.count} by the relation of Pearce & Song"
    found = _recounted(runs, count, convert_size(runs.size), how)
    doubt = Finding(
        code="RUN008",
        text=f"Estimated {how}.",
        hint="It holds for models like those of Hoffmann et al.; vocabulary and width make it exact.",
    )
    return replace(found, findings=(*found.findings, doubt))


def _lookup(runs: Runs, vocabulary: float | None, width: float | None) -> Array | None:
    """Parameters of one V x d matrix, shape (n_runs,); None where V or d is unknown."""
    sides = []
    for name, value in (("vocabulary", vocabulary), ("width", width)):
        if value is None and name not in runs:
            return None
        sides.append(runs[name] if value is None else np.full(len(runs), float(value)))
    return np.asarray(sides[0] * sides[1])


def _share(count: str, tied: bool) -> int:
    """How many V x d matrices a count includes."""
    return {"params_nonembedding": 0, "params_matmul": 1, "params": 1 if tied else 2}[count]


def _recounted(runs: Runs, count: str, size: Array, how: str) -> Runs:
    if not (size > 0).all():
        raise InputError(
            f"{how}: {int((size <= 0).sum())} of {len(runs)} rows would have no parameters left",
            hint="Check vocabulary, width and whether the head is tied.",
        )
    return replace(
        runs,
        columns={**runs.columns, count: size},
        count=count,
        provenance=_noted(runs, "recounted", how),
    )


def recompute(runs: Runs, how: Literal["6ND", "exact"] = "6ND") -> Runs:
    """Count training FLOP by another convention.

    Parameters
    ----------
    runs
        Runs with tokens.
    how
        `6ND` with N as `count` says; or `exact`: all matrices and causal attention, which is the column
        `compute_exact`, or 6 D (N_matmul + n_layers x context x width) where the table has what it takes.

    Raises
    ------
    InputError
        If the table lacks what the formula needs.
    """
    if how not in ("6ND", "exact"):
        raise InputError(f"compute is not counted as {how!r}", hint="6ND or exact.")
    if how == "6ND":
        compute = 6 * runs.size * runs.tokens
    elif "compute_exact" in runs:
        compute = runs["compute_exact"]
    else:
        needed = ("params_matmul", "n_layers", "context", "width")
        missing = [name for name in needed if name not in runs]
        if missing:
            raise InputError(
                f"exact FLOP need {', '.join(missing)}, which the table lacks",
                hint="Recount N by params_matmul first."
                if missing == ["params_matmul"]
                else "Add the columns.",
            )
        attention = runs["n_layers"] * runs["context"] * runs["width"]
        compute = 6 * runs.tokens * (runs["params_matmul"] + attention)
    return replace(
        runs,
        columns={**runs.columns, "compute": np.asarray(compute)},
        provenance=_noted(runs, "compute", f"counted as {how}"),
    )


def _noted(runs: Runs, key: str, text: str) -> Provenance:
    """Add a conversion to the options; several of one kind follow one another."""
    before = runs.provenance.options.get(key)
    return replace(
        runs.provenance,
        options={**runs.provenance.options, key: f"{before}; {text}" if before else text},
    )
