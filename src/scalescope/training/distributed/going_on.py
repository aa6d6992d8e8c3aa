"""A run that is kept while it goes on, and goes on where it was kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scalescope.corpora.corpus import Corpus
from scalescope.training.distributed.checkpoints import Position, Stored, newest, save
from scalescope.training.distributed.config import Config
from scalescope.training.distributed.journal import Journal
from scalescope.training.distributed.recorded import Recorded
from scalescope.training.trial import Training
from scalescope.training.watching import Place
from scalescope.training.weights import About


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Checkpoints of one run.

    Does nothing where the configuration asks for none.
    """

    config: Config
    layout: str
    corpus: Corpus
    journal: Journal

    def go_on(self, training: Training, recorded: Recorded) -> None:
        """Bring a run that has not begun to its newest whole checkpoint; all ranks call it.

        The journal is cut back to that step: what comes after it comes again.

        Raises
        ------
        InputError
            If the checkpoint is of another run.
        RunError
            If there are checkpoints and none is whole.
        """
        stored = self._newest(recorded)
        step = 0 if stored is None else stored.position.step
        if stored is not None:
            stored.check(self._position(recorded))
        rows = self.journal.cut(step)
        if stored is None:
            return
        engine = recorded.engine
        stored.put([stage.network for stage in engine.stages], engine.optimizers)
        recorded.steps, recorded.tokens = step, stored.position.about.tokens
        training.go_on(sequences=stored.position.sequences, steps=step)
        _remember(training, rows)
        for finding in stored.findings:
            self.journal.finding(finding)
        written = stored.position.layout
        self.journal.record({"kind": "resumed", "step": step, "layout": self.layout, "written": written})
        self.journal.say(f"goes on from {stored.place.name}, written under {written}")

    def after(self, recorded: Recorded, last: bool) -> None:
        """Keep the run if it is time, the run is done, or it ends here; all ranks call it after each step."""
        every = self.config.checkpoint.every
        due = last or recorded.steps == self.config.n_steps
        if not every or not (due or recorded.steps % every == 0):
            return
        engine = recorded.engine
        networks = [stage.network for stage in engine.stages]
        save(self.folder, networks, engine.optimizers, self._position(recorded), engine.ranks.device)

    @property
    def folder(self) -> Path:
        """Of the checkpoints."""
        return Path(self.config.checkpoint.folder)

    def _newest(self, recorded: Recorded) -> Stored | None:
        if not self.config.checkpoint.every:
            return None
        return newest(self.folder, recorded.engine.ranks.device)

    def _position(self, recorded: Recorded) -> Position:
        return Position(
            step=recorded.steps,
            sequences=recorded.tokens // self.config.shape.context,
            about=About(
                shape=self.config.shape,
                tokens=recorded.tokens,
                corpus=self.corpus.name,
                corpus_digest=self.corpus.digest,
                tokenizer=self.corpus.tokenizer,
                tokenizer_digest=self.corpus.tokenizer_digest,
                trial=self.config.name,
            ),
            optimizer=self.config.recipe.optimizer,
            layout=self.layout,
        )


def _remember(training: Training, rows: list[dict[str, float]]) -> None:
    """Give a run back its curve and what is usual in it, where this rank has the journal."""
    trial = training.trial
    end, context = trial.horizons[-1], trial.shape.context
    cooling = trial.recipe.branch_point(end, context) if trial.recipe.shares_trunk else end
    for row in rows:
        if row["tokens"] <= cooling:
            training.curve.add(int(row["tokens"]), row["loss"], row["gradient_norm"])
            place = Place(step=int(row["step"]) - 1, tokens=int(row["tokens"]), sequences=(0, 0))
            training.spikes.see(place, row["loss"])
