"""What a study reads: the text or images that it was given, and those that arms read in their place."""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scalescope.corpora.corpus import Corpus, SourceShare
from scalescope.corpora.images import ImageSet, prepare_images
from scalescope.corpora.preparing import prepare_corpus
from scalescope.cost.parts import Patches
from scalescope.errors import InputError
from scalescope.points import Finding, digest_of
from scalescope.training.trial_settings import TaskName

Data = Corpus | ImageSet

PASSAGES = 64
"""Pieces of the held-out text that are looked for in what an arm trains on."""
PASSAGE_TOKENS = 48
MOST_SEARCHED = 2_000_000_000
"""Bytes of training tokens; larger corpora are not searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where the data of a study are found and kept."""

    folder: Path
    """Of the study; what is made is kept in it."""
    task: TaskName
    tokenizer: Path | None
    text_column: str

    def open(self, source: str | None, *, own: bool, filters: str = "") -> Data:
        """Return data that are ready for training.

        Parameters
        ----------
        source
            A text, a set of images, or what `scalescope corpus build` reads or leaves.
        own
            Whether they are an arm's own, kept beside the study's.
        filters
            Those of the arm, in place of the recipe's; see `scalescope.corpora.filtering`.

        Raises
        ------
        InputError
            If there are none such, or they cannot be used.
        """
        name = digest_of(str(source).encode())[:12]
        place = self.folder / "corpora" / name if own else self.folder / "corpus"
        if self.task == "images":
            return prepare_images(source or "digits", place)
        if filters:
            return self._filtered(source, filters, name)
        if source is not None and source.endswith(".toml"):
            source = str(_built(Path(source), self.folder / "corpora" / f"{name}-built"))
        return prepare_corpus(
            source, place, tokenizer=self.tokenizer, text_column=self.text_column, exclude=[self.folder]
        )

    def _filtered(self, source: str | None, filters: str, name: str) -> Corpus:
        from scalescope.corpora.building import read_recipe
        from scalescope.corpora.filtering import filtered_corpus

        if source is None or not source.endswith(".toml"):
            raise InputError(
                "filters are varied over a recipe",
                hint="Give the recipe's file: scalescope study recipe.toml.",
            )
        corpora = self.folder / "corpora"
        return filtered_corpus(
            read_recipe(Path(source)), filters, corpora / f"{name}-{filters}", corpora / f"{name}-unfiltered"
        )


def _built(recipe: Path, folder: Path) -> Path:
    from scalescope.corpora.building import build_corpus, read_recipe

    build_corpus(read_recipe(recipe), folder)
    return folder


def vocabulary_of(data: Data, task: TaskName) -> int:
    """Return the vocabulary of shapes that are trained on it: classes of images, a mask beside the tokens."""
    if isinstance(data, ImageSet):
        return len(data.classes)
    return data.vocabulary + (task == "masked")


def patches_of(data: Data, context: int) -> Patches | None:
    """Return how images are cut so that one is `context` patches; None for text.

    Raises
    ------
    InputError
        If they cannot be; the hint has what can.
    """
    if not isinstance(data, ImageSet):
        return None
    rows = math.isqrt(context)
    if rows**2 != context or data.side % rows:
        known = [str(n * n) for n in range(2, data.side + 1) if data.side % n == 0]
        raise InputError(
            f"images of {data.side} pixels a side cannot be cut into {context} patches",
            hint=f"Give a context of {' or '.join(known)}.",
        )
    return Patches(side=data.side, patch=data.side // rows, channels=data.channels)


def tokens_of(data: Data, context: int) -> int:
    """Count the training tokens, which for images are patches."""
    return data.train_images * context if isinstance(data, ImageSet) else data.train_tokens


def judged_alike(data: Mapping[str, Data]) -> dict[str, Data]:
    """Let every arm be judged on the held-out text of the first.

    Raises
    ------
    InputError
        If two arms have other tokens: their losses could not be compared.
    """
    (_, base), *others = data.items()
    for name, one in others:
        if isinstance(base, Corpus) and isinstance(one, Corpus):
            _refuse_other_tokens(name, one, base)
    return {name: _judged_on(one, base) for name, one in data.items()}


def _refuse_other_tokens(name: str, corpus: Corpus, base: Corpus) -> None:
    if (corpus.vocabulary, corpus.tokenizer_digest) != (base.vocabulary, base.tokenizer_digest):
        raise InputError(
            f"{name} has the tokens of {corpus.tokenizer} ({corpus.vocabulary}), the baseline those of "
            f"{base.tokenizer} ({base.vocabulary})",
            hint="Losses per token compare under one tokenizer only; build both with the same.",
        )


def _judged_on(data: Data, base: Data) -> Data:
    if data == base or not (isinstance(data, Corpus) and isinstance(base, Corpus)):
        return data
    return replace(
        data,
        held_out_tokens=base.held_out_tokens,
        held_out_bytes=base.held_out_bytes,
        n_held_out_documents=base.n_held_out_documents,
        bytes_per_token=base.bytes_per_token,
        sources=_judged_sources(data.sources, base.sources),
        held_out_file=base.held_out_file,
    )


def _judged_sources(own: tuple[SourceShare, ...], base: tuple[SourceShare, ...]) -> tuple[SourceShare, ...]:
    """Let every source be judged on the held-out text of its namesake; one without has none."""
    known = {source.name: source for source in base}
    found = []
    for source in own:
        same = known.get(source.name)
        found.append(
            replace(
                source,
                held_out_start=same.held_out_start if same else 0,
                held_out_tokens=same.held_out_tokens if same else 0,
                held_out_documents=same.held_out_documents if same else 0,
            )
        )
    return tuple(found)


def doubts_of_leaks(data: Mapping[str, Data]) -> list[Finding]:
    """Tell arms that train on passages of the held-out text of the baseline."""
    base, *_ = data.values()
    found = []
    for name, one in data.items():
        if isinstance(base, Corpus) and isinstance(one, Corpus) and one.train_file != base.train_file:
            n_leaked = _leaked(one)
            if n_leaked:
                found.append(
                    Finding(
                        code="STU017",
                        text=f"{n_leaked} of {PASSAGES} passages of the held-out text are in the training "
                        f"text of {name}.",
                        hint="Its loss flatters it: build both corpora from the same documents and split.",
                    )
                )
    return found


def _leaked(corpus: Corpus) -> int:
    """Count the passages, spread over the held-out text, that stand in the training text too."""
    held_out, path = corpus.held_out(), Path(corpus.train_file)
    if not 0 < path.stat().st_size <= MOST_SEARCHED or len(held_out) <= PASSAGE_TOKENS:
        return 0
    starts = np.linspace(0, len(held_out) - PASSAGE_TOKENS, PASSAGES).astype(int)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        passages = (bytes(np.asarray(held_out[at : at + PASSAGE_TOKENS]).tobytes()) for at in starts)
        return sum(text.find(passage) >= 0 for passage in passages)
