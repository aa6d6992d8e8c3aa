"""Writes docs/reference.md from the code, and renews the outputs that other pages show.

    python docs/reference.py

A shown output stands below `<!-- output: COMMAND -->` or `<!-- output, first N lines: COMMAND -->` (or
last), a file that commands read below `<!-- file: NAME -->`. Numbers may differ in their last digit between
machines, so renew on purpose and read the difference.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import scalescope
from scalescope import deployment, fitting, planning, points, reports, reproductions
from scalescope.cli import main as command_line
from scalescope.cli.app import build
from scalescope.cli.overview import GROUPS
from scalescope.corpora import built
from scalescope.fitting import multipliers
from scalescope.points import COLUMNS
from scalescope.reports import levers

HERE = Path(__file__).parent
PAGES = (HERE.parent / "README.md", *sorted(HERE.rglob("*.md")))
BLOCK = re.compile(
    r"<!-- (?:(?P<file>file)|output(?:, (?P<end>first|last) (?P<lines>\d+) lines)?): (?P<what>[^\n]*) -->\n"
    r"```[a-z]*\n(?P<body>.*?)```",
    re.DOTALL,
)
RESULTS: dict[str, tuple[ModuleType, tuple[str, ...]]] = {
    "points": (
        points,
        (
            *("Runs", "Estimate", "Finding", "Provenance"),
            *("Cells", "Cell", "Workload", "Timing", "Load", "Memory", "Energy", "Expectation"),
            "BenchMachine",
        ),
    ),
    "fitting": (
        fitting,
        (
            *("Fit", "Criterion", "Restraints", "Prior", "Parabola", "Certificate", "Holdout"),
            *("Comparison", "Approaches", "Extrapolation", "Profile", "Identification"),
        ),
    ),
    "multipliers": (
        multipliers,
        ("Multipliers", "Lever", "MultiplierPoint", "MatchedPair", "Frontier", "SeedNoise", "SharingTest"),
    ),
    "corpora": (built, ("BuiltCorpus",)),
    "planning": (
        planning,
        ("Forecast", "Plan", "Allocation", "Penalty", "Advice", "Diagnosis", "NextRun"),
    ),
    "deployment": (
        deployment,
        (
            *("BenchTables", "BenchTable", "Shares", "Scaling", "ScalingFit", "MemoryWall"),
            *("Walls", "Recommendation", "Option", "Strategies", "Strategy"),
            *("BenchDifference", "CellDifference", "Audit"),
        ),
    ),
    "reports": (reports, ("Contents",)),
    "levers": (levers, ("LeverContents",)),
    "reproductions": (reproductions, ("Reproduction", "Row")),
}
"""What crosses the doors, by room."""
READERS = {"_read_bytes": "BYTES", "_read_seconds": "TIME"}
"""What an option takes, by the function that reads it."""


def page() -> str:
    """Return the whole reference."""
    lines = [
        "# Reference",
        "",
        "Made by `python docs/reference.py` from the code; do not edit.",
        "",
        "- [Commands](#commands): " + ", ".join(f"[{verb}](#scalescope-{verb})" for verb in _verbs()),
        "- [Python](#python): the public names",
        "- [Results](#results): what they return, field by field",
        "- [States of cells](#states-of-cells)",
        "- [Columns of runs](#columns-of-runs)",
        "",
        "## Commands",
        "",
        "`--json` prints a whole result under its `schema` key. Exit code 0: done; 1: not done, or doubtful",
        "under `--strict`; 2: the input cannot be used; 130: interrupted.",
        *(line for verb in _verbs() for line in _command(verb)),
        "",
        "## Python",
        "",
        *(line for name in scalescope.__all__ for line in _public(name)),
        "## Results",
        "",
        "Those with a schema go to JSON and back by `to_dict()` and `from_dict()`; all these but `Cells` and",
        "contents of reports also have `summary()`, text for a terminal; results of fits and plans have",
        "`frame()` too, tidy rows for a data frame.",
        "The others are parts of them.",
        "",
        *(
            line
            for module, names in RESULTS.values()
            for name in names
            for line in _result(getattr(module, name))
        ),
        "## States of cells",
        "",
        "How a cell of a bench can end; [bench.md](bench.md#how-a-cell-ends) says what each rests on.",
        "",
        "| state | meaning |",
        "| --- | --- |",
        *(f"| `{state}` | {_cell(meaning)} |" for state, meaning in points.STATES.items()),
        "",
        "## Columns of runs",
        "",
        "In base units. A table needs the columns of its law: what it reads and what it predicts. Of size,",
        "tokens and compute the third follows from the other two.",
        "",
        "| column | holds | unit |",
        "| --- | --- | --- |",
        *(f"| `{name}` | {one.meaning} | {one.unit or '–'} |" for name, one in COLUMNS.items()),
    ]
    return "\n".join(lines) + "\n"


def _verbs() -> list[str]:
    return [verb for group in GROUPS.values() for verb in group]


def _command(verb: str) -> Iterator[str]:
    """Help of one command and of those under it."""
    app = build()[verb]
    yield from _one_command(app, verb)
    for name in app:
        if not name.startswith("-"):
            yield from _one_command(app[name], f"{verb} {name}")


def _one_command(app: Any, verb: str) -> Iterator[str]:
    """Help of one command: what its docstring says, then a row for everything it takes."""
    arguments = [
        one
        for one in app.assemble_argument_collection(parse_docstring=True)
        if one.show and one.names != ("*",)
    ]
    things = [one for one in arguments if not one.name.startswith("--")]
    usage = " ".join(one.name if one.required else f"[{one.name}]" for one in things)
    yield from (
        "",
        f"### scalescope {verb}",
        "",
        f"    scalescope {verb} {usage}".rstrip() + " [--option value ...]",
    )
    yield ""
    yield _prose(inspect.getdoc(app.default_command) or "")
    yield from ("", "| takes | meaning |", "| --- | --- |")
    for one in [*things, *(one for one in arguments if one not in things)]:
        yield f"| `{_cell(_name(one))}` | {_cell(_meaning(one))} |"


def _name(argument: Any) -> str:
    kind = argument.hint
    if kind is bool or not argument.name.startswith("--"):
        return str(argument.name)
    for one in (kind, *get_args(kind)):
        if get_origin(one) is Literal:
            return f"{argument.name} {'|'.join(get_args(one))}"
    return f"{argument.name} {_unit(argument)}"


def _unit(argument: Any) -> str:
    if (reader := getattr(argument.parameter.converter, "__name__", "")) in READERS:
        return READERS[reader]
    text = str(argument.hint)
    for word, shown in (("Path", "PATH"), ("tuple", "TEXT"), ("str", "TEXT"), ("int", "INTEGER")):
        if word in text:
            return shown
    return "NUMBER"


def _meaning(argument: Any) -> str:
    text = " ".join((argument.parameter.help or "").split())
    if argument.required:
        text += " Required."
    default = argument.field_info.default
    if argument.hint is not bool and default not in (None, (), inspect.Parameter.empty):
        text += f" Default: `{','.join(default) if isinstance(default, tuple) else default}`."
    return text


def _public(name: str) -> Iterator[str]:
    """Signature and first paragraph of a public name."""
    value = getattr(scalescope, name)
    yield from (f"### `scalescope.{name}`", "")
    if name == "__version__":
        yield from ("The version that is installed.", "")
        return
    docstring = inspect.getdoc(value) or ""
    if inspect.isfunction(value):
        yield from ("```text", _signature(name, value), "```", "")
    yield from (_prose(docstring).split("\n\n")[0], "")
    described = _described(docstring)
    if described:
        yield from ("| parameter | meaning |", "| --- | --- |")
        yield from (f"| `{name}` | {_cell(meaning)} |" for name, meaning in described)
        yield ""


def _described(docstring: str) -> list[tuple[str, str]]:
    """Name and meaning of what the section Parameters of a docstring lists."""
    found = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-{3,}|\Z)", docstring, re.MULTILINE | re.DOTALL)
    entries = re.split(r"^(?=\S)", found[1], flags=re.MULTILINE) if found else []
    pairs = [entry.partition("\n") for entry in entries if entry.strip()]
    return [(name.strip(), " ".join(text.split())) for name, _, text in pairs]


def _signature(name: str, function: Any) -> str:
    """A signature as it is written, one parameter a line where it is long."""
    signature = inspect.signature(function)
    parts: list[str] = []
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = "" if one.default is one.empty else f" = {_default(one.default)}"
        parts.append(f"{one.name}: {one.annotation}{default}")
    flat = f"{name}({', '.join(parts)}) -> {signature.return_annotation}"
    if len(flat) <= 100:
        return flat
    lines = "".join(f"    {part},\n" for part in parts)
    return f"{name}(\n{lines}) -> {signature.return_annotation}"


def _default(value: Any) -> str:
    if inspect.isfunction(value):  # written with its address, which is another one every time
        return "..."
    return f'Path("{value}")' if isinstance(value, Path) else repr(value).replace("'", '"')


def _result(kind: type) -> Iterator[str]:
    """Docstring and fields of a dataclass that crosses a door."""
    notes = _notes(kind)
    schema = getattr(kind, "schema", "")
    yield from (f"### `{kind.__name__}`", "", _prose(inspect.getdoc(kind) or ""), "")
    if schema:
        yield from (f"Schema `{schema}`.", "")
    yield from ("| field | type | meaning |", "| --- | --- | --- |")
    for field in fields(kind):
        yield f"| `{field.name}` | `{_cell(str(field.type))}` | {_cell(notes.get(field.name, ''))} |"
    yield ""


def _notes(kind: type) -> dict[str, str]:
    """The strings that stand below the fields of a class."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: " ".join(note.value.value.split())
        for field, note in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(note, ast.Expr)
        and isinstance(note.value, ast.Constant)
        and isinstance(note.value.value, str)
    }


