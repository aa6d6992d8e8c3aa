"""`scalescope corpus`: build, check, show."""

from __future__ import annotations

import json
import random

import pytest


@pytest.fixture
def recipe(tmp_path):
    rng = random.Random(0)
    texts = [" ".join("".join(rng.choices("toaenrsd", k=5)) for _ in range(100)) for _ in range(150)]
    (tmp_path / "web.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    path = tmp_path / "mine.toml"
    path.write_text('[[source]]\nname = "web"\npath = "web.jsonl"\n[filters.length]\n')
    return path


def test_it_builds_checks_and_shows(command, recipe, tmp_path):
    code, out, err = command("corpus", "build", recipe)
    assert code == 0
    assert out.startswith("mine: 150 of 150 documents, 1 shard")
    assert f"report: {tmp_path / 'mine/report.md'}" in out
    assert out.splitlines()[-1] == f"next: scalescope study {tmp_path / 'mine'}"
    assert "finding COR003" in err

    code, out, _ = command("corpus", "check", tmp_path / "mine")
    assert code == 0
    assert "4 files are what was written, byte for byte" in out

    code, out, _ = command("corpus", "show", tmp_path / "mine", "--json")
    assert code == 0
    assert json.loads(out)["schema"] == "scalescope.built-corpus/1"


def test_json_has_the_record_of_every_stage(command, recipe, tmp_path):
    code, out, _ = command("corpus", "build", recipe, "--out", tmp_path / "there", "--json")
    assert code == 0
    stages = json.loads(out)["report"]["stages"]
    assert [stage["name"] for stage in stages[:2]] == ["read", "filter length"]
    assert {"documents_in", "bytes_out", "seconds", "mb_per_second", "reasons", "samples"} <= set(stages[0])


def test_a_damaged_corpus_ends_with_2_and_one_line(command, recipe, tmp_path):
    command("corpus", "build", recipe)
    shard = tmp_path / "mine/train-00000.bin"
    content = bytearray(shard.read_bytes())
    content[5] ^= 1
    shard.write_bytes(content)
    code, out, err = command("corpus", "check", tmp_path / "mine")
    assert (code, out) == (2, "")
    assert "train-00000.bin is damaged" in err


def test_what_is_only_for_building_is_refused_elsewhere(command, tmp_path):
    code, _, err = command("corpus", "show", tmp_path, "--workers", "2")
    assert code == 2
    assert "for corpus build" in err


@pytest.mark.parametrize("words", [("corpus", "bild", "x.toml"), ("corpus", "build", "none.toml")])
def test_bad_input_is_one_line(command, words):
    code, out, err = command(*words)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
