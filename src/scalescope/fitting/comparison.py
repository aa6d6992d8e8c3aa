"""The verb `compare`: laws judged by how well they predict dearer runs from cheaper ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.contest import (
    Contest,
    Standing,
    coverage_of,
    hold_contest,
    noise_level,
    rank_laws,
)
from scalescope.fitting.criterion import HUBER, Criterion
from scalescope.fitting.rolling import Groups, Prediction, group_runs, holdouts_of, predict_beyond
from scalescope.fitting.scores import Comparison, Score
from scalescope.fitting.stacking import try_stack
from scalescope.fitting.suitability import Suitability, suitable
from scalescope.laws import get_law
from scalescope.points import Finding, Provenance, Runs, digest_of
from scalescope.units import format_percent

FEWEST = 4
"""Runs in a step of compute, at least; smaller ones are joined."""
MOST = 1500
"""Runs compared, at most; larger tables are thinned evenly in compute."""


def compare(
    runs: Runs,
    laws: Sequence[str] | None = None,
    *,
    target: str = "loss",
    cut: float | None = None,
    n_cuts: int = 4,
    criterion: Criterion = HUBER,
    level: float = 0.9,
    seed: int = 0,
) -> Comparison:
    """Rank laws by how well they predict dearer runs from cheaper ones.

    The runs are put in steps of compute: budgets, or bins of a factor 3. Below each of several cuts every
    law is fitted, and every run above it is predicted. Runs that the table holds out, or that lie above
    `cut`, are predicted by the last cut only, from all others.

    Parameters
    ----------
    runs
        At two steps of compute or more.
    laws
        Names; every law that the table allows if not given (see `suitable`).
    target
        Column that the laws predict.
    cut
        FLOP that divides fitted from predicted runs at the last cut.
    n_cuts
        Positions of the cut, the last included; fewer where the runs allow fewer.
    criterion
        What the fits minimise.
    level
        Of the intervals whose coverage is measured; ties are judged at it too.
    seed
        Of the draws of noise behind the ties.

    Returns
    -------
    Comparison
        Scores, best first; ties are explicit.

    Raises
    ------
    InputError
        If no law fits the table, a law is unknown, or no cut leaves enough runs on both sides.
    """
    _check(level, n_cuts)
    table, thinned = _thin(runs, seed)
    if "compute" not in table:
        raise InputError("the table has no compute to cut at", hint="Give it a column compute, in FLOP.")
    groups = group_runs(table, cut, fewest=FEWEST)
    chosen, missed = _choose_laws(table, laws, target)
    predictions, left_out = _predict(table, groups, chosen, n_cuts, criterion)
    if not predictions:
        raise InputError(
            f"no cut in compute leaves enough of the {len(table)} runs to fit any law and some to predict",
            hint="Add runs at other computes, or name laws with fewer coefficients.",
        )
    noise_sd, noise_from = noise_level(table, _residual_sds(predictions))
    contest = hold_contest(predictions, table, groups, noise_sd, seed)
    one_factor = [law for law in predictions if get_law(law).family == "one-factor"]
    standings = rank_laws(contest, level, one_factor)
    stack, weights = try_stack(contest)
    scores = tuple(_score(contest, one, weights, level) for one in standings)
    last = {cut: one.largest for every in predictions.values() for one in every for cut in (one.cut,)}
    return Comparison(
        target=target,
        scores=scores,
        stack=stack,
        holdouts=tuple(
            one
            for standing in standings
            for prediction in predictions[standing.law]
            for one in holdouts_of(prediction, groups).values()
        ),
        cuts=tuple(last[cut] for cut in sorted(last)),
        missed={**missed, **left_out},
        noise_sd=noise_sd,
        noise_from=noise_from,
        level=level,
        count=table.count,
        n_runs=len(table),
        findings=(*thinned, *_doubts(scores, contest, level)),
        provenance=_provenance(runs, chosen, target, cut, level, seed),
    )


def _check(level: float, n_cuts: int) -> None:
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, got {level}", hint="0.9 means 90% intervals.")
    if n_cuts < 1:
        raise InputError(f"n_cuts must be 1 or more, got {n_cuts}", hint="4 is a good number.")


def _thin(runs: Runs, seed: int) -> tuple[Runs, tuple[Finding, ...]]:
    """Keep a random share of a large table; what it holds out stays."""
    if len(runs) <= MOST:
        return runs, ()
    keep = np.random.default_rng(seed).permutation(len(runs))[:MOST]
    mask = runs.held_out.copy() if runs.held_out.sum() < MOST else np.zeros(len(runs), dtype=np.bool_)
    mask[keep] = True
    text = f"{int(mask.sum())} of {len(runs)} runs, drawn at random, were compared."
    return runs.select(mask), (Finding(code="FIT057", text=text, hint="Ranks hold for these; fit uses all."),)


def _choose_laws(
    runs: Runs, laws: Sequence[str] | None, target: str
) -> tuple[tuple[str, ...], dict[str, str]]:
    found = suitable(runs, target)
    if laws is None:
        if not found.laws:
            raise InputError(
                f"no law for {target} fits this table", hint=found.summary().replace("\n", ";")[:300]
            )
        return found.laws, dict(found.unfit)
    for law in laws:
        form = get_law(law)
        if form.target != target:
            raise InputError(
                f"{law} predicts {form.target}, not {target}", hint=f"Give target={form.target!r}."
            )
    possible = tuple(dict.fromkeys(law for law in laws if _lacks(found, law) == ""))
    missed = {law: _lacks(found, law) for law in laws if law not in possible}
    if not possible:
        raise InputError(
            "; ".join(f"{law}: {why}" for law, why in missed.items()),
            hint=f"These fit the table: {', '.join(found.laws) or 'none'}.",
        )
    return possible, missed


def _lacks(found: Suitability, law: str) -> str:
    if law in found.missing:
        return f"the table lacks {', '.join(found.missing[law])}"
    return found.unfit.get(law, "")


def _predict(
    runs: Runs, groups: Groups, laws: Sequence[str], n_cuts: int, criterion: Criterion
) -> tuple[dict[str, tuple[Prediction, ...]], dict[str, str]]:
    """Fit every law at every cut; beside the predictions, why laws have none."""
    cuts = _cuts(groups, [len(get_law(law).coefficients) for law in laws], n_cuts)
    every = {law: predict_beyond(get_law(law), runs, groups, cuts, criterion=criterion) for law in laws}
    why = "no cut leaves enough runs to fit it and some to predict"
    return {law: one for law, one in every.items() if one}, {
        law: why for law, one in every.items() if not one
    }


def _cuts(groups: Groups, n_coefficients: Sequence[int], n_cuts: int) -> list[int]:
    """Steps at which to cut, evenly spread, the last one included.

    Below the first there should be enough runs for most laws, and a third of the steps.
    """
    known = np.cumsum(np.bincount(groups.of_run, minlength=len(groups)))
    possible = [cut for cut in range(1, len(groups)) if known[cut - 1] > min(n_coefficients)]
    if not possible:
        return []
    roomy = [cut for cut in possible if known[cut - 1] >= max(8.0, float(np.median(n_coefficients)) + 3)]
    low = max((roomy or possible)[0], min(len(groups) // 3, possible[-1]))
    return sorted({round(at) for at in np.linspace(low, possible[-1], n_cuts)})


def _residual_sds(predictions: Mapping[str, Sequence[Prediction]]) -> dict[str, float]:
    """Of the residuals of each law at its last cut."""
    return {law: every[-1].residual_sd for law, every in predictions.items()}


def _score(contest: Contest, one: Standing, weights: Mapping[str, float], level: float) -> Score:
    law = contest.laws.index(one.law)
    judged = contest.judged[law]
    share = contest.shares(judged)[judged]
    coverage = coverage_of(contest, law, level)
    return Score(
        law=one.law,
        rank=one.rank,
        tied=one.tied,
        rms_log_error=float(np.sqrt(share @ contest.log_error[law, judged] ** 2)),
        mean_log_error=float(share @ contest.log_error[law, judged]),
        rms_error=float(np.sqrt(share @ contest.error[law, judged] ** 2)),
        typical_log_error=one.adjusted,
        chance=one.chance,
        n_predicted=int(judged.sum()),
        envelope_only=get_law(one.law).family == "one-factor",
        weight=weights.get(one.law, 0.0),
        coverage=coverage.share,
        n_covered=coverage.n,
        widening=coverage.factor,
        coverage_widened=coverage.after,
    )


def _doubts(scores: Sequence[Score], contest: Contest, level: float) -> tuple[Finding, ...]:
    findings = []
    tied = [score.law for score in scores if score.rank == scores[0].rank and score.tied]
    if len(tied) > 1:
        shown = ", ".join(tied[:6]) + (f" and {len(tied) - 6} more" if len(tied) > 6 else "")
        text = f"Noise does not tell apart the best {len(tied)} of {len(scores)} laws: {shown}."
        hint = "Take the one with fewest coefficients, or their stack; a dearer run would decide."
        findings.append(Finding(code="FIT055", text=text, hint=hint))
    best = scores[0]
    # With so few runs, this many outside would be a chance of a few percent at most.
    allowed = level - 2 * np.sqrt(level * (1 - level) / max(best.n_covered, 1))
    if best.coverage < allowed:
        text = (
            f"The {format_percent(level)} interval of {best.law} held {format_percent(best.coverage)} of the "
            f"{best.n_covered} runs above the last cut."
        )
        hint = "Its form errs by more than the noise out there; widen its forecasts as the hold-outs ask."
        findings.append(Finding(code="FIT056", text=text, hint=hint))
    n_cells = len(np.unique(np.stack([contest.cut, contest.step]), axis=1).T)
    if n_cells < 3:
        text = f"The ranks rest on {n_cells} hold-out{'s' if n_cells > 1 else ''}."
        hint = "Add steps of compute, so that the cut can be rolled."
        findings.append(Finding(code="FIT058", text=text, hint=hint))
    return tuple(findings)


def _provenance(
    runs: Runs, laws: Sequence[str], target: str, cut: float | None, level: float, seed: int
) -> Provenance:
    parts = [
        part for name, column in sorted(runs.columns.items()) for part in (name.encode(), column.tobytes())
    ]
    return Provenance(
        source=runs.provenance.source,
        digest=digest_of(runs.count.encode(), *parts),
        options={"laws": ",".join(laws), "target": target, "cut": cut, "level": level},
        seed=seed,
    )
