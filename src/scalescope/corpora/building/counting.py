"""What became of each source, in numbers, and the versions of what counted it."""

from __future__ import annotations

import zlib
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalescope.corpora.building.choosing import Choice
from scalescope.corpora.building.recipe import Recipe
from scalescope.corpora.building.spool import Spool
from scalescope.corpora.built import HELD_OUT_INDEX, TRAIN_INDEX, BuiltSource
from scalescope.corpora.index import RECORD


def count_sources(recipe: Recipe, spool: Spool, choice: Choice, kept: Path) -> tuple[BuiltSource, ...]:
    """Count what became of each source, and share the weights among those that have something left."""
    counts = [
        _counts(spool, chosen, np.fromfile(kept / index, dtype=RECORD)["tokens"], len(recipe.sources))
        for chosen, index in ((choice.training, TRAIN_INDEX), (choice.held_out, HELD_OUT_INDEX))
    ]
    asked = [
        (n_tokens if source.weight is None else source.weight) if n_tokens else 0.0
        for source, (_, n_tokens, _) in zip(recipe.sources, counts[0], strict=True)
    ]
    return tuple(
        BuiltSource(
            name=source.name,
            weight=weight / sum(asked),
            train_documents=train[0],
            train_tokens=train[1],
            train_bytes=train[2],
            held_out_documents=held_out[0],
            held_out_tokens=held_out[1],
            held_out_bytes=held_out[2],
        )
        for source, weight, train, held_out in zip(recipe.sources, asked, *counts, strict=True)
    )


def _counts(
    spool: Spool, chosen: npt.NDArray[np.int64], n_tokens: npt.NDArray[np.uint32], n_sources: int
) -> list[tuple[int, int, int]]:
    """Return documents, tokens and bytes of each source."""
    sources = spool.sources[chosen]
    columns = [
        np.bincount(sources, weights=weights, minlength=n_sources).astype(np.int64).tolist()
        for weights in (None, n_tokens, spool.census.sizes[chosen])
    ]
    return list(zip(*columns, strict=True))


def versions() -> dict[str, str]:
    """Return the versions of what the files depend on; of libraries, those that are installed."""
    found = {"zlib": zlib.ZLIB_RUNTIME_VERSION}
    for name in ("scalescope", "numpy", "rensa", "tokenizers", "pyarrow"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
