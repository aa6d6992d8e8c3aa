"""Laws of tasks on the tables of their papers: Gadre et al. (2024) and Ruan et al. (2024)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from scalescope.fitting.criterion import Criterion
from scalescope.fitting.objective import Objective
from scalescope.fitting.observational import find_components, fit_families
from scalescope.fitting.parametric import find_optimum
from scalescope.laws import get_law
from scalescope.points import Array

DATA = Path(__file__).parents[2] / "../shared/laws/data"
GADRE = DATA / "gadre-overtraining/gadre_104_models.csv"
RUAN = DATA / "obsscaling/base_llm_benchmark_eval.csv"
EMERGENT = DATA / "obsscaling/base_llm_emergent_capability_eval.csv"
SQUARES = Criterion(penalty="squared", scale="raw")
Mask = npt.NDArray[np.bool_]

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(
        not (GADRE.exists() and RUAN.exists() and EMERGENT.exists()),
        reason="the published tables are not beside this checkout",
    ),
]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def numbers(rows: list[dict[str, str]], *names: str) -> Array:
    return np.array([[float(row[name] or "nan") for name in names] for row in rows])


def fitted(law: str, target: Array, criterion: Criterion, **x: Array) -> Array:
    return find_optimum(Objective(law=get_law(law), x=x, criterion=criterion), target).theta


@pytest.fixture(scope="module")
def gadre() -> dict[str, Array]:
    """The models trained on RedPajama."""
    rows = [row for row in read(GADRE) if row["dataset_name"] == "rpj"]
    columns = ("N", "D", "tok_mult", "loss_c4_val", "err_avg_subset", "err_avg")
    return dict(zip(columns, numbers(rows, *columns).T, strict=True))


def small(models: dict[str, Array]) -> Mask:
    """The five that the paper fits its law of loss to."""
    N, M = models["N"], models["tok_mult"]
    return ((M == 20) & (N < 5e8)) | ((M == 320) & (N < 2e7))


def for_error(models: dict[str, Array]) -> Mask:
    """The six that it fits its law of error to."""
    return small(models) | ((models["tok_mult"] == 20) & (models["N"] > 1e9) & (models["N"] < 2e9))


@pytest.mark.parametrize(
    ("tasks", "name"), [("err_avg_subset", "gadre2024-17-tasks"), ("err_avg", "gadre2024-46-tasks")]
)
def test_the_constants_of_the_error_law_come_back(gadre: dict[str, Array], tasks: str, name: str) -> None:
    kept = for_error(gadre)
    theta = fitted("error-from-loss", gadre[tasks][kept], SQUARES, L=gadre["loss_c4_val"][kept])
    printed = get_law("error-from-loss").published[name].coefficients
    # Half of the last printed digit.
    for got, wanted, digits in zip(theta, printed.values(), (4, 3, 4), strict=True):
        assert got == pytest.approx(wanted, abs=0.5001 * 10**-digits)


@pytest.mark.parametrize(
    ("size", "ratio", "percent"), [(1.44e9, 640, "3.64"), (6.9e9, 20, "0.05")], ids=["1.4B", "7B"]
)
def test_the_error_of_larger_models_is_predicted_as_printed(
    gadre: dict[str, Array], size: float, ratio: float, percent: str
) -> None:
    x = {"N": gadre["N"], "D": gadre["D"]}
    kept = small(gadre)
    losses = get_law("overtraining").value(
        fitted("overtraining", gadre["loss_c4_val"][kept], SQUARES, **{k: v[kept] for k, v in x.items()}), **x
    )
    kept = for_error(gadre)
    theta = fitted("error-from-loss", gadre["err_avg_subset"][kept], SQUARES, L=gadre["loss_c4_val"][kept])
    there = (np.abs(gadre["N"] / size - 1) < 0.01) & (gadre["tok_mult"] == ratio)
    assert there.sum() == 1
    error = get_law("error-from-loss").value(theta, L=losses[there])
    off = 100 * abs(error[0] / gadre["err_avg_subset"][there][0] - 1)
    assert f"{off:.2f}" == percent


BENCHMARKS = ("MMLU", "ARC-C", "HellaSwag", "Winograd", "TruthfulQA", "GSM8K", "XWinograd", "HumanEval")
NO_SUMS = tuple(name for name in BENCHMARKS if name != "GSM8K")
WEAK = 84e21
"""FLOP of Llama-2 7B, up to which the paper trains its laws of emergent tasks."""


@pytest.fixture(scope="module")
def models() -> dict[str, dict[str, str]]:
    return {row["Model"]: row for row in read(RUAN)}


def test_three_components_hold_97_percent_of_the_benchmarks(models: dict[str, dict[str, str]]) -> None:
    found = find_components(numbers(list(models.values()), *BENCHMARKS), BENCHMARKS)
    assert round(100 * found.explained[:3].sum()) == 97
    # The first is general ability: every benchmark counts towards it.
    assert (found.directions[0] > 0).all()


def test_components_are_lines_in_log_compute_within_a_family(models: dict[str, dict[str, str]]) -> None:
    rows = list(models.values())
    features = find_components(numbers(rows, *BENCHMARKS), BENCHMARKS).features(numbers(rows, *BENCHMARKS))
    compute = 1e21 * numbers(rows, "FLOPs (1E21)")[:, 0]
    found = fit_families(features, compute, [row["Model Family"] for row in rows])
    # The paper prints R2 above 0.9 for the first component of most families.
    assert found.r_squared[0] > 0.9


@pytest.mark.parametrize(
    "task",
    [
        "arithmetic_3ds_2_acc",
        "arithmetic_3da_2_acc",
        "arithmetic_2dm_2_acc",
        "word_unscrambling_2_exact_match",
    ],
)
def test_emergent_tasks_of_strong_models_follow_from_weak_ones(
    models: dict[str, dict[str, str]], task: str
) -> None:
    rows = [{**models[row["Model"]], **row} for row in read(EMERGENT) if row[task]]
    table, score = numbers(rows, *NO_SUMS), numbers(rows, task)[:, 0]
    compute = 1e21 * numbers(rows, "FLOPs (1E21)")[:, 0]
    weak, strong = compute <= WEAK * (1 + 1e-9), compute > WEAK * (1 + 1e-9)
    components = find_components(table[weak], NO_SUMS, n=2)
    x = dict(zip(("S1", "S2"), components.features(table).T, strict=True))
    robust = Criterion(delta=0.1, scale="raw")
    theta = fitted("observational-2", score[weak], robust, **{name: one[weak] for name, one in x.items()})
    got = get_law("observational-2").value(theta, **{name: one[strong] for name, one in x.items()})
    error = float(((got - score[strong]) ** 2).mean())
    as_weak = float(((score[weak].mean() - score[strong]) ** 2).mean())
    assert error < 0.02
    assert error < as_weak / 10
