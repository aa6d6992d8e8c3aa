from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from test_figures import rows_of

from scalescope.errors import InputError
from scalescope.fitting import Fit, fit
from scalescope.fitting.identify import Identification
from scalescope.laws import get_law
from scalescope.points import Runs
from scalescope.reports import plot
from scalescope.reports.figures.base import BEYOND, FITTED
from scalescope.reports.figures.corner import corner_figure, moving, short_number
from scalescope.reports.figures.histories import fit_histories
from scalescope.reports.figures.optima import optima_figure
from scalescope.reports.figures.overview import runs_figure
from scalescope.reports.figures.profiles import profile_figure, profiles_of
from scalescope.reports.figures.residuals import residual_figure, residuals
from scalescope.reports.figures.slices import fit_slices, moved_rows

NOISE = 0.004


def table_of(name: str, target: str, n: int = 60, **extra: np.ndarray) -> Runs:
    """Runs of a law's examples over its own design, with noise."""
    law = get_law(name)
    x = law.design(n)
    value = law.value(law.examples, **x)
    noise = NOISE * np.random.default_rng(0).standard_normal(len(value))
    columns = {one.column: x[letter] for letter, one in law.variables.items()}
    y = value * np.exp(noise) if law.scale == "log" else value + noise
    return Runs.from_columns(columns | {target: y} | extra)


@lru_cache(maxsize=4)
def fitted(name: str, target: str = "loss") -> tuple[Fit, Runs]:
    runs = table_of(name, target)
    return fit(runs, name, resamples=12), runs


@pytest.mark.parametrize(("name", "target"), [("kaplan-steps", "loss"), ("error-from-loss", "error")])
def test_a_law_that_is_no_surface_is_drawn_along_each_variable(name, target):
    found, runs = fitted(name, target)
    figure = fit_slices(found, runs)
    assert len(figure.panels) == len(get_law(name).variables)
    for panel in figure.panels:
        panel.chart.to_dict(validate=True)
        parts = {
            row["part"]: float(row["x"])
            for layer, rows in rows_of(panel.chart.to_dict())
            if layer["mark"]["type"] == "line"
            for row in rows
        }
        assert set(parts) == {FITTED, BEYOND}
    assert figure.table.rows


def test_a_run_brought_to_the_medians_keeps_its_residual():
    found, runs = fitted("kaplan-steps")
    law = get_law("kaplan-steps")
    rows = moved_rows(found, runs, "N")
    assert len(rows) == len(runs)
    at = np.array([row["x"] for row in rows])
    there = found.value(N=at, S=np.full(len(at), np.median(runs["steps"])))
    np.testing.assert_allclose(np.log([row["y"] for row in rows] / there), found.residuals, atol=1e-9)
    assert law.scale == "log"


def test_a_law_of_one_variable_shows_its_runs_as_they_are():
    found, runs = fitted("error-from-loss", "error")
    rows = moved_rows(found, runs, "L")
    np.testing.assert_allclose([row["y"] for row in rows], runs["error"])


def test_residuals_on_the_raw_scale_are_differences_in_the_unit_of_the_target():
    found, runs = fitted("error-from-loss", "error")
    assert found.scale == "raw"
    np.testing.assert_allclose(residuals(found, runs), found.residuals, atol=1e-9)
    figure = residual_figure(found, runs)
    axis = figure.panels[0].chart.to_dict()["layer"][0]["encoding"]["y"]["axis"]
    assert axis["title"] == "Measured minus predicted error"
    assert "%" not in axis["labelExpr"]


def test_the_corner_has_a_cell_for_every_pair_and_a_histogram_for_every_coefficient(contents):
    found = contents.fits["chinchilla"]
    figure = corner_figure(found)
    k = len(found.coefficients)
    assert len(figure.panels) == k * (k + 1) // 2
    assert {panel.place for panel in figure.panels} == {(i, j) for i in range(k) for j in range(i + 1)}
    assert figure.columns == k
    for panel in figure.panels:
        kinds = [layer["mark"]["type"] for layer in panel.chart.to_dict()["layer"]]
        assert ("rect" in kinds) == (panel.place[0] == panel.place[1])


def test_the_cells_of_a_corner_draw_from_one_table(contents):
    figure = corner_figure(contents.fits["chinchilla"])
    clouds = [panel for panel in figure.panels if panel.place[0] != panel.place[1]]
    names = {panel.chart.to_dict()["layer"][0]["data"]["name"] for panel in clouds}
    assert len(names) == 1


def test_the_dots_of_a_corner_are_resamples(contents):
    found = contents.fits["chinchilla"]
    panel = next(p for p in corner_figure(found).panels if p.place == (1, 0))
    _, rows = next(rows_of(panel.chart.to_dict()))
    drawn = np.array([[float(row[f"c{i}"]) for i in range(5)] for row in rows])
    assert len(drawn) == len(found.resamples)
    np.testing.assert_allclose(drawn, found.resamples, rtol=1e-4)


