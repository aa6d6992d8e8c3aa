from __future__ import annotations

from pathlib import Path

import pytest

from scalescope.errors import InputError
from scalescope.studies.config import request_from
from scalescope.units import Budget

TEXT = """
budget = "20m"
context = 64
task = "next-token"
max_epochs = 16

[recipe]
schedule = "cosine"
clip = 0
rates.matrix = 0.02

[shape]
attention = "window+full"
qk_norm = true

[vary]
optimizer = ["adamw", "muon"]
"""


@pytest.fixture
def read(tmp_path):
    def call(text=TEXT, **given):
        path = tmp_path / "study.toml"
        path.write_text(text)
        return request_from(given, path)

    return call


def test_a_file_gives_settings_recipe_shapes_and_what_is_varied(read):
    settings = read().settings()
    assert settings.budget == Budget(seconds=1200.0)
    assert (settings.context, settings.max_epochs, settings.design) == (64, 16, "comparison")
    assert (settings.recipe.schedule, settings.recipe.clip) == ("cosine", 0)
    assert settings.recipe.peaks.matrix == 0.02
    assert (settings.shape.attention, settings.shape.qk_norm) == (("window", "full"), True)
    assert settings.vary == {"optimizer": ("adamw", "muon")}


def test_what_is_given_beside_the_file_wins_even_where_it_is_the_default(read):
    found = read(context=128, vary={"optimizer": ("muon", "lion"), "clip": ("0", "1")})
    assert found.context == 128
    assert found.vary == {"optimizer": ("muon", "lion"), "clip": ("0", "1")}
    assert found.budget == "20m"


def test_the_command_names_the_file_and_what_differs_from_it(read):
    found = read(context=32, corpus="text", vary={"clip": ("0", "1")})
    assert found.command() == f"scalescope study text --config {found.config} --context 32 --vary clip=0,1"


def test_the_command_without_a_file_repeats_what_is_varied():
    found = request_from({"vary": {"optimizer": ("adamw", "muon")}, "budget": "20m"}, None)
    assert found.command() == "scalescope study --budget 20m --vary optimizer=adamw,muon"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("budgets = '1h'", "no setting is called 'budgets'", "budget"),
        ("[recipe]\nscedule = 'wsd'", r"no setting of \[recipe\] is called 'scedule'", "schedule"),
        ("[recipe]\nqk_norm = true", r"no setting of \[recipe\] is called 'qk_norm'", "Known: "),
        ("[recipe]\nschedule = 'cosin'", r"\[recipe\]: schedule: cannot use 'cosin'", "cosine"),
        ("context = '64'", "context cannot be '64'", "command line"),
        ("context = true", "context cannot be True", "command line"),
        ("task = 'maskd'", "no task is called 'maskd'", "masked"),
        ("max_epochs = 0", "max_epochs must be above 0", ""),
        ("vary = 3", "vary is a table", r"[vary]"),
        ("[vary]\nclip = 3", "clip is varied over a list", "clip = "),
        ("budget = ", "is not TOML", "name = value"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(read, text, message, hint):
    with pytest.raises(InputError, match=message) as caught:
        read(text)
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.toml"):
        request_from({}, tmp_path / "absent.toml")


def test_a_design_that_would_not_be_used_is_refused(read):
    with pytest.raises(InputError, match="compared on a ladder"):
        read(design="isoflop")
    assert read(design="ladder").settings().design == "comparison"


def test_paths_are_those_of_the_command_line(read):
    assert read("tokenizer = 'tokens.json'").tokenizer == Path("tokens.json")


@pytest.mark.parametrize("text", ['layout = "fsdp=2,micro_batch=4"', "[layout]\nfsdp = 2\nmicro_batch = 4"])
def test_trials_are_spread_as_a_layout_says(read, text):
    assert str(read(text).settings().layout) == "fsdp=2,micro_batch=4"


@pytest.mark.parametrize(
    ("text", "told"), [("layout = 2", "layout cannot be 2"), ("layout = 'dq=2'", "'dq'")]
)
def test_a_layout_that_is_none_is_refused_with_its_file(read, text, told):
    with pytest.raises(InputError, match=told) as caught:
        read(text)
    assert "study.toml" in str(caught.value)
