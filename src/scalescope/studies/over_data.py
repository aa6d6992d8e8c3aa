"""Studies over data: how their designs are laid, checked and doubted, and their tables of runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from scalescope.corpora.corpus import Corpus
from scalescope.errors import InputError
from scalescope.ledgers.ledger import Ledger
from scalescope.points import Finding, Provenance, Runs
from scalescope.studies import mixing, repeating
from scalescope.studies.collect import HELD_OUT, TUNE
from scalescope.studies.data import Data
from scalescope.studies.design import Design, Kind
from scalescope.studies.settings import Settings

OVER_DATA: tuple[Kind, ...] = ("mixture", "repetition")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What lays a design, and the extents to try."""

    lay: Callable[..., Design] | None = None
    extents: tuple[tuple[int, int], ...] = ()


def layout_of(settings: Settings, data: Data) -> Layout:
    """Return how a study's design is laid; nothing of its own where it is not over mixtures.

    Raises
    ------
    InputError
        If the data are no text, or have no sources to mix.
    """
    if settings.design not in OVER_DATA:
        return Layout()
    corpus = _text(data, settings.design)
    if settings.design == "repetition":
        return Layout()
    names = mixing.names_of(corpus)
    for name in settings.target:
        if name not in names:
            raise InputError(f"target: the corpus has no source {name!r}", hint=f"It has {', '.join(names)}.")
    recipe = tuple(mixing.recipe_of(corpus).values())
    return Layout(
        lay=partial(mixing.lay_mixtures, sources=names, recipe=recipe), extents=mixing.extents(len(names))
    )


def check_data(settings: Settings, data: Data, design: Design) -> None:
    """Refuse a design that the text is too short for."""
    corpus = _text(data, design.kind)
    if design.kind == "mixture":
        mixing.check_sources(corpus, design, settings.max_epochs)
    else:
        repeating.check_fresh(corpus.train_tokens, design)


def doubts_of_data(settings: Settings, data: Data, design: Design) -> list[Finding]:
    """Tell what is doubtful about the text of a study over data."""
    corpus = _text(data, design.kind)
    if design.kind != "mixture":
        return []
    return mixing.doubts_of_mixtures(corpus, design, settings.context, settings.evaluation_tokens)


def collect_by_source(ledger: Ledger, names: tuple[str, ...], phase: str = "") -> Mapping[str, Runs]:
    """Return a table for each source: shares of all sources, and the held-out loss on that one.

    Parameters
    ----------
    ledger
        Of a study over mixtures.
    names
        The sources, in the order of the shares.
    phase
        Only its points; all but those of tuning if empty.

    Raises
    ------
    InputError
        If no point is there, or one lacks the loss of a source.
    """
    readings = {trial.key: trial.payload["trial"].get("reading", {}) for trial in ledger.trials()}
    rows = sorted(
        (
            (point.data, readings[point.trial].get("weights", {}))
            for point in ledger.points()
            if point.data["phase"] == phase or (not phase and point.data["phase"] != TUNE)
        ),
        key=lambda pair: str(pair[0]["name"]),
    )
    rows = [(row, weights) for row, weights in rows if weights]
    if not rows:
        raise InputError(f"no mixture is recorded in {ledger.folder} yet", hint="Let the study finish a few.")
    for row, _ in rows:
        missing = [name for name in names if name not in row.get("loss_by_source", {})]
        if missing:
            raise InputError(
                f"{row['name']} has no loss on the held-out text of {', '.join(missing)}",
                hint="Hold out more of it: a source needs a few sequences of its own.",
            )
    shares = {
        f"share_{i}": np.array([float(weights.get(name, 0.0)) for _, weights in rows])
        for i, name in enumerate(names, start=1)
    }
    common = {
        **shares,
        "params_matmul": np.array([float(row["params_active"]) for row, _ in rows]),
        "tokens": np.array([float(row["tokens"]) for row, _ in rows]),
        "compute": np.array([float(row["compute"]) for row, _ in rows]),
        "seed": np.array([float(row["seed"]) for row, _ in rows]),
        "held_out": np.array([float(row["phase"] == HELD_OUT) for row, _ in rows]),
    }
    identity = ledger.meta("identity", {})
    whole = Runs(
        columns=common,
        names=tuple(str(row["name"]) for row, _ in rows),
        count="params_matmul",
        provenance=Provenance(source="scalescope study", digest=str(identity.get("corpus", ""))),
    )
    return {
        name: replace(
            whole,
            columns={**common, "loss": np.array([float(row["loss_by_source"][name]) for row, _ in rows])},
        )
        for name in names
    }


def _text(data: Data, kind: str) -> Corpus:
    if not isinstance(data, Corpus):
        raise InputError(f"a study of the kind {kind} needs a text, and {data.name} is a set of images")
    return data
