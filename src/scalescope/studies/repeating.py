"""Which runs tell what repeated tokens are worth: sizes x unique tokens x epochs, and fresh twins.

Every size is trained on `LEVELS` nested sets of tokens and on fresh text, to the same number of tokens; a
set of 1/32 of these is then read 32 times, one of 1/4 four times. One trunk serves all numbers of epochs of
a size and a set, each a short branch (see `scalescope.training.trial`). The smallest size is trained with a
second seed: the noise. The largest size's most repeated point is left to the hold-out.
"""

from __future__ import annotations

from dataclasses import replace

from scalescope.corpora.reading import Reading
from scalescope.cost import Shape
from scalescope.errors import InputError
from scalescope.studies.design import Design, Rung, expected_size, of_sizes, rung_of
from scalescope.studies.sizes import Sizes, size_of
from scalescope.units import format_count

RATIO = 2.5
"""Of sizes."""
TOKENS_PER_PARAM = 160.0
"""Tokens of every longest run over the parameters of the smallest size: with 32 epochs the smallest set has
five a parameter."""
DOUBLINGS = 5
"""Of tokens along a trunk: the smallest set is read up to 2 to this power times."""
LEVELS = 4
"""Sets of tokens, each twice the one before."""
EXTENTS = ((3, 2), (2, 2), (2, 1))
"""Sizes and seeds to try, the most first."""
HELD_OUT_SEEDS = 2


def lay_repetition(lowest: float, *, n_budgets: int, sizes: Sizes, seeds: int, seed: int) -> Design:
    """Lay `n_budgets` sizes, the smallest that which `lowest` FLOP would be spent on."""
    first = expected_size(lowest)
    shapes = list(dict.fromkeys(sizes.nearest(first * RATIO**index) for index in range(n_budgets)))
    step = 2**DOUBLINGS * sizes.context
    most = max(1, round(TOKENS_PER_PARAM * size_of(shapes[0]) / step)) * step
    sets = [most // 2 ** (DOUBLINGS - level) for level in range(LEVELS)]
    rungs = [_trunk(shape, seed, most, unique) for shape in shapes for unique in (0, *sets)]
    # The largest size's most repeated point is the hold-out's.
    held = next(i for i, rung in enumerate(rungs) if rung.shape == shapes[-1] and rung.reading.unique_tokens)
    rungs[held] = replace(rungs[held], horizons=rungs[held].horizons[:-1], budgets=rungs[held].budgets[:-1])
    rungs += [
        _trunk(shapes[0], seed + extra, most, unique) for extra in range(1, seeds) for unique in (0, sets[0])
    ]
    return Design(
        kind="repetition",
        budgets=tuple(dict.fromkeys(rung.compute for rung in rungs)),
        rungs=tuple(rungs),
        held_out_compute=0.0,
        n_held_out=HELD_OUT_SEEDS,
        **of_sizes(sizes),
    )


def held_out_rungs(design: Design) -> tuple[Rung, ...]:
    """Return the most repeated run of the largest size, with each of its seeds; only its end is measured."""
    largest = max(size_of(rung.shape) for rung in design.rungs)
    of_largest = [rung for rung in design.rungs if size_of(rung.shape) == largest]
    short = next(rung for rung in of_largest if rung.reading.unique_tokens)
    most = max(rung.horizons[-1] for rung in of_largest)
    return tuple(
        replace(
            short,
            name=short.name.rpartition("-s")[0] + f"-s{short.seed + extra}",
            seed=short.seed + extra,
            horizons=(most,),
            budgets=(6.0 * size_of(short.shape) * most,),
        )
        for extra in range(design.n_held_out)
    )


def tuned_repetition(design: Design) -> Rung:
    """Return the trial on which the rate is measured: the smallest size on fresh text, half way."""
    first = design.rungs[0]
    part = slice(len(first.horizons) // 2, len(first.horizons) // 2 + 1)
    return replace(first, horizons=first.horizons[part], budgets=first.budgets[part])


def check_fresh(available: int, design: Design) -> None:
    """Refuse a design whose fresh twins would not be fresh.

    Raises
    ------
    InputError
        If the corpus has fewer tokens than the longest run reads.
    """
    if design.most_tokens > available:
        raise InputError(
            f"the corpus has {format_count(available)} training tokens, and the runs on fresh text need "
            f"{format_count(design.most_tokens)}",
            hint="Use a larger corpus or a smaller budget.",
        )


def _trunk(shape: Shape, seed: int, most: int, unique: int) -> Rung:
    horizons = [most // 2**back for back in range(DOUBLINGS, -1, -1)]
    rung = rung_of(shape, seed, [6.0 * size_of(shape) * tokens for tokens in horizons if tokens >= unique])
    text = f"u{format_count(unique)}" if unique else "fresh"
    return replace(
        rung,
        name=f"d{shape.width}-L{shape.n_layers}-{text}-s{seed}",
        reading=Reading(unique_tokens=unique),
    )
