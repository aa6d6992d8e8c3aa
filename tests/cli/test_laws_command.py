from __future__ import annotations

import json
import re

import numpy as np
import pytest

from scalescope.cli.canvas import WIDTH, axis_title, picture
from scalescope.cli.law_lines import LINES, amount, draw
from scalescope.laws import FAMILIES, LAWS, get_law
from scalescope.points import COLUMNS
from scalescope.reports.sections import chosen_set

each_law = pytest.mark.parametrize("name", LAWS)
BRAILLE = re.compile("[\u2801-\u28ff]")


def flat(text):
    return " ".join(text.split())


def drawn(text):
    """Return the part of an answer that is a picture."""
    return text[text.index("drawn with") :]


class TestList:
    def test_all_are_listed_under_their_questions(self, command):
        code, out, _ = command("laws")
        assert code == 0
        order = [out.index(question) for question in FAMILIES.values()]
        assert order == sorted(order)
        for law in LAWS.values():
            section = out[out.index(law.question) :].split("\n\n")[0]
            assert re.search(rf"^  {re.escape(law.name)} ", section, re.M)
            assert law.title in flat(section)

    def test_it_fits_a_terminal(self, command):
        lines = command("laws")[1].splitlines()
        assert max(map(len, lines)) <= 80
        titles = [line for line in lines if line.startswith("  ")]
        assert len(titles) <= 2 * len(LAWS)

    def test_it_ends_with_the_next_step(self, command):
        assert command("laws")[1].splitlines()[-1] == "next: scalescope laws chinchilla"

    def test_a_figure_needs_a_law(self, command, tmp_path):
        code, _, err = command("laws", "--figure", tmp_path / "law.svg")
        assert code == 2
        assert "a figure shows one law" in err


class TestOne:
    @each_law
    def test_everything_that_is_known_is_said(self, command, name):
        law, out = LAWS[name], flat(command("laws", name)[1])
        for text in (law.title, law.formula, law.reference, law.question, *law.caveats):
            assert flat(text) in out
        for letter, one in law.variables.items():
            column = law.count if one.column == "params" else one.column
            assert f" {letter} {column}: {one.meaning or COLUMNS[column].meaning}" in out
            assert f"typically {amount(one.column, one.low)} to {amount(one.column, one.high)}" in out
        for key, one in law.coefficients.items():
            assert f" {key} {one.meaning}; " in out
        for key, one in law.published.items():
            mark = "verified" if one.verified else "not verified"
            assert f" {key} ({mark}) " in out
            assert flat(one.source) in out
            assert flat(one.note) in out

    def test_limits_are_those_of_the_coefficients(self, command):
        out = command("laws", "chinchilla")[1]
        assert "  E      irreducible loss; 0.001 to 20; such as 1.7" in out
        assert "  A      scale of what a finite size costs; above 0; such as 400" in out

    def test_it_says_what_the_size_counts_and_what_a_fit_compares(self, command):
        kaplan = flat(command("laws", "kaplan")[1])
        assert "N counts params_nonembedding: parameters without embedding" in kaplan
        assert "a fit compares logarithms" in kaplan
        assert "a fit compares the values themselves" in flat(command("laws", "vocabulary")[1])

    def test_it_says_what_the_paper_held_fixed(self, command):
        out = command("laws", "data-constrained")[1]
        assert "held by its paper  E, A, B, alpha, beta at muennighoff2023" in out
        assert "held by its paper" not in command("laws", "chinchilla")[1]

    def test_ranges_of_published_data_have_units_of_people(self, command):
        out = command("laws", "chinchilla")[1]
        assert "fitted on N 44M to 16B; D 500M to 500B; C 1e18 to 1e22" in out

    def test_a_number_sets_the_domains(self, command):
        code, out, _ = command("laws", "data-mixing-3")
        assert code == 0
        assert "L = c + exp(t_1 r_1 + t_2 r_2 + t_3 r_3)" in out
        assert out.splitlines()[-1] == "next: scalescope fit runs.csv --law data-mixing-3"

    def test_an_unknown_name_suggests_the_nearest(self, command):
        code, _, err = command("laws", "chinchila")
        assert code == 2
        assert "Did you mean chinchilla" in err

    def test_a_law_without_a_number_refuses_one(self, command):
        assert command("laws", "chinchilla-3")[0] == 2


