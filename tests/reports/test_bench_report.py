from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace

import pytest
from bench_examples import LENGTHS, bench_contents, example_cells

from scalescope.errors import InputError, WorkError
from scalescope.points import Finding, read_json
from scalescope.points.bench import Cells
from scalescope.reports.bench import BenchContents, answers, bench_report
from scalescope.reports.bench import page as page_module
from scalescope.reports.bench.page import render_bench, twin_of
from scalescope.reports.bench.sections import facts, sections
from scalescope.reports.bench.view import Look


@pytest.fixture(scope="module")
def contents() -> BenchContents:
    """Every kind of section, from few models."""
    cells = example_cells((128, 512, 1024))
    kept = (
        set(cells.models[:6])
        | set(cells.models[50:54])
        | {"mpnet-base", "distilbert-base-cased", "openai-gpt"}
    )
    kept |= {"pythia-6.9b", "xglm-564M", "albert-base-v1"}
    few = cells.only(cell for cell in cells if cell.model in kept)
    return bench_contents(few)


@pytest.fixture(scope="module")
def page(contents):
    return render_bench(contents)


def without_scripts(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_writes_a_page_and_a_json_twin_that_reads_back(contents, tmp_path):
    path = bench_report(contents, tmp_path / "out" / "report.html")
    twin = BenchContents.from_dict(read_json(path.with_suffix(".json")))
    assert twin.cells == contents.cells
    assert twin.tables == contents.tables
    assert sorted(each.name for each in path.parent.iterdir()) == ["report.html", "report.json"]


@pytest.mark.slow
def test_the_page_of_155_models_at_five_lengths_stays_below_a_megabyte_and_its_twin_below_two():
    cells = example_cells((*LENGTHS, 4096))
    more = [
        replace(cell, model=f"{cell.model}-next", architecture=f"{cell.architecture}-next")
        for cell in cells
        if cell.model in set(cells.models[:37])
    ]
    contents = bench_contents(cells.only((*cells, *more)), draws=5)
    assert len(contents.cells.models) == 155
    assert len(render_bench(contents).encode("utf-8")) < 1_000_000
    twin, _ = twin_of(contents)
    assert len(json.dumps(twin, separators=(",", ":"))) < 2_000_000


def test_raw_samples_are_left_out_of_a_twin_that_would_be_too_large_and_the_page_says_so(
    contents, monkeypatch, tmp_path
):
    monkeypatch.setattr(page_module, "LARGEST_TWIN", 1000)
    path = bench_report(contents, tmp_path / "report.html")
    twin = BenchContents.from_dict(read_json(path.with_suffix(".json")))
    for slim, cell in zip(twin.cells, contents.cells, strict=True):
        if cell.timing is not None:
            assert slim.timing.samples == (cell.timing.median,)
            assert (slim.timing.low, slim.timing.high) == (cell.timing.low, cell.timing.high)
    assert "raw samples and resamples of the fits are left out" in path.read_text(encoding="utf-8")
    monkeypatch.undo()
    assert twin_of(contents)[1] == ""


def test_nothing_in_the_page_is_asked_for_from_elsewhere(page):
    body = without_scripts(page)
    assert not re.findall(r"""(?:src|href|action|data)=["']?(?:https?:)?//""", body)
    assert not re.findall(r"""url\(|@import""", body)
    assert "default-src 'none'" in page


def test_every_script_that_runs_packed_or_not_has_its_hash_in_the_policy(page):
    policy = re.search(r"script-src ([^;]*);", page)[1]
    plain = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    packed = re.findall(r"<script [^>]*data-packed>(.*?)</script>", page, flags=re.DOTALL)
    scripts = [*plain, *(gzip.decompress(base64.b64decode(each)).decode() for each in packed)]
    assert len(packed) == 4
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.count("sha256-") == len(scripts)


def test_the_answer_comes_before_the_findings_the_figures_the_tables_and_the_making(page):
    marks = ("<h1>", 'id="findings"', 'id="success"', 'id="cells"', 'id="walls"', 'id="table-i"', 'id="how"')
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_answer_counts_architectures_and_says_why_the_others_stop(contents):
    look = Look.at(contents.cells)
    distinct = contents.cells.distinct()
    for length in (128, 512, 1024):
        ran = sum(cell.ok for cell in distinct if cell.workload.length == length)
        assert re.search(
            rf"\*\*{ran}(?: of {len(distinct.models)})?\*\* (?:\w+ run )?at {length}", answers.answer(look)
        )
    assert "end by configuration" in answers.answer(look)
    assert "out of memory" not in answers.answer(look)


def test_a_bench_where_all_models_run_says_that_none_stops():
    cells = example_cells((128, 512), most=3)
    assert (
        answers.answer(Look.at(cells))
        == "**3 of 3** models run at 128 and **3** at 512 tokens; none stops before."
    )


def test_memory_is_blamed_only_where_an_allocator_or_the_kernel_said_so():
    cells = example_cells()
    said = answers.answer(Look.at(cells))
    out = sum(c.state == "allocator_oom" for c in cells.distinct() if c.workload.length == 2048)
    assert f"{out} ran out of memory" in said


def test_without_scripts_every_table_stands_open(page):
    twins = re.findall(r'<details class="twin"[^>]*>', without_scripts(page))
    assert len(twins) > 8
    assert all("open" in twin for twin in twins)


def test_every_column_of_the_five_tables_is_defined(contents):
    made = {part.name: part for part in sections(contents)}
    for number in ("i", "ii", "iii", "iv", "v"):
        part = made[f"table-{number}"]
        titles = {one.title for one in part.definitions}
        assert set(part.table.columns) - {"Category", "Ran"} == titles
        assert all(one.text for one in part.definitions)


def test_text_from_outside_cannot_become_markup(contents):
    bad = '</script><img src=x onerror="alert(1)">'
    cells = list(contents.cells)
    failed = next(index for index, cell in enumerate(cells) if not cell.ok)
    cells[failed] = replace(cells[failed], cause=bad, exception=bad)
    cells[0] = replace(cells[0], model=bad, category=bad)
    hostile = replace(
        contents,
        cells=replace(contents.cells, cells=tuple(cells), title=bad),
        findings=(Finding(code="BEN000", text=bad, hint=bad),),
        facts={bad: bad},
        command=bad,
    )
    page = render_bench(hostile)
    assert "<img" not in page
    assert 'onerror="' not in without_scripts(page)


def test_a_bench_without_cells_or_without_a_cell_that_ran_has_a_page(contents):
    nothing = render_bench(bench_contents(Cells(cells=())))
    assert "no cells" in nothing
    failed = contents.cells.only(cell for cell in contents.cells if not cell.ok)
    page = render_bench(bench_contents(failed))
    assert "BEN090" in page
    assert 'id="cells"' in page
    assert 'id="roofline"' not in page


def test_what_makes_cells_doubtful_is_found_once(contents):
    codes = [finding.code for finding in answers.own_findings(example_cells())]
    assert codes == ["BEN091", "BEN092", "BEN093", "BEN094"]
    quiet = contents.cells.only(c for c in contents.cells if c.model == "gpt2")
    assert answers.own_findings(quiet) == ()


def test_the_facts_tell_machine_threads_libraries_weights_repeats_and_other_load(contents):
    told = facts(contents)
    assert "2 cores" in told["Machine"]
    assert "torch 2.13.0" in told["Libraries"]
    assert told["Weights"].startswith("random for")
    assert told["Repeats"].startswith("15 to 15")
    assert "cells above 10%" in told["Other load"]


def test_the_command_that_repeats_it_is_on_the_page(contents, page):
    assert contents.cells.command in page
    assert "own command" in render_bench(replace(contents, command="own command"))


def test_a_path_that_is_no_page_or_cannot_be_written_is_one_line(contents, tmp_path):
    with pytest.raises(InputError, match=r"report\.txt"):
        bench_report(contents, tmp_path / "report.txt")
    (tmp_path / "file").write_text("here")
    with pytest.raises(WorkError, match="cannot write"):
        bench_report(contents, tmp_path / "file" / "report.html")
