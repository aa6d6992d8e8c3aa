from __future__ import annotations

import pytest

from scalescope.errors import InputError
from scalescope.studies.arms import BASELINE, arms_of, parse_vary, told
from scalescope.studies.settings import Settings
from scalescope.units import Budget


def arms(**vary):
    return arms_of(Settings(budget=Budget(flop=1e12), vary=vary))


def test_a_study_that_varies_nothing_has_one_arm_without_a_name():
    (arm,) = arms()
    assert (arm.name, arm.key("d8-L2-s0")) == ("", "d8-L2-s0")


def test_the_first_value_is_the_baseline_and_gives_the_arm_its_name():
    found = arms(optimizer=("adamw", "muon", "lion"))
    assert [arm.name for arm in found] == ["adamw", "muon", "lion"]
    assert [arm.variant.recipe.optimizer for arm in found] == ["adamw", "muon", "lion"]
    assert found[1].key("d8-L2-s0") == "muon/d8-L2-s0"


@pytest.mark.parametrize(
    ("vary", "names"),
    [
        ({"clip": ("1", "0")}, ["clip=1", "clip=0"]),
        ({"qk_norm": ("off", "on")}, ["qk_norm=off", "qk_norm=on"]),
        ({"experts": ("dense", "8x2")}, ["experts=dense", "experts=8x2"]),
        ({"precision": ("fp32", "bf16")}, ["fp32", "bf16"]),
        ({"attention": ("full", "3*window+full")}, ["full", "3*window+full"]),
    ],
)
def test_values_that_say_nothing_by_themselves_have_the_name_of_their_lever(vary, names):
    assert [arm.name for arm in arms(**vary)] == names


def test_of_several_levers_each_value_stands_beside_one_baseline():
    found = {arm.name: arm.variant for arm in arms(clip=("1", "0"), schedule=("cosine", "wsd", "linear"))}
    assert list(found) == [BASELINE, "clip=0", "schedule=wsd", "schedule=linear"]
    assert {name: (one.recipe.clip, one.recipe.schedule) for name, one in found.items()} == {
        BASELINE: (1, "cosine"),
        "clip=0": (0, "cosine"),
        "schedule=wsd": (1, "wsd"),
        "schedule=linear": (1, "linear"),
    }


@pytest.mark.parametrize(
    ("vary", "message", "hint"),
    [
        ({"optimiser": ("adamw", "muon")}, "no setting is called 'optimiser'", "optimizer"),
        ({"optimizer": ("adamw", "muonn")}, "muonn", "muon"),
        ({"optimizer": ("muon",)}, "one value", "--vary optimizer=BASELINE,OTHER"),
        ({"optimizer": ("muon", "adamw", "muon")}, "'muon' twice", "once"),
        ({"clip": ("1", "1.0")}, "clip=1 and clip=1.0 are the same setting", "once"),
        ({"rate": ("1", "2")}, "rate cannot be varied", "measured for every variant"),
    ],
)
def test_what_cannot_be_compared_is_one_line_with_a_hint(vary, message, hint):
    with pytest.raises(InputError, match=message) as caught:
        arms(**vary)
    assert hint in caught.value.hint


class TestParsing:
    def test_reads_levers_and_their_values_in_order(self):
        found = parse_vary(("optimizer=adamw, muon", "attention=full,window+full"))
        assert found == {"optimizer": ("adamw", "muon"), "attention": ("full", "window+full")}
        assert told(found) == "optimizer: adamw, muon; attention: full, window+full"

    @pytest.mark.parametrize("text", ["optimizer", "=a,b", "clip=", "clip=1,,0"])
    def test_refuses_what_says_nothing(self, text):
        with pytest.raises(InputError, match="does not say what to vary"):
            parse_vary((text,))

    def test_refuses_a_lever_twice(self):
        with pytest.raises(InputError, match="varied twice"):
            parse_vary(("clip=0,1", "clip=0,2"))
