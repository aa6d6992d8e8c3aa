"""`scalescope recommend`."""

from __future__ import annotations

from pathlib import Path

from scalescope.cli.bench_options import Bytes, Seconds
from scalescope.cli.options import Amount, AsJson, Strict
from scalescope.cli.output import answer


def recommend(
    bench: Path = Path("bench"),
    /,
    *,
    length: int | None = None,
    memory: Bytes | None = None,
    latency: Seconds | None = None,
    task: str | None = None,
    min_params: Amount | None = None,
    max_params: Amount | None = None,
    dtype: str | None = None,
    as_json: AsJson = False,
    strict: Strict = False,
) -> int:
    """Rank the models of a bench that meet a length, a memory and a latency.

    Says of each of the others why it does not.

    Parameters
    ----------
    bench
        Folder of a bench, or a cells file.
    length
        Tokens of the longest text; without it, what to deploy for short, medium and long texts.
    memory
        Memory that the model may take beside the libraries, such as 4GB.
    latency
        Longest time of a call, such as 50ms; of a token when generating.
    task
        encoder, decoder, generation, or a task of the bench.
    min_params
        Smallest size, such as 100M.
    max_params
        Largest size.
    dtype
        Only cells of this type.
    as_json
        Print everything as JSON.
    strict
        Exit with 1 if there is any finding.
    """
    from scalescope.deployment import recommend as choose
    from scalescope.deployment import strategies
    from scalescope.points import read_cells
    from scalescope.workflow import positions_of

    cells = read_cells(bench / "cells.json" if bench.is_dir() else bench)
    limits = positions_of(cells)
    if length is None:
        plans = strategies(cells, memory_bytes=memory, limits=limits)
        return answer(
            plans.summary(), plans.to_dict(), as_json=as_json, findings=plans.findings, strict=strict
        )
    found = choose(
        cells,
        length=length,
        memory_bytes=memory,
        latency_s=latency,
        task=task,
        least_params=min_params,
        most_params=max_params,
        dtype=dtype,
        limits=limits,
    )
    return answer(found.summary(), found.to_dict(), as_json=as_json, findings=found.findings, strict=strict)
