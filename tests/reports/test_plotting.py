from __future__ import annotations

import subprocess
import sys

import pytest

from scalescope.errors import InputError
from scalescope.reports import plot
from scalescope.reports.figures import FIGURES


@pytest.mark.parametrize("law", ["isoflop", "chinchilla", "loss-size", "loss-data", "loss-compute"])
def test_every_fit_is_drawn_with_and_without_its_runs(contents, law):
    with_runs = plot(contents.fits[law], runs=contents.runs).to_dict()
    alone = plot(contents.fits[law]).to_dict()
    assert len(with_runs["hconcat"][0]["layer"]) > len(alone["hconcat"][0]["layer"])


def test_plans_and_runs_are_drawn(contents):
    assert len(plot(contents.plan, fit=contents.fits["isoflop"]).to_dict()["hconcat"]) == 2
    assert len(plot(contents.runs).to_dict()["hconcat"]) == 2


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "runs"])
def test_every_figure_of_a_report_is_drawn_by_name(contents, name):
    assert plot(contents, figure=name).to_dict()["hconcat"]


def test_a_figure_that_is_not_known_suggests_the_nearest(contents):
    with pytest.raises(InputError) as caught:
        plot(contents, figure="residual")
    assert "residuals" in caught.value.hint


def test_a_figure_that_the_contents_cannot_fill_says_which_they_can(contents):
    with pytest.raises(InputError) as caught:
        plot(contents, figure="runs")
    assert "isoflop" in caught.value.hint


def test_what_is_no_result_is_refused():
    with pytest.raises(InputError, match="int"):
        plot(3)


def test_the_legend_says_fitted_range_and_extrapolation(contents):
    layers = plot(contents.fits["loss-compute"], runs=contents.runs).to_dict()["hconcat"][0]["layer"]
    (line,) = [layer for layer in layers if layer["mark"]["type"] == "line"]
    assert line["encoding"]["strokeDash"]["scale"]["domain"] == ["fitted range", "extrapolation"]
    assert line["encoding"]["strokeDash"]["legend"] is not None


def test_importing_the_room_imports_neither_altair_nor_jinja2():
    code = "import sys, scalescope.reports; print({'altair', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
