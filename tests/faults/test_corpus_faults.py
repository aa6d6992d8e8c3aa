"""Texts that cannot be used, disks that are full, files that changed: one line and the next step."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scalescope.corpora.corpus import open_corpus
from scalescope.corpora.preparing import prepare_corpus
from scalescope.errors import InputError, RunError


def prose(seed: int, n_words: int) -> str:
    return " ".join(random.Random(seed).choices(["toka", "ene", "rest", "abo"], k=n_words))


def make_folder(folder: Path, n: int = 60) -> Path:
    folder.mkdir()
    for index in range(n):
        (folder / f"{index:02}.txt").write_text(prose(index, 500))
    return folder


@pytest.fixture
def text(tmp_path):
    return make_folder(tmp_path / "text")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def refuse(match: str, source: str | Path, out: Path, **options) -> str:
    """Expect an input error of one line with a next step, and nothing left behind."""
    with pytest.raises(InputError, match=match) as caught:
        prepare_corpus(str(source), out, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert not list(out.glob("*.part"))
    return str(caught.value)


class TestInput:
    def test_an_empty_folder_has_no_text(self, tmp_path, out):
        (tmp_path / "empty").mkdir()
        refuse("empty holds no text", tmp_path / "empty", out)

    def test_a_folder_of_other_things_says_what_it_has(self, tmp_path, out):
        folder = tmp_path / "images"
        folder.mkdir()
        (folder / "a.png").write_bytes(b"\x89PNG\0")
        (folder / ".b").write_text("b")
        assert "1 binary, 1 hidden" in refuse("holds no text", folder, out)

    @pytest.mark.parametrize("content", [b"", b" \n", b"\x7fELF\0\0", "wide".encode("utf-16")])
    def test_a_file_without_text_is_refused(self, tmp_path, out, content):
        (tmp_path / "file").write_bytes(content)
        refuse("file holds no text", tmp_path / "file", out)

    def test_a_small_text_says_how_often_it_would_be_read(self, tmp_path, out):
        (tmp_path / "note.txt").write_text(prose(0, 4000))
        assert "times over" in refuse("training tokens and needs at least 50k", tmp_path / "note.txt", out)

    def test_one_document_cannot_be_split(self, tmp_path, out):
        folder = tmp_path / "one"
        folder.mkdir()
        for name in ("a.txt", "b.txt"):
            (folder / name).write_text(prose(0, 20_000))
        refuse("only one document", folder, out)

    @pytest.mark.parametrize("share", [0, -0.1, 0.6, float("nan")])
    def test_an_impossible_share_is_refused(self, text, out, share):
        refuse("held-out share must be", text, out, held_out=share)

    def test_a_file_that_may_not_be_read_is_named(self, text, out, monkeypatch):
        real = Path.open

        def guarded(path, *args, **options):
            if path.name == "17.txt":
                raise PermissionError(13, "Permission denied")
            return real(path, *args, **options)

        monkeypatch.setattr(Path, "open", guarded)
        refuse(r"cannot read .*17\.txt: Permission denied", text, out)

    def test_an_output_that_is_a_file_is_refused(self, text, out):
        out.write_text("mine")
        refuse("is not a folder", text, out)
        assert out.read_text() == "mine"

    def test_the_text_folder_itself_cannot_take_the_tokens(self, text):
        refuse("both the text and the place", text, text)


class TestDamagedFiles:
    @pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
    def test_a_truncated_gz_is_refused(self, tmp_path, out, keep):
        path = tmp_path / "rows.jsonl.gz"
        with gzip.open(path, "wt") as file:
            file.writelines(json.dumps({"text": prose(seed, 300)}) + "\n" for seed in range(60))
        content = path.read_bytes()
        path.write_bytes(content[: int(keep * len(content))])
        refuse("rows.jsonl.gz(, line .* is not JSON| is truncated or damaged)", path, out)

    def test_a_gz_that_is_none_is_refused(self, tmp_path, out):
        path = tmp_path / "rows.jsonl.gz"
        path.write_bytes(b"not compressed at all")
        refuse("truncated or damaged", path, out)

    @pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
    def test_a_truncated_parquet_is_refused(self, tmp_path, out, keep):
        pyarrow = pytest.importorskip("pyarrow", reason="needs the extra parquet")
        from pyarrow import parquet

        path = tmp_path / "rows.parquet"
        parquet.write_table(pyarrow.table({"text": [prose(seed, 300) for seed in range(60)]}), path)
        content = path.read_bytes()
        path.write_bytes(content[: int(keep * len(content))])
        refuse("not a whole Parquet file", path, out)

    def test_a_parquet_damaged_in_the_middle_is_refused(self, tmp_path, out):
        pyarrow = pytest.importorskip("pyarrow", reason="needs the extra parquet")
        from pyarrow import parquet

        path = tmp_path / "rows.parquet"
        parquet.write_table(pyarrow.table({"text": [prose(seed, 300) for seed in range(60)]}), path)
        content = bytearray(path.read_bytes())
        content[100:4000] = b"\xff" * 3900
        path.write_bytes(content)
        refuse(r"rows\.parquet", path, out)

    @pytest.mark.parametrize(
        ("line", "match"),
        [
            (b'{"text": "cut', "line 3 is not JSON"),
            (b"[1, 2]", "line 3 is not a JSON object"),
            (b'{"text": "\xff"}', "line 3 is not JSON"),
            (b'{"text": {"a": 1}}', "line 3: column 'text' holds dict"),
        ],
    )
    def test_a_bad_line_is_named(self, tmp_path, out, line, match):
        good = [json.dumps({"text": prose(seed, 300)}).encode() for seed in range(2)]
        (tmp_path / "rows.jsonl").write_bytes(b"\n".join([*good, line]))
        refuse(match, tmp_path / "rows.jsonl", out)


class TestDisk:
    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
    @pytest.mark.parametrize("name", ["train.bin.part", "held_out.bin.part", "corpus.json.part"])
    def test_a_full_disk_is_one_line_and_leaves_nothing(self, text, out, name):
        out.mkdir()
        (out / name).symlink_to("/dev/full")
        with pytest.raises(
            RunError, match=r"cannot write the corpus to .*: No space left on device"
        ) as caught:
            prepare_corpus(str(text), out)
        assert "Free about" in caught.value.hint
        assert not list(out.glob("*.part"))
        assert not (out / "corpus.json").exists()
        assert prepare_corpus(str(text), out).n_documents == 60

    def test_a_place_that_cannot_be_made_is_one_line(self, text, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(RunError, match="cannot write the corpus"):
            prepare_corpus(str(text), tmp_path / "file" / "out")

    def test_an_interruption_leaves_nothing_half_written(self, text, out):
        def interrupt(done, of):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            prepare_corpus(str(text), out, progress=interrupt)
        assert list(out.iterdir()) == []

    def test_a_killed_preparation_is_made_again(self, text, out):
        code = (
            "import os, signal, sys; from pathlib import Path\n"
            "from scalescope.corpora.preparing import prepare_corpus\n"
            "kill = lambda done, of: os.kill(os.getpid(), signal.SIGKILL)\n"
            f"prepare_corpus({str(text)!r}, Path({str(out)!r}), progress=kill)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
        assert (out / "train.bin.part").exists()
        corpus = prepare_corpus(str(text), out)
        assert corpus.n_documents == 60
        assert not list(out.glob("*.part"))


class TestKeptCorpus:
    def test_a_changed_text_is_refused_and_the_old_tokens_stay(self, text, out):
        before = np.array(prepare_corpus(str(text), out).train())
        (text / "new.txt").write_text(prose(1000, 500))
        refuse("the corpus changed since", text, out)
        np.testing.assert_array_equal(open_corpus(out).train(), before)

    def test_another_text_is_refused(self, text, tmp_path, out):
        prepare_corpus(str(text), out)
        other = tmp_path / "other"
        other.mkdir()
        for index in range(60):
            (other / f"{index}.txt").write_text(prose(index + 500, 500))
        refuse("the corpus changed since", other, out)

    def test_another_share_is_refused(self, text, out):
        prepare_corpus(str(text), out)
        refuse("held-out share of 0.04, not 0.3", text, out, held_out=0.3)

    def test_a_text_that_is_gone_is_a_finding_and_the_tokens_serve(self, text, out):
        before = prepare_corpus(str(text), out)
        shutil.rmtree(text)
        after = prepare_corpus(str(text), out)
        assert after.digest == before.digest
        assert [finding.code for finding in after.findings if finding not in before.findings] == ["COR006"]
        refuse("no such file or folder", text.parent / "text2", out)

    @pytest.mark.parametrize("damage", ["cut", "gone"])
    def test_damaged_tokens_are_made_again_and_said(self, text, out, damage):
        before = prepare_corpus(str(text), out)
        tokens = np.array(before.train())
        if damage == "cut":
            os.truncate(out / "train.bin", 1000)
        else:
            (out / "held_out.bin").unlink()
        after = prepare_corpus(str(text), out)
        assert "COR009" in {finding.code for finding in after.findings}
        assert after.digest == before.digest
        np.testing.assert_array_equal(after.train(), tokens)
        assert prepare_corpus(str(text), out).findings == before.findings

    def test_damaged_tokens_without_their_text_are_refused(self, text, out):
        corpus = prepare_corpus(str(text), out)
        os.truncate(out / "train.bin", 1000)
        with pytest.raises(InputError, match="has 1000 bytes where"):
            corpus.train()
        shutil.rmtree(text)
        refuse("no such file or folder", text, out)

    def test_a_damaged_description_is_written_again(self, text, out):
        before = prepare_corpus(str(text), out)
        (out / "corpus.json").write_text('{"schema": "scalesc')
        assert prepare_corpus(str(text), out).digest == before.digest
        assert open_corpus(out).digest == before.digest

    def test_a_description_of_another_version_is_refused(self, text, out):
        prepare_corpus(str(text), out)
        plain = json.loads((out / "corpus.json").read_text()) | {"schema": "scalescope.corpus/9"}
        (out / "corpus.json").write_text(json.dumps(plain))
        refuse("expected scalescope.corpus/1, got 'scalescope.corpus/9'", text, out)

    @pytest.mark.parametrize("change", ["edit", "add", "remove"])
    def test_a_text_that_changes_while_it_is_read_is_noticed(self, text, out, monkeypatch, change):
        from scalescope.corpora import preparing

        real = preparing.split_documents

        def meddle(*args, **options):
            if change == "edit":
                (text / "00.txt").write_text(prose(77, 500))
            elif change == "add":
                (text / "zz.txt").write_text(prose(77, 500))
            else:
                (text / "59.txt").unlink()
            return real(*args, **options)

        monkeypatch.setattr(preparing, "split_documents", meddle)
        with pytest.raises(RunError, match="changed while it was read"):
            prepare_corpus(str(text), out)
        assert not list(out.glob("*.part"))
