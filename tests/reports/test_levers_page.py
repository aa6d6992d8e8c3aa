from __future__ import annotations

import json
import re
from dataclasses import replace
from math import nan

import pytest
from lever_examples import example

from scalescope.errors import InputError
from scalescope.points import read_json
from scalescope.reports.figures import theme
from scalescope.reports.figures.base import BEYOND, FITTED
from scalescope.reports.levers import LeverContents, levers_report
from scalescope.reports.levers.look import colours
from scalescope.reports.levers.losses import losses_figure
from scalescope.reports.levers.page import FIGURES, render_levers
from scalescope.reports.levers.paired import paired_figure
from scalescope.reports.levers.tuning import tuning_figure
from scalescope.reports.levers.worth import worth_figure


@pytest.fixture(scope="module")
def contents() -> LeverContents:
    return example()


@pytest.fixture(scope="module")
def path(contents, tmp_path_factory):
    return levers_report(contents, tmp_path_factory.mktemp("levers") / "out" / "report.html")


@pytest.fixture(scope="module")
def page(path) -> str:
    return re.sub(r"<script.*?</script>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def rows_of(panel):
    spec = panel.chart.to_dict()
    return [
        line
        for data in spec["datasets"].values()
        for line in [
            dict(zip(data.split("\n")[0].split(","), row.split(","), strict=False))
            for row in data.split("\n")[1:]
        ]
    ]


def test_writes_a_small_page_and_a_json_twin_that_reads_back(contents, path):
    assert path.stat().st_size < 700_000
    twin = LeverContents.from_dict(read_json(path.with_suffix(".json")))
    assert json.dumps(twin.to_dict()) == json.dumps(contents.to_dict())
    assert sorted(each.name for each in path.parent.iterdir()) == ["report.html", "report.json"]


def test_a_page_must_end_in_html(contents, tmp_path):
    with pytest.raises(InputError, match="a report is a page"):
        levers_report(contents, tmp_path / "report.txt")


def test_the_first_sentence_is_the_answer_of_the_summary(contents, page):
    first = re.search(r"<h1>(.*?)</h1>", page, flags=re.DOTALL)[1]
    assert re.sub(r"<.*?>", "", first) == contents.multipliers.summary().splitlines()[0]
    assert re.search(r"AdamW needs <strong>1\.\d\dx</strong>", first)


def test_it_needs_no_other_file_and_shows_tables_without_scripts(page):
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)
    assert "a &lt;made&gt; one" in page
    assert "scalescope study --vary optimizer=adamw,muon,lion" in page
    for name in ("worth", "losses", "paired", "tuning", "ranking", "forms", "how"):
        assert f'<section id="{name}"' in page
    for code in ("FIT065", "FIT072", "STU999"):
        assert code in page


def test_every_figure_is_valid_and_has_its_table(contents):
    for draw in FIGURES.values():
        figure = draw(contents)
        assert figure.table.rows
        for panel in figure.panels:
            assert panel.chart.to_dict(validate=True)["layer"]
            assert panel.label.endswith(".")


def test_measured_and_extrapolated_multipliers_are_told_apart_and_the_floor_is_drawn(contents):
    muon = worth_figure(contents).panels[0]
    rows = rows_of(muon)
    parts = {row["part"] for row in rows if row.get("part")}
    assert parts == {FITTED, BEYOND}
    floor = contents.multipliers.levers[0].headline.floor
    assert any(row.get("y") == f"{floor:.5g}" and row.get("low") == f"{1 / floor:.5g}" for row in rows)
    table = worth_figure(contents).table
    assert [row[2] for row in table.rows][-2:] == ["10x beyond", "100x beyond"]


def test_an_unknown_floor_is_said_and_not_drawn():
    single = example(seeds=1, variants=1)
    figure = worth_figure(single)
    assert "noise floor is unknown" in figure.caption
    assert not any("floor" in key.label for key in figure.keys)
    page = render_levers(single)
    assert "FIT062" in page
    assert "unknown" in page


def test_the_baseline_is_ink_and_every_variant_has_its_own_colour(contents):
    palette = colours(contents.multipliers)
    assert palette["AdamW"] is theme.INK
    assert len({colour.light for colour in palette.values()}) == 3


def test_curves_are_solid_within_the_runs_and_dashed_beyond(contents):
    rows = [row for row in rows_of(losses_figure(contents).panels[0]) if row.get("part")]
    top = contents.multipliers.measured[1]
    assert all(float(row["x"]) <= top * 1.001 for row in rows if row["part"] == FITTED)
    assert all(float(row["x"]) >= top * 0.999 for row in rows if row["part"] == BEYOND)


def test_pairs_are_coloured_by_rung(contents):
    figure = paired_figure(contents)
    assert [key.label for key in figure.keys] == ["N 20k", "N 40k", "N 80k", "N 160k", "N 320k"]
    assert len(figure.table.rows) == 30


def test_without_common_settings_or_rates_their_figures_are_left_out(contents):
    made = contents.multipliers
    lone = replace(made, levers=tuple(replace(lever, pairs=()) for lever in made.levers))
    bare = replace(contents, multipliers=lone, rates={})
    assert paired_figure(bare) is None
    assert tuning_figure(bare) is None
    assert 'id="paired"' not in render_levers(bare)


def test_a_rate_that_diverged_bounds_the_range_and_one_at_the_end_is_told(contents):
    table = {row[0]: row for row in tuning_figure(contents).table.rows}
    assert table["Muon"][1:3] == ("0.02", "inside")
    assert table["Muon"][3].endswith("0.04: diverged")
    assert "FIT066" not in {finding.code for finding in contents.multipliers.findings}
    cut = tuning_figure(replace(contents, rates={"Muon": contents.rates["Muon"][:3]}))
    assert {row[0]: row[2] for row in cut.table.rows}["Muon"] == "at an end"
    assert table["AdamW"][1:3] == ("0.008", "inside")
    assert table["Lion"][1] == "none tried"
    assert tuning_figure(replace(contents, rates={"Muon": ((0.1, nan),)})) is None
