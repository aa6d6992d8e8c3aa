from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

SETTLED = (
    "document.querySelectorAll('.chart.drawn, .chart.failed').length === "
    "document.querySelectorAll('.chart').length"
)
MARKS = ".mark-symbol path, .mark-line path, .mark-area path, .mark-rule line"


@contextmanager
def opened(chromium: Any, path: Any, **options: Any) -> Iterator[tuple[Any, list[str], list[str]]]:
    """Open a page; yields it with what its console said and what it asked for beyond itself."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, **options)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    if options.get("java_script_enabled", True):
        page.wait_for_function(SETTLED, timeout=30_000)
    yield page, said, [url for url in asked if not url.startswith(("data:", path.as_uri()))]
    context.close()


@pytest.fixture(scope="module")
def session(chromium, report_page):
    with opened(chromium, report_page) as opened_page:
        yield opened_page


def test_the_console_is_silent(session):
    assert session[1] == []


def test_nothing_outside_the_page_is_asked_for(session):
    assert session[2] == []


def test_every_figure_drew_marks(session):
    page = session[0]
    charts = page.locator(".chart")
    assert charts.count() >= 10
    assert page.locator(".chart.failed").count() == 0
    for index in range(charts.count()):
        assert charts.nth(index).locator(MARKS).count() > 0, charts.nth(index).get_attribute("aria-label")


def test_every_figure_fills_its_width(session):
    for box in session[0].eval_on_selector_all(
        ".chart", "all => all.map(e => [e.clientWidth, e.querySelector('svg').getBoundingClientRect().width])"
    ):
        assert box[1] == pytest.approx(box[0], abs=2)


def test_the_answer_and_the_check_are_on_the_first_screen(session):
    for selector in ("h1", ".check"):
        box = session[0].locator(selector).bounding_box()
        assert box["y"] + box["height"] < 900


def test_tables_fold_away_where_figures_are_drawn_and_open_on_demand(session):
    page = session[0]
    twin = page.locator("#isoflop details")
    assert not twin.locator("table").is_visible()
    twin.locator("summary").click()
    assert twin.locator("table").is_visible()


@pytest.mark.parametrize("section", ["approaches", "comparison", "corner", "optima"])
def test_the_figures_of_the_fits_are_on_the_page_with_a_legend(session, section):
    place = session[0].locator(f"#{section}")
    assert place.locator(".chart.drawn").count() > 0
    assert place.locator(".keys li").count() > 0


def test_the_cells_of_the_corner_line_up(session):
    cells = session[0].eval_on_selector_all(
        "#corner .panel",
        """all => all.map(cell => {
            const plot = cell.querySelector("svg .background").getBoundingClientRect();
            const [row, column] = cell.style.gridArea.split("/").map(Number);
            return [row, column, plot.left, plot.top, plot.width];
        })""",
    )
    assert len(cells) > 10
    for row, column, left, top, width in cells:
        for other in cells:
            if other[1] == column:
                assert left == pytest.approx(other[2], abs=1.5)
                assert width == pytest.approx(other[4], abs=1.5)
            if other[0] == row:
                assert top == pytest.approx(other[3], abs=6)


def test_on_a_phone_the_corner_scrolls_inside_its_own_box_and_cells_do_not_overlap(chromium, report_page):
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(report_page.as_uri())
    page.wait_for_function(SETTLED, timeout=30_000)
    box = page.locator("#corner .matrix")
    assert box.evaluate("e => e.scrollWidth > e.clientWidth")
    ends = page.eval_on_selector_all(
        "#corner .panel",
        "all => all.map(e => [e.style.gridArea, e.getBoundingClientRect(), e.querySelector('svg')])"
        ".map(([area, box, svg]) => [area, box.left, box.right, svg.getBoundingClientRect().right])",
    )
    assert all(drawn <= right + 2 for _, _, right, drawn in ends)
    context.close()


def test_a_point_tells_what_it_is(session):
    page = session[0]
    dot = page.locator("#residuals .mark-symbol path").first
    dot.scroll_into_view_if_needed()
    dot.hover(force=True)
    assert "nats/token" in page.locator("#tip").inner_text()


def test_without_scripts_the_conclusions_and_all_tables_are_visible(chromium, report_page):
    with opened(chromium, report_page, java_script_enabled=False) as (page, _, asked):
        assert page.locator("h1").is_visible()
        assert page.locator("#findings li").first.is_visible()
        for table in page.locator("details.twin table, section > .scroll table").all():
            assert table.is_visible()
        assert page.locator("noscript").count() > 0
        assert "its numbers are in the table" in page.locator("#isoflop").inner_text()
        assert asked == []


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_width_makes_the_page_scroll_sideways(chromium, report_page, width):
    context = chromium.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    page.goto(report_page.as_uri())
    page.wait_for_function(SETTLED, timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_the_dark_scheme_changes_paper_text_and_marks(chromium, report_page):
    look = (
        "() => { const css = e => getComputedStyle(e);"
        "return [css(document.body).backgroundColor, css(document.body).color,"
        "css(document.querySelector('#isoflop .mark-symbol path')).fill,"
        "css(document.querySelector('#isoflop .role-axis-label text')).fill] }"
    )
    seen = []
    for scheme in ("light", "dark"):
        with opened(chromium, report_page, color_scheme=scheme) as (page, _, _):
            seen.append(page.evaluate(look))
    assert all(light != dark for light, dark in zip(*seen, strict=True))
