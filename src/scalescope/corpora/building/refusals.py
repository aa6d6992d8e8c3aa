"""What cannot be built, each said in one line that names the stage, the library or the folder."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalescope.corpora.building.recipe import Recipe
from scalescope.corpora.building.stages import Stage
from scalescope.errors import InputError, MissingExtraError


def refuse_missing_libraries(recipe: Recipe) -> None:
    """Say before anything is read which library a recipe needs.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    if recipe.duplicates.near is not None and find_spec("rensa") is None:
        raise MissingExtraError("rensa", "data")
    if recipe.tokenizer.kind != "bytes" and find_spec("tokenizers") is None:
        raise MissingExtraError("tokenizers", "tokenizers")


def refuse_nothing_left(stages: Sequence[Stage], n_left: int) -> None:
    """Say which stage removed most where nothing is left.

    Raises
    ------
    InputError
        If `n_left` is 0.
    """
    if n_left:
        return
    n_read = stages[0].documents_in
    most = max(stages, key=lambda stage: stage.n_removed)
    if n_read == 0 or most is stages[0]:
        raise InputError(
            "the sources hold no text",
            hint="Give text files in UTF-8, folders of such files, JSONL or Parquet.",
        )
    why = max(most.reasons, key=lambda reason: most.reasons[reason])
    raise InputError(
        f"nothing is left of {n_read} documents for training: {most.name} removed most, {most.n_removed} "
        f"({most.reasons[why]} for {why})",
        hint=f"Widen the limits of {most.name}, or leave it out.",
    )


def refuse_one_document(stages: Sequence[Stage], hashes: npt.NDArray[np.uint8]) -> None:
    """Say that one document cannot be split, and which stage removed most of the others.

    Raises
    ------
    InputError
        If all documents that are left are the same.
    """
    if len(hashes) and (hashes != hashes[0]).any():
        return
    most = max(stages, key=lambda stage: stage.n_removed)
    blame = f"; {most.name} removed most, {most.n_removed}" if most.n_removed else ""
    raise InputError(
        f"only one document is left, and held-out text is split off by document{blame}",
        hint="Give more documents, or a text file itself, which is cut at blank lines.",
    )


def refuse_other_corpus(folder: Path, name: str, difference: str) -> None:
    """Refuse to overwrite a corpus that was built otherwise.

    Raises
    ------
    InputError
        Always.
    """
    raise InputError(
        f"{folder} holds the corpus {name}, which was built {difference}",
        hint="Use another folder, or remove this one.",
    )
