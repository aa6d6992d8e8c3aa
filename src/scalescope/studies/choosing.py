"""The dearest design that what may be spent allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from scalescope.errors import InputError
from scalescope.studies import design as grids
from scalescope.studies.comparing import lay_comparison
from scalescope.studies.design import Design, Kind, lay_isoflop, lay_ladder, lowest_compute
from scalescope.studies.repeating import EXTENTS, lay_repetition
from scalescope.studies.sizes import Sizes
from scalescope.training.recipe import Recipe
from scalescope.units import format_seconds

LAYOUTS: Mapping[Kind, Callable[..., Design]] = {
    "isoflop": lay_isoflop,
    "ladder": lay_ladder,
    "comparison": lay_comparison,
    "repetition": lay_repetition,
}
COMPARED_SIZES = range(8, 2, -1)
"""Sizes of a comparison: as many as there is room for, since a wide ladder says more than a dear one."""


def choose_design(
    kind: Kind,
    *,
    cost: Callable[[Design], float],
    available: float,
    sizes: Sizes,
    recipe: Recipe,
    seed: int = 0,
    show: Callable[[float], str] = format_seconds,
    lay: Callable[..., Design] | None = None,
    extents: Sequence[tuple[int, int]] = (),
) -> Design:
    """Return the dearest design that fits into what is available.

    First the number of budgets, or sizes, the most that fit; then the cheapest is raised as far as the rest
    allows.

    Parameters
    ----------
    cost
        What a design costs, in the unit of `available`: core-seconds or FLOP.
    available
        What may be spent on training.
    show
        Writes the budget that leaves such an amount for training, for the error.
    lay, extents
        In place of those of the kind: what lays a design, and its extents and seeds, the most first.

    Raises
    ------
    InputError
        If not even the smallest grid fits; the message has the smallest budget that does.
    """
    place, tried = lay or LAYOUTS[kind], tuple(extents) or _extents(kind)
    floor = lowest_compute(sizes, recipe)

    def at(lowest: float, n_budgets: int, seeds: int) -> Design:
        return place(lowest, n_budgets=n_budgets, sizes=sizes, seeds=seeds, seed=seed)

    for n_budgets, seeds in tried:
        if cost(at(floor, n_budgets, seeds)) <= available:
            break
    else:
        least = cost(at(floor, *tried[-1]))
        raise InputError(
            f"the budget is too small for any grid; the smallest that works is about {show(1.02 * least)}",
            hint="Give that much or more, or use a smaller vocabulary or a shorter context.",
        )
    low, high = floor, floor * 1e9
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if cost(at(middle, n_budgets, seeds)) <= available else (low, middle)
    return at(low, n_budgets, seeds)


def _extents(kind: Kind) -> tuple[tuple[int, int], ...]:
    """Budgets and seeds to try, the most first."""
    if kind == "repetition":
        return EXTENTS
    if kind == "comparison":
        return tuple((n, 2) for n in COMPARED_SIZES)
    n = grids.N_BUDGETS
    return ((n, 2), (n - 1, 2), (n - 2, 2), (n - 2, 1))
