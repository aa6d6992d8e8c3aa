"""The model study that the bench follows, audited: every figure of our critique comes out of its tables."""

from __future__ import annotations

import importlib.util
import json
import re
from importlib import resources
from pathlib import Path

import pytest

from scalescope.deployment.audit_limits import Limit, Limits, limit_of
from scalescope.deployment.auditing import audit, published_results
from scalescope.inference.registry import list_models

MAC_GPU = 28e12
"""More FLOP/s in 32 bits than any Mac's GPU had when the study was made."""

FAMILIES = (
    # model_type and what its configuration says; positions of learned tables, RoBERTa's two reserved ones off
    (r"codet5.*|GODEL.*", Limit(decoder_input=True)),  # t5: relative positions
    (r"pegasus.*|prophetnet.*", Limit(positions=512, decoder_input=True)),
    (r"blenderbot.*", Limit(positions=128, decoder_input=True)),
    (r"bart-.*", Limit(positions=1024)),  # shifts its input for the decoder by itself
    (r"longformer-.*", Limit(positions=4096)),
    (r"gpt2.*|DialoGPT.*", Limit(positions=1024)),
    (r"gpt-neo.*|pygmalion-2\.7b|opt-.*|pygmalion-350m|Cerebras.*|gpt-j-6b", Limit(positions=2048)),
    (r"pythia.*|stablelm.*|pygmalion-1\.3b|phi-.*|TinyLlama.*", Limit()),  # rotary
    (r"bloomz?-.*", Limit()),  # ALiBi
    (r"deberta-.*", Limit()),  # relative
    (r".*bert.*|.*BERT.*|electra.*|distiluse.*", Limit(positions=512)),
)
"""First pattern that fits, after the configurations that `transformers` has for these models."""


def limit_for(model: str) -> Limit:
    return next(limit for pattern, limit in FAMILIES if re.fullmatch(pattern, model))


@pytest.fixture(scope="module")
def table():
    return published_results()


@pytest.fixture(scope="module")
def study(table):
    limits = {row.model: limit_for(row.model) for row in table.rows}
    return audit(table, limits=limits, peak_flop_per_s=MAC_GPU)


def found(study, code, title=""):
    return next(check for check in study.checks if check.code == code and title in check.title)


class TestBundledTable:
    def test_it_has_the_rows_and_the_averages_that_the_study_prints(self, table):
        rows = table.rows
        assert len(rows) == 118
        assert round(sum(row.params for row in rows) / 118e6) == 1150  # it prints 1,149
        ran = {
            n: sum(run.ran for row in rows for run in row.runs if run.length == n and not run.series)
            for n in (512, 1024)
        }
        assert ran == {512: 104, 1024: 53}  # 88.1% and 44.9%

    def test_it_has_the_categories_of_the_study(self, table):
        counts = {}
        for row in table.rows:
            counts[row.category] = counts.get(row.category, 0) + 1
        assert sorted(counts.values(), reverse=True) == [50, 34, 19, 5, 4, 4, 2]

    def test_its_source_and_licence_stand_beside_it(self):
        text = (resources.files("scalescope.deployment") / "published" / "scalability_wall.json").read_text(
            "utf-8"
        )
        about = json.loads(text)
        assert re.fullmatch(r"[0-9a-f]{40}", about["commit"])
        assert about["licence"] == "MIT"
        assert "Mahdi Naser Moghadasi" in about["notice"]
        assert "shall be included in all" in about["notice"]


class TestRows:
    def test_37_of_118_rows_are_copies(self, study):
        check = found(study, "BEN071")
        assert (check.affected, check.of) == (37, 118)
        assert (study.n_rows, study.n_distinct, study.n_models) == (118, 81, 81)

    def test_23_models_have_negative_memory_and_one_more_minus_zero(self, study):
        check = found(study, "BEN072")
        assert (check.affected, check.of) == (23, 81)
        assert check.note == "1 more written as minus zero"
        assert check.evidence[0].model == "bloom-7b1"

    def test_68_read_less_memory_than_their_weights_in_16_bits_and_78_in_32(self, study):
        assert (found(study, "BEN073", "16").affected, found(study, "BEN073", "32").affected) == (68, 78)

    def test_models_of_one_size_load_seven_times_apart(self, study):
        check = found(study, "BEN080")
        text = next(one.text for one in check.evidence if one.model == "Cerebras-GPT-6.7B")
        assert "opt-6.7b" in text
        assert "6.8x" in text


