"""From a checkpoint to files of a whole model: `python -m scalescope.training.distributed.export FROM OUT`.

OUT gets `weights.safetensors`, which trials begin from, and where the shape is one of Llama's a folder
`llama` that tools of that family load. FROM is a checkpoint, or the folder of a run's checkpoints, of which
the newest whole one is taken.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scalescope.errors import InputError, ScalescopeError
from scalescope.training.distributed.checkpoints import Stored, newest, opened
from scalescope.training.llama_files import export_llama
from scalescope.training.network import Network
from scalescope.training.sealed import MANIFEST
from scalescope.training.weights import put_weights, save_weights

WEIGHTS, LLAMA = "weights.safetensors", "llama"


def export(source: Path, out: Path) -> list[Path]:
    """Write the model of a checkpoint; return what was written.

    Raises
    ------
    InputError
        If there is no whole checkpoint.
    WorkError
        If the operating system refuses.
    """
    stored = _found(source)
    weights, about = stored.weights(), stored.position.about
    out.mkdir(parents=True, exist_ok=True)
    save_weights(out / WEIGHTS, weights, about)
    network = Network(about.shape)
    put_weights(network, weights, str(stored.place))
    try:
        export_llama(network, out / LLAMA)
    except InputError:  # no shape of Llama's
        return [out / WEIGHTS]
    return [out / WEIGHTS, out / LLAMA]


def main(arguments: Sequence[str] | None = None) -> int:
    """Export what the command line names; return the exit status."""
    reader = argparse.ArgumentParser(prog="scalescope.training.distributed.export", description=__doc__)
    reader.add_argument("source", type=Path, metavar="FROM", help="a checkpoint, or the folder of some")
    reader.add_argument("out", type=Path, metavar="OUT", help="a folder for the files")
    given = reader.parse_args(arguments)
    try:
        written = export(given.source, given.out)
    except ScalescopeError as error:
        sys.stderr.write(f"{error}\n{error.hint}\n" if error.hint else f"{error}\n")
        return error.exit_code
    sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


def _found(source: Path) -> Stored:
    if (source / MANIFEST).is_file() or source.name.startswith("step-"):
        return opened(source)
    stored = newest(source)
    if stored is None:
        raise InputError(f"there is no checkpoint in {source}", hint="Give [checkpoint] folder of a run.")
    return stored


if __name__ == "__main__":
    sys.exit(main())
