from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections import Counter
from importlib import resources

import pytest

from scalescope.errors import InputError
from scalescope.inference.registry import list_models, load_registry
from scalescope.inference.registry.reader import SETS

FOLDER = resources.files("scalescope.inference.registry")
CATEGORIES = {
    "generative": 50,
    "bert-family": 34,
    "specialised": 19,
    "compressed": 5,
    "small": 4,
    "efficient": 4,
    "code": 2,
}


def entries():
    return list(csv.DictReader((FOLDER / "entries.csv").read_text(encoding="utf-8").splitlines()))


def test_the_core_is_118_entries_in_the_seven_categories():
    assert Counter(model.category for model in list_models(set="core")) == CATEGORIES


def test_every_name_and_every_short_name_is_unique():
    names = [model.name.casefold() for model in load_registry()]
    shorts = [model.short.casefold() for model in load_registry()]
    assert len(set(names)) == len(set(shorts)) == len(names)


def test_every_successor_is_there():
    spans = {layers.span for model in list_models(set="next") for layers in model.anatomy.attention}
    assert spans == {"full", "causal", "window", "block", "hashed", "cross", "linear", "recurrent"}
    types = {model.model_type for model in load_registry()}
    assert types >= {"mamba", "mamba2", "rwkv", "recurrent_gemma", "jamba", "mistral", "reformer", "big_bird"}
    assert types >= {
        "longformer",
        "mixtral",
        "olmoe",
        "qwen2_moe",
        "modernbert",
        "deepseek_v3",
        "vit",
        "clip",
    }


@pytest.mark.parametrize("row", entries(), ids=lambda row: row["name"])
def test_a_published_count_is_met_exactly_or_the_difference_is_explained(row):
    (model,) = load_registry().matching(row["name"])
    if row["sureness"] == "B":
        assert not row["published"], "a published count makes it an A"
        return
    met = row["published"] in (str(model.anatomy.params), str(model.anatomy.params_with_head))
    assert met or row["note"], "neither the count nor a note"


def test_only_three_published_counts_are_explained_rather_than_met():
    rest = {
        model.short: int(row["published"]) - model.anatomy.params_with_head
        for row, model in zip(entries(), load_registry(), strict=True)
        if row["published"]
        and int(row["published"]) not in (model.anatomy.params, model.anatomy.params_with_head)
    }
    projection = 32128 * 768
    assert rest == {"DeepSeek-V3": 58 * 256, "flan-t5-base": projection, "long-t5-tglobal-base": projection}


def test_every_entry_has_a_source_and_says_how_sure_it_is():
    assert all(
        model.source.startswith("https://") and model.sureness[:2] in ("A:", "B:")
        for model in load_registry()
    )


def test_same_settings_share_an_architecture_and_others_do_not():
    named = {model.short: model.architecture for model in load_registry()}
    assert named["bert-base-uncased"] == named["finbert"] == named["legal-bert-base-uncased"]
    assert named["gpt2"] == named["DialoGPT-small"]
    assert named["bert-base-uncased"] != named["bert-base-cased"]


def test_entries_of_one_architecture_have_one_configuration_in_effect():
    by_architecture: dict[str, set[str]] = {}
    for model in load_registry():
        kept = json.dumps([model.model_type, model.anatomy.params, model.anatomy.positions.limit])
        by_architecture.setdefault(model.architecture, set()).add(kept)
    assert all(len(kinds) == 1 for kinds in by_architecture.values())


def test_a_bert_and_a_gpt_have_the_figures_that_everybody_knows():
    named = {model.short: model.anatomy for model in load_registry()}
    assert named["bert-base-uncased"].params == 109_482_240
    assert named["gpt2"].params == 124_439_808
    assert named["gpt2"].flop_per_token == 2 * 12 * 12 * 768**2
    assert named["roberta-base"].positions.limit == 512
    mixtral = named["Mixtral-8x7B-v0.1"]
    head = mixtral.params_with_head - mixtral.params
    assert mixtral.params_active + head == pytest.approx(12.9e9, rel=0.005)


class TestListing:
    def test_filters_narrow_and_combine(self):
        found = list_models(category="generative", max_params=2e8, min_length=2048, name="pythia")
        assert [model.short for model in found] == ["pythia-70m", "pythia-160m"]

    def test_a_model_without_a_limit_reaches_every_length(self):
        assert "bloom-560m" in {model.short for model in list_models(min_length=10**6)}
        assert "gpt2" not in {model.short for model in list_models(min_length=1025)}

    def test_sets_are_told_apart_and_complete(self):
        assert sum(len(list_models(set=name)) for name in SETS) == len(load_registry())

    @pytest.mark.parametrize(("key", "value"), [("category", "generativ"), ("set", "cor")])
    def test_an_unknown_filter_names_the_nearest(self, key, value):
        with pytest.raises(InputError, match=f"unknown {key}") as caught:
            list_models(**{key: value})
        assert "Did you mean" in caught.value.hint


def test_the_data_stays_small():
    assert sum(len((FOLDER / name).read_bytes()) for name in ("entries.csv", "architectures.json")) < 400_000


def test_loading_is_fast_and_imports_no_torch():
    code = "\n".join(
        [
            "import sys, time",
            "from scalescope.inference.registry import load_registry",
            "started = time.process_time()",
            "load_registry()",
            "print(time.process_time() - started, 'torch' in sys.modules or 'transformers' in sys.modules)",
        ]
    )
    best = min(
        float(seconds)
        for seconds, heavy in (
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout.split()
            for _ in range(3)
        )
        if heavy == "False"
    )
    assert best < 0.1  # processor seconds; 0.03 on an idle machine


def test_the_second_load_costs_nothing():
    load_registry()
    started = time.perf_counter()
    assert load_registry() is load_registry()
    assert time.perf_counter() - started < 0.01
