from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WAITING = "document.querySelectorAll('.chart:not(.drawn):not(.failed)').length"
MARKS = ".mark-symbol path, .mark-line path, .mark-rect path, .mark-rule line"


@pytest.fixture(scope="module")
def bench_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from scalescope.reports.bench import bench_report

    source = Path(__file__).parents[1] / "reports" / "bench_examples.py"
    spec = importlib.util.spec_from_file_location("bench_examples_of_browser", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    contents = module.bench_contents(module.example_cells(), draws=5)
    return bench_report(contents, tmp_path_factory.mktemp("bench") / "report.html")


@contextmanager
def opened(chromium: Any, path: Path, **options: Any) -> Iterator[tuple[Any, list[str], list[str]]]:
    """Open a page; yields it with what its console said and what it asked for beyond itself."""
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    # The page allows no eval, which a waiting function would need; so it is asked again and again.
    end = time.monotonic() + 60
    while options.get("java_script_enabled", True) and page.evaluate(WAITING) and time.monotonic() < end:
        page.wait_for_timeout(50)
    yield page, said, [url for url in asked if not url.startswith(("data:", path.as_uri()))]
    context.close()


@pytest.fixture(scope="module")
def session(chromium, bench_page):
    with opened(chromium, bench_page) as opened_page:
        yield opened_page


def test_packed_scripts_run_under_the_policy_without_a_word_and_ask_for_nothing(session):
    page, said, asked = session
    assert page.locator(".chart.drawn").count() > 20
    assert said == []
    assert asked == []


def test_every_figure_drew_marks(session):
    page = session[0]
    assert page.locator(".chart.failed").count() == 0
    charts = page.locator(".chart")
    for index in range(charts.count()):
        assert charts.nth(index).locator(MARKS).count() > 0, charts.nth(index).get_attribute("aria-label")


def test_every_axis_of_numbers_has_labels(session):
    unlabelled = session[0].eval_on_selector_all(
        ".chart",
        "all => all.filter(e => [...e.querySelectorAll('.role-axis')].some("
        "axis => axis.querySelector('.role-axis-label') && "
        "![...axis.querySelectorAll('.role-axis-label text')].some(t => t.textContent.trim())))"
        ".map(e => e.getAttribute('aria-label'))",
    )
    assert unlabelled == []


def test_the_answer_and_the_check_are_on_the_first_screen(session):
    for selector in ("h1", ".check"):
        box = session[0].locator(selector).bounding_box()
        assert box["y"] + box["height"] < 900


def test_a_box_of_the_map_tells_its_cause(session):
    page = session[0]
    box = page.locator('#cells .mark-rect path[fill]:not([fill="var(--hoffmann)"])').first
    box.scroll_into_view_if_needed()
    box.hover(force=True)
    assert "tokens" in page.locator("#tip").inner_text() or ":" in page.locator("#tip").inner_text()


def test_long_tables_scroll_inside_their_box_under_a_fixed_head(session):
    page = session[0]
    page.locator("#walls").scroll_into_view_if_needed()
    seen = page.locator("#walls .tall").evaluate(
        "e => { e.scrollTop = 600; const head = e.querySelector('thead th').getBoundingClientRect();"
        "return [e.scrollHeight > e.clientHeight, Math.abs(head.top - e.getBoundingClientRect().top) < 4] }"
    )
    assert seen == [True, True]


def test_without_scripts_the_answer_and_all_tables_are_visible(chromium, bench_page):
    with opened(chromium, bench_page, java_script_enabled=False) as (page, _, asked):
        assert page.locator("h1").is_visible()
        for table in page.locator("details.twin table, section > .scroll table").all():
            assert table.is_visible()
        assert asked == []


@pytest.mark.parametrize("width", [390, 1280])
def test_no_width_makes_the_page_scroll_sideways(chromium, bench_page, width):
    with opened(chromium, bench_page, viewport={"width": width, "height": 844}) as (page, _, _):
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_dark_scheme_changes_paper_text_and_marks(chromium, bench_page):
    look = (
        "() => { const css = e => getComputedStyle(e);"
        "return [css(document.body).backgroundColor, css(document.body).color,"
        "css(document.querySelector('#cells .mark-rect path')).fill,"
        "css(document.querySelector('#success .role-axis-label text')).fill] }"
    )
    seen = []
    for scheme in ("light", "dark"):
        with opened(chromium, bench_page, color_scheme=scheme) as (page, _, _):
            seen.append(page.evaluate(look))
    assert all(light != dark for light, dark in zip(*seen, strict=True))
