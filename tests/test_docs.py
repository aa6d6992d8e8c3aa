"""What the pages say is what the code does: names, codes, options, outputs, links, code blocks."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import get_args
from urllib.parse import urlsplit

import pytest
from cyclopts import CycloptsError

import scalescope
from scalescope.cli.app import build
from scalescope.cli.overview import VERBS
from scalescope.cost.parts import MIXERS
from scalescope.inference.registry import list_models
from scalescope.laws import FAMILIES, LAWS, get_law
from scalescope.points import COLUMNS, read_cells
from scalescope.points.bench import STATES
from scalescope.training.levers import LEVERS, Variant, apply_lever
from scalescope.training.trial_settings import TaskName

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "scalescope"
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in PAGES}

FENCED = re.compile(
    r"(?:<!-- not run:(?P<reason>[^\n]*) -->\n)?^```(?P<kind>\w*)\n(?P<body>.*?)^```", re.M | re.S
)
TASKS = get_args(TaskName)
CODE = re.compile(r"[A-Z]{3}[0-9]{3}")
HOSTS = {"arxiv.org", "doi.org", "github.com", "kellerjordan.github.io"}
"""Where pages may point: papers, and what they are cited from."""
LOCAL = re.compile(r"(?<![\w.:/])/(?:work|home|root|tmp|usr|opt|mnt|var)/|\.\./shared")
ADDRESS = re.compile(r"https://\S+")
"""A thread of a public project may be a source."""
ORGANISATION = re.compile(r"\b(?:issues?|helpers?|agents?|todo|fixme)\b", re.I)


def script(name: str) -> ModuleType:
    """Load a script that lies beside the pages."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = script("reference")
BENCHMARKS = script("benchmarks")
LAW_PAGES = script("laws")
REPRODUCTIONS = script("reproductions")
AUDIT = script("audit")
WALL = script("wall")
LEVERS_PAGE = script("levers")
STUDIES_PAGE = script("studies")
OUTPUTS = [
    pytest.param(text, number, id=f"{page}: {found['what']}")
    for page, text in TEXTS.items()
    for number, found in enumerate(found for found in REFERENCE.BLOCK.finditer(text) if not found["file"])
]


class TestReference:
    def test_it_is_what_the_code_gives(self):
        assert TEXTS["docs/reference.md"] == REFERENCE.page(), "run python docs/reference.py"

    @pytest.mark.parametrize("verb", VERBS)
    def test_every_command_and_each_of_its_options_is_in_it(self, verb):
        section = TEXTS["docs/reference.md"].split(f"### scalescope {verb}\n")[1].split("\n#")[0]
        for argument in build()[verb].assemble_argument_collection(parse_docstring=True):
            if argument.show and argument.names != ("*",):
                assert re.search(rf"^\| `{re.escape(argument.name)}[ `][^\n]*\| \S", section, re.M), (
                    argument.name
                )

    @pytest.mark.parametrize("name", scalescope.__all__)
    def test_every_public_name_is_in_it_and_explained(self, name):
        section = TEXTS["docs/reference.md"].split(f"### `scalescope.{name}`\n")[1].split("\n#")[0]
        prose = re.sub(r"```text.*?```", "", section, flags=re.S).strip()
        assert len(prose.split()) > 3

    def test_every_column_of_runs_is_in_it(self):
        section = TEXTS["docs/reference.md"].split("## Columns of runs\n")[1]
        assert re.findall(r"^\| `(\w+)` \|", section, re.M) == list(COLUMNS)


@cache
def codes_made() -> dict[str, dict[str, set[str]]]:
    """Finding code to file to the functions of that file that make it."""
    made: dict[str, dict[str, set[str]]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for code, function in _codes(ast.parse(path.read_text("utf-8")), "module"):
            made.setdefault(code, {}).setdefault(path.relative_to(SOURCE).as_posix(), set()).add(function)
    return made


def _codes(node: ast.AST, function: str) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.BinOp, ast.Compare)):  # a code that is looked for is not made
            continue
        if isinstance(child, ast.Constant) and isinstance(child.value, str) and CODE.fullmatch(child.value):
            yield child.value, function
        inside = child.name if isinstance(child, (ast.FunctionDef, ast.ClassDef)) else function
        yield from _codes(child, inside)


def codes_documented() -> list[tuple[str, str, str, set[str]]]:
    """Code, meaning, advice and files of every row of the page of findings."""
    rows = re.findall(r"^\| ([A-Z]{3}\d{3}) \| (.*?) \| (.*?) \| (.*?) \|$", TEXTS["docs/findings.md"], re.M)
    return [(code, says, do, set(re.findall(r"`([^`]+)`", files))) for code, says, do, files in rows]


