from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from report_examples import example_approaches, example_comparison
from test_figures import rows_of

from scalescope.fitting.holdout import Holdout
from scalescope.fitting.isoflop_bias import IsoflopBias
from scalescope.reports import plot
from scalescope.reports.figures.approaches import QUANTITIES, approaches_figure
from scalescope.reports.figures.holdouts import FLOOR, comparison_figure, line_of
from scalescope.reports.figures.parabolas import corrected_minima, parabola_figure


def holdout(ratio: float, error: float, n: int = 1) -> Holdout:
    return Holdout(
        law="chinchilla", n_fitted=9, n_predicted=n, ratio=ratio, log_error=error, rms_error=abs(error)
    )


def test_hold_outs_at_nearly_one_ratio_are_one_point_of_a_line():
    line = line_of("chinchilla", [holdout(3.0, 0.03), holdout(3.2, -0.04), holdout(10.0, 0.1, 4)])
    assert line.ratios == pytest.approx((np.sqrt(9.6), 10.0))
    assert line.errors == pytest.approx((np.sqrt(0.00125), 0.1))


def test_every_compared_law_has_a_line_or_is_counted_among_the_thin_ones():
    comparison = example_comparison()
    figure = comparison_figure(comparison)
    drawn = {
        row["law"]
        for layer, rows in rows_of(figure.panels[0].chart.to_dict(validate=True))
        if layer["mark"]["type"] == "line"
        for row in rows
    }
    assert len(drawn) == len({one.law for one in comparison.holdouts})
    assert figure.table.rows[0][0] in {key.label for key in figure.keys}


def test_the_noise_of_one_run_is_a_band_from_the_floor_of_the_drawing():
    comparison = example_comparison()
    for layer, rows in rows_of(comparison_figure(comparison).panels[0].chart.to_dict()):
        if layer["mark"]["type"] == "area":
            assert [float(row["y"]) for row in rows] == pytest.approx([comparison.noise_sd] * 2, rel=1e-4)
            break
    else:
        pytest.fail("no band")


def test_the_stack_is_highlighted_and_named(contents):
    comparison = example_comparison()
    stacked = [
        rows
        for layer, rows in rows_of(comparison_figure(comparison).panels[0].chart.to_dict())
        if layer["mark"].get("shape") == "square"
    ]
    if comparison.stack is None:
        pytest.fail("the example is there to have a stack")
    ((square,),) = stacked
    assert float(square["y"]) == pytest.approx(max(comparison.stack.rms_log_error, FLOOR), rel=1e-4)
    alone = comparison_figure(replace(comparison, stack=None))
    assert "plan" not in {key.kind for key in alone.keys}


def test_an_error_of_zero_is_drawn_on_the_floor():
    comparison = replace(
        example_comparison(), holdouts=(replace(holdout(3.0, 0.0), law=example_comparison().best),)
    )
    ys = [
        float(row["y"])
        for layer, rows in rows_of(comparison_figure(comparison).panels[0].chart.to_dict())
        if layer["mark"]["type"] == "point" and layer["mark"].get("shape") != "square"
        for row in rows
    ]
    assert ys == [FLOOR]


def test_the_approaches_stand_beside_each_other_with_their_intervals():
    found = example_approaches()
    figure = approaches_figure(found)
    assert len(figure.panels) == len(QUANTITIES)
    for panel, (field, *_) in zip(figure.panels, QUANTITIES, strict=True):
        spec = panel.chart.to_dict(validate=True)
        values = [
            float(row["x"])
            for layer, rows in rows_of(spec)
            if layer["mark"]["type"] == "point"
            for row in rows
        ]
        np.testing.assert_allclose(values, [getattr(row, field).value for row in found.rows], rtol=1e-4)
    assert len(figure.table.rows) == len(found.rows)


def test_an_approach_that_was_not_possible_is_named_with_its_reason():
    found = example_approaches()
    figure = approaches_figure(replace(found, rows=found.rows[:1], missed={"3": "no surface fits"}))
    assert "Approach 3 was not possible: no surface fits." in figure.caption


def test_the_corrected_minimum_is_the_vertex_without_its_bias(contents):
    fit, bias = contents.fits["isoflop"], contents.bias
    assert isinstance(bias, IsoflopBias)
    rows = corrected_minima(fit, bias)
    assert len(rows) == len(fit.parabolas) == len(bias.budgets)
    for row, parabola, off in zip(rows, fit.parabolas, bias.size_bias, strict=True):
        assert row["x"] * (1 + off) == pytest.approx(parabola.size.value)
    assert "corrected" in {key.kind for key in parabola_figure(fit, None, bias).keys}
    assert "corrected" not in {key.kind for key in parabola_figure(fit, None).keys}


def test_comparisons_and_approaches_are_plotted(contents):
    assert plot(example_comparison()).to_dict()["hconcat"]
    assert plot(example_approaches()).to_dict()["hconcat"]
