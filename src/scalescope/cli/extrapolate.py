"""`scalescope extrapolate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from scalescope.cli.options import AsJson, Strict
from scalescope.cli.output import answer
from scalescope.errors import InputError, nearest
from scalescope.units import parse_count, parse_number

if TYPE_CHECKING:
    from scalescope.points.tables import Table

Places = Annotated[tuple[str, ...], Parameter(negative="", n_tokens=1, show_default=False)]


def extrapolate(
    curve: str,
    /,
    *,
    x: str | None = None,
    y: str | None = None,
    at: Places = (),
    ceiling: float | None = None,
    shift: float | None = None,
    level: float = 0.9,
    as_json: AsJson = False,
    strict: Strict = False,
) -> int:
    """Carry one curve beyond its end, with an interval.

    For learning curves, error or accuracy curves, anything against one factor. Several forms are fitted,
    judged on the end of the curve itself, and averaged.

    Parameters
    ----------
    curve
        CSV, TSV, JSON, JSONL or Parquet file with one row a point, or `-` for standard input.
    x
        Column of abscissae; the first where not given.
    y
        Column of ordinates; the second where not given.
    at
        Where the curve is wanted, such as 2B,4B; 1.25 to 4 times the last x where not given.
    ceiling
        Highest y that can be, such as 1 for an accuracy.
    shift
        Added to y before its logarithm is taken; by default 0 where all y are above zero.
    level
        Share of points inside the interval.
    as_json
        Print the whole result as JSON.
    strict
        Exit with 1 if there is any finding.
    """
    from dataclasses import replace

    from scalescope.fitting.extrapolation import extrapolate as carry_on
    from scalescope.points.tables import open_document, read_table

    table = read_table(open_document(curve))
    first, second = _chosen(table, x, y)
    places = [parse_count(piece, what="x") for text in at for piece in text.split(",") if piece.strip()]
    result = carry_on(
        _numbers(table, first),
        _numbers(table, second),
        at=places or None,
        level=level,
        shift=shift,
        ceiling=ceiling,
        source=table.source,
    )
    return answer(
        replace(result, findings=()).summary(),
        result.to_dict(),
        as_json=as_json,
        findings=result.findings,
        strict=strict,
        next_step=f"scalescope laws {result.forms[0].law}",
    )


def _chosen(table: Table, x: str | None, y: str | None) -> tuple[str, str]:
    """Return the columns to read: those asked for, else the first two of the table."""
    for name in (x, y):
        if name is not None and name not in table.columns:
            raise InputError(f"{table.source} has no column {name!r}", hint=nearest(name, table.columns))
    first = x or next(name for name in table.columns if name != y)
    rest = [name for name in table.columns if name != first]
    if not rest:
        raise InputError(f"{table.source} has one column", hint="A curve needs x and y.")
    return first, y or rest[0]


def _numbers(table: Table, name: str) -> list[float]:
    return [_number(table, name, *pair) for pair in zip(table.places, table.columns[name], strict=True)]


def _number(table: Table, name: str, place: int, cell: Any) -> float:
    try:
        return parse_number(str(cell), what="number")
    except InputError as error:
        raise InputError(
            f"{table.source}, {table.place} {place}, column {name}: {error}", hint=error.hint
        ) from None
