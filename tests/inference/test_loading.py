from __future__ import annotations

import gc
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra bench is not installed")
pytest.importorskip("transformers", reason="the extra bench is not installed")

import torch
from tiny_models import FP32_ONLY, TINY, call, tiny

from scalescope.errors import InputError
from scalescope.inference.loading import load
from scalescope.inference.skeletons import class_of, quiet
from scalescope.inference.weights import ensure_weights

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def everything(module):
    """Parameters and buffers under every name that they have."""
    return dict(module.named_parameters(remove_duplicate=False)) | dict(
        module.named_buffers(remove_duplicate=False)
    )


def loaded_here(model_type, cache, *, dtype="fp32", head=False, attention="eager", **options):
    model = tiny(model_type)
    weights = ensure_weights(model, head=head, dtype=dtype, cache=cache)
    return load(model, weights=weights, dtype=dtype, attention=attention, head=head, **options)


def loaded_there(folder, model_type, dtype, head, attention="eager"):
    """The same weights by the loader of transformers."""
    kind = class_of(tiny(model_type), head=head)
    with quiet():
        return kind.from_pretrained(folder, dtype=TYPES[dtype], attn_implementation=attention).eval()


def saved(module, folder):
    with quiet():
        module.save_pretrained(folder)
    return folder


def saved_fresh(model_type, folder, *, head=False, **config):
    """A model made the usual way, without anything of ours, and its folder."""
    model = tiny(model_type, **config)
    kind = class_of(model, head=head)
    torch.manual_seed(1)
    module = kind(kind.config_class(**model.config)).eval()
    return module, saved(module, folder)


CASES = [
    (model_type, dtype, bool(TINY[model_type][1]))
    for model_type in TINY
    for dtype in TYPES
    if dtype == "fp32" or model_type not in FP32_ONLY
]


@pytest.mark.parametrize(("model_type", "dtype", "head"), CASES)
def test_a_model_is_the_one_that_transformers_would_load(model_type, dtype, head, tmp_path):
    ours = loaded_here(model_type, tmp_path / "cache", dtype=dtype, head=head).module
    folder = saved(loaded_here(model_type, tmp_path / "cache", dtype=dtype, head=head).module, tmp_path / "m")
    theirs = loaded_there(folder, model_type, dtype, head)
    mine, other = everything(ours), everything(theirs)
    assert {name: (one.dtype, one.shape) for name, one in mine.items()} == {
        name: (one.dtype, one.shape) for name, one in other.items()
    }
    assert [name for name in mine if not torch.equal(mine[name], other[name])] == []
    got, expected = call(model_type, ours), call(model_type, theirs)
    assert torch.isfinite(got).all()
    assert torch.equal(got, expected)
    assert got.float().abs().max() > 0


@pytest.mark.parametrize("model_type", sorted(FP32_ONLY))
def test_what_fails_in_bf16_fails_with_transformers_loader_too(model_type, tmp_path):
    module = loaded_here(model_type, tmp_path / "cache", dtype="bf16").module
    folder = saved(loaded_here(model_type, tmp_path / "cache", dtype="bf16").module, tmp_path / "m")
    with pytest.raises(RuntimeError) as ours:
        call(model_type, module)
    with pytest.raises(RuntimeError) as theirs:
        call(model_type, loaded_there(folder, model_type, "bf16", head=False))
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("model_type", ["bert", "gpt2", "llama", "gptj", "bloom", "modernbert"])
def test_weights_of_a_fresh_model_load_to_the_same_outputs(model_type, tmp_path):
    module, folder = saved_fresh(model_type, tmp_path / "m")
    attention = module.config._attn_implementation
    loaded = load(tiny(model_type), weights=folder / "model.safetensors", attention=attention)
    assert torch.equal(call(model_type, loaded.module), call(model_type, module))


