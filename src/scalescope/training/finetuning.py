"""Trials that begin from the weights of another, with fresh optimisers and perhaps on another text.

Numbers of tokens have to mean the same in both: the tokenizer that the weights were trained with must be that
of the shards.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import nn

from scalescope.corpora.corpus import Corpus
from scalescope.corpora.images import ImageSet
from scalescope.errors import InputError
from scalescope.training.trial_settings import Trial
from scalescope.training.weights import About, load_weights, put_weights, save_weights, weights_of

Emit = Callable[[dict[str, Any]], None]


class HasModel(Protocol):
    """An engine of one process."""

    @property
    def model(self) -> nn.Module:
        """Its network."""
        ...


E = TypeVar("E", bound=HasModel)


class Handover:
    """The weights that a trial begins from and those that it leaves.

    Parameters
    ----------
    start
        File of weights to begin from; empty to begin anew.
    keep
        Where to leave the weights of the last horizon; empty to leave none.
    """

    def __init__(self, trial: Trial, corpus: Corpus | ImageSet, *, start: str, keep: str) -> None:
        self._trial, self._corpus, self._start, self._keep = trial, corpus, start, keep
        self._before: About | None = None
        self._model: nn.Module | None = None

    def begin(self, engine: E) -> E:
        """Give a new engine its weights.

        Raises
        ------
        InputError
            If they are damaged, of another shape, or of another tokenizer than the corpus.
        """
        self._model = engine.model
        if self._start:
            weights, self._before = load_weights(Path(self._start))
            self._check_tokenizer(self._before)
            put_weights(engine.model, weights, self._start)
        return engine

    def telling(self, emit: Emit) -> Emit:
        """Return an `emit` that adds to points how long the weights were trained before."""

        def tell(message: dict[str, Any]) -> None:
            if self._before is not None and message["kind"] == "point":
                message = message | {"tokens_pretraining": self._before.tokens}
            emit(message)

        return tell

    def end(self) -> None:
        """Leave the weights, if they are wanted, once the last horizon is reached.

        Raises
        ------
        WorkError
            If the operating system refuses.
        """
        if self._keep and self._model is not None:
            path = Path(self._keep)
            path.parent.mkdir(parents=True, exist_ok=True)
            save_weights(path, weights_of(self._model), self._about())

    def _about(self) -> About:
        name, digest = _tokenizer(self._corpus)
        before = 0 if self._before is None else self._before.tokens
        return About(
            shape=self._trial.shape,
            tokens=self._trial.horizons[-1] + before,
            corpus=self._corpus.name,
            corpus_digest=self._corpus.digest,
            tokenizer=name,
            tokenizer_digest=digest,
            trial=self._trial.name,
        )

    def _check_tokenizer(self, before: About) -> None:
        name, digest = _tokenizer(self._corpus)
        if digest != before.tokenizer_digest:
            raise InputError(
                f"a tokenizer that does not match the shards: {self._start} was trained with "
                f"{_told(before.tokenizer, before.tokenizer_digest)}, {self._corpus.name} has "
                f"{_told(name, digest)}",
                hint="Prepare the corpus again with the tokenizer of the weights.",
            )


def _tokenizer(corpus: Corpus | ImageSet) -> tuple[str, str]:
    return (corpus.tokenizer, corpus.tokenizer_digest) if isinstance(corpus, Corpus) else ("", "")


def _told(tokenizer: str, digest: str) -> str:
    return f"{tokenizer} ({digest[:8]})" if digest else "none"
