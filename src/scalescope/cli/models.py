"""`scalescope models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalescope.cli.options import Amount, AsJson
from scalescope.cli.output import answer
from scalescope.errors import InputError
from scalescope.units import format_bytes, format_count, format_flop

if TYPE_CHECKING:
    from scalescope.inference.models import Model

SCHEMA = "scalescope.models/1"


def models(
    name: str | None = None,
    /,
    *,
    category: str | None = None,
    set_: str | None = None,
    max_params: Amount | None = None,
    min_length: int | None = None,
    at: int = 512,
    as_json: AsJson = False,
) -> int:
    """List the models that can be benchmarked, with size, cost, limit and predicted memory.

    Parameters
    ----------
    name
        Part of a name.
    category
        Such as generative, bert-family, state-space or mixture-of-experts.
    set_
        core, the 118 of seven categories; study, those of the model study; next, the next generation.
    max_params
        Most parameters, such as 1.5B.
    min_length
        Tokens that it must be able to take.
    at
        Length that memory is predicted for.
    as_json
        Print everything as JSON.
    """
    from scalescope.inference.registry import list_models

    found = list_models(name=name, category=category, set=set_, max_params=max_params, min_length=min_length)
    if not found:
        raise InputError("no model is like that", hint="scalescope models, without options, lists all.")
    rows = [_row(model, at) for model in found]
    return answer(
        _table(rows, at),
        {"schema": SCHEMA, "models": rows},
        as_json=as_json,
        next_step=f"scalescope bench {found[0].short}",
    )


def _row(model: Model, at: int) -> dict[str, Any]:
    from scalescope.cost.memory import memory_of_call
    from scalescope.points import Workload

    anatomy = model.anatomy
    limit = anatomy.positions.limit
    length = at if limit is None else min(at, limit)
    workload = Workload(kind="prefill" if anatomy.causal else "encode", length=length)
    estimate = memory_of_call(anatomy, workload, dtype="fp32", attention="sdpa")
    return {
        "name": model.name,
        "category": model.category,
        "family": model.family,
        "params": anatomy.params,
        "params_active": anatomy.params_active,
        "flop_per_token": anatomy.flop_per_token,
        "limit": limit,
        "positions": anatomy.positions.kind,
        "length": length,
        "memory_bytes": estimate.peak,
        "architecture": model.architecture,
        "source": model.source,
        "sureness": model.sureness,
    }


def _table(rows: list[dict[str, Any]], at: int) -> str:
    width = max(len(row["name"]) for row in rows)
    lines = [f"{'model':<{width}}  {'params':>7}  {'FLOP/token':>10}  {'limit':>6}  fp32 at {at}"]
    last = None
    for row in rows:
        if row["category"] != last:
            last = row["category"]
            lines.append(f"{last}")
        limit = "none" if row["limit"] is None else str(row["limit"])
        lines.append(
            f"{row['name']:<{width}}  {format_count(row['params']):>7}  "
            f"{format_flop(row['flop_per_token']).removesuffix(' FLOP'):>10}  {limit:>6}  "
            f"{format_bytes(row['memory_bytes'])}" + ("" if row["length"] == at else f" at {row['length']}")
        )
    distinct = len({row["architecture"] for row in rows})
    lines.append(
        f"{len(rows)} models, {distinct} architectures; limit: longest text that the configuration lets run"
    )
    return "\n".join(lines)
