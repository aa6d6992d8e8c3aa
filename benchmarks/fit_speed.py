"""CPU-seconds and objectives of fits, beside other ways to make them.  One JSON line a figure.

The protocol is that of Besiroglu et al. (2024, arXiv 2404.10102) on their 240 runs: the Chinchilla law, Huber
penalty with delta 1e-3 of the log loss, 4,500 starts, then 4,000 resamples. All ways get the same starts and
the same resamples, on one core; whatever takes long is measured on a part of them, named in `measured`, and
scaled up. `excess` is how far an objective is above the lowest that any way found. Then: how the cost grows
with the runs, how far the short cuts for many runs are off, and one curve with the broken law.

    python benchmarks/fit_speed.py --data ../shared/laws/data > benchmarks/results/fit_speed.jsonl

Packages of others live in an environment of their own, such as
`python -m venv peers && peers/bin/pip install chinchilla==0.2.0`; name its Python with `--peer`.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

DELTA = 1e-3
HOFFMANN = np.array([6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083])
"""a, b, e, alpha, beta: where the paper's resamples start."""
N_STARTS, N_RESAMPLES = 4500, 4000
TURNS = 5
TRUTH = np.array([1.8172, 482.0, 2085.0, 0.3478, 0.3658])


def published_runs(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """N, D and loss of the 240 runs: without the five highest losses."""
    with (data / "epoch-analyzing-chinchilla/svg_extracted_data.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = ("Model Size", "Training FLOP", "loss")
    N, C, loss = (np.array([float(row[name]) for row in rows]) for name in names)
    kept = loss < np.sort(loss)[-5]
    return N[kept], (C / 6 / N)[kept], loss[kept]


def grid() -> np.ndarray:
    """Starts of the paper as a, b, e, alpha, beta, shape (4500, 5)."""
    wide, exponents = np.arange(0, 26, 5.0), np.arange(0, 2.1, 0.5)
    return np.array(list(product(wide, wide, np.arange(-1, 1.1, 0.5), exponents, exponents)))


def resample_weights(n: int) -> np.ndarray:
    """How often each run occurs in each resample, shape (4000, n)."""
    return np.random.default_rng(42).multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES).astype(float)


def spent(function: Callable[[], Any], turns: int = 1) -> tuple[float, Any]:
    """Lowest CPU-seconds of some turns, and what came of it."""
    best, out = np.inf, None
    for _ in range(turns):
        began = time.process_time()
        out = function()
        best = min(best, time.process_time() - began)
    return best, out


class Plain:
    """The objective written down directly, for the optimisers of others."""

    def __init__(self, N: np.ndarray, D: np.ndarray, loss: np.ndarray) -> None:
        self.log_N, self.log_D, self.y = np.log(N), np.log(D), np.log(loss)

    def parts(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predicted log loss and the share of each term in it."""
        floor = np.full_like(self.y, v[2])
        terms = np.stack([v[0] - v[3] * self.log_N, v[1] - v[4] * self.log_D, floor])
        top = terms.max(axis=0)
        shares = np.exp(terms - top)
        total = shares.sum(axis=0)
        return top + np.log(total), shares / total

    def value(self, v: np.ndarray, w: np.ndarray | float = 1.0) -> float:
        """Weighted sum of Huber penalties."""
        left = self.y - self.parts(v)[0]
        inner = np.clip(left, -DELTA, DELTA)
        return float((w * inner * (left - inner / 2)).sum())

    def with_slope(self, v: np.ndarray, w: np.ndarray | float = 1.0) -> tuple[float, np.ndarray]:
        """The same and its gradient."""
        predicted, shares = self.parts(v)
        left = self.y - predicted
        inner = np.clip(left, -DELTA, DELTA)
        pull = w * inner
        slopes = np.stack([*shares, -shares[0] * self.log_N, -shares[1] * self.log_D])
        return float((pull * (left - inner / 2)).sum()), -slopes @ pull


def own_fit(N: np.ndarray, D: np.ndarray, loss: np.ndarray, starts: np.ndarray | None) -> Any:
    """Our search from given starts (a, b, e, alpha, beta) or from those of the law."""
    from scalescope.fitting.objective import Objective
    from scalescope.fitting.parametric import find_optimum
    from scalescope.laws import get_law

    objective = Objective(law=get_law("chinchilla"), x={"N": N, "D": D})
    natural = None
    if starts is not None:
        a, b, e, alpha, beta = starts.T
        natural = np.column_stack([np.exp(e), np.exp(a), np.exp(b), alpha, beta])
    return find_optimum(objective, loss, starts=natural)


def own_refit(found: Any, loss: np.ndarray, weights: np.ndarray, **options: Any) -> Any:
    """Our resamples, as `fit` makes them."""
    from scalescope.fitting.refit import refit

    y = np.log(loss)
    return refit(found.settled, found.warm, y[None], weights, target=y, starts=found.starts, **options)


def line(figure: str, **fields: Any) -> None:
    """Print one figure."""
    from scalescope.points.provenance import machine_name

    shown = {k: float(f"{v:.9g}") if isinstance(v, float) else v for k, v in fields.items()}
    print(
        json.dumps({"benchmark": "fit_speed", "figure": figure, **shown, "machine": machine_name()}),
        flush=True,
    )


def starts_by_others(plain: Plain, few: int) -> list[dict[str, Any]]:
    """L-BFGS-B from every so many of the starts, with and without a gradient, and one least-squares fit."""
    from scipy.optimize import curve_fit, minimize

    chosen = grid()[:: N_STARTS // few][:few]
    bounded = {"method": "L-BFGS-B"}
    ways = {
        "scipy L-BFGS-B, numeric gradient": lambda v: minimize(plain.value, v, **bounded),
        "scipy L-BFGS-B, exact gradient": lambda v: minimize(plain.with_slope, v, jac=True, **bounded),
    }
    rows = []
    with np.errstate(all="ignore"):
        for way, solve in ways.items():
            seconds, ends = spent(lambda solve=solve: np.array([solve(v).fun for v in chosen]))
            rows.append({"way": way, "seconds": seconds, "measured": len(chosen), "ends": ends})

        def least_squares() -> float:
            def formula(_: Any, *v: float) -> np.ndarray:
                return plain.parts(np.array(v))[0]

            v = curve_fit(formula, plain.log_N, plain.y, p0=HOFFMANN, maxfev=20_000)[0]
            return plain.value(v)

        seconds, end = spent(least_squares)
    way = "scipy curve_fit: least squares, one start"
    return [*rows, {"way": way, "seconds": seconds, "measured": 1, "starts": 1, "ends": np.array([end])}]


def serve_chinchilla(data: Path) -> None:
    """Fit with the package `chinchilla` from some of the starts; runs in its own environment."""
    import warnings

    warnings.simplefilter("ignore")
    os.environ["MPLBACKEND"] = "agg"
    from chinchilla import Chinchilla
    from chinchilla._metrics import log_huber

    N, D, loss = published_runs(data)
    every = {
        "e": np.linspace(-1, 1, 5),
        "a": np.arange(0, 26, 5.0),
        "b": np.arange(0, 26, 5.0),
        "alpha": np.arange(0, 2.1, 0.5),
        "beta": np.arange(0, 2.1, 0.5),
    }
    # Two of the values of every axis, away from its ends: a fair part of the paper's grid.
    some = {name: axis[1:4:2] for name, axis in every.items()}
    with tempfile.TemporaryDirectory() as folder:
        model = Chinchilla(
            project_dir=folder,
            param_grid=some,
            loss_fn=lambda y, predicted: log_huber(y, predicted, delta=DELTA),
            log_level=50,
        )
        for row in zip(N, D, loss, strict=True):
            model.append(N=row[0], D=row[1], loss=row[2])
        model.visualizer.optim = lambda *_, **__: None
        seconds, _ = spent(lambda: model.fit(parallel=False))
    v = [model.A, model.B, model.E, model.alpha, model.beta]
    theta = [float(np.log(number)) for number in v[:3]] + [float(number) for number in v[3:]]
    measured = int(np.prod([len(axis) for axis in some.values()]))
    print(json.dumps({"seconds": seconds, "measured": measured, "v": theta}))


def peer_rows(python: str | None, plain: Plain, data: Path) -> list[dict[str, Any]]:
    """Ask the environment of the peers, where there is one."""
    way = "chinchilla 0.2.0: BFGS"
    if python is None:
        return [{"way": way, "skipped": "no environment was named with --peer"}]
    command = [python, __file__, "--data", str(data), "--serve"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return [{"way": way, "skipped": done.stderr.strip().splitlines()[-1][:200]}]
    got = json.loads(done.stdout.splitlines()[-1])
    value = plain.value(np.array(got["v"]))
    return [{"way": way, "seconds": got["seconds"], "measured": got["measured"], "ends": np.array([value])}]


def starts(data: Path, peer: str | None, few: int) -> None:
    """Everything from 4,500 starts."""
    N, D, loss = published_runs(data)
    plain = Plain(N, D, loss)
    own_fit(N, D, loss, None)
    rows = []
    for way, given in (("scalescope, 4,500 starts", grid()), ("scalescope, its own starts", None)):
        seconds, found = spent(lambda given=given: own_fit(N, D, loss, given), TURNS)
        count = found.certificate.n_starts_given
        rows.append(
            {
                "way": way,
                "seconds": seconds,
                "measured": count,
                "starts": count,
                "distinct": found.certificate.n_starts,
                "ends": np.array([found.objective]),
                "share": found.certificate.share_at_optimum,
            }
        )
    rows += starts_by_others(plain, few) + peer_rows(peer, plain, data)
    rows.append({"way": "simple-scaling-laws 0.2.0", "skipped": "needs Python 3.12"})
    lowest = min(row["ends"].min() for row in rows if "ends" in row)
    for row in rows:
        if "skipped" in row:
            line("starts, skipped", way=row["way"], reason=row["skipped"])
            continue
        count = row.get("starts", N_STARTS)
        share = row.get("share", float((row["ends"] <= lowest * (1 + 1e-6)).mean()))
        line(
            "starts",
            way=row["way"],
            starts=count,
            measured=row["measured"],
            cpu_seconds=row["seconds"] * count / row["measured"],
            objective=float(row["ends"].min()),
            excess=float(row["ends"].min() / lowest - 1),
            share_at_optimum=share if len(row["ends"]) > 1 or "share" in row else None,
        )


def resamples(data: Path, few: int) -> None:
    """4,000 resamples of ours; some of them also by L-BFGS-B and BFGS from where the paper starts them."""
    from scipy.optimize import minimize

    N, D, loss = published_runs(data)
    plain, weights = Plain(N, D, loss), resample_weights(len(loss))
    found = own_fit(N, D, loss, grid())
    own_seconds, ours = spent(lambda: own_refit(found, loss, weights), TURNS)
    some = weights[:few]
    ways = {
        "scipy BFGS, exact gradient": {"method": "BFGS"},
        "scipy L-BFGS-B, exact gradient": {"method": "L-BFGS-B"},
    }
    ends = {"scalescope": (own_seconds, N_RESAMPLES, ours.objective[:few])}
    for way, options in ways.items():

        def solve(options: dict[str, Any] = options) -> np.ndarray:
            got = [minimize(plain.with_slope, HOFFMANN, args=(w,), jac=True, **options).fun for w in some]
            return np.array(got)

        seconds, values = spent(solve)
        ends[way] = (seconds * N_RESAMPLES / few, few, values)
    best = [polished(plain, w, ours.phi[i]) for i, w in enumerate(some)]
    lowest = np.min([*(values for _, _, values in ends.values()), best], axis=0)
    for way, (seconds, measured, values) in ends.items():
        excess = values / lowest - 1
        line(
            "resamples",
            way=way,
            resamples=N_RESAMPLES,
            measured=measured,
            cpu_seconds=seconds,
            median_excess=float(np.median(excess)),
            worst_excess=float(excess.max()),
            within_1e_9=float((excess <= 1e-9).mean()),
        )
    search, _ = spent(lambda: own_fit(N, D, loss, grid()), TURNS)
    line("both together", cpu_seconds=own_seconds + search, goal=2.0, stretch=0.5)
    spread = np.column_stack([np.exp(ours.phi[:, :3]), np.exp(ours.phi[:, 3:])]).std(axis=0)
    printed = dict(
        zip(("E", "A", "B", "alpha", "beta"), (0.02566, 124.52, 1293.28, 0.0154, 0.0206), strict=True)
    )
    for (name, theirs), own in zip(printed.items(), spread, strict=True):
        line("standard error", coefficient=name, own=float(own), printed=theirs)


def polished(plain: Plain, w: np.ndarray, phi: np.ndarray) -> float:
    """The lowest that scipy finds from our end, from the paper's start and from three shaken ones."""
    from scipy.optimize import minimize

    ours = np.array([phi[1], phi[2], phi[0], np.exp(phi[3]), np.exp(phi[4])])
    shaken = [HOFFMANN * (1 + 0.1 * np.random.default_rng(seed).standard_normal(5)) for seed in range(3)]
    lowest = np.inf
    for start in (ours, HOFFMANN, *shaken):
        v = start
        for _ in range(4):
            v = minimize(
                lambda v: tuple(1e3 * part for part in plain.with_slope(v, w)),
                v,
                jac=True,
                method="L-BFGS-B",
                options={"ftol": 1e-16, "gtol": 1e-13, "maxcor": 30, "maxiter": 2000},
            ).x
        lowest = min(lowest, plain.value(v, w))
    return lowest


def simulated(n: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """N, D and loss of n runs under a known law with normal noise."""
    rng = np.random.default_rng(0)
    N, D = np.exp(rng.uniform(*np.log([1e7, 1e10]), n)), np.exp(rng.uniform(*np.log([1e9, 1e12]), n))
    E, A, B, alpha, beta = TRUTH
    return N, D, (E + A * N**-alpha + B * D**-beta) * np.exp(noise * rng.standard_normal(n))


def many_runs(largest: int) -> None:
    """How cost grows with the runs, and how far the short cuts are off."""
    for n in [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= largest]:
        N, D, loss = simulated(n, 0.01)
        count = 300 if n <= 100_000 else 8
        search, found = spent(lambda N=N, D=D, loss=loss: own_fit(N, D, loss, None), 2 if n <= 100_000 else 1)
        rng = np.random.default_rng(1)
        weights = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(count)]).astype(
            float
        )
        again, _ = spent(lambda found=found, loss=loss, w=weights: own_refit(found, loss, w), 2)
        line(
            "runs",
            runs=n,
            search_cpu_seconds=search,
            resamples=count,
            resamples_cpu_seconds=again,
            cpu_microseconds_per_run_and_resample=1e6 * again / n / count,
            peak_memory_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        )
    for n, noise in ((10_000, 0.01), (100_000, 0.01), (100_000, 0.03)):
        if n > largest:
            continue
        N, D, loss = simulated(n, noise)
        found = own_fit(N, D, loss, None)
        rng = np.random.default_rng(2)
        weights = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(160)]).astype(
            float
        )
        quick = own_refit(found, loss, weights)
        exact = own_refit(found, loss, weights[:24], exact=True)
        off = np.sqrt(((quick.phi[:24] - exact.phi) ** 2).mean(axis=0)) / quick.phi.std(axis=0)
        line("short cut", runs=n, noise=noise, worst_error_over_spread=float(off.max()))


