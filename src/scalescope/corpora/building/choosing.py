"""Which of the documents that passed the filters stay, and on which side: copies, split, contamination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalescope.corpora.building.contamination import Search, collect_ngrams, overlaps, publish_ngrams
from scalescope.corpora.building.near_duplicates import group_near_duplicates
from scalescope.corpora.building.recipe import ContaminationRecipe, NearRecipe, Recipe
from scalescope.corpora.building.spool import Spool
from scalescope.corpora.building.stages import Stage, sample_of
from scalescope.corpora.building.workers import in_order
from scalescope.corpora.split import Census, Split, first_of_equals, split_documents
from scalescope.units import format_significant

Numbers = npt.NDArray[np.int64]
EXACT, NEAR, SPLIT, CONTAMINATION = "exact duplicates", "near-duplicates: groups", "split", "contamination"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The outcome; numbers of documents, ascending."""

    training: Numbers
    held_out: Numbers
    n_duplicates: int
    stages: list[Stage]

    def split(self, n_documents: int) -> Split:
        """Return the same as an array for each document."""
        kept, held_out = np.zeros(n_documents, dtype=np.bool_), np.zeros(n_documents, dtype=np.bool_)
        kept[self.training] = kept[self.held_out] = held_out[self.held_out] = True
        return Split(kept=kept, held_out=held_out)


def remove_duplicates(spool: Spool, recipe: Recipe) -> tuple[Numbers, list[Stage]]:
    """Return the documents that are no copy of an earlier one."""
    alive = np.arange(len(spool))
    stages = []
    if recipe.duplicates.exact:
        alive, stage = _remove_exact(spool, alive, recipe)
        stages.append(stage)
    if recipe.duplicates.near is not None:
        alive, stage = _remove_near(spool, alive, recipe, recipe.duplicates.near)
        stages.append(stage)
    return alive, stages


def choose_held_out(
    spool: Spool, alive: Numbers, share: float, least_bytes: int
) -> tuple[Numbers, Numbers, Stage]:
    """Return the training and the held-out documents; copies that were left in are on the same side."""
    stage = Stage(name=SPLIT)
    with stage.timed():
        census = Census(hashes=spool.census.hashes[alive], sizes=spool.census.sizes[alive])
        first = first_of_equals(census.hashes)
        held_out = split_documents(census, share=share, least_bytes=least_bytes).held_out[first]
    stage.kept(int(census.sizes.sum()), len(alive))
    stage.reasons["held out"] = int(held_out.sum())
    return alive[~held_out], alive[held_out], stage


def remove_contaminated(
    spool: Spool,
    training: Numbers,
    held_out: Numbers,
    wanted: ContaminationRecipe,
    recipe: Recipe,
    *,
    folder: Path,
    n_workers: int,
) -> tuple[Numbers, Stage]:
    """Return the training documents that hold no held-out text."""
    stage = Stage(name=CONTAMINATION, most_samples=recipe.samples)
    with stage.timed():
        batches = (documents for _, documents in spool.batches(held_out))
        below = publish_ngrams(collect_ngrams(batches, wanted), folder)
    search = Search(folder=folder, wanted=wanted, below=below)
    shares = np.zeros(len(training))
    at = 0
    for _, (found, seconds) in in_order(partial(overlaps, search), spool.batches(training), n_workers):
        shares[at : at + len(found)] = found
        at += len(found)
        stage.seconds += seconds
    bad = shares >= wanted.threshold
    share_of = dict(zip(training[bad].tolist(), shares[bad].tolist(), strict=True))
    reason = f"shares {wanted.ngram}-grams of {wanted.unit} with held-out text"
    _record(
        stage,
        spool,
        training,
        bad,
        recipe,
        reason,
        lambda number: f"{reason} ({format_significant(share_of[number])})",
    )
    return training[~bad], stage


def _remove_exact(spool: Spool, alive: Numbers, recipe: Recipe) -> tuple[Numbers, Stage]:
    stage = Stage(name=EXACT, most_samples=recipe.samples)
    with stage.timed():
        first = first_of_equals(spool.census.hashes)
        copies = first != alive
    _record(stage, spool, alive, copies, recipe, "same bytes as an earlier document")
    return alive[~copies], stage


def _remove_near(spool: Spool, alive: Numbers, recipe: Recipe, near: NearRecipe) -> tuple[Numbers, Stage]:
    stage = Stage(name=NEAR, most_samples=recipe.samples)
    assert spool.signatures is not None
    with stage.timed():
        first = group_near_duplicates(
            spool.signatures, len(spool), alive, threshold=near.threshold, permutations=near.permutations
        )
    copies = first != np.arange(len(alive))
    original = dict(zip(alive[copies].tolist(), alive[first[copies]].tolist(), strict=True))
    digests = spool.census.hashes

    def reason(number: int) -> str:
        return f"alike {digests[original[number], :8].tobytes().hex()}, which comes first"

    _record(stage, spool, alive, copies, recipe, "alike an earlier document", reason)
    return alive[~copies], stage


def _record(
    stage: Stage,
    spool: Spool,
    numbers: Numbers,
    removed: npt.NDArray[np.bool_],
    recipe: Recipe,
    reason: str,
    told: Callable[[int], str] | None = None,
) -> None:
    """Count what a stage removed, and take as samples the documents with the smallest hashes."""
    sizes = spool.census.sizes
    stage.documents_in, stage.documents_out = len(numbers), int((~removed).sum())
    stage.bytes_in, stage.bytes_out = int(sizes[numbers].sum()), int(sizes[numbers[~removed]].sum())
    gone = numbers[removed]
    if not len(gone):
        return
    stage.reasons[reason] = len(gone)
    words = np.ascontiguousarray(spool.census.hashes[gone, :8]).view(">u8")[:, 0]
    for number in gone[np.argsort(words, kind="stable")[: recipe.samples]].tolist():
        digest = spool.census.hashes[number].tobytes()
        source = recipe.sources[int(spool.sources[number])].name
        why = reason if told is None else told(number)
        stage.samples.append(sample_of(spool.read(number), digest, source, why))
