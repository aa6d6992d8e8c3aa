"""`scalescope reproduce`."""

from __future__ import annotations

from pathlib import Path

import scalescope
from scalescope.cli.options import AsJson
from scalescope.cli.output import answer


def reproduce(name: str | None = None, /, *, data: Path | None = None, as_json: AsJson = False) -> int:
    """Make a published result again from its own table, or list what can be.

    The exit code is 1 when a number misses and 2 when a table is absent.

    Parameters
    ----------
    name
        What to reproduce; all of them are listed without it.
    data
        Folder of the published tables, by default what SCALESCOPE_DATA names.
    as_json
        Print everything as JSON.
    """
    from scalescope.reproductions import NAMES

    if name is None:
        width = max(map(len, NAMES))
        text = "\n".join(f"  {each:<{width}}  {title}" for each, title in NAMES.items())
        plain = {"schema": "scalescope.reproductions/1", "names": dict(NAMES)}
        return answer(text, plain, as_json=as_json, next_step="scalescope reproduce epoch --data DIR")
    result = scalescope.reproduce(name, data=data)
    code = answer(result.summary(), result.to_dict(), as_json=as_json, findings=result.findings)
    return code if result.holds else 1