def one_curve() -> None:
    """The broken law on one curve of 100 points, search only."""
    from scalescope.fitting import Criterion
    from scalescope.fitting.objective import Objective
    from scalescope.fitting.parametric import find_optimum
    from scalescope.laws import get_law

    law, x = get_law("broken"), np.geomspace(1, 1e4, 100)
    rng = np.random.default_rng(0)
    target = law.value(law.examples, x=x) * np.exp(0.02 * rng.standard_normal(100))
    objective = Objective(law=law, x={"x": x}, criterion=Criterion(penalty="squared", scale="log"))
    seconds, found = spent(lambda: find_optimum(objective, target), TURNS)
    line(
        "one curve, broken law",
        points=100,
        starts=found.certificate.n_starts,
        cpu_seconds=seconds,
        share_at_optimum=found.certificate.share_at_optimum,
        goal=0.02,
    )


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the published tables")
    parser.add_argument("--peer", help="Python of an environment with the packages of others")
    parser.add_argument("--few", type=int, default=60, help="starts and resamples given to slow ways")
    parser.add_argument("--largest", type=int, default=1_000_000, help="most simulated runs")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_chinchilla(options.data)
        sys.exit()
    starts(options.data, options.peer, options.few)
    resamples(options.data, options.few)
    one_curve()
    many_runs(options.largest)


if __name__ == "__main__":
    main()