class TestFindings:
    def test_every_code_of_the_source_is_documented_and_no_other(self):
        assert sorted(code for code, *_ in codes_documented()) == sorted(codes_made())

    def test_every_code_has_one_meaning_and_advice(self):
        rows = codes_documented()
        assert all(says.strip() and do.strip() for _, says, do, _ in rows)
        assert len({says for _, says, _, _ in rows}) == len(rows)

    def test_every_code_is_made_where_its_row_says_and_nowhere_else(self):
        made = codes_made()
        for code, _, _, files in codes_documented():
            assert set(made[code]) == files, code

    def test_no_file_makes_a_code_in_two_places_that_could_mean_two_things(self):
        twice = {
            (code, file): functions
            for code, files in codes_made().items()
            for file, functions in files.items()
            if len(functions) > 1
        }
        assert not twice

    def test_every_finding_has_a_code_that_this_file_can_see(self):
        for path in SOURCE.rglob("*.py"):
            tree = ast.parse(path.read_text("utf-8"))
            for call in ast.walk(tree):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Finding":
                    given = {word.arg: word.value for word in call.keywords}
                    if None in given:  # read back from where findings are kept
                        continue
                    literal = isinstance(given["code"], ast.Constant)
                    assert literal or any(_codes(tree, "")), f"{path}:{call.lineno}"

    @pytest.mark.parametrize("page", TEXTS)
    def test_pages_name_only_codes_that_exist(self, page):
        named = re.findall(r"\b(?:RUN|FIT|PLN|REP|COR|STU|TRN|WFL|BEN)\d{3}\b", TEXTS[page])
        assert set(named) <= set(codes_made())


NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def last_digit(number: str) -> float:
    """What one unit of the last significant digit is worth: 0.01 of 1.80, 10 of 2,120."""
    whole, _, decimals = number.replace(",", "").partition(".")
    zeros = len(whole) - len(whole.rstrip("0")) if "," in number else 0
    return 10.0 ** (-len(decimals) if decimals else zeros)


ROUNDING = re.compile(r"\b\d(?:\.\d+)?e-(?:0?[89]|[1-9]\d)\b")
"""A number below 1e-7, such as the gradient that a solver leaves at an optimum."""


def alike(shown: str, real: str) -> bool:
    """Whether two texts are equal but for a unit in the last digit of numbers: machines round differently.

    What is left of a gradient is rounding itself: that both are tiny is enough.
    """
    shown, real = ROUNDING.sub("tiny", shown), ROUNDING.sub("tiny", real)
    if NUMBER.sub("#", shown) != NUMBER.sub("#", real):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(real), strict=True)
    return all(
        abs(float(one.replace(",", "")) - float(other.replace(",", "")))
        <= 1.001 * max(last_digit(one), last_digit(other))
        for one, other in pairs
    )


class TestShownOutput:
    def test_the_comparison_sees_a_changed_word_and_a_changed_digit(self):
        assert alike("E 1.80 [1.72, 1.82]\nB 2,120", "E 1.81 [1.72, 1.82]\nB 2,130")
        assert not alike("E 1.80", "E 1.82")
        assert not alike("B 2,120", "B 2,140")
        assert not alike("20 runs", "22 runs")
        assert not alike("E 1.80", "K 1.80")
        assert alike("gradient norm 1.2e-11", "gradient norm 9e-10")
        assert not alike("gradient norm 1.2e-11", "gradient norm 1.2e-05")
        assert not alike("rate 0.0005 to 5e-5", "rate 0.0005 to 7e-5")

    @pytest.mark.parametrize(("text", "number"), OUTPUTS)
    def test_it_is_what_the_command_writes(self, text, number):
        found = [found for found in REFERENCE.BLOCK.finditer(text) if not found["file"]][number]
        if found["what"].startswith("scalescope study") and find_spec("torch") is None:
            pytest.skip("needs the extra train")
        files = REFERENCE.shown_files(text)
        real = REFERENCE.real_output(found["what"], files, found["end"], found["lines"])
        assert real
        assert alike(found["body"], real), f"{real}\nrun python docs/reference.py and read the difference"

    def test_no_block_of_output_is_pasted_by_hand(self):
        for page, text in TEXTS.items():
            if page != "docs/reference.md":
                rest = LAW_PAGES.RUN.sub("", REFERENCE.BLOCK.sub("", text))
                assert "```text" not in rest, page
                assert "```console" not in rest, page

    def test_the_truth_of_the_tutorials_table_is_inside_the_intervals_it_shows(self):
        body = next(
            found["body"]
            for found in REFERENCE.BLOCK.finditer(TEXTS["docs/tutorial.md"])
            if found["what"] == "scalescope fit runs.csv"
        )
        told = re.search(r"The truth is (.*?): inside every interval", TEXTS["docs/tutorial.md"])
        truth = {name: float(value) for name, value in re.findall(r"(\w+) ([\d.]+)", told[1])}
        published = get_law("chinchilla").published["epoch2024"].coefficients
        assert truth == pytest.approx(dict(published), rel=2e-3)
        for name, value in truth.items():
            low, high = re.search(rf"^  {name} .*\[(.*), (.*)\]", body, re.M).groups()
            assert float(low.replace(",", "")) <= value <= float(high.replace(",", "")), name