class TestSpeed:
    def test_it_implies_212_tflop_per_second(self, study):
        check = found(study, "BEN074")
        assert study.largest_flop_per_s == pytest.approx(212.46e12, rel=1e-4)
        assert [one.model for one in check.evidence[:2]] == ["stablelm-base-alpha-3b", "Cerebras-GPT-1.3B"]

    def test_the_second_run_stays_within_the_device(self, study):
        assert not any("rerun" in one.text for one in found(study, "BEN074").evidence)

    def test_43_of_74_models_take_as_long_for_512_tokens_as_for_128(self, study):
        check = found(study, "BEN075", "at 512")
        assert (check.affected, check.of) == (43, 74)

    def test_11_of_38_models_take_as_long_for_1024_tokens_as_for_128(self, study):
        check = found(study, "BEN075", "at 1024")
        assert (check.affected, check.of) == (11, 38)
        assert any(one.model == "Cerebras-GPT-1.3B" for one in check.evidence)

    def test_no_latency_of_the_second_run_is_flat(self, study):
        assert not [check for check in study.checks if check.code == "BEN075" and "rerun" in check.title]

    def test_the_second_run_is_4_to_36_times_slower_at_512(self, table):
        only = [row for row in table.distinct().rows if len(row.runs) > 3]
        at_512 = [{run.series: run for run in row.runs if run.length == 512} for row in only]
        ratios = sorted(both[""].tokens_per_s / both["rerun"].tokens_per_s for both in at_512)
        assert len(ratios) == 34
        assert (round(ratios[0], 1), round(ratios[-1])) == (4.1, 36)


class TestFailures:
    def test_47_of_57_failures_follow_from_the_configuration(self, study):
        first = next(one for one in study.failures if not one.series)
        assert (first.n_cells, first.n_failed, first.n_explained) == (243, 57, 47)
        assert first.causes == {"position_limit": 26, "missing_input": 21}
        check = next(one for one in study.checks if one.code == "BEN077" and "rerun" not in one.title)
        assert (check.affected, check.of) == (47, 57)

    def test_what_is_left_is_bloom_and_deberta(self, study):
        first = next(one for one in study.failures if not one.series)
        left = [one.model for one in first.unexplained]
        assert len(left) == 10
        assert {re.split(r"[z-]", model)[0] for model in left} == {"bloom", "deberta"}

    def test_the_configurations_predict_233_of_243_cells_and_132_of_136(self, study):
        assert [(one.n_agree, one.n_known) for one in study.failures] == [(233, 243), (132, 136)]

    def test_nothing_ran_beyond_its_position_table(self, study):
        assert study.check("BEN082") is None
        assert "ran beyond the end of the position table" in study.passed


def test_the_summary_names_every_objection_with_what_to_do(study):
    text = study.summary()
    for check in study.checks:
        assert check.text in text
        assert check.advice in text
    assert text.index("impossible\n") < text.index("misleading\n") < text.index("doubtful\n")
    assert max(map(len, text.splitlines())) < 150


@pytest.fixture(scope="module")
def registry():
    return {model.name: limit_of(model.anatomy) for model in list_models()}


class TestRegistry:
    def test_it_says_the_same_of_every_model_as_the_limits_typed_here(self, table, registry):
        known = Limits(registry)
        for row in table.rows:
            ours, typed = known.find(row.model), limit_for(row.model)
            for length in (128, 512, 1024, 2048):
                assert ours is not None, row.model
                assert ours.cause(length) == typed.cause(length), row.model

    def test_the_studys_parameters_are_those_of_the_architectures(self, table, registry):
        result = audit(table, limits=registry)
        assert "parameters unlike the architecture's" in result.passed

    def test_the_page_is_what_its_script_writes(self, registry):
        docs = Path(__file__).parents[2] / "docs"
        spec = importlib.util.spec_from_file_location("docs_audit", docs / "audit.py")
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        assert script.write_page(registry) == (docs / "studied.md").read_text(encoding="utf-8")
