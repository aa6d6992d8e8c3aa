"""Builds that are killed, disks that are full, shards that are damaged, recipes that leave nothing."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from scalescope.corpora.building import build_corpus
from scalescope.corpora.building.recipe import ContaminationRecipe, Recipe, SourceRecipe, TokenizerRecipe
from scalescope.corpora.building.workers import in_order
from scalescope.corpora.built import open_built
from scalescope.corpora.filters import FILTERS
from scalescope.corpora.preparing import prepare_corpus
from scalescope.errors import InputError, RunError


def prose(seed: int, n_words: int = 150) -> str:
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("toaenrsd", k=rng.randint(2, 8))) for _ in range(n_words))


def write_rows(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


@pytest.fixture
def rows(tmp_path):
    return write_rows(tmp_path / "web.jsonl", [prose(seed) for seed in range(120)])


def recipe(path: Path, **parts) -> Recipe:
    return Recipe(sources=(SourceRecipe(name="web", path=str(path)),), **parts)


@pytest.fixture
def built(rows, tmp_path):
    return build_corpus(recipe(rows), tmp_path / "built")


def refuse(match: str, *args, error=InputError, **options) -> str:
    with pytest.raises(error, match=match) as caught:
        build_corpus(*args, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return str(caught.value)


class TestNothingLeft:
    def test_the_stage_that_removed_most_is_named(self, rows, tmp_path):
        filters = (FILTERS["length"](least_words=151), FILTERS["control"]())
        text = refuse("nothing is left of 120 documents", recipe(rows, filters=filters), tmp_path / "out")
        assert "filter length removed most, 120 (120 for words below 151" in text
        assert list((tmp_path / "out").iterdir()) == []

    def test_no_text_at_all_is_said(self, tmp_path):
        refuse("hold no text", recipe(write_rows(tmp_path / "a.jsonl", [" ", ""])), tmp_path / "out")

    def test_one_document_cannot_be_split(self, tmp_path):
        rows = write_rows(tmp_path / "a.jsonl", [prose(0)] * 9)
        text = refuse("only one document is left", recipe(rows), tmp_path / "out")
        assert "exact duplicates removed most, 8" in text

    def test_held_out_text_everywhere_leaves_nothing(self, tmp_path):
        rows = write_rows(tmp_path / "a.jsonl", [prose(0, 400) + f" {number}" for number in range(30)])
        wanted = recipe(rows, contamination=ContaminationRecipe())
        assert "contamination removed most" in refuse("nothing is left", wanted, tmp_path / "out")

    def test_a_vocabulary_that_the_text_does_not_give_is_refused(self, tmp_path):
        pytest.importorskip("tokenizers", reason="needs the extra tokenizers")
        rows = write_rows(tmp_path / "a.jsonl", ["a b c", "a b d"])
        wanted = recipe(rows, tokenizer=TokenizerRecipe(kind="bpe", vocabulary=9000))
        refuse("tokens of the vocabulary of 9000 asked for", wanted, tmp_path / "out")


class TestInterrupted:
    @pytest.mark.parametrize("at", ["removing duplicates", "writing tokens"])
    def test_a_killed_build_is_made_again(self, rows, tmp_path, at):
        out = tmp_path / "out"
        code = (
            "import os, signal; from pathlib import Path\n"
            "from scalescope.corpora.building import build_corpus\n"
            "from scalescope.corpora.building.recipe import Recipe, SourceRecipe\n"
            f"kill = lambda text: os.kill(os.getpid(), signal.SIGKILL) if text == {at!r} else None\n"
            f"wanted = Recipe(sources=(SourceRecipe(name='web', path={str(rows)!r}),))\n"
            f"build_corpus(wanted, Path({str(out)!r}), n_workers=1, progress=kill)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
        assert (out / ".building/scratch/documents").exists()
        assert not (out / "corpus.json").exists()
        again = build_corpus(recipe(rows), out)
        again.check()
        assert not (out / ".building").exists()

    def test_one_killed_while_files_were_moved_is_made_again(self, rows, built, tmp_path):
        out = Path(built.folder)
        (out / "corpus.json").unlink()
        (out / "train-00007.bin").write_bytes(b"left by an earlier one")
        again = build_corpus(recipe(rows), out)
        again.check()
        assert again.digest == built.digest
        assert not (out / "train-00007.bin").exists()

    def test_an_interruption_leaves_nothing(self, rows, tmp_path):
        def interrupt(_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            build_corpus(recipe(rows), tmp_path / "out", progress=interrupt)
        assert list((tmp_path / "out").iterdir()) == []

    def test_a_full_disk_is_one_line_and_leaves_nothing(self, rows, tmp_path):
        # A limit on the size of files fails a write as a full disk does.
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
        try:
            text = refuse("cannot write the corpus to", recipe(rows), tmp_path / "out", error=RunError)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert text.endswith("File too large")
        assert list((tmp_path / "out").iterdir()) == []

    def test_a_process_that_dies_is_one_line(self):
        with pytest.raises(RunError, match="a process that examines documents died") as caught:
            list(in_order(os._exit, range(20), 2))
        assert "--workers 1" in caught.value.hint


class TestDamage:
    @pytest.mark.parametrize("name", ["train-00000.bin", "held_out.bin", "train.index"])
    def test_a_file_that_was_cut_is_named_on_opening(self, built, name):
        path = Path(built.folder) / name
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(InputError, match=rf"{name} has \d+ bytes where \d+ were written"):
            open_built(Path(built.folder))

    def test_a_file_that_is_gone_is_named(self, built):
        (Path(built.folder) / "train-00000.bin").unlink()
        with pytest.raises(InputError, match=r"train-00000.bin: No such file"):
            open_built(Path(built.folder))

    @pytest.mark.parametrize("name", ["train-00000.bin", "held_out.bin", "held_out.index"])
    def test_a_changed_byte_is_found_by_the_check(self, built, name):
        path = Path(built.folder) / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{name} is damaged"):
            open_built(Path(built.folder)).check()

    def test_a_study_refuses_a_damaged_shard(self, tmp_path):
        rows = write_rows(tmp_path / "web.jsonl", [prose(seed, 800) for seed in range(60)])
        folder = Path(build_corpus(recipe(rows), tmp_path / "built").folder)
        content = bytearray((folder / "train-00000.bin").read_bytes())
        content[1000] ^= 1
        (folder / "train-00000.bin").write_bytes(content)
        with pytest.raises(InputError, match=r"train-00000.bin is damaged"):
            prepare_corpus(str(folder), tmp_path / "study")
        assert not list((tmp_path / "study").glob("*"))

    def test_a_damaged_corpus_is_built_again(self, rows, built):
        path = Path(built.folder) / "train-00000.bin"
        content = path.read_bytes()
        path.write_bytes(content[:50])
        build_corpus(recipe(rows), Path(built.folder)).check()
        assert path.read_bytes() == content

    def test_a_manifest_of_another_version_is_refused(self, built):
        path = Path(built.folder) / "corpus.json"
        path.write_text(json.dumps({**built.to_dict(), "schema": "scalescope.built-corpus/9"}))
        with pytest.raises(InputError, match=r"expected scalescope\.built-corpus/1"):
            open_built(Path(built.folder))


class TestOtherCorpus:
    def test_another_recipe_is_refused(self, rows, built):
        wanted = recipe(rows, filters=(FILTERS["control"](),))
        refuse("was built by another recipe", wanted, Path(built.folder))

    def test_changed_sources_are_refused(self, rows, built):
        write_rows(rows, [prose(seed) for seed in range(121)])
        refuse("sources were not what they are now", recipe(rows), Path(built.folder))

    def test_a_prepared_corpus_is_not_overwritten(self, tmp_path):
        rows = write_rows(tmp_path / "web.jsonl", [prose(seed, 800) for seed in range(60)])
        prepare_corpus(str(rows), tmp_path / "study")
        refuse("that a study prepared", recipe(rows), tmp_path / "study")

    def test_a_place_that_is_a_file_is_refused(self, rows):
        refuse("is not a folder", recipe(rows), rows)

    def test_a_source_that_is_not_there_is_named(self, tmp_path):
        refuse("source 'web': no such file", recipe(tmp_path / "none.jsonl"), tmp_path / "out")


class TestTokenizer:
    def test_one_that_did_not_make_the_tokens_is_refused(self, tmp_path):
        tokenizers = pytest.importorskip("tokenizers", reason="needs the extra tokenizers")
        rows = write_rows(tmp_path / "web.jsonl", [prose(seed, 800) for seed in range(60)])
        build_corpus(recipe(rows), tmp_path / "built")
        tokenizers.Tokenizer(tokenizers.models.BPE()).save(str(tmp_path / "mine.json"))
        with pytest.raises(InputError, match=r"were made with bytes \(\w+\), not with mine.json") as caught:
            prepare_corpus(str(tmp_path / "built"), tmp_path / "study", tokenizer=tmp_path / "mine.json")
        assert "\n" not in str(caught.value)

    def test_one_that_was_exchanged_in_the_folder_is_found(self, rows, tmp_path):
        pytest.importorskip("tokenizers", reason="needs the extra tokenizers")
        wanted = recipe(rows, tokenizer=TokenizerRecipe(kind="bpe", vocabulary=300))
        folder = Path(build_corpus(wanted, tmp_path / "built").folder)
        path = folder / "tokenizer.json"
        path.write_text(path.read_text().replace("<|endoftext|>", "<|endoftest|>"))
        with pytest.raises(InputError, match=r"tokenizer.json is damaged"):
            open_built(folder).check()


def test_memory_does_not_grow_with_the_length_of_documents(tmp_path, monkeypatch):
    monkeypatch.setattr("scalescope.corpora.building.reading.CHUNK_BYTES", 100_000)
    monkeypatch.setattr("scalescope.corpora.building.spool.BATCH_BYTES", 100_000)
    peaks = []
    for n_words in (50, 150):
        line = " ".join(f"{number:020}" for number in range(n_words))
        rows = write_rows(tmp_path / f"{n_words}.jsonl", [f"{number} {line}" for number in range(600)])
        tracemalloc.start()
        build_corpus(recipe(rows), tmp_path / f"out{n_words}", n_workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 0.6 and 1.9 MB of text, in pieces of 0.1.
    assert peaks[1] - peaks[0] < 200_000
