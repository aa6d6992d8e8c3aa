from __future__ import annotations

import subprocess
import sys

import pytest

import scalescope

HEAVY = (
    "numpy",
    "scipy",
    "torch",
    "ray",
    "altair",
    "jinja2",
    "pyarrow",
    "narwhals",
    "msgspec",
    "cyclopts",
    "rich",
)


def modules_after(code):
    """Names of the modules that a fresh interpreter holds after running `code`."""
    shown = f"{code}\nimport sys\nsys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", shown], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.split())


def test_importing_the_package_imports_no_library():
    assert not modules_after("import scalescope; dir(scalescope)") & set(HEAVY)


@pytest.mark.parametrize("words", [["--help"], [], ["-h"]])
def test_the_first_screen_imports_no_library(words):
    assert not modules_after(f"from scalescope.cli import main; main({words})") & set(HEAVY)


def test_the_help_of_a_verb_imports_no_numpy():
    code = "from scalescope.cli import main\nmain(['fit', '--help'])"
    assert not modules_after(code) & {"numpy", "scipy", "torch", "altair"}


def test_reading_runs_imports_neither_scipy_nor_torch_nor_charts():
    assert not modules_after("import scalescope; scalescope.load_runs") & {"scipy", "torch", "ray", "altair"}


def test_every_public_name_is_there():
    for name in scalescope.__all__:
        assert getattr(scalescope, name) is not None, name
        assert name in dir(scalescope)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        scalescope.fitt  # noqa: B018
