from __future__ import annotations

import numpy as np
import pytest
from test_figures import rows_of

from scalescope.errors import InputError
from scalescope.laws import LAWS, get_law
from scalescope.reports import draw_law, plot
from scalescope.reports.figures.base import BEYOND, FITTED
from scalescope.reports.figures.laws import law_figure


@pytest.mark.parametrize("name", [*LAWS, "data-mixing-3", "broken-2"])
def test_every_law_is_drawn_with_titled_axes_and_finite_lines(name):
    figure = law_figure(get_law(name))
    assert figure.panels
    assert figure.table.rows
    for panel in figure.panels:
        for layer, rows in rows_of(panel.chart.to_dict(validate=False)):
            assert rows
            assert not any(cell in {"nan", "inf", "-inf"} for row in rows for cell in row.values())
            for channel in ("x", "y"):
                encoded = layer["encoding"][channel]
                assert encoded["axis"]["title"]
                assert encoded["axis"]["values"]
                assert encoded["scale"]["domain"][0] < encoded["scale"]["domain"][1]


@pytest.mark.parametrize("name", ["chinchilla", "data-constrained", "annealing", "vocabulary"])
def test_a_drawn_law_is_a_valid_specification(name):
    draw_law(name).to_dict(validate=True)


def test_the_lines_are_values_of_the_law():
    law = get_law("chinchilla")
    coefficients = {name: one.example for name, one in law.coefficients.items()}
    panel = law_figure(law, coefficients).panels[0]
    for layer, rows in rows_of(panel.chart.to_dict()):
        if layer["mark"]["type"] != "line":
            continue
        D = {"D = 1M": 1e6, "D = 1B": 1e9, "D = 1T": 1e12}
        x = np.array([float(row["x"]) for row in rows])
        y = law.value(law.examples[:, None], N=x, D=np.array([D[row["line"]] for row in rows]))
        np.testing.assert_allclose([float(row["y"]) for row in rows], y, rtol=1e-4)


def test_beyond_the_published_data_the_line_is_an_extrapolation():
    name = next(n for n, one in LAWS["chinchilla"].published.items() if one.ranges and one.verified)
    figure = law_figure(LAWS["chinchilla"], name)
    low, high = LAWS["chinchilla"].published[name].ranges["N"]
    parts = {FITTED: [], BEYOND: []}
    for layer, rows in rows_of(figure.panels[0].chart.to_dict()):
        if layer["mark"]["type"] == "line":
            for row in rows:
                parts[row["part"]].append(float(row["x"]))
    assert low * 0.999 <= min(parts[FITTED])
    assert max(parts[FITTED]) <= high * 1.001
    assert max(parts[BEYOND]) > high
    assert {"line", "dotted"} <= {key.kind for key in figure.keys}


def test_a_law_from_its_examples_says_that_it_was_not_fitted():
    assert "not from a fit" in law_figure(LAWS["m4"]).caption
    assert "not from a fit" in law_figure(LAWS["chinchilla"], "examples").caption


def test_a_law_is_plotted_as_it_is_drawn():
    assert plot(LAWS["kaplan"]).to_dict() == draw_law("kaplan").to_dict()


@pytest.mark.parametrize(
    ("coefficients", "said"),
    [("epoch-2424", "no published set"), ({"E": 1.0}, "lacks A"), ({"E": 1, "q": 1}, "lacks A")],
)
def test_coefficients_that_are_not_the_laws_are_refused(coefficients, said):
    with pytest.raises(InputError, match=said):
        draw_law("chinchilla", coefficients)


def test_a_coefficient_too_many_is_named():
    coefficients = {name: one.example for name, one in LAWS["chinchilla"].coefficients.items()} | {"q": 1.0}
    with pytest.raises(InputError, match="no coefficient q"):
        draw_law("chinchilla", coefficients)
