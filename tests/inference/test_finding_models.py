from __future__ import annotations

import json

import pytest

from scalescope.errors import InputError
from scalescope.inference import finding_models
from scalescope.inference.finding_models import doubts_about, find_model
from scalescope.inference.registry import load_registry

BERT = {
    "model_type": "bert",
    "vocab_size": 1000,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a configuration and returns its folder."""

    def write(config, *files):
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        text = config if isinstance(config, str) else json.dumps(config)
        (folder / "config.json").write_text(text, encoding="utf-8")
        for name in files:
            (folder / name).write_bytes(b"")
        return folder

    return write


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(finding_models, "reachable", lambda endpoint: False)


class TestNames:
    @pytest.mark.parametrize("text", ["openai-community/gpt2", "gpt2", " GPT2 ", "Openai-Community/GPT2"])
    def test_a_name_or_its_last_part_is_enough_whatever_the_case(self, text):
        assert find_model(text).name == "openai-community/gpt2"

    def test_every_name_of_the_registry_finds_itself(self):
        for model in load_registry():
            assert find_model(model.name) is model
            assert find_model(model.short) is model

    def test_an_ambiguous_name_lists_what_it_could_be(self, monkeypatch):
        two = load_registry().models[:2]
        monkeypatch.setattr("scalescope.inference.registry.Registry.matching", lambda self, text: two)
        with pytest.raises(InputError, match="2 models are called") as caught:
            find_model("gpt2")
        assert all(model.name in caught.value.hint for model in two)

    @pytest.mark.parametrize(
        ("text", "near"), [("bert-bas-uncased", "bert-base-uncased"), ("pythia-70", "pythia-70m")]
    )
    def test_an_unknown_name_names_the_nearest(self, offline, text, near):
        with pytest.raises(InputError, match="unknown model") as caught:
            find_model(text)
        assert near in caught.value.hint

    @pytest.mark.parametrize(
        "text",
        ["", "  ", "two words", "a/b/c", "x" * 300, "/" + "x" * 300, "sub/../../etc", "na\nme", "na\0me"],
    )
    def test_what_can_be_no_name_is_refused_without_asking_anybody(self, monkeypatch, text):
        monkeypatch.setattr(finding_models, "fetch", lambda *args, **options: pytest.fail("asked"))
        with pytest.raises(InputError):
            find_model(text)

    def test_the_hub_is_not_asked_unless_wanted(self, monkeypatch):
        monkeypatch.setattr(finding_models, "fetch", lambda *args, **options: pytest.fail("asked"))
        with pytest.raises(InputError, match="unknown model"):
            find_model("somebody/something", online=False)


class TestPaths:
    def test_a_folder_without_weights_gets_random_ones(self, written):
        pytest.importorskip("transformers")
        model = find_model(str(written(BERT)))
        assert (model.name, model.model_type, model.weights) == ("mine", "bert", None)
        assert model.anatomy.hidden == 64

    def test_a_folder_with_safetensors_keeps_them(self, written):
        pytest.importorskip("transformers")
        folder = written(BERT, "model.safetensors", "pytorch_model.bin")
        assert find_model(str(folder)).weights == folder

    def test_a_configuration_file_is_enough(self, tmp_path):
        pytest.importorskip("transformers")
        path = tmp_path / "wide.json"
        path.write_text(json.dumps(BERT))
        assert find_model(str(path)).name == "wide"

    def test_settings_equal_to_a_registered_model_share_its_architecture(self, written):
        pytest.importorskip("transformers")
        config = {
            "model_type": "gpt2",
            "architectures": ["GPT2LMHeadModel"],
            "resid_pdrop": 0.2,
            "torch_dtype": "float16",
        }
        assert find_model(str(written(config))).architecture == find_model("gpt2").architecture

    @pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.ckpt", "tf_model.h5"])
    def test_pickled_weights_alone_are_refused(self, written, name):
        pytest.importorskip("transformers")
        with pytest.raises(InputError, match="pickled weights only") as caught:
            find_model(str(written(BERT, name)))
        assert "safetensors" in caught.value.hint

    def test_code_that_comes_with_a_model_is_refused(self, written):
        pytest.importorskip("transformers")
        folder = written({**BERT, "model_type": "mine", "auto_map": {"AutoModel": "modeling_mine.MineModel"}})
        (folder / "modeling_mine.py").write_text("raise SystemExit('ran')")
        with pytest.raises(InputError, match="code of its own") as caught:
            find_model(str(folder))
        assert "never run" in caught.value.hint

    def test_a_known_type_with_code_of_its_own_runs_as_the_known_class_and_says_so(self, written):
        pytest.importorskip("transformers")
        folder = written({**BERT, "auto_map": {"AutoModel": "modeling_mine.MineModel"}})
        (folder / "modeling_mine.py").write_text("raise SystemExit('ran')")
        model = find_model(str(folder))
        assert model.anatomy.bare_class == "BertModel"
        assert "BEN003" in {finding.code for finding in doubts_about(model)}

    @pytest.mark.parametrize(
        ("config", "said"),
        [
            ("{", "is not JSON"),
            ("[" * 100_000, "is not JSON"),
            ("[1, 2]", "does not hold a configuration"),
            ("{}", "names no model_type"),
            ({"model_type": 3}, "names no model_type"),
            ({"model_type": "bertt"}, "unknown model type"),
            ({**BERT, "num_hidden_layers": -3}, "num_hidden_layers"),
            ({**BERT, "num_hidden_layers": 10**15}, "num_hidden_layers"),
            ({**BERT, "hidden_size": None}, "hidden_size"),
            ({**BERT, "num_attention_heads": 7}, "multiple"),
        ],
    )
    def test_a_configuration_that_cannot_be_is_one_clear_line(self, written, config, said):
        pytest.importorskip("transformers")
        with pytest.raises(InputError, match=said) as caught:
            find_model(str(written(config)))
        assert "\n" not in str(caught.value)
        assert caught.value.hint

    def test_an_absent_path_and_an_empty_folder_are_told_apart(self, tmp_path):
        with pytest.raises(InputError, match="no such file or folder"):
            find_model(str(tmp_path / "nothing"))
        with pytest.raises(InputError, match=r"no config\.json"):
            find_model(str(tmp_path))

    def test_a_file_that_is_no_configuration_is_refused(self, tmp_path):
        path = tmp_path / "model.bin"
        path.write_bytes(b"\x80\x04")
        with pytest.raises(InputError, match="neither a folder nor a JSON file"):
            find_model(str(path))
        huge = tmp_path / "huge.json"
        huge.write_bytes(b" " * (finding_models.LARGEST_CONFIG + 1))
        with pytest.raises(InputError, match="no configuration"):
            find_model(str(huge))


class TestHub:
    def test_only_the_configuration_is_fetched_unless_weights_are_wanted(self, written, monkeypatch):
        hub = pytest.importorskip("huggingface_hub")
        pytest.importorskip("transformers")
        folder, asked = written(BERT, "model.safetensors"), []
        monkeypatch.setattr(finding_models, "reachable", lambda endpoint: True)
        monkeypatch.setattr(
            hub, "snapshot_download", lambda name, **options: asked.append(options) or str(folder)
        )
        assert find_model("me/mine").weights is None
        assert find_model("me/mine", download_weights=True).weights == folder
        assert asked[0]["allow_patterns"] == ["config.json"]
        assert all(name.split(".")[-1] in ("json", "safetensors") for name in asked[1]["allow_patterns"])

    def test_a_hub_out_of_reach_is_one_line_with_the_nearest_names(self, offline):
        pytest.importorskip("huggingface_hub")
        with pytest.raises(InputError, match="the hub has no answer") as caught:
            find_model("somebody/gpt2-mediun")
        assert "gpt2-medium" in caught.value.hint

    def test_a_server_that_refuses_is_out_of_reach(self, monkeypatch):
        monkeypatch.setattr(finding_models, "getproxies", dict)
        assert not finding_models.reachable("http://127.0.0.1:9")


class TestDoubts:
    def test_an_unchecked_configuration_says_so(self):
        codes = {finding.code for finding in doubts_about(find_model("matscibert"))}
        assert codes == {"BEN001"}

    def test_a_checked_one_has_nothing_to_say(self):
        assert doubts_about(find_model("gpt2")) == ()

    def test_a_type_that_was_never_counted_says_so(self, written):
        pytest.importorskip("transformers")
        config = {**BERT, "model_type": "ernie"}
        assert {finding.code for finding in doubts_about(find_model(str(written(config))))} == {"BEN002"}
