"""A comparison as a table for one screen of a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalescope.fitting.holdout import Holdout
from scalescope.fitting.scores import Comparison, Score, Stack
from scalescope.units import format_factor, format_percent, format_significant

MOST = 20
"""Laws in the table; the rest are counted."""
EDGES = (1.0, 3.2, 10.0)
"""Where the columns of extrapolation ratio begin: half decades."""
WIDTH = 100


def summarise_comparison(comparison: Comparison) -> str:
    """Ranked laws, errors against extrapolation, the stack, findings."""
    shown = comparison.scores[:MOST]
    bins = _bins(comparison.holdouts)
    unit = " nats" if comparison.target == "loss" else ""
    noise = f"noise {format_percent(comparison.noise_sd)} from {comparison.noise_from}"
    what = f"{len(comparison.scores)} laws at {len(comparison.cuts)} cuts of {comparison.n_runs} runs"
    width = max(len(score.law) for score in shown)
    lines = [
        f"{what} (N counts {comparison.count}); {noise}",
        f"{'':5} {'law':<{width}}  {_header(unit, bins)}",
    ]
    lines += [_row(score, width, comparison, bins) for score in shown]
    if len(comparison.scores) > MOST:
        lines.append(f"      and {len(comparison.scores) - MOST} more")
    if any(score.envelope_only for score in shown):
        lines.append("      ^ judged on the runs of the lower envelope only")
    if comparison.stack is not None:
        lines += _stack_lines(comparison.stack)
    if comparison.missed:
        lines.append(_cut_to(f"not compared: {', '.join(comparison.missed)}"))
    return "\n".join(lines + [str(finding) for finding in comparison.findings])


def _bins(holdouts: Sequence[Holdout]) -> list[int]:
    """Bins of extrapolation ratio that hold something."""
    return sorted({_bin(one.ratio) for one in holdouts})


def _bin(ratio: float) -> int:
    return max(int(np.searchsorted(EDGES, ratio * (1 + 1e-9), side="right")) - 1, 0)


def _header(unit: str, bins: Sequence[int]) -> str:
    spans = [
        f"<{format_factor(EDGES[index + 1])}" if index + 1 < len(EDGES) else f">{format_factor(EDGES[index])}"
        for index in bins
    ]
    columns = "".join(f"{span:>8}" for span in spans)
    return f"{'error':>7}{'rms' + unit:>10}{columns}{'lean':>8}{'chance':>8}{'weight':>8}{'covers':>8}"


def _row(score: Score, width: int, comparison: Comparison, bins: Sequence[int]) -> str:
    rank = f"{score.rank or ''}{'=' if score.tied else ''}{'^' if score.envelope_only else ''}"
    own = [one for one in comparison.holdouts if one.law == score.law]
    by_bin = "".join(f"{_percent(_rms([o for o in own if _bin(o.ratio) == index])):>8}" for index in bins)
    lean = f"{100 * np.expm1(score.mean_log_error):+.1f}%"
    return (
        f"{rank:>5} {score.law:<{width}}  {_percent(score.typical_log_error):>7}"
        f"{format_significant(score.rms_error, 2):>10}{by_bin}{lean:>8}{score.chance:>8.2f}"
        f"{score.weight:>8.2f}{_covered(score):>8}"
    )


def _rms(holdouts: Sequence[Holdout]) -> float:
    if not holdouts:
        return float("nan")
    return float(np.sqrt(np.mean([one.rms_error**2 for one in holdouts])))


def _covered(score: Score) -> str:
    if not score.n_covered:
        return "-"
    return f"{round(score.coverage * score.n_covered)}/{score.n_covered}"


def _percent(value: float) -> str:
    return format_percent(value) if np.isfinite(value) else "-"


def _stack_lines(stack: Stack) -> list[str]:
    order = sorted(stack.weights, key=lambda law: -stack.weights[law])
    made = " + ".join(f"{stack.weights[law]:.2f} {law}" for law in order[:5])
    errors = (stack.rms_log_error, stack.picked_rms_log_error, stack.best_rms_log_error)
    own, picked, best = (format_percent(error) for error in errors)
    return [
        _cut_to(f"stack {made}{' + ...' if len(order) > 5 else ''}"),
        f"      on the last cut, weighed by earlier ones: {own}",
        f"      best law before it ({stack.picked}): {picked}; in hindsight ({stack.best}): {best}",
    ]


def _cut_to(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."
