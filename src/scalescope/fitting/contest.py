r"""Laws judged by what they predicted: errors, ranks with ties, coverage.

A *cell* is one cut and one step of compute above it. The error of a law is the geometric mean over its cells
of :math:`\sqrt{\overline{\epsilon^2} + s^2}`, with the mean square log error of the cell's runs and the noise
s of one run: near and far cells count alike, and no cell is better than the noise. Laws that were judged in
fewer cells than others are compared in those alone: their *adjusted* error is that of the reference law in
all its cells times the ratio of the two where both were judged.

Ties: another draw of the noise moves every prediction by the linear response of its fit and every measured
loss by itself. A few hundred draws, the same for all laws, say in which share of them a law would have been
at least as good as a better one; it is tied with the best of its rank unless that share is below one minus
the level. The noise is that between seeds where a table repeats settings, else the residuals of the law that
leaves least; half of its variance is common to the points of one training run. The measured errors hold one
draw of the noise already, so the test leans towards ties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scalescope.fitting.clusters import Labels, cluster_labels, seed_noise
from scalescope.fitting.rolling import Groups, Prediction
from scalescope.points import Array, Runs

Mask = npt.NDArray[np.bool_]
DRAWS = 400
"""Draws of the noise behind every tie."""
TINY = 1e-16
"""Mean square below which an error is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Log errors of every law at every (cut, run), nan where it was not judged."""

    laws: tuple[str, ...]
    log_error: Array
    """Shape (n_laws, n_asked)."""
    error: Array
    """In the unit of the target."""
    half_width: Array
    """Of one standard deviation, in log."""
    freedom: Array
    cut: npt.NDArray[np.int64]
    """Shape (n_asked,), like all that follow."""
    step: npt.NDArray[np.int64]
    row: npt.NDArray[np.intp]
    noise_sd: float
    """Of the log target of one run."""
    noise: Array
    """Log errors under other draws of the noise minus the real ones, shape (DRAWS, n_laws, n_asked)."""

    @property
    def judged(self) -> Mask:
        """Which laws were judged where, shape (n_laws, n_asked)."""
        return np.isfinite(self.log_error)

    def shares(self, where: Mask) -> Array:
        """Share of each asked run in a mean over cells, zero outside `where`, shape (n_asked,)."""
        return cell_shares(self.cut, self.step, where)

    def typical_error(self, law: int, where: Mask) -> float:
        """Geometric mean over the cells inside `where`."""
        return float(np.exp(self._mean_log(self.log_error[None, law], where)[0] / 2))

    def drawn_log_errors(self, law: int, where: Mask) -> Array:
        """Twice the logarithm of the same under every draw of the noise, shape (DRAWS,)."""
        return self._mean_log(self.log_error[law] + self.noise[:, law], where)

    def _mean_log(self, errors: Array, where: Mask) -> Array:
        """Mean over cells of the log of mean square plus noise, shape (batch,)."""
        keys = np.stack([self.cut[where], self.step[where]], axis=1)
        _, label, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        member = np.zeros((len(label), len(count)))
        member[np.arange(len(label)), label.reshape(-1)] = 1 / count[label.reshape(-1)]
        return np.asarray(np.log(errors[:, where] ** 2 @ member + self.noise_sd**2 + TINY).mean(axis=1))


def cell_shares(cut: npt.NDArray[np.int64], step: npt.NDArray[np.int64], where: Mask) -> Array:
    """Share of every element in a mean over the cells (cut, step), zero outside `where`."""
    out = np.zeros(len(cut))
    if not where.any():
        return out
    keys = np.stack([cut[where], step[where]], axis=1)
    cells, label, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    out[where] = 1 / (len(cells) * count[label.reshape(-1)])
    return out


def hold_contest(
    predictions: Mapping[str, Sequence[Prediction]], runs: Runs, groups: Groups, noise_sd: float, seed: int
) -> Contest:
    """Lay the predictions of every law side by side and draw the noise."""
    laws = tuple(predictions)
    asked = sorted(
        {(one.cut, int(row)) for every in predictions.values() for one in every for row in one.target}
    )
    place = {key: index for index, key in enumerate(asked)}
    shape = (len(laws), len(asked))
    log_error, error, half, freedom = (np.full(shape, np.nan) for _ in range(4))
    draws = draw_noise(cluster_labels(runs), noise_sd, seed)
    noise = np.zeros((DRAWS, *shape))
    for index, law in enumerate(laws):
        for one in predictions[law]:
            at = [place[one.cut, int(row)] for row in one.target]
            log_error[index, at], error[index, at] = one.log_error, one.error
            half[index, at], freedom[index, at] = one.half_width, one.freedom
            noise[:, index, at] = draws[:, one.fitted] @ one.response.T - draws[:, one.target]
    cuts, rows = (np.array(column, dtype=np.int64) for column in zip(*asked, strict=True))
    return Contest(
        laws=laws,
        log_error=log_error,
        error=error,
        half_width=half,
        freedom=freedom,
        cut=cuts,
        step=groups.of_run[rows],
        row=rows,
        noise_sd=noise_sd,
        noise=noise,
    )


def draw_noise(labels: Labels, sd: float, seed: int) -> Array:
    """Normal noise of every run, shape (DRAWS, n_runs); half its variance is common to a training run."""
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((DRAWS, len(labels)))
    common = rng.standard_normal((DRAWS, int(labels.max()) + 1))[:, labels]
    shared = np.bincount(labels)[labels] > 1
    return np.asarray(sd * np.where(shared, (own + common) / np.sqrt(2), own))


def noise_level(runs: Runs, residual_sds: Mapping[str, float]) -> tuple[float, str]:
    """Standard deviation of the log target of one run, and where it is known from."""
    known = seed_noise(runs) if "loss" in runs and "tokens" in runs and runs.count in runs else None
    if known is not None and known > 0:
        return known, "seeds"
    return min(residual_sds.values(), default=0.0), "residuals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one law stands."""

    law: str
    rank: int
    """0 for a law that was not judged on what the others were."""
    tied: bool
    """Whether another law has the same rank."""
    adjusted: float
    """Typical log error, as it would be in all cells."""
    chance: float
    """Share of the draws in which it is at least as good as the first."""


