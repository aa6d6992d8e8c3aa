from __future__ import annotations

import inspect

import pytest

from scalescope import errors
from scalescope.errors import InputError, MissingExtraError, ScalescopeError, WorkError, nearest

OURS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, ScalescopeError) and kind is not ScalescopeError
]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_error_says_which_exit_code_it_means(kind):
    assert kind.exit_code == (2 if issubclass(kind, InputError) else 1)
    assert issubclass(kind, ValueError if issubclass(kind, InputError) else RuntimeError)


def test_an_error_keeps_its_hint():
    error = WorkError("the disk is full", hint="Free some space.")
    assert str(error) == "the disk is full"
    assert error.hint == "Free some space."


def test_a_missing_extra_says_how_to_get_it():
    error = MissingExtraError("pyarrow", "parquet")
    assert "pyarrow" in str(error)
    assert error.hint == "pip install 'scalescope[parquet]'"


def test_close_names_are_suggested():
    assert nearest("chinchila", ["chinchilla", "kaplan"]) == "Did you mean chinchilla?"


def test_all_names_are_told_when_none_is_close():
    assert nearest("xyz", ["kaplan", "chinchilla"]) == "Known: chinchilla, kaplan."
