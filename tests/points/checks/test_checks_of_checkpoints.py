from __future__ import annotations

import numpy as np
from check_tables import D, L, N, findings, good

NAMES = tuple(f"m{size:.0e}" for size in N)


def test_several_token_counts_of_one_run_are_told():
    told = findings(good(names=NAMES))
    assert "several token counts of 6 run names; 30 of them are not the last" in told["RUN021"]


def test_steps_in_the_names_are_not_part_of_the_run():
    names = tuple(f"m{size:.0e}-step{int(tokens / 1e6)}" for size, tokens in zip(N, D, strict=True))
    assert "6 run names" in findings(good(names=names))["RUN021"]


def test_how_far_checkpoints_lie_above_finished_runs_is_measured():
    # Every second run is one of a long run's checkpoints, 5% too high.
    last = np.isclose(D, D.max())
    inner = ~last & (np.arange(len(N)) % 2 == 0)
    names = tuple(
        f"m{n:.0e}" if late or mid else f"own{i}"
        for i, (n, late, mid) in enumerate(zip(N, last, inner, strict=True))
    )
    told = findings(good(names=names, loss=np.where(inner, 1.05 * L, L)))
    assert "above the last ones" in told["RUN021"]
    assert "above the last ones" not in findings(good(names=names))["RUN021"]


def test_runs_that_end_at_their_budget_are_finished():
    assert "RUN021" not in findings(good(names=NAMES, budget=6 * N * D * 1.02))


def test_steps_without_tokens_are_told():
    step = np.tile(np.arange(6.0), 6)
    told = findings(good(tokens=None, compute=None, params=np.repeat(np.unique(N), 6), step=step))
    assert "6 steps of training; 30 of them" in told["RUN021"]


def test_a_training_curve_is_left_alone():
    curve = good(names=NAMES, step=D / 1e6, learning_rate=np.full(len(N), 1e-3))
    assert "RUN021" not in findings(curve)
