from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.planning import MODELS, Diagnosis, diagnose, get_model, published_sets

# Other work on the machine must not fail a test.
unhurried = settings(deadline=None, max_examples=40)


def codes(result) -> list[str]:
    return [finding.code for finding in result.findings]


@pytest.mark.parametrize("name", MODELS)
def test_every_built_in_model_is_judged(name):
    result = diagnose(name)
    assert result.params == MODELS[name].params
    assert result.compute == 6 * MODELS[name].params * MODELS[name].tokens
    assert result.source.startswith("https://")
    assert result.loss >= result.optimal_loss
    assert result.compute_waste >= 1


@pytest.mark.parametrize("law", published_sets())
def test_every_published_set_with_a_best_size_judges(law):
    assert diagnose("gpt-3", law=law).law == law


@unhurried
@given(st.floats(1e7, 1e12), st.floats(0.01, 1e4))
def test_the_verdict_is_a_matter_of_the_size_beside_the_optimal(params, ratio):
    result = diagnose(params, params * ratio)
    off = result.params / result.optimal_params
    expected = "under-trained" if off > 1.5 else "over-trained" if off < 1 / 1.5 else "near the optimum"
    assert result.verdict == expected
    assert result.optimal_tokens * result.optimal_params * 6 == pytest.approx(result.compute)


@unhurried
@given(st.floats(1e8, 1e12), st.floats(0.1, 1e4))
def test_the_equal_loss_compute_reaches_the_same_loss(params, ratio):
    result = diagnose(params, params * ratio)
    equal = result.compute / result.compute_waste
    best = diagnose(1e9, equal / 6e9)
    assert best.optimal_loss == pytest.approx(result.loss, rel=1e-9)


def test_a_fit_can_be_the_judge(chinchilla):
    result = diagnose(1e5, 2e6, law=chinchilla)
    assert result.law == "chinchilla, fitted"
    assert result.loss == pytest.approx(chinchilla.value(N=np.array([1e5]), D=np.array([2e6]))[0])
    assert "PLN013" not in codes(result)
    assert "PLN013" in codes(diagnose("gpt-3", law=chinchilla))


def test_a_set_is_found_by_its_own_name_and_a_law_by_its_only_set():
    assert diagnose("gpt-3", law="hoffmann2022").law == "chinchilla:hoffmann2022"
    assert diagnose("gpt-3", law="kaplan").law == "kaplan:kaplan2020"


def test_over_training_is_not_called_a_mistake():
    assert "PLN012" in codes(diagnose("llama-3-8b"))
    assert "PLN012" not in codes(diagnose("gpt-3"))


def test_a_count_that_models_do_not_state_is_told():
    assert "PLN014" in codes(diagnose("gpt-3", law="kaplan"))
    assert "PLN014" not in codes(diagnose("gpt-3"))


def test_a_caveat_of_the_published_set_is_passed_on():
    _, published = published_sets()["chinchilla:hoffmann2022"]
    noted = diagnose("gpt-3", law="hoffmann2022")
    assert published.note in next(one.text for one in noted.findings if one.code == "PLN016")


@pytest.mark.parametrize("name", ["GPT-3", "gpt_3", "Gpt 3"])
def test_model_names_forgive_capitals_blanks_and_underscores(name):
    assert get_model(name) is MODELS["gpt-3"]


def test_an_unknown_model_suggests_the_nearest():
    with pytest.raises(InputError, match="llama-3-80b") as caught:
        diagnose("llama-3-80b")
    assert "llama-3-8b" in caught.value.hint


def test_an_unknown_law_suggests_the_nearest():
    with pytest.raises(InputError, match="epoch2042") as caught:
        diagnose("gpt-3", law="epoch2042")
    assert "epoch2024" in caught.value.hint


def test_a_law_with_several_sets_asks_which():
    with pytest.raises(InputError, match="several") as caught:
        diagnose("gpt-3", law="chinchilla")
    assert "chinchilla:epoch2024" in caught.value.hint


def test_tokens_are_needed_with_a_size_and_refused_with_a_name():
    with pytest.raises(InputError, match="needs the tokens"):
        diagnose(70e9)
    with pytest.raises(InputError, match="cannot be given"):
        diagnose("gpt-3", 1e12)


def test_it_prints_saves_and_loads():
    result = diagnose("gpt-3")
    assert Diagnosis.from_dict(result.to_dict()) == result
    text = result.summary()
    assert text.startswith("gpt-3: under-trained, by chinchilla:epoch2024")
    assert "of the compute" in text
    assert diagnose(70e9, 1.4e12).summary().startswith("70B parameters: near the optimum")
    (row,) = result.frame()
    assert row["optimal_params"] == result.optimal_params