@pytest.mark.parametrize("attention", ["eager", "sdpa", "flex"])
def test_every_attention_gives_the_same_outputs(attention, tmp_path):
    eager = loaded_here("llama", tmp_path, attention="eager")
    other = loaded_here("llama", tmp_path, attention=attention)
    assert other.module.config._attn_implementation == {"flex": "flex_attention"}.get(attention, attention)
    if attention != "flex":  # it compiles; its outputs are the business of the cells
        torch.testing.assert_close(call("llama", other.module), call("llama", eager.module))


def test_an_attention_that_a_class_lacks_is_the_error_of_transformers(tmp_path):
    with pytest.raises(ValueError, match="does not support an attention implementation") as caught:
        loaded_here("mamba", tmp_path, attention="sdpa")
    assert not isinstance(caught.value, InputError)


def test_tied_weights_are_one_tensor(tmp_path):
    module = loaded_here("gpt2", tmp_path, head=True).module
    assert module.lm_head.weight is module.transformer.wte.weight


def test_the_weights_are_mapped_and_not_copied(tmp_path):
    model = tiny("gpt2", n_embd=256, vocab_size=20_000, n_positions=64)
    weights = ensure_weights(model, head=False, dtype="fp32", cache=tmp_path)
    module = load(model, weights=weights, attention="eager").module
    address = module.wte.weight.data_ptr()
    lines = Path("/proc/self/maps").read_text().splitlines()
    ranges = [line.split(" ", 1)[0].split("-") for line in lines if line.endswith(weights.name)]
    assert any(int(low, 16) <= address < int(high, 16) for low, high in ranges)


def test_loading_takes_the_memory_of_the_weights_and_no_more(tmp_path):
    model = tiny("gpt2", n_embd=512, vocab_size=40_000, n_positions=64)
    weights = ensure_weights(model, head=False, dtype="fp32", cache=tmp_path)
    load(tiny("gpt2"), weights=ensure_weights(tiny("gpt2"), head=False, dtype="fp32", cache=tmp_path))
    clear = Path("/proc/self/clear_refs")
    if not clear.exists():
        pytest.skip("the kernel has no mark of the highest memory that can be reset")
    gc.collect()
    clear.write_text("5")
    before, anonymous = memory("VmRSS"), memory("RssAnon")
    module = load(model, weights=weights).module
    size = weights.stat().st_size
    assert memory("VmHWM") - before < 1.2 * size
    assert memory("RssAnon") - anonymous < 0.1 * size
    assert resident_of(weights) > 0.99 * size
    assert module.wte.weight.shape == (40_000, 512)


def resident_of(path):
    """Bytes of a mapped file that are in this process."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    return sum(
        next(1024 * int(line.split()[1]) for line in lines if line.startswith("Rss:"))
        for line in lines
        if line.endswith(path.name)
    )


def memory(name):
    """Bytes from the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def test_changing_a_loaded_model_leaves_the_file_alone(tmp_path):
    weights = ensure_weights(tiny("bert"), head=False, dtype="fp32", cache=tmp_path)
    before = weights.read_bytes()
    module = load(tiny("bert"), weights=weights, attention="eager").module
    with torch.no_grad():
        module.embeddings.word_embeddings.weight.add_(1)
    assert weights.read_bytes() == before


def test_every_part_has_its_time_and_the_processor_needs_no_moving(tmp_path):
    found = loaded_here("bert", tmp_path).load
    parts = [found.import_s, found.construct_s, found.map_s, found.materialise_s]
    assert all(part is not None and part >= 0 for part in parts)
    assert found.to_device_s is None
    assert found.weight_bytes == next(tmp_path.glob("*.safetensors")).stat().st_size


def test_a_model_is_ready_to_run_and_asks_for_no_gradients(tmp_path):
    module = loaded_here("bert", tmp_path).module
    assert not module.training
    assert not any(one.requires_grad for one in module.parameters())
    assert not any(one.is_meta for one in everything(module).values())


def test_int8_stays_close_to_fp32_and_says_how_much_was_converted(tmp_path):
    exact = loaded_here("bert", tmp_path)
    rough = loaded_here("bert", tmp_path, dtype="int8")
    one, other = call("bert", exact.module), call("bert", rough.module)
    assert not torch.equal(one, other)
    assert (one - other).abs().mean() < 0.05 * one.abs().mean()
    (finding,) = rough.findings
    assert finding.code == "BEN012"
    linear = [part for part in exact.module.modules() if type(part) is torch.nn.Linear]
    assert f"replaced {len(linear)} linear layers" in rough.notes[0]


