"""Which mixtures and which repeated runs a study trains."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from scalescope.corpora.corpus import SourceShare
from scalescope.errors import InputError
from scalescope.studies import mixing, repeating
from scalescope.studies.choosing import choose_design
from scalescope.studies.design import Design
from scalescope.studies.over_data import check_data, layout_of
from scalescope.studies.settings import Settings
from scalescope.studies.sizes import Sizes, size_of
from scalescope.studies.tune import tuned_rungs
from scalescope.training.recipe import Recipe
from scalescope.units import parse_budget

SIZES = Sizes(vocabulary=256, context=128)
NAMES = ("prose", "code", "chat")


def share(name: str, weight: float, tokens: int, start: int = 0) -> SourceShare:
    return SourceShare(
        name=name,
        weight=weight,
        train_start=start,
        train_tokens=tokens,
        train_documents=10,
        held_out_start=0,
        held_out_tokens=1_000_000,
        held_out_documents=3,
    )


@pytest.fixture
def sourced(corpus):
    weights = (0.5, 0.3, 0.2)
    shares = [share(name, weight, 30_000_000) for name, weight in zip(NAMES, weights, strict=True)]
    return replace(corpus, sources=tuple(shares))


def laid(settings, corpus, available=2e13) -> Design:
    layout = layout_of(settings, corpus)
    return choose_design(
        settings.design,
        cost=lambda design: design.cost(
            lambda shape: 1 / (6 * size_of(shape)), Recipe(), evaluation_tokens=4096, held_out_seeds=1
        ),
        available=available,
        sizes=SIZES,
        recipe=Recipe(),
        lay=layout.lay,
        extents=layout.extents,
    )


def test_mixtures_are_different_whole_and_keep_a_floor():
    found = mixing.mixtures_of((0.5, 0.3, 0.2), 16, seed=0)
    shares = np.array(found)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares.min() >= mixing.FLOOR - 1e-6
    assert len({tuple(row.round(3)) for row in shares}) == 16
    assert found[0] == pytest.approx((0.5, 0.3, 0.2))
    assert found[1] == pytest.approx((1 / 3,) * 3, abs=1e-5)
    assert shares.max(axis=0) == pytest.approx(1 - 2 * mixing.FLOOR)
    assert found[:9] == mixing.mixtures_of((0.5, 0.3, 0.2), 9, seed=1)


@pytest.mark.parametrize("k", range(2, 9))
def test_every_extent_leaves_repeats_and_runs_beyond_the_coefficients(k):
    for n, seeds in mixing.extents(k):
        assert n >= k + 1 + mixing.SPARE
        assert seeds >= 2
        assert len(mixing.mixtures_of((1 / k,) * k, n, seed=0)) == n


def test_a_mixture_study_trains_one_size_on_as_many_mixtures_as_are_paid_for(sourced):
    settings = Settings(budget=parse_budget("2e13"), design="mixture")
    design = laid(settings, sourced)
    assert len({rung.shape for rung in design.rungs}) == len({rung.horizons for rung in design.rungs}) == 1
    again = [rung for rung in design.rungs if rung.seed > 0]
    assert len(design.rungs) == 13 + len(again) and len(again) == 3
    assert all(set(rung.reading.weights) == set(NAMES) for rung in design.rungs)
    assert {tuple(rung.reading.weights.values()) for rung in again} == {
        tuple(design.rungs[1].reading.weights.values())
    }
    assert "prose 50%, code 30%, chat 20%" in design.summary()
    assert Design.from_dict(design.to_dict()) == design
    (tuned,) = tuned_rungs(design)
    assert tuned.reading.plain
    assert size_of(tuned.shape) < 0.6 * size_of(design.rungs[0].shape)


def test_corpora_that_no_mixture_can_be_made_of_are_refused(corpus, sourced):
    settings = Settings(budget=parse_budget("2e13"), design="mixture", target={"prosa": 1.0})
    with pytest.raises(InputError, match=r"needs 2 to 8 sources, and text has 1"):
        layout_of(settings, corpus)
    with pytest.raises(InputError, match="target: the corpus has no source 'prosa'"):
        layout_of(settings, sourced)
    little = replace(sourced, sources=(*sourced.sources[:2], share("chat", 0.2, 10_000)))
    design = laid(replace(settings, target={}), little)
    with pytest.raises(InputError, match=r"would read chat .* times over"):
        check_data(settings, little, design)


def test_few_held_out_tokens_and_sources_read_over_are_told(sourced):
    settings = Settings(budget=parse_budget("2e13"), design="mixture")
    design = laid(settings, sourced)
    tokens = design.most_tokens // 2
    short = replace(share("chat", 0.2, tokens), held_out_tokens=300)
    found = mixing.doubts_of_mixtures(
        replace(sourced, sources=(*sourced.sources[:2], short)), design, 128, 131_072
    )
    assert [finding.code for finding in found] == ["STU044", "STU045"]
    assert all("chat" in finding.text for finding in found)


def test_repetition_reads_nested_sets_to_equal_tokens_beside_fresh_text(corpus):
    settings = Settings(budget=parse_budget("2e13"), design="repetition")
    design = laid(settings, corpus)
    sizes = {size_of(rung.shape) for rung in design.rungs}
    assert len(sizes) == 3
    sets = sorted({rung.reading.unique_tokens for rung in design.rungs} - {0})
    assert len(sets) == repeating.LEVELS
    assert all(many == 2 * few for few, many in pairwise(sets))
    assert all(unique % 128 == 0 for unique in sets)
    held = repeating.held_out_rungs(design)
    most = design.most_tokens
    for rung in design.rungs:
        unique = rung.reading.unique_tokens
        shortened = unique == sets[0] and rung.shape == held[0].shape
        assert rung.horizons[-1] == (most // 2 if shortened else most)
        assert not unique or rung.horizons[0] == unique
    fresh = {size_of(rung.shape) for rung in design.rungs if rung.reading.plain and not rung.seed}
    assert fresh == sizes
    assert Design.from_dict(design.to_dict()) == design


def test_the_hold_out_is_the_most_repeated_run_of_the_largest_size(corpus):
    design = laid(Settings(budget=parse_budget("2e13"), design="repetition"), corpus)
    held = repeating.held_out_rungs(design)
    assert [rung.seed for rung in held] == [0, 1]
    assert {rung.reading.unique_tokens for rung in held} == {design.most_tokens // 32}
    assert size_of(held[0].shape) == max(size_of(rung.shape) for rung in design.rungs)
    assert all(rung.horizons == (design.most_tokens,) for rung in held)
    assert not {rung.name for rung in held} & {
        rung.name for rung in design.rungs if design.most_tokens in rung.horizons
    }


def test_a_corpus_shorter_than_the_fresh_twins_is_refused(corpus):
    settings = Settings(budget=parse_budget("2e13"), design="repetition")
    design = laid(settings, corpus)
    with pytest.raises(InputError, match="runs on fresh text need"):
        check_data(settings, replace(corpus, train_tokens=design.most_tokens - 1), design)
