from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.fitting.envelope import Envelope, envelope
from scalescope.laws import get_law, optimal_size
from scalescope.points import Runs

TRUTH = np.array([1.8172, 482.01, 2085.43, 0.3478, 0.3658])
EXPONENT = 0.3658 / (0.3478 + 0.3658)
FOLDER = Path(__file__).parents[2] / "../shared/laws/data/gemstones"


def curves(n_sizes: int = 14, noise: float = 0.0, seed: int = 0) -> Runs:
    """Every size measured along its training; the sizes reach beyond what is best at either end."""
    size = np.geomspace(5e7, 1.6e10, n_sizes).repeat(60)
    tokens = np.tile(np.geomspace(5e8, 5e11, 60), n_sizes)
    loss = get_law("chinchilla").value(TRUTH, N=size, D=tokens)
    jitter = np.random.default_rng(seed).standard_normal(len(size))
    return Runs.from_columns({"params": size, "tokens": tokens, "loss": loss * np.exp(noise * jitter)})


def test_many_sizes_give_the_exponents_of_the_surface() -> None:
    found = envelope(curves(n_sizes=120), resamples=0)
    assert found.method == "curves"
    assert len(found.compute) == 1500
    assert found.size_exponent.value == pytest.approx(EXPONENT, abs=0.01)
    assert found.token_exponent.value == pytest.approx(1 - EXPONENT, abs=0.01)
    best = float(optimal_size("chinchilla", TRUTH, 1e21))
    assert found.size_at(1e21).value == pytest.approx(best, rel=0.03)
    assert found.tokens_at(1e21).value == pytest.approx(1e21 / 6 / best, rel=0.03)


def test_the_envelope_is_the_lowest_curve() -> None:
    runs = curves()
    found = envelope(runs, resamples=0)
    middle = len(found.compute) // 2
    C = found.compute[middle]
    sizes = np.unique(runs.size)
    loss = get_law("chinchilla").value(TRUTH, N=sizes, D=C / 6 / sizes)
    assert found.size[middle] == pytest.approx(sizes[np.argmin(loss)])
    assert found.loss[middle] == pytest.approx(loss.min(), rel=1e-3)
    assert found.tokens[middle] == pytest.approx(C / 6 / found.size[middle], rel=1e-6)


def test_ends_where_the_smallest_or_largest_size_wins_are_left_out() -> None:
    # Compute reaches far beyond where the largest of these sizes is the best one.
    runs = curves().select(curves().size < 4e8)
    found, whole = (envelope(runs, whole=whole, resamples=0) for whole in (False, True))
    winners = found.size[found.used > 0]
    assert runs.size.min() < winners.min()
    assert winners.max() < runs.size.max()
    assert abs(found.size_exponent.value - EXPONENT) < abs(whole.size_exponent.value - EXPONENT)
    assert "FIT051" in {finding.code for finding in found.findings} or found.used.mean() >= 0.5


def test_intervals_hold_the_estimate_and_come_from_whole_curves() -> None:
    found = envelope(curves(noise=0.002), resamples=50)
    assert found.size_exponent.low < found.size_exponent.value < found.size_exponent.high
    assert found.n_curves == 14
    again = envelope(curves(noise=0.002), resamples=50)
    assert again.size_exponent == found.size_exponent


def test_a_grid_of_budgets_uses_the_best_run_of_each(make_grid) -> None:
    runs = make_grid("chinchilla", n_budgets=6, n_sizes=21)
    found = envelope(runs, resamples=0)
    assert found.method == "budgets"
    assert len(found.compute) == 6
    assert found.size_exponent.value == pytest.approx(0.35 / 0.75, abs=0.03)


def test_few_sizes_on_the_envelope_are_a_finding() -> None:
    found = envelope(curves(n_sizes=6), resamples=0)
    assert "FIT052" in {finding.code for finding in found.findings}


def test_two_sizes_are_no_envelope() -> None:
    with pytest.raises(InputError, match="on the lower envelope"):
        envelope(curves(n_sizes=2), resamples=0)


def test_it_survives_the_way_to_json_and_back() -> None:
    found = envelope(curves(), n_points=50, resamples=10)
    again = Envelope.from_dict(found.to_dict())
    assert again.to_dict() == found.to_dict()
    assert again.summary() == found.summary()
    assert len(found.frame()) == 50


def flop_per_token(width: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Training FLOP a token of these networks: two queries to a key, GEGLU four wide, causal attention."""
    context, head, vocabulary = 2048, 128, 50304
    heads = width / head
    project = 4 * heads * head * width + 5.25 * heads * head
    attend = heads * (context * head + 3 * context + 2 * context * head)
    out = 2 * width * head * heads
    feed = 24 * width**2 + 56 * width
    last = 2 * width * vocabulary + 7 * width
    forward = depth * (project + attend + out + feed) + last
    return forward + depth * (2 * project + 2.5 * attend + 2 * out) + 2 * (depth * feed + last)


@pytest.mark.shared
@pytest.mark.skipif(not FOLDER.exists(), reason="the published tables are not beside this checkout")
def test_the_hull_of_the_gemstones_has_the_published_exponent() -> None:
    # McLeish et al. (2025, arXiv 2502.06857), cooled-down runs: exact FLOP, one line through all of the hull.
    lines = (FOLDER / "wandb_df_for_fitting_cool_end.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    column = {name: np.array([float(row[name]) for row in rows]) for name in rows[0] if name != "run_name"}
    runs = Runs.from_columns(
        {
            "params": column["params_active_precise"],
            "tokens": column["tokens"],
            "loss": column["final_loss"],
            "compute_exact": flop_per_token(column["width"], column["depth"]) * column["tokens"],
        }
    )
    found = envelope(runs, method="hull", compute="compute_exact", whole=True, resamples=0)
    assert found.size_exponent.value == pytest.approx(0.5969810173757477, abs=1e-9)