def test_int8_converts_the_transposed_layers_of_gpt2(tmp_path):
    exact = loaded_here("gpt2", tmp_path)
    rough = loaded_here("gpt2", tmp_path, dtype="int8")
    one, other = call("gpt2", exact.module), call("gpt2", rough.module)
    assert "replaced 8 linear layers" in rough.notes[0]
    assert 0 < (one - other).abs().mean() < 0.05 * one.abs().mean()


def test_int8_elsewhere_than_on_the_processor_is_an_unsupported_operation(tmp_path):
    with pytest.raises(NotImplementedError, match="processor only"):
        loaded_here("bert", tmp_path, dtype="int8", device="cuda")


def test_a_file_dropped_from_the_page_cache_is_cold_and_then_warm(tmp_path):
    model = tiny("gpt2", n_embd=256, vocab_size=20_000, n_positions=64)
    weights = ensure_weights(model, head=False, dtype="fp32", cache=tmp_path)
    first = load(model, weights=weights, attention="eager", cold=True)
    again = load(model, weights=weights, attention="eager")
    if first.load.page_cache == "warm":
        pytest.skip("this file system keeps its files in memory")
    assert (first.load.page_cache, again.load.page_cache) == ("cold", "warm")


def test_a_compiled_model_is_wrapped(tmp_path):
    assert type(loaded_here("bert", tmp_path, compiled=True).module).__name__ == "OptimizedModule"


@pytest.mark.parametrize("model_type", ["bert", "mixtral", "t5", "vit"])
def test_a_folder_loads_its_own_weights(model_type, tmp_path):
    module, folder = saved_fresh(model_type, tmp_path / "m", head=True)
    found = load(tiny(model_type, folder), weights=folder, attention="eager", head=True)
    mine, other = everything(found.module), everything(module)
    assert [name for name in other if not torch.equal(mine[name], other[name])] == []
    assert found.findings == ()
    assert found.load.construct_s is None
    assert found.load.map_s > 0


def test_a_sharded_folder_loads_every_shard(tmp_path):
    module, _ = saved_fresh("bert", tmp_path / "m")
    with quiet():
        module.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    files = list((tmp_path / "shards").glob("*.safetensors"))
    assert len(files) > 2
    found = load(tiny("bert"), weights=tmp_path / "shards")
    assert torch.equal(call("bert", found.module), call("bert", module))
    assert found.load.weight_bytes == sum(file.stat().st_size for file in files)


def test_a_head_that_a_folder_lacks_is_drawn_and_noted(tmp_path):
    _, folder = saved_fresh("bert", tmp_path / "m", head=False)
    found = load(tiny("bert"), weights=folder, attention="eager", head=True)
    assert found.findings[0].code == "BEN010"
    assert "cls" in found.notes[0]


def test_a_head_that_the_bare_model_does_not_use_is_noted(tmp_path):
    _, folder = saved_fresh("bert", tmp_path / "m", head=True)
    found = load(tiny("bert"), weights=folder, attention="eager")
    assert {finding.code for finding in found.findings} == {"BEN010", "BEN011"}  # no pooler, but a head


def test_importing_the_room_imports_neither_torch_nor_transformers():
    rooms = ("weights", "loading", "quantisation", "folders", "skeletons", "tensor_files", "noise")
    code = "import sys\n" + "\n".join(f"import scalescope.inference.{room}" for room in rooms)
    code += "\nassert not {'torch', 'transformers', 'safetensors'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_weights_that_are_deleted_while_a_model_runs_do_no_harm(tmp_path):
    found = loaded_here("bert", tmp_path / "cache")
    expected = call("bert", found.module)
    shutil.rmtree(tmp_path / "cache")
    assert torch.equal(call("bert", found.module), expected)