def rank_laws(contest: Contest, level: float, partial: Sequence[str] = ()) -> tuple[Standing, ...]:
    """Order the laws by adjusted error; those that noise cannot tell apart share a rank.

    Parameters
    ----------
    contest
        Of all laws.
    level
        A law is behind the best of a rank where noise would reverse the two with probability below 1 - level.
    partial
        Laws that were judged on chosen runs only; they are put last, without a rank, unless there are no
        others. A law that was judged on less than half of the runs leads no rank.
    """
    every = range(len(contest.laws))
    adjusted = _adjusted(contest)
    whole = [law for law in every if contest.laws[law] not in partial] or list(every)
    judged = contest.judged.sum(axis=1)
    seeded = [law for law in whole if judged[law] >= judged[whole].max() / 2]
    first = min(seeded, key=lambda law: adjusted[law])
    out: list[Standing] = []
    waiting = sorted(whole, key=lambda law: adjusted[law])
    while waiting:
        leader = waiting[0] if out else first
        same = _abreast(contest, waiting, leader, level)
        rank = len(whole) - len(waiting) + 1
        out += [_standing(contest, law, rank, len(same) > 1, adjusted[law], first) for law in same]
        waiting = [law for law in waiting if law not in same]
    apart = sorted(set(every) - set(whole), key=lambda law: adjusted[law])
    return (*out, *(_standing(contest, law, 0, False, adjusted[law], first) for law in apart))


def _abreast(contest: Contest, ordered: Sequence[int], leader: int, level: float) -> list[int]:
    """Take laws in order while noise cannot tell them from the leader, so that none jumps a better one."""
    same: list[int] = []
    for law in ordered:
        if law != leader and _chance(contest, law, leader) < 1 - level:
            break
        same.append(law)
    return same if leader in same else [*same, leader]


def _standing(contest: Contest, law: int, rank: int, tied: bool, adjusted: float, first: int) -> Standing:
    return Standing(
        law=contest.laws[law],
        rank=rank,
        tied=tied,
        adjusted=float(adjusted),
        chance=1.0 if law == first else _chance(contest, law, first),
    )


def _adjusted(contest: Contest) -> Array:
    """Typical errors, made comparable through the law that was judged on most runs."""
    judged = contest.judged
    every = range(len(contest.laws))
    own = np.array([contest.typical_error(law, judged[law]) for law in every])
    most = judged.sum(axis=1).max()
    reference = min((law for law in every if judged[law].sum() == most), key=lambda law: own[law])
    out = own.copy()
    for law in every:
        common = judged[law] & judged[reference]
        if common.any():
            out[law] = contest.typical_error(law, common) / contest.typical_error(reference, common)
            out[law] *= own[reference]
    return out


def _chance(contest: Contest, one: int, other: int) -> float:
    """Share of the draws in which `one` errs no more than `other` where both were judged."""
    common = contest.judged[one] & contest.judged[other]
    if not common.any():
        return 1.0
    mine, theirs = (contest.drawn_log_errors(law, common) for law in (one, other))
    return float((mine <= theirs + 1e-9).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many held-out runs of the last cut an interval held, before and after it was widened."""

    n: int
    share: float
    factor: float
    """By which the errors of earlier cuts ask to widen it; 1 where they do not, nan where there are none."""
    after: float


def coverage_of(contest: Contest, law: int, level: float) -> Coverage:
    """Judge the intervals of a law on the last cut; the factor is learned from the cuts before it.

    The factor is the conformal quantile of error over half-width (Vovk et al. 2005; Lei et al. 2018,
    https://doi.org/10.1080/01621459.2017.1307116). Runs of one step share the error of the fit, so it is
    worth less than so many independent runs would be.
    """
    from scipy.special import stdtrit

    judged, last = contest.judged[law], contest.cut.max()
    quantile = stdtrit(np.where(judged, contest.freedom[law], 1.0), (1 + level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(contest.log_error[law]) / (quantile * contest.half_width[law])
    now = off[judged & (contest.cut == last)]
    # Steps at or beyond the last cut are what is to be judged: the factor must not have seen them.
    before = np.sort(off[judged & (contest.cut < last) & (contest.step < last)])
    factor = float("nan")
    if before.size:
        place = min(int(np.ceil((before.size + 1) * level)), before.size) - 1
        factor = max(1.0, float(before[place]))
    return Coverage(
        n=now.size,
        share=float((now <= 1).mean()) if now.size else float("nan"),
        factor=factor,
        after=float((now <= factor).mean()) if now.size and before.size else float("nan"),
    )
