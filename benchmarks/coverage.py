"""How often the 90% intervals of a fit hold the truth, in simulated studies.  One JSON line a figure.

A study has seven to nine sizes at four budgets three times apart, two seeds at the two cheapest, and noise of
1% of the loss: independent between points, or mostly shared by the points of one (size, seed), as when token
counts branch off one training run. The truth is the law that is fitted, so what is measured is the
intervals and not the form. `width` is the median width of the interval, in the unit of the quantity.

    python benchmarks/coverage.py --studies 100
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping

import numpy as np

from scalescope.fitting import Criterion, fit
from scalescope.laws import get_law, optimal_size
from scalescope.points import Array, Runs

BUDGETS = np.array([5e10, 1.5e11, 4.5e11, 1.35e12])
TARGET = 1.35e13
"""Ten times the dearest budget."""
LEVEL = 0.9
TRUTHS: Mapping[str, Array] = {
    "chinchilla": np.array([0.8, 0.55 * 30e3**0.40, 0.55 * 0.7e6**0.35, 0.40, 0.35]),
    "isoflop": np.array([0.6, 1.4 * 5e10**0.16, 0.16, 15.7e3 / 5e10**0.52, 0.52, 0.07]),
}
NOISES = {"shared": (0.008, 0.006), "independent": (0.0, 0.01)}
"""Standard deviation of the log loss: of a (size, seed), and of a point."""
CASES = (("chinchilla", 1e-3), ("chinchilla", 1e-2), ("isoflop", 1e-3))


def grid(law: str) -> dict[str, Array]:
    """Sizes within 4.3x of the optimum of each budget; two seeds at the two cheapest."""
    sizes = 8e3 * 2 ** np.arange(0, 6.2, 0.75)
    rows = [
        (size, budget, seed)
        for index, budget in enumerate(BUDGETS)
        for size in sizes
        if abs(np.log(size / optimal_size(law, TRUTHS[law], budget))) < np.log(4.3)
        for seed in range(2 if index < 2 else 1)
    ]
    size, budget, seed = np.array(rows).T
    return {"params": size, "compute": budget, "budget": budget, "seed": seed, "tokens": budget / 6 / size}


def simulate(law: str, noise: tuple[float, float], rng: np.random.Generator) -> Runs:
    """One study with fresh noise."""
    columns = grid(law)
    trunk = np.unique(np.stack([columns["params"], columns["seed"]]), axis=1, return_inverse=True)[1].reshape(
        -1
    )
    log_noise = noise[0] * rng.standard_normal(trunk.max() + 1)[trunk]
    log_noise += noise[1] * rng.standard_normal(len(trunk))
    x = {"N": columns["params"], "D": columns["tokens"], "C": columns["compute"]}
    form = get_law(law)
    clean = form.value(TRUTHS[law], **{name: x[name] for name in form.variables})
    return Runs.from_columns({**columns, "loss": clean * np.exp(log_noise)})


def quantities(law: str, theta: Array) -> dict[str, Array]:
    """What a plan rests on, for coefficients of shape (n, k)."""
    columns = theta.T
    best = optimal_size(law, columns, TARGET)
    where = float(optimal_size(law, TRUTHS[law], TARGET))
    x = {"N": np.array(where), "D": np.array(TARGET / 6 / where), "C": np.array(TARGET)}
    form = get_law(law)
    loss = form.value(columns, **{name: x[name] for name in form.variables})
    exponent = columns[4] if law == "isoflop" else columns[4] / (columns[3] + columns[4])
    return {"size exponent": exponent, "ln N* at 10x": np.log(best), "log loss at 10x": np.log(loss)}


def measure(law: str, delta: float, noise: str, studies: int, resamples: int) -> None:
    """Simulate, fit, count, print."""
    rng = np.random.default_rng(20240607)
    truth = {name: float(value[0]) for name, value in quantities(law, TRUTHS[law][None]).items()}
    held: dict[str, list[bool]] = {name: [] for name in truth}
    widths: dict[str, list[float]] = {name: [] for name in truth}
    misses: dict[str, list[float]] = {name: [] for name in truth}
    began = time.perf_counter()
    for study in range(studies):
        runs = simulate(law, NOISES[noise], rng)
        found = fit(runs, law, resamples=resamples, level=LEVEL, criterion=Criterion(delta=delta), seed=study)
        point = quantities(law, found.theta[None])
        for name, samples in quantities(law, found.resamples).items():
            low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            held[name].append(bool(low <= truth[name] <= high))
            widths[name].append(float(high - low))
            misses[name].append(float(point[name][0]) - truth[name])
    seconds = (time.perf_counter() - began) / studies
    for name in truth:
        line = {
            "benchmark": "coverage",
            "law": law,
            "delta": delta,
            "noise": noise,
            "quantity": name,
            "level": LEVEL,
            "coverage": float(np.mean(held[name])),
            "width": float(np.median(widths[name])),
            "sd_of_estimate": float(np.std(misses[name])),
            "bias": float(np.mean(misses[name])),
            "studies": studies,
            "n_runs": len(grid(law)["params"]),
            "seconds_per_fit": seconds,
        }
        print(json.dumps({key: round(v, 4) if isinstance(v, float) else v for key, v in line.items()}))


def main() -> None:
    """Run every case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--resamples", type=int, default=200)
    options = parser.parse_args()
    for law, delta in CASES:
        for noise in NOISES:
            measure(law, delta, noise, options.studies, options.resamples)


if __name__ == "__main__":
    main()