def test_a_coefficient_that_was_held_has_no_cell():
    runs = table_of("chinchilla", "loss")
    from scalescope.fitting import Restraints

    held = fit(runs, restraints=Restraints(fixed={"E": 1.7}), resamples=8)
    names = [list(held.coefficients)[i] for i in moving(held)]
    assert names == ["A", "B", "alpha", "beta"]


def test_every_optimum_lies_on_its_line_of_equal_compute(contents):
    found = contents.fits["chinchilla"]
    figure = optima_figure(found, [1e13])
    checked = 0
    for layer, rows in rows_of(figure.panels[0].chart.to_dict()):
        if layer["mark"]["type"] == "point":
            product = np.array([float(row["x"]) * float(row["y"]) for row in rows])
            np.testing.assert_allclose(6 * product, 1e13, rtol=1e-3)
            checked += len(rows)
    assert checked > 20
    assert len(figure.table.rows) == 1


def test_optima_of_a_law_without_a_best_size_are_refused(contents):
    with pytest.raises(InputError, match="no best size"):
        plot(contents.fits["loss-size"], figure="optima")


def test_a_profile_is_lowest_at_the_optimum_and_its_interval_is_marked():
    found, runs = fitted("kaplan-steps")
    profiles = profiles_of(found, runs)
    assert [one.name for one in profiles] == list(found.coefficients)
    figure = profile_figure(profiles)
    for panel, one in zip(figure.panels, profiles, strict=True):
        spec = panel.chart.to_dict(validate=True)
        for layer, rows in rows_of(spec):
            if layer["mark"]["type"] == "rect":
                (span,) = rows
                assert float(span["x"]) == pytest.approx(one.estimate.low, rel=1e-3)
                assert float(span["end"]) == pytest.approx(one.estimate.high, rel=1e-3)
    assert len(figure.table.rows) == len(profiles)


def test_one_profile_is_drawn_like_several():
    found, runs = fitted("kaplan-steps")
    one = profiles_of(found, runs)[0]
    assert plot(one).to_dict() == plot([one]).to_dict()


def test_a_flat_profile_is_said_to_be_open():
    found, runs = fitted("kaplan-steps")
    from dataclasses import replace

    one = replace(profiles_of(found, runs)[0], open_ends=(False, True))
    figure = profile_figure(one)
    assert f"{one.name}: flat" in figure.caption
    assert "open" in figure.table.rows[0][1]


def test_figures_that_need_the_runs_ask_for_them():
    found, _ = fitted("kaplan-steps")
    for name in ("residuals", "profiles"):
        with pytest.raises(InputError, match="need the runs") as caught:
            plot(found, figure=name)
        assert "runs=" in caught.value.hint


def test_a_fit_budget_by_budget_has_no_profile(contents):
    with pytest.raises(InputError, match="budget by budget"):
        plot(contents.fits["isoflop"], runs=contents.runs, figure="profiles")


def test_a_law_of_curves_is_drawn_along_them_and_held_out_curves_look_different():
    law = get_law("annealing")
    x = law.design(120)
    y = law.value(law.examples, **x) * np.exp(
        NOISE * np.random.default_rng(0).standard_normal(len(x["step"]))
    )
    last = (x["curve"] == x["curve"].max()).astype(float)
    columns = {"curve": x["curve"], "step": x["step"], "learning_rate": x["rate"], "loss": y}
    runs = Runs.from_columns(columns | {"held_out": last})
    figure = fit_histories(fit(runs, "annealing", resamples=0), runs)
    parts = {
        row["curve"]: row["part"]
        for layer, rows in rows_of(figure.panels[0].chart.to_dict(validate=True))
        if layer["mark"]["type"] == "line"
        for row in rows
    }
    assert sorted(set(parts.values())) == [BEYOND, FITTED]
    assert len(figure.table.rows) == len(np.unique(x["curve"]))


def test_a_law_of_curves_without_its_curves_is_refused(contents):
    found = fitted("kaplan-steps")[0]
    with pytest.raises(InputError, match="along its curves"):
        fit_histories(found, None)


def test_a_table_without_loss_is_drawn_by_what_it_measured():
    runs = table_of("error-from-loss", "error")
    runs = Runs.from_columns({"compute": np.geomspace(1e18, 1e22, 9), "accuracy": np.linspace(0.2, 0.8, 9)})
    figure = runs_figure(runs)
    assert [panel.title for panel in figure.panels] == ["Accuracy against compute"]
    figure.panels[0].chart.to_dict(validate=True)


def test_a_table_in_which_nothing_was_measured_is_refused():
    with pytest.raises(InputError, match="nothing that was measured"):
        plot(Runs.from_columns({"width": np.arange(1.0, 5.0)}))


def test_what_the_runs_settle_is_a_table_of_the_report(contents):
    from scalescope.reports.tables import identified, settled

    found, table = identified(contents), settled(contents)
    assert isinstance(found, Identification)
    assert [row[0] for row in table.rows] == list(found.widths)


def test_numbers_beside_a_small_cell_are_short():
    assert [short_number(value) for value in (100_000.0, 1500.0, 0.35)] == ["100k", "1,500", "0.35"]