def _prose(docstring: str) -> str:
    """A docstring up to its first section, without what only Sphinx reads."""
    text = re.split(r"\n\w[\w ]*\n-{3,}", docstring)[0].strip()
    text = re.sub(r":math:`([^`]*)`", r"`\1`", text).replace("``", "`")
    return re.sub(r"::\n\n((?: +.*\n?|\n)+)", lambda found: f"\n\n{found[1]}", text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def run_command(command: str, files: dict[str, str]) -> str:
    """Run a command in a folder that holds `files`; what it writes on both streams, in order."""
    words = shlex.split(command)
    assert words[0] == "scalescope", command
    written = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for name, body in files.items():
            Path(name).write_text(body, encoding="utf-8")
        with redirect_stdout(written), redirect_stderr(written):
            command_line(words[1:])
    return written.getvalue()


def shown_files(text: str) -> dict[str, str]:
    """The files that a page shows, by name."""
    return {found["what"]: found["body"] for found in BLOCK.finditer(text) if found["file"]}


def shown_outputs(text: str) -> Iterator[tuple[str, str, str]]:
    """Command, shown output and real output of every block of a page."""
    files = shown_files(text)
    for found in BLOCK.finditer(text):
        if not found["file"]:
            yield found["what"], found["body"], _real(found, files)


def renewed(text: str) -> str:
    """Return a page with the outputs that its commands have now."""
    files = shown_files(text)

    def renew(found: re.Match[str]) -> str:
        if found["file"]:
            return found[0]
        return found[0].removesuffix(found["body"] + "```") + _real(found, files) + "```"

    return BLOCK.sub(renew, text)


def _real(found: re.Match[str], files: dict[str, str]) -> str:
    return real_output(found["what"], files, found["end"], found["lines"])


def real_output(command: str, files: dict[str, str], end: str | None, lines: str | None) -> str:
    """What a command writes, or its first or last lines."""
    every = run_command(command, files).splitlines(keepends=True)
    if end is None or lines is None:
        return "".join(every)
    return "".join(every[: int(lines)] if end == "first" else every[-int(lines) :])


def main() -> None:
    """Write the reference and renew the other pages."""
    (HERE / "reference.md").write_text(page(), encoding="utf-8")
    for path in PAGES:
        text = path.read_text("utf-8")
        if (new := renewed(text)) != text:
            path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
