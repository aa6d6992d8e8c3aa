from __future__ import annotations

import numpy as np
import pytest
from test_figures import rows_of

from scalescope.fitting.extrapolation import Extrapolation, extrapolate
from scalescope.reports import plot
from scalescope.reports.figures.base import BEYOND, FITTED
from scalescope.reports.figures.extrapolations import extrapolation_figure, forms_at


@pytest.fixture(scope="module")
def found() -> Extrapolation:
    x = np.geomspace(1e6, 1e9, 24)
    noise = np.exp(0.004 * np.random.default_rng(0).standard_normal(24))
    return extrapolate(x, (0.3 + 40 * x**-0.3) * noise)


def lines_of(figure, field):
    for layer, rows in rows_of(figure.panels[0].chart.to_dict(validate=True)):
        if layer["mark"]["type"] == "line" and field in rows[0]:
            yield rows


def test_the_curve_changes_its_look_where_the_points_end(found):
    (rows,) = lines_of(extrapolation_figure(found), "part")
    inside = [float(row["x"]) for row in rows if row["part"] == FITTED]
    beyond = [float(row["x"]) for row in rows if row["part"] == BEYOND]
    assert max(inside) == pytest.approx(found.range[1], rel=1e-4)
    assert min(beyond) == pytest.approx(found.range[1], rel=1e-4)
    assert max(beyond) == pytest.approx(found.at.max(), rel=1e-4)


def test_the_interval_is_that_of_the_extrapolation(found):
    (rows,) = lines_of(extrapolation_figure(found), "part")
    last = max(rows, key=lambda row: float(row["x"]))
    assert float(last["low"]) == pytest.approx(found.low[-1], rel=1e-3)
    assert float(last["high"]) == pytest.approx(found.high[-1], rel=1e-3)


def test_every_form_goes_on_by_itself_as_a_thin_line(found):
    (rows,) = lines_of(extrapolation_figure(found), "form")
    assert len({row["form"] for row in rows}) == len(found.forms)
    assert min(float(row["x"]) for row in rows) == pytest.approx(found.range[1], rel=1e-4)
    ends = forms_at(found, found.at[-1:])[:, 0]
    assert ends.min() <= found.value[-1] <= ends.max()


def test_all_points_are_drawn_and_the_table_has_every_place_asked_for(found):
    figure = extrapolation_figure(found, "Tokens D", "Loss L, nats/token")
    counts = [
        len(rows)
        for layer, rows in rows_of(figure.panels[0].chart.to_dict())
        if layer["mark"]["type"] == "point"
    ]
    assert counts == [found.points.shape[1]]
    assert len(figure.table.rows) == len(found.at)


def test_an_accuracy_has_a_linear_axis():
    x = np.geomspace(10, 1e4, 20)
    rising = extrapolate(x, 0.9 - 2 * x**-0.5, ceiling=1.0)
    encoded = extrapolation_figure(rising).panels[0].chart.to_dict()["layer"][0]["encoding"]["y"]
    assert encoded["scale"].get("type") != "log"


def test_an_extrapolation_is_plotted(found):
    assert plot(found).to_dict()["hconcat"]
