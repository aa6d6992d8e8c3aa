"""What `prepare_corpus` makes, keeps and finds again."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scalescope.corpora.corpus import Corpus, epochs, open_corpus
from scalescope.corpora.preparing import prepare_corpus
from scalescope.corpora.split import split_documents, take_census
from scalescope.errors import InputError

WORDS = [f"{a}{b}" for a in ("ba", "do", "mi", "su", "ka") for b in ("n", "r", "lo", "te")]


def prose(seed: int, n_bytes: int) -> bytes:
    words = random.Random(seed).choices(WORDS, k=n_bytes // 4)
    lines = (" ".join(words[at : at + 12]) for at in range(0, len(words), 12))
    return "\n".join(lines).encode()[:n_bytes]


def make_folder(folder: Path, *, n: int = 40, n_bytes: int = 5000) -> Path:
    folder.mkdir()
    for index in range(n):
        (folder / f"{index:03}.txt").write_bytes(prose(index, n_bytes))
    return folder


def codes(corpus: Corpus) -> set[str]:
    return {finding.code for finding in corpus.findings}


def documents_of(tokens: np.ndarray) -> list[bytes]:
    return tokens.tobytes().split(b"\0")[:-1]


@pytest.fixture
def text(tmp_path):
    return make_folder(tmp_path / "text")


def test_every_document_is_on_exactly_one_side_of_the_split(text, tmp_path):
    corpus = prepare_corpus(str(text), tmp_path / "out")
    sides = documents_of(corpus.train()), documents_of(corpus.held_out())
    assert sorted(sides[0] + sides[1]) == sorted(path.read_bytes() for path in text.iterdir())
    assert not set(sides[0]) & set(sides[1])
    assert len(sides[1]) == corpus.n_held_out_documents


def test_counts_are_those_of_the_files(text, tmp_path):
    corpus = prepare_corpus(str(text), tmp_path / "out")
    assert corpus.n_documents == 40
    assert corpus.n_bytes == sum(path.stat().st_size for path in text.iterdir())
    assert corpus.train_bytes + corpus.held_out_bytes == corpus.n_bytes
    assert corpus.train_tokens == len(corpus.train()) == (tmp_path / "out/train.bin").stat().st_size
    # One separator a document.
    assert corpus.train_tokens + corpus.held_out_tokens == corpus.n_bytes + 40
    assert corpus.bytes_per_token == corpus.held_out_bytes / corpus.held_out_tokens


def test_duplicates_are_counted_and_written_once(text, tmp_path):
    for index in range(5):
        shutil.copy(text / f"{index:03}.txt", text / f"copy of {index}.txt")
    corpus = prepare_corpus(str(text), tmp_path / "out")
    assert (corpus.n_documents, corpus.n_duplicates) == (40, 5)
    documents = documents_of(corpus.train()) + documents_of(corpus.held_out())
    assert len(documents) == len(set(documents)) == 40


def test_many_duplicates_are_a_finding(text, tmp_path):
    for path in list(text.iterdir()):
        shutil.copy(path, text / f"a{path.name}")
        shutil.copy(path, text / f"b{path.name}")
    assert "COR010" in codes(prepare_corpus(str(text), tmp_path / "out"))


def test_the_split_does_not_depend_on_names_or_places(text, tmp_path):
    before = prepare_corpus(str(text), tmp_path / "before")
    (text / "deep" / "er").mkdir(parents=True)
    for index, path in enumerate(sorted(text.glob("*.txt"))):
        path.rename(text / ("deep/er" if index % 2 else ".") / f"{(index * 7) % 40}.md")
    after = prepare_corpus(str(text), tmp_path / "after")
    assert set(documents_of(after.held_out())) == set(documents_of(before.held_out()))


def test_the_same_text_has_the_same_digest_and_the_same_tokens(text, tmp_path):
    first = prepare_corpus(str(text), tmp_path / "first")
    shutil.copytree(text, tmp_path / "elsewhere")
    second = prepare_corpus(str(tmp_path / "elsewhere"), tmp_path / "second")
    assert first.digest == second.digest
    np.testing.assert_array_equal(first.train(), second.train())


@pytest.mark.parametrize("change", ["byte", "share", "order"])
def test_whatever_changes_the_tokens_changes_the_digest(text, tmp_path, change):
    first = prepare_corpus(str(text), tmp_path / "first")
    if change == "byte":
        with (text / "007.txt").open("ab") as file:
            file.write(b"!")
    if change == "order":
        (text / "000.txt").rename(text / "zzz.txt")
    share = 0.4 if change == "share" else 0.04
    second = prepare_corpus(str(text), tmp_path / "second", held_out=share)
    assert first.digest != second.digest


def test_a_second_call_reads_no_document(text, tmp_path, monkeypatch):
    first = prepare_corpus(str(text), tmp_path / "out")
    monkeypatch.setattr("scalescope.corpora.preparing.take_census", lambda _: pytest.fail("read again"))
    assert prepare_corpus(str(text), tmp_path / "out") == first


def test_touched_files_are_read_again_and_found_equal(text, tmp_path):
    first = prepare_corpus(str(text), tmp_path / "out")
    written = (tmp_path / "out/train.bin").stat().st_mtime_ns
    os.utime(text / "003.txt", (1, 1))
    second = prepare_corpus(str(text), tmp_path / "out")
    assert second.digest == first.digest
    assert second.manifest != first.manifest
    assert open_corpus(tmp_path / "out").manifest == second.manifest
    assert (tmp_path / "out/train.bin").stat().st_mtime_ns == written


def test_the_folder_may_lie_inside_the_text_it_was_made_from(text):
    first = prepare_corpus(str(text), text / "study" / "corpus")
    assert prepare_corpus(str(text), text / "study" / "corpus") == first
    assert first.n_documents == 40
    assert "COR002" not in codes(first)


def test_excluded_folders_are_no_part_of_the_text(text, tmp_path):
    make_folder(text / "study", n=3, n_bytes=400)
    corpus = prepare_corpus(str(text), tmp_path / "out", exclude=[text / "study"])
    assert corpus.n_documents == 40


def test_a_corpus_survives_json(text, tmp_path):
    corpus = prepare_corpus(str(text), tmp_path / "out")
    assert Corpus.from_dict(corpus.to_dict()) == corpus
    assert open_corpus(tmp_path / "out") == corpus


def test_a_prepared_folder_can_be_moved(text, tmp_path):
    before = np.array(prepare_corpus(str(text), tmp_path / "out").train())
    (tmp_path / "out").rename(tmp_path / "moved")
    assert str(tmp_path) not in (tmp_path / "moved/corpus.json").read_text().replace(str(text), "")
    np.testing.assert_array_equal(open_corpus(tmp_path / "moved").train(), before)


def test_token_files_may_lie_elsewhere(text, tmp_path):
    corpus = prepare_corpus(str(text), tmp_path / "out")
    shutil.copy(tmp_path / "out/train.bin", tmp_path / "a1b2")
    shutil.copy(tmp_path / "out/held_out.bin", tmp_path / "c3d4")
    there = corpus.at(tmp_path / "a1b2", tmp_path / "c3d4")
    np.testing.assert_array_equal(there.train(), corpus.train())
    np.testing.assert_array_equal(there.held_out(), corpus.held_out())


def test_tokens_are_mapped_and_cannot_be_written(text, tmp_path):
    tokens = prepare_corpus(str(text), tmp_path / "out").train()
    assert isinstance(tokens, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        tokens[0] = 1


def test_the_summary_tells_size_and_doubts(text, tmp_path):
    corpus = prepare_corpus(str(text), tmp_path / "out")
    assert "40 documents" in corpus.summary()
    assert "COR003" in corpus.summary()  # 200 kB: less than 100k tokens are held out
    assert [row["part"] for row in corpus.frame()] == ["train", "held out"]
    assert sum(row["documents"] for row in corpus.frame()) == 40


def test_epochs_and_bits_follow_from_the_counts(text, tmp_path):
    corpus = replace(prepare_corpus(str(text), tmp_path / "out"), train_tokens=1000, bytes_per_token=4.0)
    assert epochs(corpus, 2500) == 2.5
    assert corpus.bits_per_byte(4 * np.log(2)) == pytest.approx(1.0, rel=1e-12)


def test_progress_ends_at_the_whole(text, tmp_path):
    seen = []
    corpus = prepare_corpus(str(text), tmp_path / "out", progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (corpus.n_bytes, corpus.n_bytes)


def test_a_corpus_larger_than_memory_allows_is_streamed(tmp_path):
    folder = make_folder(tmp_path / "text", n=48, n_bytes=5000)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes() * 100)
    tracemalloc.start()
    try:
        corpus = prepare_corpus(str(folder), tmp_path / "out")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert corpus.n_bytes == 24_000_000
    assert peak < 8_000_000


def test_the_standard_library_is_the_default(tmp_path):
    started = time.perf_counter()
    corpus = prepare_corpus(None, tmp_path / "out")
    first = time.perf_counter() - started
    assert first < 30  # a guard against reading site-packages, not a benchmark
    assert 5e6 < corpus.n_bytes < 40e6
    assert 0.03 < corpus.held_out_bytes / corpus.n_bytes < 0.06
    assert corpus.held_out_tokens >= 100_000
    assert "standard library" in corpus.name
    assert corpus.findings == ()
    text = corpus.train().tobytes() + corpus.held_out().tobytes()
    assert Path(random.__file__).read_bytes() in text
    assert Path(pytest.__file__).read_bytes() not in text


def test_preparing_imports_no_torch(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from scalescope.corpora.preparing import prepare_corpus\n"
        "from scalescope.corpora.sampling import Sampler\n"
        f"prepare_corpus(None, Path({str(tmp_path / 'out')!r}))\n"
        "sys.exit(bool({'torch', 'pyarrow', 'tokenizers', 'datasets'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestSplit:
    def test_a_document_larger_than_the_share_is_passed_over(self):
        documents = [prose(index, 1000) for index in range(99)] + [prose(99, 100_000)]
        split = split_documents(take_census(documents), share=0.05, least_bytes=0)
        assert not split.held_out[99]
        assert 9 <= split.held_out.sum() <= 11

    def test_of_large_documents_only_the_smallest_is_held_out(self):
        documents = [prose(index, 50_000 + index) for index in range(4)]
        split = split_documents(take_census(documents), share=0.04, least_bytes=0)
        assert split.held_out.tolist() == [True, False, False, False]

    def test_the_least_is_kept_to_but_not_beyond_a_fifth(self):
        sizes = [1000] * 200
        census = take_census(prose(index, size) for index, size in enumerate(sizes))
        wanted = split_documents(census, share=0.01, least_bytes=20_000).held_out.sum()
        capped = split_documents(census, share=0.01, least_bytes=150_000).held_out.sum()
        assert (wanted, capped) == (20, 40)

    def test_the_first_of_equal_documents_is_kept(self):
        documents = [b"one", b"two", b"one", b"three", b"two"]
        split = split_documents(take_census(documents), share=0.3, least_bytes=0)
        assert split.kept.tolist() == [True, True, False, True, False]

    @pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
    @pytest.mark.parametrize("sizes", [(1, 1), (1, 100), (100, 1, 1), (4, 4, 2), (5,) * 30])
    def test_both_sides_always_have_a_document(self, share, sizes):
        census = take_census(prose(seed, 400 * size) for seed, size in enumerate(sizes))
        split = split_documents(census, share=share, least_bytes=10_000)
        assert 0 < split.held_out.sum() < len(sizes)


def test_a_missing_corpus_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        open_corpus(tmp_path)
