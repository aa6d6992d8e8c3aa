"""The law of vocabularies on the table of its paper, and what its conversion of tokens does to it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from scalescope.fitting.criterion import Criterion, Restraints
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.laws import get_law
from scalescope.points import Array

TABLE = Path(__file__).parents[2] / "../shared/laws/data/sld/vocab_scaling_law__data.csv"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not TABLE.exists(), reason="the published table is not beside this checkout"),
]
LAW = get_law("vocabulary")


def tokens_a_character(vocabulary: Array) -> Array:
    """The paper's quadratic in the logarithm of the vocabulary (appendix)."""
    log_V = np.log(vocabulary)
    return np.asarray(0.00639222 * log_V**2 - 0.15811069 * log_V + 1.20470122)


@pytest.fixture(scope="module")
def table() -> dict[str, Array]:
    with TABLE.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    read = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    embedding = read["vocab_size"] * read["embed_dim"]
    network = read["Non_vocab_parameters"]
    return {
        "N_nv": network,
        "N_v": embedding,
        "D": read["FLOPs"] / (6 * (network + embedding)),
        "V": read["vocab_size"],
        "characters": read["num_characters"],
        "compute": read["FLOPs"],
        "loss": read["Lossu"],
    }


def share_explained(table: dict[str, Array], D: Array, theta: Array) -> float:
    loss = table["loss"]
    left = LAW.value(theta, N_nv=table["N_nv"], N_v=table["N_v"], D=D) - loss
    return float(1 - (left**2).sum() / ((loss - loss.mean()) ** 2).sum())


def as_printed() -> Array:
    """The printed numbers for tokens as the code counts them."""
    coefficients = dict(LAW.published["tao2024"].coefficients)
    return np.array(list((coefficients | {"B": 2.124 * 1e9**0.447}).values()))


def test_tokens_are_what_the_paper_converts_characters_to(table: dict[str, Array]) -> None:
    np.testing.assert_allclose(table["characters"] * tokens_a_character(table["V"]), table["D"], rtol=1e-9)


def test_the_printed_numbers_hold_for_tokens_converted_with_the_vocabulary_in_thousands(
    table: dict[str, Array],
) -> None:
    counted = table["characters"] * tokens_a_character(table["V"] / 1000)
    ratio = counted / table["D"]
    assert (round(ratio.min(), 2), round(ratio.max(), 2)) == (2.65, 3.01)
    assert np.median(ratio) == pytest.approx(2.96, abs=0.005)
    assert share_explained(table, counted, as_printed()) == pytest.approx(0.982, abs=1e-3)
    assert share_explained(table, table["D"], as_printed()) < 0.2


def test_the_published_set_holds_for_true_tokens(table: dict[str, Array]) -> None:
    theta = np.array(list(LAW.published["tao2024"].coefficients.values()))
    assert share_explained(table, table["D"], theta) > 0.97


@pytest.mark.slow
@pytest.mark.parametrize(
    ("thousands", "alpha_2", "beta"), [(True, 0.671, 0.447), (False, 1.06, 0.440)], ids=["paper", "true"]
)
def test_the_exponent_of_the_vocabulary_rests_on_how_tokens_are_counted(
    table: dict[str, Array], thousands: bool, alpha_2: float, beta: float
) -> None:
    kept = table["compute"] >= 2.18e17
    assert kept.sum() == 1054
    counted = table["characters"] * tokens_a_character(table["V"] / (1000 if thousands else 1))
    x = {"N_nv": table["N_nv"][kept], "N_v": table["N_v"][kept], "D": counted[kept]}
    objective = Objective(
        law=LAW,
        x=x,
        criterion=Criterion(delta=1e-3),
        restraints=Restraints(tied=(("alpha_1", "beta"),)),
    )
    theta = dict(zip(LAW.coefficients, find_optimum(objective, table["loss"][kept]).theta, strict=True))
    assert theta["beta"] == pytest.approx(beta, abs=5e-3)
    assert theta["alpha_2"] == pytest.approx(alpha_2, abs=2e-2)
