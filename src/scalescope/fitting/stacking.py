r"""Laws averaged with weights that past hold-outs give them.

The stack predicts the weighted geometric mean, so its log error is the weighted mean of the laws' log
errors. Weights :math:`w \ge 0`, :math:`\sum w = 1`, minimise

.. math:: \overline{\left(w \cdot \epsilon_i / r_c\right)^2} + \lambda\, |w - w_0|^2

in the mean over the cells c (a cut and a step of compute above it), each of its runs; :math:`r_c` is the
median over the laws of their errors in the cell, so that far cells, where all err more, do not drown the
near ones. Hold-outs inside a table are few and share their noise, so the weights are drawn towards
:math:`w_0 \propto 1 / \overline{(\epsilon / r)^2}`, what each law deserves alone; :math:`\lambda` is the mean
square error of the best law, so that the pull weighs as much as the evidence. The idea is stacking (Wolpert
1992, https://doi.org/10.1016/S0893-6080(05)80023-1; on the simplex, Breiman 1996,
https://doi.org/10.1007/BF00117832), here with errors of extrapolation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.contest import TINY, Contest, Mask
from scalescope.fitting.scores import Stack
from scalescope.points import Array

LEAST = 5e-4
"""Weights below this are not shown."""
_SUM = 1e3
"""Weight of the equation that the weights sum to one."""


def stack_weights(errors: Array, cell_weights: Array) -> Array:
    """Weights of laws from their log errors on runs that they had not seen, shape (n_laws,).

    Parameters
    ----------
    errors
        Shape (n_runs, n_laws), finite.
    cell_weights
        Share of every run in the mean, shape (n_runs,), summing to one.

    Raises
    ------
    InputError
        If there is no law.
    """
    from scipy.optimize import nnls

    n_laws = errors.shape[1]
    if n_laws == 0:
        raise InputError("there is no law to stack", hint="Compare laws that predict every run.")
    squares = cell_weights @ errors**2
    best = float(squares.min())
    if n_laws == 1 or not best > 0:
        exact = squares <= best
        return np.asarray(exact / exact.sum(), dtype=np.float64)
    deserved = (1 / squares) / (1 / squares).sum()
    root = np.sqrt(best)
    rows = np.concatenate(
        [
            errors * np.sqrt(cell_weights)[:, None] / root,
            np.eye(n_laws),
            np.full((1, n_laws), _SUM),
        ]
    )
    right = np.concatenate([np.zeros(len(errors)), deserved, [_SUM]])
    weights = nnls(rows, right)[0]
    return np.asarray(weights / weights.sum())


def stacked(predictions: Mapping[str, Array], weights: Mapping[str, float]) -> Array:
    """Weighted geometric mean of the laws' predictions, the shape of each.

    Raises
    ------
    InputError
        If a law with weight has no prediction.
    """
    absent = [law for law, weight in weights.items() if weight > 0 and law not in predictions]
    if absent:
        raise InputError(
            f"the stack needs a prediction of {', '.join(absent)}", hint="Fit these laws to the same runs."
        )
    total = sum(weight * np.log(predictions[law]) for law, weight in weights.items() if weight > 0)
    return np.asarray(np.exp(total))


def try_stack(contest: Contest) -> tuple[Stack | None, dict[str, float]]:
    """Weigh the laws by all cuts, and measure what weights from earlier cuts were worth.

    Only laws that were judged on every run of the last cut take part. The stack is None where there are
    fewer than two of them, or no cut has a past; the weights are empty where there are none.
    """
    everything = np.ones(len(contest.cut), dtype=np.bool_)
    able = _full_laws(contest, contest.cut == contest.cut.max(), everything)
    known = _all_judged(contest, able)
    if len(able) < 2 or not known.any():
        return None, {}
    names = [contest.laws[law] for law in able]
    weights = dict(zip(names, _weigh(contest, able, known).tolist(), strict=True))
    tried = [_trial(contest, past, asked) for past, asked in _nested_cuts(contest)]
    rounds = [one for one in tried if one is not None]
    if not rounds:
        return None, weights
    last = rounds[-1]
    stack = Stack(
        weights={law: weight for law, weight in weights.items() if weight >= LEAST},
        n_predicted=last.n,
        rms_log_error=float(np.sqrt(last.stack)),
        picked=contest.laws[last.picked],
        picked_rms_log_error=float(np.sqrt(last.picked_error)),
        best=contest.laws[last.best],
        best_rms_log_error=float(np.sqrt(last.best_error)),
        rolled_rms_log_error=float(np.sqrt(np.mean([one.stack for one in rounds]))),
        rolled_picked_rms_log_error=float(np.sqrt(np.mean([one.picked_error for one in rounds]))),
    )
    return stack, weights


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """Mean square log errors on what one cut asked, with what was known before it."""

    stack: float
    picked: int
    picked_error: float
    best: int
    best_error: float
    n: int


def _trial(contest: Contest, past: Mask, asked: Mask) -> _Trial | None:
    able = _full_laws(contest, asked, past)
    known = np.logical_and(past, _all_judged(contest, able))
    if len(able) < 2 or not known.any():
        return None
    weights, share = _weigh(contest, able, known), contest.shares(asked)[asked]
    errors = {law: float(share @ contest.log_error[law, asked] ** 2) for law in able}
    picked = min(able, key=lambda law: contest.typical_error(law, known))
    best = min(able, key=lambda law: errors[law])
    return _Trial(
        stack=float(share @ (weights @ contest.log_error[able][:, asked]) ** 2),
        picked=picked,
        picked_error=errors[picked],
        best=best,
        best_error=errors[best],
        n=int(asked.sum()),
    )


def _full_laws(contest: Contest, asked: Mask, past: Mask) -> list[int]:
    """Laws that were judged on every run asked, and on most of the past."""
    judged = contest.judged
    every = range(len(contest.laws))
    return [law for law in every if judged[law, asked].all() and judged[law, past].mean() >= 0.5]


def _all_judged(contest: Contest, laws: Sequence[int]) -> Mask:
    """Where every one of these laws was judged."""
    return np.asarray(np.logical_and.reduce(contest.judged[list(laws)], axis=0))


def _weigh(contest: Contest, laws: Sequence[int], where: Mask) -> Array:
    """Weights of these laws in a stack, from their errors inside `where`, shape (len(laws),)."""
    errors = contest.log_error[list(laws)][:, where].T
    return stack_weights(errors / _scale(contest, errors, where), contest.shares(where)[where])


def _scale(contest: Contest, errors: Array, where: Mask) -> Array:
    """Median over the laws of the root mean square error in the cell of every run, shape (n, 1)."""
    keys = np.stack([contest.cut[where], contest.step[where]], axis=1)
    label = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    count = np.bincount(label)[:, None]
    squares = np.stack([np.bincount(label, weights=one**2) for one in errors.T], axis=1) / count
    typical = np.median(squares, axis=1) + contest.noise_sd**2 + TINY
    return np.asarray(np.sqrt(typical)[label][:, None])


def _nested_cuts(contest: Contest) -> Iterator[tuple[Mask, Mask]]:
    """Every cut that has a past: what was known when it was made, and what it asked.

    Known are the predictions of earlier cuts for steps below this cut: nothing that this cut predicts.
    """
    for cut in np.unique(contest.cut):
        past = (contest.cut < cut) & (contest.step < cut)
        if past.any():
            yield past, contest.cut == cut
