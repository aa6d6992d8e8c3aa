from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from report_examples import example_runs

from scalescope.reports.figures import FIGURES
from scalescope.reports.figures.base import BEYOND, FITTED
from scalescope.reports.figures.learning import MOST_POINTS, thinned
from scalescope.reports.figures.predictions import frontier, reaching
from scalescope.reports.figures.residuals import residuals

WITH_LAW = ["isoflop", "scaling", "optimum", "residuals"]
DRAWN = ["forecasts", "learning", "optima", "approaches", "comparison", *WITH_LAW]


def rows_of(spec):
    """Rows of every layer of a panel."""
    for layer in spec["layer"]:
        name = (layer.get("data") or spec["data"])["name"]
        yield layer, list(csv.DictReader(io.StringIO(spec["datasets"][name])))


@pytest.fixture(scope="session")
def figures(contents):
    return {name: draw(contents) for name, draw in FIGURES.items()}


@pytest.mark.parametrize("name", [*DRAWN, "corner"])
class TestFigure:
    def test_is_a_valid_vega_lite_specification(self, figures, name):
        for panel in figures[name].panels:
            panel.chart.to_dict(validate=True)

    def test_says_what_its_axes_are_and_fixes_their_domains(self, figures, name):
        for panel in figures[name].panels:
            for layer in panel.chart.to_dict()["layer"]:
                for channel in ("x", "y"):
                    encoded = layer["encoding"].get(channel)
                    if encoded and encoded["type"] == "quantitative":
                        # The cells of a matrix share the titles of its first column and last row.
                        assert encoded["axis"]["title"] or panel.place is not None
                        assert len(encoded["scale"]["domain"]) == 2
                        assert encoded["scale"]["nice"] is False

    def test_has_rows_in_every_layer_and_no_missing_number(self, figures, name):
        for panel in figures[name].panels:
            for layer, rows in rows_of(panel.chart.to_dict()):
                assert rows, layer["mark"]
                assert not any(cell in {"nan", "inf", "-inf"} for row in rows for cell in row.values())

    def test_has_a_table_twin_a_legend_and_words_for_those_who_cannot_see(self, figures, name):
        figure = figures[name]
        assert figure.table.rows
        assert all(len(row) == len(figure.table.columns) for row in figure.table.rows)
        assert figure.keys
        assert figure.caption
        assert all(panel.label for panel in figure.panels)


@pytest.mark.parametrize("name", WITH_LAW)
def test_fitted_range_and_extrapolation_look_different_and_the_legend_says_so(figures, name):
    figure = figures[name]
    kinds = {key.kind for key in figure.keys}
    assert {"fitted", "extrapolation"} <= kinds
    dashes, parts = set(), set()
    for panel in figure.panels:
        for layer, rows in rows_of(panel.chart.to_dict()):
            if layer["mark"]["type"] == "line" and "strokeDash" in layer["encoding"]:
                scale = layer["encoding"]["strokeDash"]["scale"]
                dashes |= {
                    (part, tuple(dash)) for part, dash in zip(scale["domain"], scale["range"], strict=True)
                }
                parts |= {row["part"] for row in rows}
    assert parts == {FITTED, BEYOND}
    assert len({dash for _, dash in dashes}) == 2


def test_the_fitted_part_of_a_curve_keeps_to_the_fitted_range(contents, figures):
    fit = contents.fits["isoflop"]
    panel = figures["scaling"].panels[2]
    for layer, rows in rows_of(panel.chart.to_dict()):
        if layer["mark"]["type"] == "line":
            inside = [float(row["x"]) for row in rows if row["part"] == FITTED]
            beyond = [float(row["x"]) for row in rows if row["part"] == BEYOND]
            low, high = fit.ranges["C"]
            assert min(inside) == pytest.approx(low, rel=1e-3)
            assert max(inside) == pytest.approx(high, rel=1e-3)
            assert max(beyond) > high


def test_held_out_runs_are_drawn_with_a_shape_of_their_own(contents, figures):
    for name in ("isoflop", "scaling", "residuals"):
        for panel in figures[name].panels:
            kinds = [
                {row["kind"] for row in rows}
                for layer, rows in rows_of(panel.chart.to_dict())
                if "shape" in layer["encoding"]
            ]
            assert {"held out"} in kinds
            assert {"measured"} in kinds


def test_the_frontier_of_the_isoflop_law_is_its_power_laws(contents):
    fit = contents.fits["isoflop"]
    compute = np.array([1e11, 1e13])
    E, K, gamma, G, a, _ = fit.theta
    best = frontier(fit, compute)
    np.testing.assert_allclose(best["N"][0], G * compute**a, rtol=1e-9)
    np.testing.assert_allclose(best["L"][0], E + K * compute**-gamma, rtol=1e-9)
    np.testing.assert_allclose(best["D"][0] * best["N"][0] * 6, compute, rtol=1e-9)


def test_residuals_of_the_fitted_runs_are_those_of_the_fit(contents):
    fit = contents.fits["chinchilla"]
    fitted = contents.runs.fitted()
    np.testing.assert_allclose(np.log1p(residuals(fit, fitted)), fit.residuals, rtol=1e-6, atol=1e-9)


def test_kaplan_and_hoffmann_have_lines_through_what_the_plan_says_they_advise(contents, figures):
    first = contents.plan.allocations[0]
    spec = figures["optimum"].panels[0].chart.to_dict()
    lines = {}
    for _, rows in rows_of(spec):
        if rows and "rule" in rows[0]:
            lines[rows[0]["rule"]] = [(float(row["x"]), float(row["y"])) for row in rows]
    assert {"kaplan", "hoffmann"} <= {name.split()[0].lower() for name in lines}
    for advised in first.advice:
        (x0, y0), (x1, y1) = lines[advised.rule]
        slope = np.log(y1 / y0) / np.log(x1 / x0)
        assert y0 * (first.compute / x0) ** slope == pytest.approx(advised.params, rel=2e-3)


def test_a_grid_that_reaches_out_holds_the_edges_and_both_ends():
    grid = reaching((10.0, 100.0), 1.0, 1000.0)
    assert np.all(np.diff(grid) > 0)
    for value in (1.0, 10.0, 100.0, 1000.0):
        assert np.isclose(grid, value).any()


def test_long_curves_are_thinned_but_keep_their_end(contents):
    curve = contents.curves[0]
    kept = thinned(curve)
    assert len(kept) <= MOST_POINTS
    assert kept[-1] == len(curve.tokens) - 1


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_without_its_content_is_left_out(contents, name):
    absent = {"plan": None, "comparison": None, "approaches": None, "bias": None}
    bare = replace(contents, fits={}, forecasts=(), curves=(), holdouts=(), **absent)
    figure = FIGURES[name](bare)
    assert (figure is not None) == (name == "runs")


def test_runs_without_budgets_and_held_out_runs_are_drawn(contents):
    runs = example_runs(held_out=False)
    columns = {key: column for key, column in runs.columns.items() if key not in {"budget", "held_out"}}
    rng = np.random.default_rng(0)
    columns["compute"] = columns["compute"] * np.exp(rng.uniform(0, 1, len(runs)))
    figure = FIGURES["runs"](replace(contents, runs=replace(runs, columns=columns, names=()), fits={}))
    assert figure is not None
    assert [key.label for key in figure.keys] == ["measured"]
    for panel in figure.panels:
        panel.chart.to_dict(validate=True)
