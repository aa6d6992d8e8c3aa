"""One curve carried beyond its end: errors, coverage and time, on published and simulated curves.

One JSON line a figure. `rmsle` is the geometric mean over the curves of a bed of the root mean square error
of log y on the points held out. Under `plain` is every single form fitted to log y by least squares from many
starts, as one does by hand; under `held` the same form held to go on as the curve ended; `choice` is the form
of the largest weight, `average` the answer. Coverage is that of the 90% interval, over all held-out points
and as the mean over the curves. Further figures judge constants that were chosen on other curves.

The tables are those that the tests use; `--data` or SCALESCOPE_DATA says where they lie.

    python benchmarks/curves.py --data DIR
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scalescope.fitting.extrapolation import averaging, extrapolate, solver, validation
from scalescope.fitting.extrapolation.averaging import Average
from scalescope.fitting.extrapolation.curve import prepare
from scalescope.fitting.extrapolation.forms import forms_for
from scalescope.laws import get_law
from scalescope.points import Array
from scalescope.points.provenance import machine_name

LEVEL = 0.9
TURNS = 5
PERSISTENCES, MEMORIES, DRIFTS = (0.2, 0.3, 0.5), (2.0, 3.0, 1e9), (0.2, 0.3, 0.4, 0.5)
PLACE = {"machine": machine_name()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A curve with the points that are held out."""

    name: tuple[str, ...]
    x: Array
    y: Array
    later_x: Array
    later_y: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was made of a case; errors are those of log y."""

    case: Case
    forms: dict[str, Array]
    choice: str
    error: Array
    parts: Average
    noise: float
    drifts: dict[float, float]
    freedom: float

    def covered(self, drift: float = averaging.DRIFT) -> Array:
        """Whether each held-out point lies in the interval."""
        half = averaging.half_width(
            self.parts, noise=self.noise, drift=self.drifts[drift], level=LEVEL, freedom=self.freedom
        )
        return np.abs(self.error) <= half


def cut(name: tuple[str, ...], x: Any, y: Any, later: Any) -> Case:
    """Hold some points of a curve out."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    later = later(x)
    return Case(name=name, x=x[~later], y=y[~later], later_x=x[later], later_y=y[later])


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """Read a CSV table, compressed or not."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from csv.DictReader(content.decode().splitlines())


def grouped(rows: Iterator[tuple[tuple[str, ...], float, float]]) -> dict[tuple[str, ...], Array]:
    """Gather (key, x, y) by key, as arrays of shape (2, n)."""
    found = defaultdict(list)
    for key, x, y in rows:
        found[key].append((x, y))
    return {key: np.array(points).T for key, points in found.items()}


def image_tasks(data: Path) -> list[Case]:
    """Few-shot error of image classifiers against examples seen (Alabdulmohsin et al. 2022)."""
    found = defaultdict(list)
    for row in rows_of(data / "curves/image_tasks.csv"):
        point = [float(row[name]) for name in ("Seen Examples", "Loss", "Training")]
        found[row["Task"], row["Model"]].append(point)
    cases = []
    for name, points in sorted(found.items()):
        x, y, training = np.array(sorted(points)).T
        used = training > 0
        cases.append(Case(name=name, x=x[used], y=y[used], later_x=x[~used], later_y=y[~used]))
    return cases


def accuracies(data: Path) -> list[Case]:
    """Return the same tasks as accuracies, which rise."""
    return [
        Case(name=one.name, x=one.x, y=1 - one.y, later_x=one.later_x, later_y=1 - one.later_y)
        for one in image_tasks(data)
    ]


def fine_tuning(data: Path) -> list[Case]:
    """Loss after supervised fine-tuning against examples (Lin et al. 2024); the last three are held out."""
    cases = []
    for task in ("flan", "wikiword"):
        for row in rows_of(data / f"sld/rectified_scaling_law__{task}.csv"):
            sizes = [name for name in row if name not in ("model", "0")]
            x, y = [float(one) for one in sizes], [float(row[one]) for one in sizes]
            cases.append(cut((task, row["model"]), x, y, lambda x: x > 1.1e5))
    return cases


def routing(data: Path) -> list[Case]:
    """Validation loss against step of routed models (Clark et al. 2022), every sixth; rates are decayed."""
    rows = (
        ((row["hyper_id"],), float(row["step"]), float(row["loss_validation"]))
        for row in rows_of(data / "deepmind-routing/curves.csv.gz")
        if float(row["step"]) > 0 and row["loss_validation"]
    )
    curves = [(key, *points) for key, points in grouped(rows).items() if points.shape[1] >= 16]
    return [cut(key, x, y, lambda x: x > x.max() / 2) for key, x, y in curves[::6]]


def gemstones(data: Path) -> list[Case]:
    """Loss against tokens at constant rate, about ten points a model (McLeish et al. 2025)."""
    path = data / "gemstones/wandb_df_for_fitting_hot.jsonl"
    lines = (json.loads(line) for line in path.read_text().splitlines())
    rows = (((line["run_name"],), line["tokens"], line["final_loss"]) for line in lines)
    curves = [(key, *points) for key, points in grouped(rows).items() if points.shape[1] >= 8]
    return [cut(key, x, y, lambda x: x > x.max() / 2) for key, x, y in curves]


def supercollapse(data: Path) -> list[Case]:
    """Loss against tokens while the rate is constant, hundreds of points (Qiu et al. 2025)."""
    runs = rows_of(data / "supercollapse/c5m_schedules_runs.csv")
    constant = {str(index) for index, row in enumerate(runs) if row["schedule"] == "const"}
    found = defaultdict(list)
    for row in rows_of(data / "supercollapse/c5m_schedules_curves.csv.gz"):
        if row["run"] in constant:
            found[row["run"]].append([float(row[name]) for name in ("tokens", "test_loss", "lr")])
    cases = []
    for key, points in found.items():
        x, y, rate = np.array(points).T
        settled = rate >= 0.999 * rate.max()
        cases.append(cut((key,), x[settled][3:], y[settled][3:], lambda x: x > x.max() / 2.5))
    return [one for one in cases if len(one.x) > 20]


def overtraining(data: Path) -> list[Case]:
    """Loss against compute at equal tokens per parameter, four points and two held out, 50 to 300x away."""
    found = defaultdict(list)
    for row in rows_of(data / "gadre-overtraining/gadre_104_models.csv"):
        found[row["dataset_name"], row["tok_mult"].split(".")[0]].append(row)
    cases = []
    for key, rows in found.items():
        names = [
            name for name in rows[0] if name.startswith("loss_") and not name.endswith(("upper", "lower"))
        ]
        for name in names[:8] if len(rows) >= 6 else ():
            x, y = ([float(row[one]) for row in rows] for one in ("flops", name))
            cases.append(cut((*key, name), x, y, lambda x: np.arange(len(x)) >= len(x) - 2))
    return cases


def addition(data: Path) -> list[Case]:
    """Four-digit addition against examples (Caballero et al. 2022), 14 points that end in a steep fall."""
    rows = list(rows_of(data / "bnsl-repo/four_digit_addition.csv"))
    x, y, training = (np.array([float(row[name]) for row in rows]) for name in rows[0])
    used = training > 0
    return [Case(name=("addition",), x=x[used], y=y[used], later_x=x[~used], later_y=y[~used])]


def simulated(_: Path) -> list[Case]:
    """Random power laws, M4 and broken laws with one or two breaks, 8 to 80 points, noise of 0.05% to 3%."""
    rng, cases = np.random.default_rng(0), []
    for index in range(150):
        n, span = int(rng.choice([8, 12, 20, 40, 80])), np.exp(rng.uniform(np.log(8), np.log(500)))
        reach = float(rng.choice([1.5, 2, 4]))
        x = np.append(np.geomspace(1 / span, 1, n), np.geomspace(reach**0.05, reach, 20))
        law = ("power-law", "power-law-offset", "m4", "broken", "broken", "broken-2")[index % 6]
        y = get_law(law).value(random_coefficients(law, span, rng), x=x)
        y = y * np.exp(np.exp(rng.uniform(np.log(5e-4), np.log(0.03))) * rng.standard_normal(len(x)))
        cases.append(cut((law, str(index)), x, y, lambda x: x > 1 + 1e-9))
    return cases


def random_coefficients(law: str, span: float, rng: np.random.Generator) -> Array:
    """Draw coefficients for a curve that is about 1 at x = 1."""
    slope, floor = np.exp(rng.normal(np.log(0.3), 0.7)), rng.uniform(0, 0.9) * (rng.random() < 0.7)
    if law == "power-law":
        return np.array([1.0, -slope])
    if law == "power-law-offset":
        return np.array([floor, 1 - floor, -slope])
    if law == "m4":
        alpha, above = np.exp(rng.normal(0, 0.7)), (1 - floor) * rng.uniform(1.2, 4)
        return np.array(
            [floor, floor + above, alpha, (1 - floor) / (above - 1 + floor) ** alpha, -1.5 * slope]
        )
    theta = [floor, 1.0, slope]
    for _ in range(2 if law == "broken-2" else 1):
        place, width = span ** rng.uniform(-0.7, 0.1), np.exp(rng.normal(np.log(0.4), 0.6))
        theta += [slope * rng.normal(0.3, 1.0), place, width]
    return np.array(theta)


def noisy(_: Path) -> list[Case]:
    """Flat and slowly falling curves with noise of 2% to 15%, so that they are not monotone."""
    rng, cases = np.random.default_rng(1), []
    for index in range(100):
        n, span = int(rng.choice([10, 20, 40, 80])), np.exp(rng.uniform(np.log(8), np.log(500)))
        x = np.append(np.geomspace(1 / span, 1, n), np.geomspace(1.03, 2, 40))
        floor, slope = rng.choice([0, 0.5, 0.9]), rng.choice([0, 0.03, 0.1, 0.3])
        y = floor + (1 - floor) * x**-slope
        y = y * np.exp(np.exp(rng.uniform(np.log(0.02), np.log(0.15))) * rng.standard_normal(len(x)))
        cases.append(cut((str(index),), x, y, lambda x: x > 1 + 1e-9))
    return cases


BEDS: dict[str, Callable[[Path], list[Case]]] = {
    "image tasks": image_tasks,
    "image tasks, accuracy": accuracies,
    "fine-tuning": fine_tuning,
    "routing, decayed rate": routing,
    "gemstones": gemstones,
    "supercollapse": supercollapse,
    "over-training": overtraining,
    "four-digit addition": addition,
    "simulated": simulated,
    "noisy": noisy,
}


@contextmanager
def constants(**values: float) -> Iterator[None]:
    """Change constants of the solver for a while."""
    before = {name: getattr(solver, name) for name in values}
    try:
        for name, value in values.items():
            setattr(solver, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(solver, name, value)


def plain() -> Any:
    """Least squares of log y: nothing is known of how curves go on, and every point weighs the same."""
    return constants(PERSISTENCE=1e9, BENDING=1e9, MEMORY=1e9)


def solve(case: Case) -> Answer:
    """Fit, average, and compare with what was held out."""
    curve = prepare(case.x, case.y, shift=None, ceiling=None)
    found = validation.candidates(curve, forms_for(rises=curve.rises))
    weights = averaging.weights_of(found)
    u, v = np.log(case.later_x / curve.end), np.log(case.later_y / curve.unit)
    parts = averaging.average(found, weights, u)
    drifts = {}
    usual = averaging.DRIFT
    for drift in DRIFTS:
        averaging.DRIFT = drift
        drifts[drift] = averaging.drift_of(found)
    averaging.DRIFT = usual
    return Answer(
        case=case,
        forms={one.form.name: v - each for one, each in zip(found, parts.each, strict=True)},
        choice=found[int(weights.argmax())].form.name,
        error=v - parts.v,
        parts=parts,
        noise=averaging.noise_of(curve, found, weights),
        drifts=drifts,
        freedom=averaging.freedom_of(len(curve.u), found, weights),
    )


def rms(error: Array) -> float:
    """Root mean square, not below a millionth."""
    return max(float(np.sqrt(np.mean(error**2))), 1e-6)


def geometric(values: list[float]) -> float:
    """Geometric mean, to four digits."""
    return float(f"{np.exp(np.mean(np.log(values))):.4g}")


def show(figure: str, **line: Any) -> None:
    """Print one figure."""
    print(json.dumps({"benchmark": "curves", "figure": figure} | line | PLACE), flush=True)


def coverage(answers: list[Answer], drift: float = averaging.DRIFT) -> dict[str, float]:
    """Share of held-out points inside the interval, pooled and as the mean over curves."""
    covered = [one.covered(drift) for one in answers]
    return {
        "coverage": round(float(np.concatenate(covered).mean()), 3),
        "coverage_by_curve": round(float(np.mean([one.mean() for one in covered])), 3),
    }


def bed(name: str, cases: list[Case]) -> None:
    """Errors of every form alone, of the choice and of the average, and the coverage."""
    answers = [solve(case) for case in cases]
    with plain():
        alone = [solve(case) for case in cases]
    line: dict[str, Any] = {"bed": name, "curves": len(cases)}
    for label, some in (("plain", alone), ("held", answers)):
        laws = dict.fromkeys(law for one in some for law in one.forms)
        line[label] = {
            law: geometric([rms(one.forms[law]) for one in some if law in one.forms]) for law in laws
        }
    line["choice"] = geometric([rms(one.forms[one.choice]) for one in answers])
    line["average"] = geometric([rms(one.error) for one in answers])
    show("rmsle beyond the data", **line | coverage(answers))


def cross_validated(cases: list[Case]) -> None:
    """Choose constants on other tasks or models, and judge them on those left out."""
    grid: dict[tuple[float, float], list[Answer]] = {}
    for persistence in PERSISTENCES:
        for memory in MEMORIES:
            with constants(PERSISTENCE=persistence, MEMORY=memory):
                grid[persistence, memory] = [solve(case) for case in cases]
    for label, key in (
        ("data set", lambda one: one.name[0].split("_")[0]),
        ("model", lambda one: one.name[1]),
    ):
        errors, covered, chosen = [], [], []
        for group in sorted({key(case) for case in cases}):
            out = [index for index, case in enumerate(cases) if key(case) == group]
            rest = [index for index in range(len(cases)) if index not in out]
            best = min(grid, key=lambda one: geometric([rms(grid[one][index].error) for index in rest]))
            answers = grid[best]
            drift = min(
                DRIFTS,
                key=lambda one: abs(coverage([answers[index] for index in rest], one)["coverage"] - LEVEL),
            )
            chosen.append([group, *best, drift])
            errors += [rms(answers[index].error) for index in out]
            covered += [answers[index].covered(drift) for index in out]
        show(
            "constants chosen on other curves",
            left_out=label,
            average=geometric(errors),
            coverage=round(float(np.concatenate(covered).mean()), 3),
            coverage_by_curve=round(float(np.mean([one.mean() for one in covered])), 3),
            chosen=chosen,
        )


def transferred(data: Path) -> None:
    """Choose constants on all the other beds, and judge them on the image tasks."""
    others = [
        each(data)[::thin]
        for each, thin in (
            (fine_tuning, 1),
            (routing, 1),
            (gemstones, 1),
            (supercollapse, 1),
            (simulated, 3),
            (noisy, 2),
        )
    ]
    scores = {}
    for persistence in PERSISTENCES:
        for memory in MEMORIES:
            with constants(PERSISTENCE=persistence, MEMORY=memory):
                means = [geometric([rms(solve(case).error) for case in cases]) for cases in others]
            scores[persistence, memory] = geometric(means)
    best = min(scores, key=lambda one: scores[one])
    with constants(PERSISTENCE=best[0], MEMORY=best[1]):
        answers = [solve(case) for case in image_tasks(data)]
    average = geometric([rms(one.error) for one in answers])
    show(
        "constants chosen on other curves",
        left_out="all image tasks",
        average=average,
        **coverage(answers),
        chosen=[["image tasks", *best, averaging.DRIFT]],
        scores=[[*one, score] for one, score in scores.items()],
    )


def seconds(run: Callable[[], Any]) -> float:
    """Median process seconds of a few turns."""
    times = []
    for _ in range(TURNS):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return float(np.median(times))


def peer(case: Case) -> Array:
    """Fit the broken law by `scipy.optimize.curve_fit` from every start of the law; no interval."""
    from scipy.optimize import curve_fit

    law, best, theta = get_law("broken"), np.inf, None
    x, log_y = case.x / case.x.max(), np.log(case.y)

    def log_value(x: Array, a: float, b: float, c0: float, c1: float, d1: float, f1: float) -> Array:
        with np.errstate(all="ignore"):
            value = law.value(np.array([abs(a), np.exp(b), c0, c1, np.exp(d1), np.exp(f1)]), x=x)
            return np.nan_to_num(np.log(value), nan=1e3, posinf=1e3, neginf=-1e3)

    for start in law.starts(case.y, x=x):
        start[[1, 4, 5]] = np.log(start[[1, 4, 5]])
        try:
            found, _ = curve_fit(log_value, x, log_y, p0=start, maxfev=2000)
        except RuntimeError:
            continue
        squares = float(((log_value(x, *found) - log_y) ** 2).sum())
        if squares < best:
            best, theta = squares, found
    assert theta is not None
    return np.log(case.later_y) - log_value(case.later_x / case.x.max(), *theta)


def speed(cases: list[Case]) -> None:
    """Process seconds of one curve, beside the broken law alone by curve_fit from many starts."""
    import warnings

    for case in cases[:: len(cases) // 3]:
        own = seconds(lambda case=case: extrapolate(case.x, case.y, at=case.later_x))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            began = time.process_time()
            error = peer(case)
            other = time.process_time() - began
        show(
            "seconds a curve",
            curve=" ".join(case.name),
            points=len(case.x),
            own_s=round(own, 4),
            curve_fit_s=round(other, 3),
            ratio=round(other / own, 1),
            own_rmsle=geometric([rms(solve(case).error)]),
            curve_fit_rmsle=geometric([rms(error)]),
            clock="process",
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SCALESCOPE_DATA"))
    parser.add_argument("--beds", nargs="+", choices=BEDS, default=list(BEDS))
    options = parser.parse_args()
    if options.data is None:
        parser.error("say where the tables lie: --data DIR or SCALESCOPE_DATA")
    data = Path(options.data)
    for name in options.beds:
        bed(name, BEDS[name](data))
    if options.beds == list(BEDS):
        cross_validated(image_tasks(data))
        transferred(data)
        speed(image_tasks(data))


if __name__ == "__main__":
    main()
