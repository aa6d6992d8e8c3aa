"""Full disks, folders that may not be written, damaged files: one line each, and nothing left behind."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import resource
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra bench is not installed")
pytest.importorskip("transformers", reason="the extra bench is not installed")

sys.path.insert(0, str(Path(__file__).parents[1] / "inference"))

import torch
from tiny_models import tiny

from scalescope.errors import InputError, WorkError
from scalescope.inference import weights as subject
from scalescope.inference.folders import PICKLES, weight_files
from scalescope.inference.loading import load
from scalescope.inference.tensor_files import read_table
from scalescope.inference.weights import ensure_weights

GOOD = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'


def written(cache, model_type="bert", **config):
    return ensure_weights(tiny(model_type, **config), head=False, dtype="fp32", cache=cache)


def framed(header, data=b""):
    return len(header).to_bytes(8, "little") + header + data


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return written(tmp_path_factory.mktemp("usual")).read_bytes()


DAMAGE = {
    "empty": lambda _: b"",
    "only a length": lambda whole: whole[:8],
    "half a header": lambda whole: whole[:500],
    "half the tensors": lambda whole: whole[: len(whole) // 2],
    "one byte short": lambda whole: whole[:-1],
    "one byte long": lambda whole: whole + b"x",
    "no safetensors": lambda _: b"PK\x03\x04 this is an archive" * 50,
    "zeros, as after a power cut": lambda whole: bytes(len(whole)),
    "another shape": lambda whole: whole.replace(b"[99,32]", b"[32,99]", 1),
    "another type": lambda whole: whole.replace(b'"F32"', b'"I32"', 1),
    "another's": lambda _: framed(GOOD, bytes(8)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_of_the_cache_is_written_again(kind, usual, tmp_path):
    path = written(tmp_path)
    damaged = DAMAGE[kind](usual)
    assert damaged != usual
    path.write_bytes(damaged)
    assert written(tmp_path) == path
    assert path.read_bytes() == usual
    assert list(tmp_path.iterdir()) == [path]


HEADERS = {
    "a length beyond the file": (2**40).to_bytes(8, "little") + b"{}",
    "a header that is no object": framed(b"[]"),
    "a header that is no JSON": framed(b"{nonsense"),
    "a header that is no text": framed(b"\xff\xfe\xfd"),
    "deep nesting": framed(b"[" * 100_000),
    "an unknown type": framed(GOOD.replace(b"F32", b"Q99"), bytes(8)),
    "a gap": framed(GOOD.replace(b"[0,8]", b"[8,16]"), bytes(16)),
    "an overlap": framed(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        b'"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        bytes(8),
    ),
    "a negative width": framed(GOOD.replace(b"[2]", b"[-1,-2]"), bytes(8)),
    "an offset that is text": framed(GOOD.replace(b"[0,8]", b'["0","8"]'), bytes(8)),
    "no offsets": framed(b'{"a":{"dtype":"F32","shape":[2]}}', bytes(8)),
    "an entry that is a number": framed(b'{"a":3}'),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_damaged_header_is_one_line_with_the_file(kind, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(HEADERS[kind])
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_said_before_anything_is_written(monkeypatch, tmp_path):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=subject.RESERVE + 1000))
    with pytest.raises(WorkError, match=r"2 GiB are free \(.* are needed, and 2 GiB stay free\)") as caught:
        written(tmp_path)
    assert "are needed" in str(caught.value)
    assert caught.value.hint.startswith("Free some space")
    assert list(tmp_path.iterdir()) == []


def test_a_limit_on_the_size_of_files_leaves_nothing_behind(tmp_path):
    written(tmp_path / "elsewhere")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(WorkError, match="cannot write weights"):
            written(tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    written(tmp_path / "elsewhere")  # so that all code is imported
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(WorkError, match="closed") as caught:
            written(closed)
    finally:
        os.seteuid(user)
    assert caught.value.hint == "Name a cache folder that you may write to."
    assert list(closed.iterdir()) == []


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="cannot write weights to"):
        written(tmp_path / "file")


def test_a_class_that_fails_to_initialise_leaves_nothing_behind(monkeypatch, tmp_path):
    def broken(module):
        raise RuntimeError("broken class")

    monkeypatch.setattr(subject, "initialise", broken)
    with pytest.raises(RuntimeError, match="broken class"):
        written(tmp_path)
    assert list(tmp_path.iterdir()) == []


class TestLeftovers:
    NAME = ".bert-bare-f32-0123456789abcdef0123.0123456789ab.part"

    def leave(self, cache, age):
        part = cache / self.NAME
        part.write_bytes(b"half")
        when = part.stat().st_mtime - age
        os.utime(part, (when, when))
        return part

    def test_what_a_killed_process_left_is_removed(self, tmp_path):
        part = self.leave(tmp_path, 3600)
        written(tmp_path)
        assert not part.exists()

    def test_what_a_living_process_writes_stays(self, tmp_path):
        part = self.leave(tmp_path, 3600)
        with part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            written(tmp_path)
            assert part.exists()

    def test_a_part_that_is_not_ours_stays(self, tmp_path):
        part = self.leave(tmp_path, 3600).rename(tmp_path / ".download.part")
        written(tmp_path)
        assert part.exists()


def test_processes_at_once_leave_one_good_file(tmp_path):
    def write():
        torch.set_num_threads(1)  # the threads of the parent are not here
        written(tmp_path, "gpt2", n_embd=256)

    written(tmp_path / "elsewhere", "gpt2")  # so that all code is imported
    context = multiprocessing.get_context("fork")
    several = [context.Process(target=write) for _ in range(3)]
    for one in several:
        one.start()
    for one in several:
        one.join(60)
    assert [one.exitcode for one in several] == [0, 0, 0]
    path = written(tmp_path, "gpt2", n_embd=256)
    assert set(tmp_path.iterdir()) == {path, tmp_path / "elsewhere"}


class TestFoldersOfOthers:
    def folder(self, tmp_path, change=lambda tensors: tensors):
        from safetensors.torch import load_file, save_file

        source = written(tmp_path / "cache")
        folder = tmp_path / "m"
        folder.mkdir()
        save_file(change(load_file(source)), folder / "model.safetensors", {"format": "pt"})
        return folder

    def refused(self, folder, **options):
        with pytest.raises(InputError) as caught:
            load(tiny("bert", folder), weights=folder, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_another_shape_names_file_tensor_and_both_shapes(self, tmp_path):
        name = "encoder.layer.1.output.dense.weight"
        folder = self.folder(tmp_path, lambda all_: {**all_, name: all_[name][:, :48].contiguous()})
        message = self.refused(folder)
        for piece in ("model.safetensors", name, "[32, 48]", "[32, 64]"):
            assert piece in message

    def test_too_few_experts_name_both_shapes(self, tmp_path):
        from scalescope.inference.skeletons import quiet

        path = written(tmp_path / "cache", "mixtral", num_local_experts=4)
        with quiet():
            few = load(tiny("mixtral", num_local_experts=4), weights=path).module
            few.save_pretrained(tmp_path / "m")
        with pytest.raises(InputError, match=r"experts.* is \[4, .*the model has \[8, "):
            load(tiny("mixtral", num_local_experts=8), weights=tmp_path / "m")

    def test_a_missing_tensor_is_named(self, tmp_path):
        name = "encoder.layer.1.output.dense.weight"
        folder = self.folder(tmp_path, lambda all_: {k: v for k, v in all_.items() if k != name})
        assert name in self.refused(folder)

    def test_a_tensor_without_a_place_is_named(self, tmp_path):
        name = "encoder.layer.2.output.dense.weight"
        folder = self.folder(
            tmp_path, lambda all_: {**all_, name: all_["encoder.layer.1.output.dense.weight"].clone()}
        )
        assert name in self.refused(folder)

    def test_a_truncated_file_is_named(self, tmp_path):
        folder = self.folder(tmp_path)
        with (folder / "model.safetensors").open("r+b") as file:
            file.truncate(5000)
        assert "model.safetensors" in self.refused(folder)

    @pytest.mark.parametrize("ending", PICKLES)
    def test_pickles_are_refused_and_never_opened(self, ending, tmp_path):
        file = tmp_path / f"pytorch_model{ending}"
        file.write_bytes(b"cos\nsystem\n")
        for weights in (tmp_path, file):
            with pytest.raises(InputError, match="pickled"):
                weight_files(weights)

    def test_an_empty_folder_says_what_it_lacks(self, tmp_path):
        assert "has no model.safetensors" in self.refused(tmp_path)

    @pytest.mark.parametrize("index", ["[]", "{", '{"weight_map": 3}', '{"weight_map": {"a": 1}}'])
    def test_a_damaged_index_is_named(self, index, tmp_path):
        (tmp_path / "model.safetensors.index.json").write_text(index)
        assert "index" in self.refused(tmp_path)

    def test_an_index_that_leads_out_of_its_folder_is_refused(self, tmp_path):
        text = json.dumps({"weight_map": {"a": "../other.safetensors"}})
        (tmp_path / "model.safetensors.index.json").write_text(text)
        assert "is not in the folder" in self.refused(tmp_path)

    def test_a_missing_shard_is_named(self, tmp_path):
        text = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}})
        (tmp_path / "model.safetensors.index.json").write_text(text)
        assert "model-00001-of-00002.safetensors" in self.refused(tmp_path)


def test_a_file_of_another_model_names_tensor_and_both_shapes(tmp_path):
    path = written(tmp_path, vocab_size=100)
    with pytest.raises(InputError, match=r"word_embeddings.weight is F32 \[100, 32\].*F32 \[99, 32\]"):
        load(tiny("bert"), weights=path)


def test_a_file_that_vanished_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.safetensors"):
        load(tiny("bert"), weights=tmp_path / "gone.safetensors")
