"""A made study of levers: a baseline, one that gains, one whose gain fades."""

from __future__ import annotations

from functools import cache

import numpy as np

from scalescope.fitting import compute_multipliers
from scalescope.points import Finding, Runs
from scalescope.reports.levers import LeverContents

RATES = {
    "AdamW": ((0.002, 2.10), (0.004, 2.05), (0.008, 2.04), (0.016, 2.06)),
    "Muon": ((0.005, 2.03), (0.01, 1.99), (0.02, 1.98), (0.04, float("nan"))),
}


def ladder(gain: float = 1.0, growth: float = 1.0, *, luck: int, seeds: int = 2) -> Runs:
    """Five sizes, three horizons, with a constant factor of compute or one that moves with it."""
    rng = np.random.default_rng(luck)
    rows = []
    for rung in range(5):
        for seed in range(seeds):
            for ratio in (10, 30, 90):
                size = 20e3 * 2**rung
                tokens = ratio * size
                worth = gain * growth ** np.log10(6 * size * tokens / 1e13)
                loss = 0.8 + (34 * size**-0.4 + 61 * tokens**-0.35) * worth**-0.187
                rows.append((size, tokens, loss * np.exp(0.004 * rng.standard_normal()), seed))
    columns = dict(zip(("params_matmul", "tokens", "loss", "seed"), np.array(rows).T, strict=True))
    return Runs.from_columns(columns)


@cache
def example(*, seeds: int = 2, variants: int = 2) -> LeverContents:
    """Contents with everything on the page."""
    runs = {"AdamW": ladder(luck=21, seeds=seeds), "Muon": ladder(1.5, luck=22, seeds=seeds)}
    if variants > 1:
        runs["Lion"] = ladder(1.2, 0.8, luck=23, seeds=seeds)
    return LeverContents(
        title="optimizer: AdamW, Muon, Lion",
        runs=runs,
        multipliers=compute_multipliers(runs, "AdamW", resamples=40, rates=RATES),
        rates=RATES,
        facts={"Corpus": "a <made> one"},
        command="scalescope study --vary optimizer=adamw,muon,lion",
        findings=(Finding(code="STU999", text="One trial was lost.", hint="It was trained again."),),
    )