def slug(heading: str) -> str:
    """The anchor of a heading, as repositories' sites make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def links(text: str) -> list[str]:
    """What a page points at, blocks of code left out."""
    return re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text))


class TestLinks:
    @pytest.mark.parametrize("page", TEXTS)
    def test_every_relative_link_and_anchor_exists(self, page):
        for link in links(TEXTS[page]):
            if urlsplit(link).scheme:
                continue
            path, _, anchor = link.partition("#")
            target = (ROOT / page).parent / path if path else ROOT / page
            assert target.is_file(), link
            if anchor:
                headings = re.findall(r"^#+ (.*)$", FENCED.sub("", target.read_text("utf-8")), re.M)
                assert anchor in map(slug, headings), link

    @pytest.mark.parametrize("page", TEXTS)
    def test_addresses_are_those_of_papers(self, page):
        addresses = re.findall(r"https?://[^\s)\]>`\"']+", TEXTS[page])
        assert {urlsplit(address).hostname for address in addresses} <= HOSTS

    def test_every_page_is_reached_from_the_first(self):
        seen, waiting = set(), ["README.md"]
        while waiting:
            page = waiting.pop()
            if page in seen or page not in TEXTS:
                continue
            seen.add(page)
            folder = (ROOT / page).parent
            targets = [link.partition("#")[0] for link in links(TEXTS[page]) if not urlsplit(link).scheme]
            waiting += [(folder / one).resolve().relative_to(ROOT).as_posix() for one in targets if one]
        assert seen == set(TEXTS)

    @pytest.mark.parametrize("page", TEXTS)
    def test_no_page_speaks_of_this_machine_or_of_how_it_was_made(self, page):
        assert not LOCAL.search(TEXTS[page])
        assert not ORGANISATION.search(ADDRESS.sub("", TEXTS[page]))


PYTHON = [
    pytest.param(found["body"], id=f"{page}-{number}")
    for page, text in TEXTS.items()
    for number, found in enumerate(FENCED.finditer(text))
    if found["kind"] == "python" and found["reason"] is None and not page.startswith("docs/laws/")
]
"""Blocks that stand for themselves; those of the pages of laws are run by `TestLawPages`."""


class TestPythonBlocks:
    @pytest.mark.parametrize("body", PYTHON)
    def test_it_runs(self, body, tmp_path, monkeypatch):
        for name, content in REFERENCE.shown_files(TEXTS["docs/tutorial.md"]).items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        exec(compile(body, "block", "exec"), {"__name__": "block"})

    def test_a_block_that_is_not_run_says_why_and_is_python_all_the_same(self):
        excluded = [
            found for text in TEXTS.values() for found in FENCED.finditer(text) if found["reason"] is not None
        ]
        for found in excluded:
            assert found["reason"].strip()
            ast.parse(found["body"])


def shell_lines() -> list[tuple[str, list[str]]]:
    """Page and words of every line that stands in an indented or fenced block for a shell."""
    lines: list[tuple[str, list[str]]] = []
    for page, text in TEXTS.items():
        if page == "docs/reference.md":  # its lines are usages
            continue
        fenced = [
            found["body"] for found in FENCED.finditer(text) if found["kind"] in ("sh", "bash", "shell")
        ]
        indented = re.findall(r"^ {4}(\S.*)$", FENCED.sub("", text), re.M)
        lines += [
            (page, shlex.split(line, comments=True))
            for line in [*"".join(fenced).splitlines(), *indented]
            if line.split()[0] in ("scalescope", "make", "pip", "python")
        ]
    return lines


def commands(program: str) -> list[object]:
    return [
        pytest.param(words[1:], id=f"{page}: {shlex.join(words)}")
        for page, words in shell_lines()
        if words[0] == program
    ]


class TestShellBlocks:
    @pytest.mark.parametrize("words", commands("scalescope"))
    def test_the_command_line_is_understood(self, words):
        try:
            build().parse_args(words, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            pytest.fail(str(error))

    def test_a_line_with_an_unknown_option_would_not_be_understood(self):
        with pytest.raises(CycloptsError):
            build().parse_args(["fit", "runs.csv", "--lwa", "kaplan"], exit_on_error=False, print_error=False)

    @pytest.mark.parametrize("page", TEXTS)
    def test_commands_inside_sentences_name_verbs_and_options_that_exist(self, page):
        for span in re.findall(r"`(scalescope [^`]+)`", FENCED.sub("", TEXTS[page])):
            words = span.split()[1:]
            if words[0] in ("VERB", "--help", "--version"):
                continue
            assert words[0] in VERBS, span
            arguments = build()[words[0]].assemble_argument_collection(parse_docstring=True)
            known = {name for argument in arguments for name in argument.names} | {"--help"}
            assert {word for word in words if word.startswith("--")} <= known, span

    @pytest.mark.parametrize("words", commands("make"))
    def test_the_target_is_in_the_makefile(self, words):
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text("utf-8"), re.M)

    @pytest.mark.parametrize("words", commands("python"))
    def test_the_script_is_there(self, words):
        assert (ROOT / words[0]).is_file()

    def test_extras_that_pages_install_exist(self):
        known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
            "optional-dependencies"
        ]
        named = {
            extra
            for text in TEXTS.values()
            for extras in re.findall(r"(?:'\.|scalescope)\[([\w,]+)\]", text)
            for extra in extras.split(",")
        }
        assert "train" in named
        assert named <= set(known)


class TestLawPages:
    def test_every_family_has_a_page_and_there_is_no_other(self):
        assert sorted(path.stem for path in (DOCS / "laws").glob("*.md")) == sorted(FAMILIES)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_its_tables_and_what_its_examples_print_are_current(self, family):
        text = TEXTS[f"docs/laws/{family}.md"]
        real = LAW_PAGES.renewed(text, family)
        assert alike(text, real), f"{real}\nrun python docs/laws.py and read the difference"

    @pytest.mark.parametrize("family", FAMILIES)
    def test_it_fits_or_evaluates_a_law_of_the_family_and_draws_one(self, family):
        text = TEXTS[f"docs/laws/{family}.md"]
        own = {law.name for law in LAWS.values() if law.family == family}
        code = "\n".join(found["code"] for found in LAW_PAGES.RUN.finditer(text))
        assert any(f'"{name}' in code for name in own)
        assert all(found["printed"].strip() for found in LAW_PAGES.RUN.finditer(text))
        drawn = re.search(r"<!-- output, last \d+ lines: scalescope laws ([\w-]+) -->\n```text\ndrawn", text)
        assert drawn
        assert drawn[1] in own

    def test_a_changed_table_or_output_would_be_seen(self):
        text = TEXTS["docs/laws/allocation.md"]
        table = text.replace("| `isoflop` |", "| `isoflops` |", 1)
        assert table != text
        assert not alike(table, LAW_PAGES.renewed(table, "allocation"))

    def test_the_decision_table_names_every_law_and_no_other(self):
        named = set(re.findall(r"`([a-z][a-z0-9-]+)`", TEXTS["docs/which-law.md"])) - {"fit"}
        assert {get_law(name).family for name in named} == set(FAMILIES)
        assert set(LAWS) <= named

    def test_the_first_page_counts_the_laws(self):
        assert f"{len(LAWS)} laws by question" in TEXTS["README.md"]

    def test_the_decision_table_sends_every_law_to_the_page_of_its_family(self):
        for row in re.findall(r"^\| .*\]\(laws/.*$", TEXTS["docs/which-law.md"], re.M):
            cell = row.split(" | ")[2]
            names = [name for name in re.findall(r"`([a-z][a-z0-9-]+)`", cell) if name in LAWS]
            assert names
            assert re.findall(r"\(laws/([\w-]+)\.md\)", cell) == [LAWS[names[0]].family], row


class TestReproductionPage:
    def test_it_is_what_the_kept_results_give(self):
        page = TEXTS["docs/reproductions.md"]
        assert page == REPRODUCTIONS.page(REPRODUCTIONS.kept()), "run python docs/reproductions.py"

    def test_every_reproduction_was_made(self):
        assert list(REPRODUCTIONS.kept()) == list(REPRODUCTIONS.NAMES)

    def test_the_traps_quote_the_kept_results(self):
        page = TEXTS["docs/traps.md"]
        assert page == REPRODUCTIONS.with_optima(page, REPRODUCTIONS.kept()), (
            "run python docs/reproductions.py"
        )

    @pytest.mark.shared
    @pytest.mark.parametrize("name", ["counting", "gemstones", "isoflop-bias", "tables"])
    def test_the_kept_results_are_those_of_the_tables(self, name):
        folder = ROOT / "../shared/laws/data"
        if not folder.is_dir():
            pytest.skip("the published tables are not here")
        made = scalescope.reproduce(name, data=folder)
        kept = REPRODUCTIONS.kept()[name]
        assert [(row.what, row.holds) for row in made.rows] == [(row.what, row.holds) for row in kept.rows]


class TestPagesOfTheBench:
    def test_the_audit_is_that_of_the_bundled_tables(self):
        page = AUDIT.write_page(AUDIT.registry_limits())
        assert page == TEXTS["docs/studied.md"], "run python docs/audit.py"

    def test_the_page_on_the_wall_is_what_the_kept_cells_give(self):
        page = WALL.page(read_cells(WALL.CELLS), read_cells(WALL.HALVED))
        assert page == TEXTS["docs/wall-at-2048.md"], "run python docs/wall.py"

    @pytest.mark.parametrize("name", ["CELLS", "HALVED"])
    def test_every_kept_cell_has_a_state_and_every_other_than_ok_a_cause(self, name):
        cells = read_cells(getattr(WALL, name))
        core = {model.name for model in list_models(set="core")}
        assert {cell.model for cell in cells} == core
        assert [cell.key for cell in cells if cell.state not in STATES] == []
        assert [cell.key for cell in cells if not cell.ok and not cell.cause] == []


class TestLeversPage:
    def test_its_tables_are_those_of_the_code(self):
        page = TEXTS["docs/levers.md"]
        assert page == LEVERS_PAGE.renewed(page), "run python docs/levers.py"

    def test_studies_are_told_as_their_reports_have_them(self):
        page = TEXTS["docs/studies.md"]
        assert page == STUDIES_PAGE.renewed(page), "run python docs/studies.py"

    def test_every_mixer_and_task_has_a_row_on_the_page_of_families(self):
        rows = set(re.findall(r"^\| `([\w-]+)` \|", TEXTS["docs/families.md"], re.M))
        assert {*MIXERS, *TASKS} <= rows

    def test_examples_of_values_can_be_read(self):
        for lever in LEVERS.values():
            for value in lever.example.split(","):
                apply_lever(lever.name, value, Variant())


class TestNumbers:
    @pytest.mark.parametrize("page", ["docs/benchmarks.md", "docs/protocol.md", "docs/uncertainty.md"])
    def test_they_are_those_of_the_results_and_of_the_code(self, page):
        assert BENCHMARKS.renewed(TEXTS[page]) == TEXTS[page], "run python docs/benchmarks.py"

    def test_every_block_stands_on_one_page(self):
        shown = [
            found[2]
            for path in BENCHMARKS.PAGES
            for found in BENCHMARKS.MARKED.finditer(path.read_text("utf-8"))
        ]
        assert sorted(shown) == sorted(BENCHMARKS.BLOCKS)

    def test_without_results_it_says_so(self, tmp_path):
        page = "<!-- begin rates -->\nold\n<!-- end rates -->\n"
        assert "Not measured yet." in BENCHMARKS.renewed(page, tmp_path)

    def test_a_result_appears_and_renewing_again_changes_nothing(self, tmp_path):
        line = {
            "benchmark": "recipe",
            "figure": "rates",
            "width": 32,
            "n_layers": 2,
            "tokens": 400_000,
            "rates": [0.5, 1.0, 2.0],
            "losses": [2.1234, 2.0, 2.2],
            "best_rate": 0.98,
            "excess_at_smallest_rungs_rate": 0.0123,
            "excess_at_default_rate": 0.004,
            "machine": "a machine",
        }
        (tmp_path / "recipe.jsonl").write_text(json.dumps(line) + "\n")
        page = BENCHMARKS.renewed("<!-- begin rates -->\n<!-- end rates -->\n", tmp_path)
        assert "| 32 x 2 | 400k | 2.123 | 2.000 | 2.200 | 0.98x | 0.0123 | 0.0040 |" in page
        assert BENCHMARKS.renewed(page, tmp_path) == page

    def test_a_benchmark_it_does_not_know_gets_a_table_all_the_same(self, tmp_path):
        (tmp_path / "new.jsonl").write_text(
            '{"benchmark": "new", "size": 25000, "ratio": 1.3, "machine": "m"}\n'
        )
        page = BENCHMARKS.renewed("<!-- begin others -->\n<!-- end others -->\n", tmp_path)
        assert "### new" in page
        assert "| 25000 | 1.30 |" in page
