"""From a trial and what it reads to its task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalescope.corpora.corpus import Corpus
from scalescope.corpora.images import ImageSet
from scalescope.errors import InputError
from scalescope.training.tasks.images import Images
from scalescope.training.tasks.masked import Masked
from scalescope.training.tasks.next_token import NextToken
from scalescope.training.tasks.protocol import Task
from scalescope.training.trial_settings import Trial

Read = Corpus | ImageSet
"""What a trial may read."""


def read_corpus(data: Mapping[str, Any], train: Path | str, held_out: Path | str) -> Read:
    """Read what `to_dict` of a corpus or of a set of images wrote, with its files where they are here."""
    kind = ImageSet if data.get("schema") == ImageSet.schema else Corpus
    return kind.from_dict(data).at(train, held_out)


def open_task(trial: Trial, corpus: Read) -> Task:
    """Make the task of a trial.

    Raises
    ------
    InputError
        If the task cannot be asked of this corpus, or the shape does not fit it.
    """
    if trial.task == "images":
        if not isinstance(corpus, ImageSet):
            raise InputError(f"{corpus.name} is a text and no set of images", hint="Give a set of images.")
        return Images(corpus, trial.shape, trial.seed, trial.evaluation_tokens)
    if not isinstance(corpus, Corpus):
        raise InputError(f"{corpus.name} is a set of images and no text", hint="Use the task images.")
    length = trial.horizons[-1] // trial.shape.context
    if trial.task == "masked":
        return Masked(
            corpus,
            trial.shape,
            trial.seed,
            trial.evaluation_tokens,
            reading=trial.reading,
            n_sequences=length,
        )
    return NextToken(
        corpus, trial.shape.context, trial.seed, trial.evaluation_tokens, trial.reading, n_sequences=length
    )
