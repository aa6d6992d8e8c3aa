"""The picture of the house as a test: who may import whom, and what no file may hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "scalescope"
FILES = sorted(SOURCE.rglob("*.py"))

BASE = {"deferring", "errors", "units"}
SHARED = BASE | {"executors", "points"}
METERED = SHARED | {"metering"}
FORMULAS = SHARED | {"laws", "cost"}
ALLOWED: dict[str, set[str]] = {
    "deferring": set(),
    "errors": set(),
    "units": {"errors"},
    "executors": BASE,
    "points": BASE | {"executors"},
    "laws": SHARED,
    "cost": SHARED,
    "fitting": FORMULAS,
    "planning": FORMULAS | {"fitting"},
    "deployment": SHARED | {"cost"},
    "reports": FORMULAS | {"fitting", "planning", "deployment"},
    "reproductions": FORMULAS | {"fitting", "planning"},
    "metering": SHARED,
    "corpora": SHARED,
    "training": METERED | {"cost", "corpora"},
    "ledgers": SHARED,
    "studies": METERED | {"cost", "corpora", "training", "ledgers"},
    "inference": METERED | {"cost", "ledgers"},
    "workflow": FORMULAS
    | {
        "fitting",
        "planning",
        "deployment",
        "reports",
        "corpora",
        "training",
        "ledgers",
        "studies",
        "inference",
        "metering",
    },
}
ALLOWED["cli"] = ALLOWED["web"] = FORMULAS | {*ALLOWED, "workflow"} - {"cli", "web"}
"""Room to the rooms below it, itself left out."""

HOMES: dict[str, set[str]] = {
    "scipy": {"fitting", "planning"},
    "torch": {"training", "inference"},
    "transformers": {"inference"},
    "safetensors": {"inference", "training"},
    "ray": {"executors"},
    "codecarbon": {"metering"},
    "pynvml": {"metering"},
    "altair": {"reports"},
    "jinja2": {"reports"},
    "vl_convert": {"reports"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "cyclopts": {"cli"},
    "plotext": {"cli"},
    "rich": {"cli", "workflow"},
}
"""Heavy library to the rooms that may import it."""

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
FORBIDDEN_CALLS = {"print", "eval", "exec", "torch.load", "torch.save", "warnings.warn", "np.load"}
MOST_LINES = 400


def room_of(path: Path) -> str:
    """Name the room of a file: its folder, or its own name at the top."""
    parts = path.relative_to(SOURCE).parts
    return parts[0] if len(parts) > 1 else path.stem


def modules_of(node: ast.AST, path: Path) -> Iterator[str]:
    """Yield every module that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{path}: relative imports hide the room"
        module = node.module or ""
        yield module
        if module == "scalescope":
            yield from (f"scalescope.{alias.name}" for alias in node.names)


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def public_definitions(tree: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Yield what a reader can reach: not what is private, inside a function, or the setter of a property."""
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name.startswith("_"):
            continue
        if any(dotted(decorator).endswith(".setter") for decorator in node.decorator_list):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node)


@dataclass(frozen=True)
class Content:
    """What the rules look at in one file, wherever it stands."""

    imported: tuple[str, ...]
    called: frozenset[str]
    bare_excepts: tuple[int, ...]
    undocumented: tuple[str, ...]


@cache
def content_of(path: Path) -> Content:
    """Read a file once for all rules."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    nodes = list(ast.walk(tree))
    handlers = (node for node in nodes if isinstance(node, ast.ExceptHandler))
    public = (tree, *public_definitions(tree))
    return Content(
        imported=tuple(module for node in nodes for module in modules_of(node, path)),
        called=frozenset(dotted(node.func) for node in nodes if isinstance(node, ast.Call)),
        bare_excepts=tuple(node.lineno for node in handlers if node.type is None),
        undocumented=tuple(getattr(node, "name", "module") for node in public if not ast.get_docstring(node)),
    )


def rooms_imported(path: Path) -> set[str]:
    modules = (module.split(".") for module in content_of(path).imported)
    return {module[1] for module in modules if module[0] == "scalescope" and len(module) > 1}


each_room = pytest.mark.parametrize("room", sorted({room_of(path) for path in FILES}))


def files_of(room: str) -> Iterator[Path]:
    return (path for path in FILES if room_of(path) == room)


def test_every_file_has_a_room_in_the_picture():
    rooms = {room_of(path) for path in FILES} - {"__init__", "__main__"}
    assert rooms <= set(ALLOWED)


def test_the_picture_has_no_cycle():
    for room, below in ALLOWED.items():
        for lower in below:
            assert room not in ALLOWED[lower], f"{room} and {lower} may import each other"


def upward_imports(path: Path) -> Iterator[str]:
    room = room_of(path)
    rooms = {name for name in rooms_imported(path) if name in ALLOWED}
    allowed = {"cli"} if room == "__main__" else ALLOWED[room] | {room}
    yield from (f"{path}: {room} may not import {name}" for name in sorted(rooms - allowed))


def homeless_imports(path: Path) -> Iterator[str]:
    for module in content_of(path).imported:
        library = module.split(".")[0]
        if room_of(path) not in HOMES.get(library, {room_of(path)}) or library in FORBIDDEN_MODULES:
            yield f"{path}: {library} has no business here"


@each_room
def test_imports_point_downwards(room):
    if room == "__init__":
        pytest.skip("the front door names every room, lazily")
    assert not [fault for path in files_of(room) for fault in upward_imports(path)]


@each_room
def test_every_heavy_library_has_one_home(room):
    assert not [fault for path in files_of(room) for fault in homeless_imports(path)]


@each_room
def test_files_are_short(room):
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files_of(room)}
    assert not {path: length for path, length in lengths.items() if length > MOST_LINES}


@each_room
def test_everything_public_says_what_it_is(room):
    assert not [(path, fault) for path in files_of(room) for fault in content_of(path).undocumented]


@each_room
def test_no_file_prints_pickles_or_evaluates(room):
    assert not [
        (path, fault) for path in files_of(room) for fault in content_of(path).called & FORBIDDEN_CALLS
    ]


@each_room
def test_no_except_catches_everything(room):
    assert not [(path, fault) for path in files_of(room) for fault in content_of(path).bare_excepts]


def test_no_file_is_called_after_nothing():
    names = {path.stem for path in FILES}
    assert not names & {"utils", "util", "helpers", "helper", "misc", "common", "manager", "handler"}


def test_a_forbidden_import_would_be_seen(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "SOURCE", tmp_path)
    path = tmp_path / "fitting" / "wrong.py"
    path.parent.mkdir()
    path.write_text("def f():\n    from scalescope.training import model\n    import torch\n")
    assert [fault.split(": ")[1] for fault in upward_imports(path)] == ["fitting may not import training"]
    assert [fault.split(": ")[1] for fault in homeless_imports(path)] == ["torch has no business here"]


def test_what_no_file_may_hold_would_be_seen(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(
        "class A:\n    def f(self):\n        try:\n            print()\n        except:\n            pass\n"
    )
    content = content_of(path)
    assert content.undocumented == ("module", "A", "f")
    assert content.called & FORBIDDEN_CALLS == {"print"}
    assert content.bare_excepts == (5,)


def test_test_files_have_names_of_their_own():
    """Rooms of the tests are no packages, so that two files of one name cannot be collected in one run."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})
