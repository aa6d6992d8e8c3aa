"""Read the anatomy of every model of the registry off its modules again.

`entries.csv` is typed in by hand; this script fills its column `architecture` and writes
`architectures.json`:

    python docs/registry.py            # about a minute: every architecture on the meta device
    python docs/registry.py --check    # change nothing, exit 1 if something would change
"""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from scalescope.inference.anatomy import anatomy_of, digest_of
from scalescope.inference.anatomy_building import build

FOLDER = Path(__file__).parents[1] / "src" / "scalescope" / "inference" / "registry"


def compact(value: Any) -> Any:
    """Turn a dataclass into JSON values, defaults left out."""
    if is_dataclass(value):
        return {
            field.name: compact(getattr(value, field.name))
            for field in fields(value)
            if field.default is MISSING or getattr(value, field.name) != field.default
        }
    if isinstance(value, (tuple, list)):
        return [compact(one) for one in value]
    return dict(value) if isinstance(value, dict) else value


def read(row: dict[str, str]) -> tuple[str, Any]:
    """Return the digest and the anatomy of one row."""
    built = build(row["model_type"], json.loads(row["config"]))
    anatomy = anatomy_of(row["model_type"], {}, built=built)
    return digest_of(built, anatomy), compact(anatomy)


def main(*, check: bool) -> int:
    """Write both files, or compare them."""
    with (FOLDER / "entries.csv").open(newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    architectures: dict[str, Any] = {}
    known: dict[tuple[str, str], str] = {}
    for row in rows:
        key = row["model_type"], row["config"]
        if key not in known:
            known[key], anatomy = read(row)
            architectures[known[key]] = anatomy
        row["architecture"] = known[key]
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    lines = [
        f"{json.dumps(key)}:{json.dumps(architectures[key], separators=(',', ':'))}" for key in architectures
    ]
    texts = {"entries.csv": table.getvalue(), "architectures.json": "{\n" + ",\n".join(lines) + "\n}\n"}
    changed = [name for name, text in texts.items() if not same(FOLDER / name, text)]
    for name in [] if check else changed:
        (FOLDER / name).write_text(texts[name], encoding="utf-8")
    print(
        f"{len(rows)} models, {len(architectures)} architectures; changed: {', '.join(changed) or 'nothing'}"
    )
    return 1 if check and changed else 0


def same(path: Path, text: str) -> bool:
    """Whether a file holds this text."""
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv))
