"""Corpora that differ in their filters alone: the same documents, split, tokens and held-out text.

To say what a filter is worth, everything else must stay: so the recipe is built once without filters, and
each arm's training documents are those of that build which its filters keep. Copies are removed before the
filters then, not after, and the held-out text is that of all documents, filtered or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from scalescope.corpora.adopting import as_corpus
from scalescope.corpora.building import build_corpus
from scalescope.corpora.building.recipe import Recipe
from scalescope.corpora.building.training_tokenizer import TOKENIZER
from scalescope.corpora.built import HELD_OUT_INDEX, TRAIN_INDEX, BuiltCorpus
from scalescope.corpora.corpus import HELD_OUT, MANIFEST, Corpus, SourceShare, open_corpus
from scalescope.corpora.filters import FILTERS, Filter, Text, first_outside
from scalescope.corpora.index import Index
from scalescope.corpora.tokens import Tokens
from scalescope.corpora.writing import PARTS, publish, writing_to
from scalescope.errors import InputError, MissingExtraError, nearest
from scalescope.points import Finding, Provenance, digest_of
from scalescope.units import format_percent

NONE, RECIPE = "none", "recipe"
IDLE = "COR040"
SEVERE = "COR041"
MOST_REMOVED = 0.5
"""Share of the training tokens beyond which a filter's arm may read its text over."""


def parse_filters(text: str, recipe: Recipe) -> tuple[Filter, ...]:
    """Return the filters of an arm: none, those of the recipe, or some by name, joined by `+`.

    A filter that the recipe has comes with its limits there, any other with its own.

    Raises
    ------
    InputError
        If no filter has a name.
    """
    if text == NONE:
        return ()
    if text == RECIPE:
        return recipe.filters
    given = {one.name: one for one in recipe.filters}
    asked = [name.strip() for name in text.split("+")]
    for name in asked:
        if name not in FILTERS:
            raise InputError(f"no filter is called {name!r}", hint=nearest(name, (*FILTERS, NONE, RECIPE)))
    return tuple(given.get(name) or kind() for name, kind in FILTERS.items() if name in asked)


def filtered_corpus(recipe: Recipe, filters: str, folder: Path, base: Path) -> Corpus:
    """Return the corpus of one arm, in `folder`.

    Parameters
    ----------
    recipe
        Whose sources, copies, split and tokenizer hold for all arms.
    filters
        See `parse_filters`.
    folder
        Where this corpus is kept.
    base
        Where the build without filters is kept, which all arms share.

    Raises
    ------
    InputError
        If a filter is unknown or keeps nothing, or a folder holds something else.
    """
    wanted = parse_filters(filters, recipe)
    built = build_corpus(replace(recipe, filters=()), base)
    digest = digest_of(built.digest.encode(), repr(wanted).encode()) if wanted else built.digest
    if (folder / MANIFEST).is_file():
        stored = open_corpus(folder)
        if stored.digest != digest:
            raise InputError(
                f"{folder} holds another corpus than that of the filters {filters}",
                hint="Use another folder.",
            )
        return stored
    return _write(built, wanted, filters, folder, digest)


def _write(built: BuiltCorpus, filters: tuple[Filter, ...], name: str, folder: Path, digest: str) -> Corpus:
    index = built.train_index()
    kept = np.fromiter(_kept(built, filters), dtype=np.bool_, count=len(index))
    if not kept.any():
        raise InputError(f"the filters {name} keep no training document", hint="Loosen their limits.")
    with writing_to(folder, int(index["tokens"].sum())):
        with (folder / PARTS[False]).open("wb") as file:
            for keep, tokens in zip(kept, _documents(built), strict=True):
                if keep:
                    file.write(np.ascontiguousarray(tokens).tobytes())
        (folder / PARTS[True]).write_bytes((Path(built.folder) / HELD_OUT).read_bytes())
        (folder / HELD_OUT_INDEX).write_bytes((Path(built.folder) / HELD_OUT_INDEX).read_bytes())
        rows = index[kept].copy()
        rows["start"] = np.concatenate([[0], np.cumsum(rows["tokens"].astype(np.int64))[:-1]])
        (folder / TRAIN_INDEX).write_bytes(rows.tobytes())
        return publish(_described(built, rows, name, digest), folder)


def _documents(built: BuiltCorpus) -> Iterator[Tokens]:
    """Yield the tokens of every training document, in order."""
    index = built.train_index()
    at = 0
    for stream in built.streams():
        for shard in stream.shards:
            first = 0
            while first < len(shard):
                size = int(index["tokens"][at])
                yield shard[first : first + size]
                first += size
                at += 1


def _kept(built: BuiltCorpus, filters: tuple[Filter, ...]) -> Iterator[bool]:
    """Yield for every training document whether all filters keep it."""
    library = None
    if filters and built.tokenizer != "bytes":
        library = _library(Path(built.folder) / TOKENIZER)
    for tokens in _documents(built):
        if not filters:
            yield True
            continue
        whole = tokens[:-1] if built.separated else tokens
        text = Text(whole.astype(np.uint8).tobytes() if library is None else library(whole))
        yield all(first_outside(one, text) is None for one in filters)


def _library(path: Path) -> Callable[[Tokens], bytes]:
    """Return what turns tokens back into text."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingExtraError("tokenizers", "tokenizers") from None
    loaded = Tokenizer.from_file(str(path))

    def read(tokens: Tokens) -> bytes:
        return bytes(loaded.decode(tokens.tolist(), skip_special_tokens=False).encode())

    return read


def _described(built: BuiltCorpus, rows: Index, name: str, digest: str) -> Corpus:
    corpus = as_corpus(built)
    sources, start = [], 0
    for number, source in enumerate(corpus.sources):
        own = rows["source"] == number
        n_tokens = int(rows["tokens"][own].sum())
        sources.append(
            replace(source, train_start=start, train_tokens=n_tokens, train_documents=int(own.sum()))
        )
        start += n_tokens
    train_bytes = int(rows["bytes"].sum())
    return replace(
        corpus,
        name=f"{built.name}, filters {name}",
        n_documents=len(rows) + corpus.n_held_out_documents,
        n_bytes=train_bytes + corpus.held_out_bytes,
        train_tokens=start,
        train_bytes=train_bytes,
        sources=_reweighted(sources, built),
        digest=digest,
        manifest=digest,
        findings=(*corpus.findings, *_doubts(name, built.train_tokens, start)),
        provenance=Provenance(source=built.folder, digest=digest, options={"built": True, "filters": name}),
    )


def _reweighted(sources: list[SourceShare], built: BuiltCorpus) -> tuple[SourceShare, ...]:
    """Share the weights among what is left: as it lies where the recipe has none, else as it says."""
    said = [one.get("weight") for one in built.recipe["source"]]
    asked = [
        0.0 if not source.train_tokens else float(source.train_tokens if weight is None else weight)
        for source, weight in zip(sources, said, strict=True)
    ]
    return tuple(
        replace(source, weight=weight / sum(asked)) for source, weight in zip(sources, asked, strict=True)
    )


def _doubts(name: str, before: int, after: int) -> list[Finding]:
    removed = 1 - after / before
    if name != NONE and not removed:
        return [
            Finding(
                code=IDLE,
                text=f"The filters {name} remove nothing.",
                hint="Their arm is the baseline again; tighten their limits.",
            )
        ]
    if removed > MOST_REMOVED:
        return [
            Finding(
                code=SEVERE,
                text=f"The filters {name} remove {format_percent(removed)} of the training tokens.",
                hint="Their arm has less text and may read it over; see the epochs of its runs.",
            )
        ]
    return []
