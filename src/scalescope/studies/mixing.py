"""Which mixtures of sources a study trains, all at one size and token count.

The recipe's mixture, equal shares, and the corners of the simplex, each with `FLOOR` of every other source:
they tell the ends. Then points half way from the middle to the corners and to the edges, which tell the bend,
and at last mixtures that fill what is left evenly. Equal shares are trained with several seeds: the noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from scalescope.corpora.corpus import Corpus
from scalescope.corpora.draws import draw
from scalescope.corpora.reading import Reading
from scalescope.errors import InputError
from scalescope.points import Finding
from scalescope.studies.design import Design, Rung, expected_size, of_sizes, rung_of
from scalescope.studies.sizes import Sizes, size_of
from scalescope.units import format_count, format_factor, format_percent

FLOOR = 0.04
"""Share of every source in every mixture."""
MOST_SOURCES = 8
SPARE = 3
"""Mixtures beyond the coefficients of a source's law, at least: those are one more than the sources."""
SMALLER = 2.5
"""Size of a design over that at which its learning rate is measured."""
HELD_OUT_SEEDS = 2
"""Trainings of the best mixture; the random one is trained once."""

Mixture = tuple[float, ...]
"""Shares of the sources, in order; they sum to one."""


def names_of(corpus: Corpus) -> tuple[str, ...]:
    """Return the sources of a corpus that mixtures can be made of.

    Raises
    ------
    InputError
        If there are fewer than two or too many.
    """
    names = tuple(source.name for source in corpus.sources)
    if not 2 <= len(names) <= MOST_SOURCES:
        raise InputError(
            f"a study over mixtures needs 2 to {MOST_SOURCES} sources, and {corpus.name} has "
            f"{max(len(names), 1)}",
            hint="Build a corpus of several [[source]] with `scalescope corpus build recipe.toml`.",
        )
    return names


def mixtures_of(recipe: Mixture, count: int, seed: int) -> list[Mixture]:
    """Return `count` different mixtures, those that tell most first."""
    k = len(recipe)
    centre = np.full(k, 1 / k)
    corners = np.eye(k)
    rows = [np.array(recipe), centre, *map(_floored, corners)]
    rows += [_floored((corner + centre) / 2) for corner in corners]
    rows += [_floored((corners[i] + corners[j]) / 2) for i, j in combinations(range(k), 2)]
    found: list[Mixture] = []
    filling = 0
    while len(found) < count:
        if rows:
            row = rows.pop(0)
        else:
            row = random_mixture(k, seed, filling)
            filling += 1
        shares = tuple(float(share) for share in np.round(row, 6) / np.round(row, 6).sum())
        if all(np.abs(np.subtract(shares, one)).max() > 0.01 for one in found):
            found.append(shares)
    return found


def random_mixture(k: int, seed: int, number: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return a mixture drawn evenly from the simplex, shape (k,)."""
    words = draw(np.array([number]), k, seed=seed, lane=41)[0]
    spacing = -np.log((words.astype(np.float64) + 0.5) / 2.0**64)
    return _floored(spacing / spacing.sum())


def _floored(
    shares: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return FLOOR + (1 - FLOOR * len(shares)) * shares


def lay_mixtures(
    lowest: float,
    *,
    n_budgets: int,
    sizes: Sizes,
    seeds: int,
    seed: int,
    sources: tuple[str, ...],
    recipe: Mixture,
) -> Design:
    """Lay `n_budgets` mixtures of `lowest` FLOP each, and equal shares with `seeds` seeds."""
    shape = sizes.nearest(expected_size(lowest))
    mixed = mixtures_of(recipe, n_budgets, seed)
    base = rung_of(shape, seed, [lowest])
    rungs = [mixed_rung(base, f"mix{i:02}-s{seed}", sources, mixture) for i, mixture in enumerate(mixed)]
    for extra in range(1, seeds):
        again = mixed_rung(base, f"mix01-s{seed + extra}", sources, mixed[1])
        rungs.append(replace(again, seed=seed + extra))
    return Design(
        kind="mixture",
        budgets=(lowest,),
        rungs=tuple(rungs),
        held_out_compute=0.0,
        n_held_out=HELD_OUT_SEEDS + 1,
        **of_sizes(sizes),
    )


def extents(k: int) -> tuple[tuple[int, int], ...]:
    """Mixtures and seeds to try, the most first."""
    least = k + 1 + SPARE
    return tuple(
        (n, seeds) for n in range(3 * k + 4, least - 1, -1) for seeds in (4, 3, 2) if seeds == 4 or n == least
    )


def mixed_rung(base: Rung, name: str, sources: Sequence[str], shares: Sequence[float]) -> Rung:
    """Return a rung that reads a mixture."""
    weights = {source: float(share) for source, share in zip(sources, shares, strict=True) if share > 0}
    return replace(base, name=name, reading=Reading(weights=weights))


def tuned_mixture(design: Design) -> Rung:
    """Return the trial on which the rate is measured: a smaller size, the recipe's mixture."""
    first = design.rungs[0]
    size = size_of(first.shape) / SMALLER
    shape = design.sizes.nearest(size)
    return rung_of(shape, first.seed, [6.0 * size_of(shape) * first.horizons[-1] / SMALLER])


def most_read(corpus: Corpus, rungs: Sequence[Rung]) -> dict[str, float]:
    """Return how often each source is read by the run that reads it most, in epochs."""
    shares: dict[str, float] = {
        source.name: max(rung.reading.weights.get(source.name, 0.0) * rung.horizons[-1] for rung in rungs)
        / max(source.train_tokens, 1)
        for source in corpus.sources
    }
    return shares


def check_sources(corpus: Corpus, design: Design, most: float) -> None:
    """Refuse a design that would read a source more often than is allowed.

    Raises
    ------
    InputError
        If it would; the message has which and how often.
    """
    name, epochs = max(most_read(corpus, design.rungs).items(), key=lambda pair: pair[1])
    if epochs > most:
        raise InputError(
            f"a mixture would read {name} {epochs:.1f} times over: runs have "
            f"{format_count(design.most_tokens)} tokens",
            hint=f"Give {name} more text or take a smaller budget; up to {most:g} epochs are accepted, or "
            "max_epochs of the file that --config names.",
        )


def doubts_of_mixtures(corpus: Corpus, design: Design, context: int, evaluation_tokens: int) -> list[Finding]:
    """Tell sources that were read over, and sources with little held-out text."""
    found = [
        Finding(
            code="STU044",
            text=f"The mixture with most of {name} reads it {format_factor(epochs)} over.",
            hint="Repeated text teaches less, so the law undervalues this source; give it more text.",
        )
        for name, epochs in most_read(corpus, design.rungs).items()
        if epochs > 1
    ]
    share = min(1.0, evaluation_tokens / max(corpus.held_out_tokens, 1))
    few = [source for source in corpus.sources if source.held_out_tokens * share / context < FEWEST_WINDOWS]
    found += [
        Finding(
            code="STU045",
            text=f"{source.name} has only {format_count(source.held_out_tokens)} held-out tokens, "
            f"{format_percent(source.held_out_tokens / corpus.held_out_tokens)} of all.",
            hint="Its loss is that of a few passages; hold out more of it.",
        )
        for source in few
    ]
    return found


FEWEST_WINDOWS = 64
"""Held-out sequences of a source below which its loss says little."""


def recipe_of(corpus: Corpus) -> Mapping[str, float]:
    """Return the shares of the recipe, by source."""
    return {source.name: source.weight for source in corpus.sources}
