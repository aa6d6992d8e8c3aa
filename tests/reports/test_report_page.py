from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from scalescope.errors import InputError, WorkError
from scalescope.points import Finding, read_json
from scalescope.reports import Contents, render, report
from scalescope.reports.page import SCRIPTS, emphasis, interval, is_number

VENDORED = Path(__file__).parents[2] / "src" / "scalescope" / "reports" / "vendored"


@pytest.fixture(scope="session")
def page(contents):
    return render(contents)


def without_scripts(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_writes_a_page_and_a_json_twin_that_reads_back(contents, tmp_path):
    path = report(contents, tmp_path / "out" / "report.html")
    twin = Contents.from_dict(read_json(path.with_suffix(".json")))
    assert twin.headline == contents.headline
    assert twin.plan == contents.plan
    assert sorted(each.name for each in path.parent.iterdir()) == ["report.html", "report.json"]


def test_the_page_stays_near_a_megabyte_with_every_figure(page):
    assert len(page.encode("utf-8")) < 1_100_000


def test_nothing_in_the_page_is_asked_for_from_elsewhere(page):
    body = without_scripts(page)
    assert not re.findall(r"""(?:src|href|action|data)=["']?(?:https?:)?//""", body)
    assert not re.findall(r"""url\(|@import""", body)
    assert "sourceMappingURL" not in page
    assert "default-src 'none'" in page


def test_the_answer_comes_before_the_findings_and_these_before_the_figures(page):
    places = [
        page.index(mark) for mark in ("<h1>", 'id="findings"', "<figure>", 'id="allocation"', 'id="how"')
    ]
    assert places == sorted(places)


def test_without_scripts_every_table_stands_open(page):
    body = without_scripts(page)
    twins = re.findall(r'<details class="twin"[^>]*>', body)
    assert twins
    assert all("open" in twin for twin in twins)


def test_text_from_outside_cannot_become_markup(contents):
    bad = '</script><img src=x onerror="alert(1)">'
    names = (bad, *contents.runs.names[1:])
    curve = replace(contents.curves[0], name=bad)
    hostile = replace(
        contents,
        title=bad,
        runs=replace(contents.runs, names=names),
        curves=(curve, *contents.curves[1:]),
        findings=(Finding(code="REP000", text=bad, hint=bad),),
        facts={bad: bad},
        command=bad,
    )
    page = render(hostile)
    assert "<img" not in page
    assert page.count("</script>") == render(contents).count("</script>")


@pytest.mark.parametrize(
    "left_out",
    [
        {"plan": None},
        {"forecasts": ()},
        {"curves": ()},
        {"fits": {}, "plan": None, "forecasts": (), "holdouts": (), "exponents_by_count": {}},
        {"diagnoses": (), "facts": {}, "findings": (), "command": ""},
    ],
    ids="+".join,
)
def test_a_section_without_content_is_left_out(contents, left_out):
    page = render(replace(contents, **left_out))
    assert "<h1>" in page
    assert ('id="allocation"' in page) == ("plan" not in left_out)
    assert ('id="learning"' in page) == ("curves" not in left_out)
    assert ('id="forecasts"' in page) == ("forecasts" not in left_out)


def test_a_report_without_the_isoflop_fit_follows_the_other_law(contents):
    fits = {"chinchilla": contents.fits["chinchilla"]}
    page = render(replace(contents, fits=fits, headline="chinchilla"))
    assert 'id="isoflop"' not in page
    assert 'id="scaling"' in page


def test_a_path_that_is_no_page_is_refused(contents, tmp_path):
    with pytest.raises(InputError, match=r"report\.txt") as caught:
        report(contents, tmp_path / "report.txt")
    assert ".html" in caught.value.hint


def test_a_folder_that_cannot_be_made_is_said_in_one_line(contents, tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(WorkError, match="cannot write"):
        report(contents, tmp_path / "file" / "report.html")


def test_intervals_and_emphasis_are_set_apart_and_escaped():
    assert str(interval("1.2 [1.1, 1.3] <b>")) == '1.2 <span class="interval">[1.1, 1.3]</span> &lt;b&gt;'
    assert str(emphasis("a **b** c")) == "a <strong>b</strong> c"


@pytest.mark.parametrize("cell", ["1.49M [1.04M, 2.17M]", "5e10 FLOP", "−0.52%", "1.6x", "0.993", "–"])
def test_numbers_are_recognised(cell):
    assert is_number(cell)


@pytest.mark.parametrize("cell", ["IsoFLOP parabolas", "2.0x too small", "inside", "E = 0.5 [0.4, 0.6]"])
def test_words_are_not_numbers(cell):
    assert not is_number(cell)


def test_vendored_scripts_are_the_ones_that_were_checked():
    listed = dict(reversed(line.split()) for line in (VENDORED / "SHA256SUMS").read_text().splitlines())
    assert set(listed) == set(SCRIPTS)
    for name, expected in listed.items():
        assert hashlib.sha256((VENDORED / name).read_bytes()).hexdigest() == expected


def test_vega_lite_is_of_the_version_that_altair_writes_for():
    import altair

    major = altair.VEGALITE_VERSION.lstrip("v").split(".")[0]
    assert f'"{major}.' in (VENDORED / "vega-lite.min.js").read_text()[:600]