class TestPicture:
    @each_law
    def test_it_is_plain_text_of_one_width(self, command, name):
        _, out, _ = command("laws", name)
        assert "\x1b" not in out
        shown = drawn(out)
        assert max(map(len, shown.splitlines()[2:-1])) <= WIDTH
        assert len(BRAILLE.findall(shown)) > 20

    @each_law
    def test_axes_have_quantity_unit_and_round_ticks(self, name):
        law = LAWS[name]
        drawing = draw(law)
        text = picture(law, drawing)
        title = axis_title(law.target, "").partition(", ")
        assert text.splitlines()[0].startswith(title[0])
        assert text.splitlines()[0].endswith(title[2])
        assert axis_title(law.variables[drawing.main].column, drawing.main) in text.splitlines()[-1]
        ticks = text.splitlines()[-2].split()
        assert len(ticks) >= 3
        assert len(set(ticks)) == len(ticks)
        heights = re.findall(r"^ *(\S+)┤", text, re.M)
        assert len(heights) >= 2
        assert len(set(heights)) == len(heights)

    @each_law
    def test_every_line_with_a_second_variable_is_labelled(self, name):
        law = LAWS[name]
        drawing = draw(law)
        text = picture(law, drawing)
        if drawing.second is not None:
            assert LINES <= len(drawing.lines) <= 4
            assert sum(f" {line.label} " in text for line in drawing.lines) >= LINES

    def test_lines_are_those_of_the_law(self):
        law = get_law("chinchilla")
        drawing = draw(law)
        theta = np.array(list(law.published[drawing.coefficients].coefficients.values()))
        assert [line.at for line in drawing.lines][::2] == pytest.approx([5e8, 5e11])
        for line in drawing.lines:
            assert line.x[[0, -1]] == pytest.approx([44e6, 16e9])
            np.testing.assert_allclose(line.y, law.value(theta, N=line.x, D=np.array([line.at])))

    def test_verified_values_are_drawn_before_others(self):
        name, published = chosen_set(get_law("learning-rate"))
        assert published.verified
        assert name == next(key for key, one in get_law("learning-rate").published.items() if one.verified)

    def test_shares_always_sum_to_one(self, monkeypatch):
        law = get_law("mixture-additive-4")
        seen = []
        monkeypatch.setattr(
            type(law), "value", lambda _self, _theta, **x: seen.append(x) or np.ones_like(x["N"])
        )
        draw(law)
        total = sum(seen[0][f"h{i}"] for i in range(1, 5))
        np.testing.assert_allclose(total, 1.0)
        assert np.ptp(seen[0]["h1"]) == pytest.approx(1.0)

    def test_nobody_reads_more_unique_tokens_than_tokens(self):
        for line in draw(get_law("data-constrained")).lines:
            assert (line.x >= line.at).all()

    def test_a_falling_line_falls_in_the_picture(self):
        rows = picture(get_law("loss-size"), draw(get_law("loss-size"))).splitlines()
        found = [
            (number, row.index(BRAILLE.search(row)[0]))
            for number, row in enumerate(rows)
            if BRAILLE.search(row)
        ]
        assert found[0][1] < found[-1][1]


class TestFigure:
    @pytest.mark.parametrize("kind", ["svg", "html"])
    def test_it_is_written_and_needs_no_network(self, command, tmp_path, kind):
        pytest.importorskip("vl_convert")
        path = tmp_path / f"law.{kind}"
        code, out, _ = command("laws", "chinchilla", "--figure", path)
        assert code == 0
        assert f"figure: {path}" in out
        text = path.read_text("utf-8")
        assert "Tokens D" in text
        assert not re.search(r"<script[^>]+src=", text)

    def test_another_ending_is_refused(self, command, tmp_path):
        code, _, err = command("laws", "chinchilla", "--figure", tmp_path / "law.gif")
        assert code == 2
        assert "End it with .html or .svg or .png." in err

    def test_a_folder_that_is_not_there_is_named(self, command, tmp_path):
        pytest.importorskip("vl_convert")
        code, _, err = command("laws", "chinchilla", "--figure", tmp_path / "none" / "law.svg")
        assert code == 1
        assert "could not be written" in err

    def test_without_the_extra_it_says_how_to_get_it(self, command, tmp_path, monkeypatch):
        monkeypatch.setattr("scalescope.cli.laws.find_spec", lambda _name: None)
        code, _, err = command("laws", "chinchilla", "--figure", tmp_path / "law.svg")
        assert code == 2
        assert "scalescope[images]" in err


class TestJson:
    def test_all_of_every_law_is_there(self, command):
        plain = json.loads(command("laws", "--json")[1])
        assert plain["schema"] == "scalescope.laws/2"
        assert [one["name"] for one in plain["laws"]] == list(LAWS)
        for one, law in zip(plain["laws"], LAWS.values(), strict=True):
            assert one["target"]["column"] == law.target
            assert [each["column"] for each in one["variables"].values()] == [
                each.column for each in law.variables.values()
            ]
            assert list(one["coefficients"]) == list(law.coefficients)
            assert one["caveats"] == list(law.caveats)

    def test_it_says_which_values_were_verified(self, command):
        published = json.loads(command("laws", "chinchilla", "--json")[1])["laws"][0]["published"]
        assert published["hoffmann2022"]["verified"] is True
        assert set(published["hoffmann2022"]["coefficients"]) == {"E", "A", "B", "alpha", "beta"}
        assert published["hoffmann2022"]["ranges"]["C"] == [1e18, 1e22]

    def test_it_has_the_numbers_of_the_picture(self, command):
        drawing = json.loads(command("laws", "chinchilla", "--json")[1])["laws"][0]["drawing"]
        assert (drawing["main"], drawing["second"]) == ("N", "D")
        assert [len(line["x"]) == len(line["y"]) for line in drawing["lines"]] == [True] * 3
