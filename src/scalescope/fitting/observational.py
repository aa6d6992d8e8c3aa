r"""From a table of benchmarks to the features of the law `observational`: Ruan et al. (2024).

Source: https://arxiv.org/abs/2405.10938, section 3. Three steps, each a function:

1. Scores that are missing are filled in from the others: each benchmark is scaled to variance one, and
   the gaps are set, again and again, to what the first principal component says.
2. The principal components of the filled, unscaled table are the features (`find_components`).
3. Within a family of models a feature is a line in the logarithm of compute (`fit_families`):
   :math:`S = \theta_f \log C + \nu_f`, which says what a model to come would score. With one slope for all
   families and an intercept for each it is the idea of Sloth (Polo et al. 2024,
   https://arxiv.org/abs/2412.06540), for families with too few models for a slope of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from scalescope.errors import InputError, nearest
from scalescope.points import Array, from_plain, to_plain

FILL_TOLERANCE = 1e-8
"""Filled scores are settled when none moves by more than this, in standard deviations."""
FILL_ROUNDS = 2000
"""Rounds after which filling in stops as it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What fills gaps in the scores of a model: the first component of scaled scores."""

    mean: Array
    """Of each benchmark, shape (n_benchmarks,)."""
    sd: Array
    """Standard deviation of each benchmark."""
    centre: Array
    """Mean of the filled, scaled scores."""
    direction: Array
    """First component of the filled, scaled scores, of length one."""

    def fill(self, scores: Array) -> Array:
        """Fill the gaps (nan) of scores of shape (n_models, n_benchmarks); kept between 0 and 1.

        What is known of a model says, by least squares, how far along the component it lies.
        """
        known = ~np.isnan(scores)
        scaled = np.where(known, (scores - self.mean) / self.sd, 0.0) - self.centre * known
        along = known * self.direction
        size = (along**2).sum(axis=1, keepdims=True)
        share = (scaled * along).sum(axis=1, keepdims=True) / np.where(size > 0, size, 1.0)
        said = (share * self.direction + self.centre) * self.sd + self.mean
        return np.where(known, scores, np.clip(said, 0.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Principal components of a table of benchmarks.  Built by `find_components`, not by hand."""

    schema: ClassVar[str] = "scalescope.components/1"

    benchmarks: tuple[str, ...]
    mean: Array
    """Mean score of each benchmark, gaps filled, shape (n_benchmarks,)."""
    directions: Array
    """One component a row, of length one and with a sum above zero, shape (n_components, n_benchmarks)."""
    explained: Array
    """Share of the variance along each component, the dropped ones too, shape (n_benchmarks,)."""
    filling: Filling
    n_models: int

    def features(self, scores: Array) -> Array:
        """Features of models, shape (n_models, n_components), from scores in the order of `benchmarks`.

        Raises
        ------
        InputError
            If a row has no score at all, or there is another number of columns.
        """
        table = _checked(scores, self.benchmarks)
        return np.asarray((self.filling.fill(table) - self.mean) @ self.directions.T)

    def columns(self, scores: Array) -> dict[str, Array]:
        """Features under the names that the law `observational` reads: feature_1, feature_2, ..."""
        return {f"feature_{i}": column for i, column in enumerate(self.features(scores).T, start=1)}

    def summary(self) -> str:
        """A few lines for a terminal: each component, what it holds, and what it weighs."""
        lines = [
            f"{len(self.directions)} components of {len(self.benchmarks)} benchmarks, {self.n_models} models"
        ]
        for index, direction in enumerate(self.directions):
            weights = ", ".join(
                f"{name} {weight:+.2f}" for name, weight in zip(self.benchmarks, direction, strict=True)
            )
            lines.append(f"  {index + 1}: {100 * self.explained[index]:.1f}% of the variance; {weights}")
        return "\n".join(lines)

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one a component and benchmark."""
        return [
            {
                "component": i + 1,
                "explained": float(self.explained[i]),
                "benchmark": name,
                "weight": float(weight),
            }
            for i, direction in enumerate(self.directions)
            for name, weight in zip(self.benchmarks, direction, strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Components:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def find_components(scores: Array, benchmarks: Sequence[str], *, n: int = 3) -> Components:
    """Find the principal components of a table of benchmarks, gaps filled in first.

    Parameters
    ----------
    scores
        Shape (n_models, n_benchmarks), between 0 and 1, nan where not measured. Leave out the models that a
        forecast is to be judged on, and benchmarks that contain the task to be forecast.
    benchmarks
        Their names.
    n
        How many components to keep.

    Raises
    ------
    InputError
        If there are fewer models than benchmarks, a score outside 0 to 1, a benchmark with fewer than three
        scores or with one score throughout, a model with none, or more components asked for than benchmarks.
    """
    table = _checked(scores, tuple(benchmarks))
    if not 1 <= n <= len(benchmarks):
        raise InputError(
            f"{len(benchmarks)} benchmarks have 1 to {len(benchmarks)} components, asked for {n}",
            hint="Three hold nearly all of the variance of the usual benchmarks.",
        )
    if len(table) <= len(benchmarks):
        raise InputError(
            f"{len(benchmarks)} benchmarks need more than {len(benchmarks)} models, got {len(table)}",
            hint="Add models, or leave out benchmarks.",
        )
    filled, filling = _filled(table, tuple(benchmarks))
    mean = filled.mean(axis=0)
    _, sizes, directions = np.linalg.svd(filled - mean, full_matrices=False)
    return Components(
        benchmarks=tuple(benchmarks),
        mean=mean,
        directions=_upward(directions[:n]),
        explained=np.asarray(sizes**2 / (sizes**2).sum()),
        filling=filling,
        n_models=len(table),
    )


def _checked(scores: Array, benchmarks: tuple[str, ...]) -> Array:
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    if table.ndim != 2 or table.shape[1] != len(benchmarks):
        raise InputError(
            f"{len(benchmarks)} benchmarks need as many columns of scores, got shape {table.shape}",
            hint=f"In this order: {', '.join(benchmarks)}.",
        )
    outside = np.argwhere((table < 0) | (table > 1))
    if outside.size:
        row, column = outside[0]
        raise InputError(
            f"row {row + 1}, {benchmarks[column]}: {table[row, column]:g} is not between 0 and 1",
            hint="Divide percentages by 100.",
        )
    empty = np.flatnonzero(np.isnan(table).all(axis=1))
    if empty.size:
        raise InputError(f"row {empty[0] + 1} has no score at all", hint="Leave the model out.")
    return table


def _filled(table: Array, benchmarks: tuple[str, ...]) -> tuple[Array, Filling]:
    """Fill the gaps of the table itself and keep what did it."""
    gaps = np.isnan(table)
    for column, name in enumerate(benchmarks):
        known = table[~gaps[:, column], column]
        if len(known) < 3 or np.ptp(known) == 0:
            raise InputError(
                f"{name} has {len(known)} scores, {len(np.unique(known))} of them different",
                hint="Leave the benchmark out: it cannot be compared with the others.",
            )
    mean, sd = np.nanmean(table, axis=0), np.nanstd(table, axis=0)
    scaled = np.where(gaps, 0.0, (table - mean) / sd)
    for _ in range(FILL_ROUNDS):
        centre = scaled.mean(axis=0)
        direction = _upward(np.linalg.svd(scaled - centre, full_matrices=False)[2][:1])[0]
        said = np.outer((scaled - centre) @ direction, direction) + centre
        moved = np.abs(said - scaled)[gaps].max(initial=0.0)
        scaled = np.where(gaps, said, scaled)
        if moved < FILL_TOLERANCE:
            break
    filling = Filling(mean=mean, sd=sd, centre=centre, direction=direction)
    return np.where(gaps, np.clip(scaled * sd + mean, 0.0, 1.0), table), filling


def _upward(directions: Array) -> Array:
    """Turn components so that their weights add up to more than zero: their sign is free."""
    return np.asarray(np.where(directions.sum(axis=1, keepdims=True) < 0, -directions, directions))


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyLines:
    """Features of each family of models as lines in the logarithm of compute."""

    families: tuple[str, ...]
    slopes: Array
    """Feature per factor e of compute, shape (n_families, n_components)."""
    intercepts: Array
    """Feature at a compute of one FLOP, drawn on, shape (n_families, n_components)."""
    r_squared: Array
    """Share of the variance within families that the lines explain, shape (n_components,)."""
    shared: bool
    """Whether all families have one slope."""

    def features(self, family: str, compute: Array) -> Array:
        """Features of models of a family at computes in FLOP, shape (n, n_components).

        Raises
        ------
        InputError
            If the family was not fitted.
        """
        if family not in self.families:
            raise InputError(f"no line for the family {family!r}", hint=nearest(family, self.families))
        at = self.families.index(family)
        return np.asarray(np.log(compute)[:, None] * self.slopes[at] + self.intercepts[at])


def fit_families(
    features: Array, compute: Array, families: Sequence[str], *, shared: bool = False
) -> FamilyLines:
    """Fit a line in the logarithm of compute to the features of each family.

    Parameters
    ----------
    features
        Shape (n_models, n_components).
    compute
        Training compute of each model, FLOP; models without (nan) are left out.
    families
        Family of each model.
    shared
        Fit one slope for all families. Otherwise families with fewer than two computes are left out.

    Raises
    ------
    InputError
        If no family has models at two computes.
    """
    labels, log_C = np.asarray(families), np.log(compute)
    usable = np.isfinite(log_C)
    groups = {str(name): np.flatnonzero(usable & (labels == name)) for name in dict.fromkeys(families)}
    lines = {name: rows for name, rows in groups.items() if len(np.unique(log_C[rows])) > 1}
    if not lines:
        raise InputError(
            "no family has models at two computes", hint="Give every model its training compute."
        )
    kept = {name: rows for name, rows in groups.items() if rows.size} if shared else lines
    centred = {name: _centred(log_C[rows], features[rows]) for name, rows in kept.items()}
    products = {name: (u @ v, u @ u) for name, (u, v) in centred.items()}
    common = sum(top for top, _ in products.values()) / sum(bottom for _, bottom in products.values())
    slopes = np.array([common if shared else top / bottom for top, bottom in products.values()])
    middles = np.array([features[rows].mean(axis=0) for rows in kept.values()])
    means = np.array([log_C[rows].mean() for rows in kept.values()])
    left = sum(
        ((v - np.outer(u, slope)) ** 2).sum(axis=0)
        for (u, v), slope in zip(centred.values(), slopes, strict=True)
    )
    whole = sum((v**2).sum(axis=0) for _, v in centred.values())
    return FamilyLines(
        families=tuple(kept),
        slopes=slopes,
        intercepts=middles - means[:, None] * slopes,
        r_squared=np.asarray(1 - left / whole),
        shared=shared,
    )


def _centred(log_C: Array, features: Array) -> tuple[Array, Array]:
    return log_C - log_C.mean(), features - features.mean(axis=0)
