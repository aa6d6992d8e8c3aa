"""Files become a corpus: written in a folder aside, moved to their place, the manifest last."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from scalescope.corpora.building.report import PAGE, REPORT
from scalescope.corpora.building.training_tokenizer import TOKENIZER
from scalescope.corpora.built import HELD_OUT_INDEX, TRAIN_INDEX, BuiltCorpus
from scalescope.corpora.corpus import HELD_OUT, MANIFEST
from scalescope.errors import InputError, RunError, WorkError
from scalescope.points import write_json

WORK = ".building"
"""Folder inside the corpus's own; gone when it is built, worthless when it was interrupted."""
_OURS = ("train-*.bin", HELD_OUT, TRAIN_INDEX, HELD_OUT_INDEX, TOKENIZER, REPORT, PAGE)


@contextmanager
def building_in(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Give a place for what is thrown away and one for what is kept; clear up however the block ends.

    Raises
    ------
    InputError
        If `folder` is a file.
    RunError
        If the disk is full or cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is not a folder", hint="Choose another place for the corpus.")
    work = folder / WORK
    try:
        shutil.rmtree(work, ignore_errors=True)
        for name in ("scratch", "kept"):
            (work / name).mkdir(parents=True)
        yield work / "scratch", work / "kept"
    except BaseException as error:
        cause = error.__cause__ if isinstance(error, WorkError) else error
        if isinstance(cause, OSError):
            raise RunError(
                f"cannot write the corpus to {folder}: {cause.strerror or cause}",
                hint="Free about twice the size of the text there, or choose another folder.",
            ) from None
        raise
    finally:
        with suppress(OSError):
            shutil.rmtree(work)


def publish_built(corpus: BuiltCorpus, kept: Path, folder: Path) -> BuiltCorpus:
    """Move the files of a corpus to `folder`, then write what they are."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for pattern in _OURS:
        for stale in folder.glob(pattern):
            stale.unlink()
    for path in sorted(kept.iterdir()):
        path.replace(folder / path.name)
    write_json(folder / MANIFEST, replace(corpus, folder="").to_dict())
    return replace(corpus, folder=str(folder))
