"""What a table must have to be one of runs, and the column that was probably meant where it has not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from itertools import islice

import numpy as np

from scalescope.errors import InputError
from scalescope.points.cells import number
from scalescope.points.columns import BOOKKEEPING, OUTCOMES
from scalescope.points.naming import Match
from scalescope.points.tables import Table

_SOUNDS = re.compile(
    r"loss|perplexity|ppl|bpb|(?<![a-z])err|(?<![a-z])acc|score|reward|nll|entropy", re.IGNORECASE
)
_NOT_IT = re.compile(r"upper|lower|std|train|low|high|min|max", re.IGNORECASE)
_VARIABLES = ("params", "tokens", "compute", "examples", "x")


def require(table: Table, matches: Mapping[str, Match], *, mapped: bool) -> None:
    """Check that there is something that a law can be about.

    Parameters
    ----------
    table
        What was read.
    matches
        The columns that are ours.
    mapped
        Whether the reader named columns, so that the others are left out on purpose.

    Raises
    ------
    InputError
        If there are not two columns of ours, or none is an outcome although one of the others could be.
    """
    known = [ours for ours in matches if ours != "name" and ours not in BOOKKEEPING]
    free = _free_numbers(table, matches)
    outcomes = [ours for ours in known if ours in OUTCOMES]
    variables = [ours for ours in known if ours not in OUTCOMES]
    # Sizes and token counts alone say nothing; of a compute they may be the best, which laws predict.
    only_chosen = set(known) <= {"params", "tokens"}
    if variables and not outcomes and not mapped and (free or only_chosen):
        _refuse(table, free, "the loss or another outcome", ("loss",))
    if len(known) < 2:
        if outcomes:
            _refuse(table, free, "what a law reads, such as size, tokens or compute", _VARIABLES)
        _refuse(table, free, "the loss or what it depends on", ("loss", *_VARIABLES))


def _refuse(table: Table, free: list[str], what: str, lacking: tuple[str, ...]) -> None:
    shown = ", ".join(list(table.columns)[:12]) + (", ..." if len(table.columns) > 12 else "")
    raise InputError(
        f"{table.source} has no column for {what}; it has {shown}",
        hint=_wide(table) or _suggestion(free, lacking),
    )


def _suggestion(free: list[str], lacking: tuple[str, ...]) -> str:
    """Name the column that was probably meant, and how to say so."""
    lowered = {theirs.lower(): theirs for theirs in free}
    for ours in lacking:
        close = difflib.get_close_matches(ours, lowered, n=1, cutoff=0.6)
        if close:
            theirs = lowered[close[0]]
            return f"Did you mean {theirs!r}? Map it by name: {theirs}={ours}."
    sounding = [theirs for theirs in free if _SOUNDS.search(theirs) and not _NOT_IT.search(theirs)]
    if "loss" in lacking and sounding:
        theirs = sounding[0]
        kinds = {"err": "error", "acc": "accuracy"}
        ours = next((kind for part, kind in kinds.items() if part in theirs.lower()), "loss")
        others = f" {len(sounding) - 1} others could be it too." if len(sounding) > 1 else ""
        return f"If {theirs!r} is it, map it by name: {theirs}={ours}.{others}"
    return f"Map the column that holds it by name, such as theirs={lacking[0]}."


def _wide(table: Table) -> str:
    """Recognise a table with one column a setting, or without a header."""
    numeric = [theirs for theirs in table.columns if _is_number(theirs)]
    if len(numeric) == len(table.columns):
        return "Its first line holds numbers; write a header such as params,tokens,loss above it."
    if len(numeric) > len(table.columns) / 2:
        return (
            f"Its columns {numeric[0]} to {numeric[-1]} look like settings; write one row a setting, "
            "such as model,examples,loss."
        )
    return ""


def _free_numbers(table: Table, matches: Mapping[str, Match]) -> list[str]:
    """Columns that are not ours and hold numbers."""
    used = {match.theirs for match in matches.values()}
    rest = (theirs for theirs in table.columns if theirs not in used)
    return [theirs for theirs in rest if _holds_numbers(table.columns[theirs])]


def _holds_numbers(cells: Iterable[object]) -> bool:
    if isinstance(cells, np.ndarray):
        return bool(np.isfinite(cells).any())
    return any(_is_number(cell) for cell in islice((cell for cell in cells if cell not in (None, "")), 20))


def _is_number(cell: object) -> bool:
    try:
        return bool(np.isfinite(number(cell)))
    except InputError:
        return False
