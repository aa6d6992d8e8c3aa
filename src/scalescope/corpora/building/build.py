"""From a recipe to a corpus on disk: the stages in order.

Each document is read once from its source and once or twice from a spool beside the corpus. In memory are
about 300 bytes a document (58 for what is known of it, the rest while copies are sorted and hashes joined),
the n-grams of the held-out text (see `contamination`), and a few megabytes of text for each process. On disk,
until the end, are the text that passed the filters and, for near-duplicates, 4 bytes a permutation and 8 a
band for each document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scalescope.corpora.adopting import as_corpus
from scalescope.corpora.building.choosing import (
    Choice,
    choose_held_out,
    remove_contaminated,
    remove_duplicates,
)
from scalescope.corpora.building.counting import count_sources, versions
from scalescope.corpora.building.doubts import doubts_of_build
from scalescope.corpora.building.publishing import building_in, publish_built
from scalescope.corpora.building.reading import Progress, read_sources
from scalescope.corpora.building.recipe import Recipe
from scalescope.corpora.building.recipe_files import recipe_as_plain
from scalescope.corpora.building.refusals import (
    refuse_missing_libraries,
    refuse_nothing_left,
    refuse_one_document,
    refuse_other_corpus,
)
from scalescope.corpora.building.report import write_report
from scalescope.corpora.building.shards import Side, write_held_out, write_shards
from scalescope.corpora.building.spool import Spool
from scalescope.corpora.building.stages import Stage
from scalescope.corpora.building.training_tokenizer import TOKENIZER, train_tokenizer
from scalescope.corpora.built import (
    BuiltCorpus,
    is_built,
    mark_file,
    read_built,
)
from scalescope.corpora.corpus import MANIFEST
from scalescope.corpora.documents import Tally
from scalescope.corpora.doubts import SMALL_HELD_OUT, doubts
from scalescope.corpora.sources import Source, find_source
from scalescope.corpora.split import digest_split
from scalescope.corpora.tokens import ByteTokenizer, FileTokenizer, Tokenizer, open_tokenizer
from scalescope.errors import InputError
from scalescope.points import Provenance, digest_of


def build_corpus(
    recipe: Recipe, folder: Path, *, n_workers: int = 1, progress: Progress | None = None
) -> BuiltCorpus:
    """Build a corpus; a second call with the same recipe and unchanged sources returns what the first made.

    Parameters
    ----------
    recipe
        What to build; see `read_recipe`.
    folder
        Where the corpus is kept; it may not hold another. An interrupted build leaves no manifest there, and
        the next one starts again.
    n_workers
        Processes that share the work on documents; the files are the same for any number. A script that
        asks for more than one needs the guard `if __name__ == "__main__"`, since they are started afresh.
    progress
        Told now and then what is being done.

    Raises
    ------
    InputError
        If a source cannot be used, `folder` holds another corpus, or nothing is left.
    RunError
        If the disk is full, or a process dies.
    """
    refuse_missing_libraries(recipe)
    plain = recipe_as_plain(recipe)
    origins = [_origin(recipe, number, folder) for number in range(len(recipe.sources))]
    manifests = tuple(origin.manifest() for origin in origins)
    stored = _stored(folder, plain, manifests)
    if stored is not None:
        return stored
    build = _Build(recipe, origins, n_workers, progress or (lambda _: None))
    with building_in(folder) as (scratch, kept):
        corpus = replace(
            build.run(scratch, kept), recipe=plain, manifests=manifests, name=folder.resolve().name
        )
        write_report(kept, corpus, build.stages)
        return publish_built(corpus, kept, folder)


class _Build:
    """The stages of one build, one method each, and the records they leave."""

    def __init__(self, recipe: Recipe, origins: Sequence[Source], n_workers: int, progress: Progress) -> None:
        self.recipe, self.origins, self.n_workers, self.progress = recipe, origins, n_workers, progress
        self.stages: list[Stage] = []
        self.tally = Tally()

    def run(self, scratch: Path, kept: Path) -> BuiltCorpus:
        """Go through all stages; files that stay are in `kept` then."""
        spool, stages = read_sources(
            self.recipe,
            self.origins,
            scratch,
            n_workers=self.n_workers,
            tally=self.tally,
            progress=self.progress,
        )
        self.stages += stages
        refuse_nothing_left(self.stages, len(spool))
        choice = self._choose(spool, scratch)
        tokenizer = self._tokenizer(spool, choice, kept)
        self.progress("writing tokens")
        sides = self._write(spool, choice, tokenizer, kept)
        for stage in self.stages:
            stage.finished()
        return self._assemble(spool, choice, tokenizer, kept, sides)

    def _choose(self, spool: Spool, scratch: Path) -> Choice:
        """Remove copies, split, and remove what held-out text is in."""
        self.progress("removing duplicates")
        alive, stages = remove_duplicates(spool, self.recipe)
        self.stages += stages
        refuse_one_document(self.stages, spool.census.hashes[alive])
        share, least = self.recipe.held_out.share, self._least()
        training, held_out, stage = choose_held_out(spool, alive, share, least)
        self.stages.append(stage)
        if self.recipe.contamination is not None:
            self.progress("looking for held-out text in training documents")
            training, stage = remove_contaminated(
                spool,
                training,
                held_out,
                self.recipe.contamination,
                self.recipe,
                folder=scratch,
                n_workers=self.n_workers,
            )
            self.stages.append(stage)
            refuse_nothing_left(self.stages, len(training))
        return Choice(
            training=training, held_out=held_out, n_duplicates=len(spool) - len(alive), stages=stages
        )

    def _tokenizer(self, spool: Spool, choice: Choice, kept: Path) -> Tokenizer:
        wanted = self.recipe.tokenizer
        if wanted.kind == "bytes":
            return ByteTokenizer()
        if wanted.kind == "file":
            given = FileTokenizer(_place(self.recipe, str(wanted.path)))
            (kept / TOKENIZER).write_bytes(given.content)
            return open_tokenizer(kept / TOKENIZER)
        self.progress("training the tokenizer")
        stage = Stage(name="tokenizer training")
        with stage.timed():
            n_bytes = train_tokenizer(spool, choice.training, wanted, self.recipe.seed, kept / TOKENIZER)
        stage.kept(n_bytes, len(choice.training))
        self.stages.append(stage)
        return open_tokenizer(kept / TOKENIZER)

    def _write(self, spool: Spool, choice: Choice, tokenizer: Tokenizer, kept: Path) -> tuple[Side, Side]:
        stage = Stage(name="tokens and shards")
        with stage.timed():
            train = write_shards(spool, choice.training, tokenizer, kept, self.recipe.shards.size)
            held_out = write_held_out(spool, choice.held_out, tokenizer, kept)
        both = np.concatenate((choice.training, choice.held_out))
        stage.kept(int(spool.census.sizes[both].sum()), len(both))
        self.stages.append(stage)
        return train, held_out

    def _assemble(
        self, spool: Spool, choice: Choice, tokenizer: Tokenizer, kept: Path, sides: tuple[Side, Side]
    ) -> BuiltCorpus:
        train, held_out = sides
        sources = count_sources(self.recipe, spool, choice, kept)
        rule = f"share {self.recipe.held_out.share!r}, at least {self._least()} bytes"
        split = digest_split(spool.census, choice.split(len(spool)), rule=rule)
        digest = digest_of(tokenizer.digest.encode(), split.encode())
        files = {**train.files, **held_out.files}
        if self.recipe.tokenizer.kind != "bytes":
            files[TOKENIZER] = mark_file(kept / TOKENIZER)
        corpus = BuiltCorpus(
            name="",
            recipe={},
            manifests=(),
            sources=sources,
            shards=tuple(train.shards),
            n_read=self.stages[0].documents_in,
            n_duplicates=choice.n_duplicates,
            vocabulary=tokenizer.vocabulary,
            tokenizer=tokenizer.name,
            tokenizer_digest=tokenizer.digest,
            separated=tokenizer.separates,
            digest=digest,
            files=files,
            versions=versions(),
            provenance=Provenance(digest=digest, seed=self.recipe.seed),
        )
        looked = self.recipe.duplicates.near is not None
        plain = replace(as_corpus(corpus), n_duplicates=0 if looked else choice.n_duplicates)
        found = (*doubts(plain, self.tally, tokenizer), *doubts_of_build(self.stages, sources))
        return replace(corpus, findings=found)

    def _least(self) -> int:
        kind = ByteTokenizer if self.recipe.tokenizer.kind == "bytes" else FileTokenizer
        return round(SMALL_HELD_OUT * kind.bytes_per_token)


def _origin(recipe: Recipe, number: int, folder: Path) -> Source:
    source = recipe.sources[number]
    path = source.path
    if path is not None and not path.startswith("hf:"):
        path = str(_place(recipe, path))
    try:
        return find_source(path, column=source.column, exclude=[folder])
    except InputError as error:
        raise InputError(f"source {source.name!r}: {error}", hint=error.hint) from None


def _place(recipe: Recipe, path: str) -> Path:
    return recipe.folder / Path(path).expanduser()


def _stored(folder: Path, plain: Mapping[str, Any], manifests: tuple[str, ...]) -> BuiltCorpus | None:
    """Return the corpus in `folder` if it is the one that is asked for and whole; refuse any other."""
    if not is_built(folder):
        if (folder / MANIFEST).exists():
            refuse_other_corpus(folder, "that a study prepared", "without a recipe")
        return None
    stored = read_built(folder)
    if stored.recipe != plain:
        refuse_other_corpus(folder, stored.name, "by another recipe")
    if stored.manifests != manifests:
        refuse_other_corpus(folder, stored.name, "when its sources were not what they are now")
    try:
        stored.check_sizes()
    except InputError:
        return None  # damaged: to be built again
    return stored
