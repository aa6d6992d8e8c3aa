"""Writes what the committed studies found into docs/studies.md.

    python docs/studies.py

Every study is a folder of docs/studies, as its command left it; what stands between `<!-- begin NAME -->` and
`<!-- end NAME -->` is made from its `report.json`, all else on the page is written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from scalescope.fitting import Multipliers
from scalescope.fitting.multipliers.result import Lever
from scalescope.fitting.repetition import Repetition

ROOM = Path(__file__).parent
PAGE = ROOM / "studies.md"
KINDS: dict[str, type[Multipliers | Repetition]] = {"multipliers": Multipliers, "repetition": Repetition}
MARKED = re.compile(r"(<!-- begin (\w+) -->\n)(.*?)(<!-- end \2 -->)", re.DOTALL)


def found(name: str) -> str:
    """Return a study's command, machine and time, and its result as the terminal shows it."""
    told = json.loads((ROOM / "studies" / name / "report.json").read_text(encoding="utf-8"))
    kind = next(kind for kind in KINDS if kind in told)
    made = KINDS[kind].from_dict({**told[kind], "schema": KINDS[kind].schema})
    machine, facts = told[kind]["provenance"]["machine"], told["facts"]
    lines = [
        f"    {told['command']}",
        "",
        f"{machine}; {facts['Machine'].partition(';')[0]}; {facts['Time']} of wall time.",
        f"[Report](studies/{name}/report.html).",
        "",
        *(f"    {line}".rstrip() for line in made.summary().split("\n")),
    ]
    lines += ["", *(map(pairs, made.levers) if isinstance(made, Multipliers) else twins(made))]
    return "\n".join(lines) + "\n"


def pairs(lever: Lever) -> str:
    """Say how much better a variant was at equal settings."""
    differences = [pair.difference.value for pair in lever.pairs]
    better = sum(one < 0 for one in differences)
    return (
        f"- `{lever.name}` was better in {better} of {len(differences)} equal settings, by "
        f"{-max(differences):.3f} to {-min(differences):.3f} nats a token."
    )


def twins(found: Repetition) -> Iterator[str]:
    """Say what reading again cost beside fresh text."""
    for epochs in sorted({twin.epochs for twin in found.twins}):
        gaps = [twin.difference for twin in found.twins if twin.epochs == epochs]
        yield (
            f"- {epochs:.0f} epochs: {min(gaps):+.3f} to {max(gaps):+.3f} nats a token over the fresh twin, "
            f"{len(gaps)} pairs"
        )


def renewed(text: str) -> str:
    """Return the page with every study's part made anew."""
    return MARKED.sub(lambda part: part[1] + found(part[2]) + part[4], text)


def main() -> None:
    """Write the page."""
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
