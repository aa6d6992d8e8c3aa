"""Every kind of source, and what it leaves out."""

from __future__ import annotations

import gzip
import json
import random
import sys
import types
from pathlib import Path

import pytest

from scalescope.corpora import documents as readers
from scalescope.corpora.documents import Tally
from scalescope.corpora.preparing import prepare_corpus
from scalescope.corpora.sources import DatasetSource, FileSource, FolderSource, find_source
from scalescope.errors import InputError, MissingExtraError


def texts(n: int = 30, n_words: int = 500) -> list[str]:
    return [
        " ".join(random.Random(seed).choices(["tok", "ene", "rüst", "ab"], k=n_words)) for seed in range(n)
    ]


def read(source: str, column: str = "text") -> tuple[list[bytes], Tally]:
    tally = Tally()
    return list(find_source(source, column=column).documents(tally)), tally


def write_jsonl(path: Path, rows: list[object]) -> str:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return str(path)


def write_parquet(path: Path, **columns: list[object]) -> str:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra parquet")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), path, row_group_size=7)
    return str(path)


class TestText:
    def test_a_file_is_cut_at_blank_lines_and_nothing_is_lost(self, tmp_path):
        text = "\n\n".join(texts(60)).encode()
        (tmp_path / "book.txt").write_bytes(text)
        pieces, tally = read(str(tmp_path / "book.txt"))
        assert b"".join(pieces) == text
        assert all(piece.endswith(b"\n\n") for piece in pieces[:-1])
        assert min(map(len, pieces)) >= readers.PIECE_BYTES
        assert max(map(len, pieces)) <= 4 * readers.PIECE_BYTES
        assert tally["cut"] == 1

    @pytest.mark.parametrize("joint", ["\r\n\r\n", "\n \t\n"])
    def test_blank_lines_may_hold_white_space(self, tmp_path, joint):
        (tmp_path / "book.txt").write_bytes(joint.join(texts(60)).encode())
        pieces, _ = read(str(tmp_path / "book.txt"))
        assert all(piece.endswith(joint.encode()) for piece in pieces[:-1])

    def test_without_blank_lines_a_file_is_cut_at_line_ends(self, tmp_path):
        (tmp_path / "log.txt").write_text("\n".join(texts(60)))
        pieces, _ = read(str(tmp_path / "log.txt"))
        assert len(pieces) > 5
        assert all(piece.endswith(b"\n") for piece in pieces[:-1])

    def test_without_lines_a_file_is_cut_between_characters(self, tmp_path):
        text = "äöü€" * 40_000
        (tmp_path / "line.txt").write_text(text, encoding="utf-8")
        pieces, _ = read(str(tmp_path / "line.txt"))
        assert len(pieces) > 5
        assert "".join(piece.decode() for piece in pieces) == text

    def test_cutting_a_file_is_a_finding(self, tmp_path):
        (tmp_path / "book.txt").write_text("\n\n".join(texts(100)))
        corpus = prepare_corpus(str(tmp_path / "book.txt"), tmp_path / "out")
        assert [f.code for f in corpus.findings if f.code == "COR001"]

    def test_a_compressed_text_reads_like_the_text(self, tmp_path):
        text = "\n\n".join(texts(60))
        (tmp_path / "book.txt").write_text(text, encoding="utf-8")
        with gzip.open(tmp_path / "book.txt.gz", "wt", encoding="utf-8") as file:
            file.write(text)
        assert read(str(tmp_path / "book.txt.gz"))[0] == read(str(tmp_path / "book.txt"))[0]


class TestFolder:
    def test_hidden_binary_and_special_files_are_counted_and_left_out(self, tmp_path):
        text = tmp_path / "text"
        (text / "sub" / ".git").mkdir(parents=True)
        (text / "sub" / ".git" / "config").write_text("never")
        (text / "sub" / "a.txt").write_text("a")
        (text / "b.weird").write_text("b")
        (text / ".hidden").write_text("never")
        (text / "image.png").write_bytes(b"\x89PNG\0\0")
        (text / "nowhere").symlink_to(text / "absent")
        (text / "loop").symlink_to(text)
        found, tally = read(str(text))
        assert found == [b"b", b"a"]
        assert dict(tally) == {"hidden": 2, "binary": 1, "special": 1}

    def test_what_is_left_out_is_a_finding(self, tmp_path):
        text = tmp_path / "text"
        text.mkdir()
        for index, content in enumerate(texts(60)):
            (text / f"{index}.txt").write_text(content)
        (text / "image.png").write_bytes(b"\x89PNG\0\0")
        (text / ".hidden").write_text("never")
        corpus = prepare_corpus(str(text), tmp_path / "out")
        (finding,) = (finding for finding in corpus.findings if finding.code == "COR002")
        assert "1 binary, 1 hidden" in finding.text

    def test_a_long_file_in_a_folder_is_cut(self, tmp_path, monkeypatch):
        monkeypatch.setattr(readers, "WHOLE_BYTES", 20_000)
        (tmp_path / "short.txt").write_text("short")
        long = "\n\n".join(texts(60))
        (tmp_path / "long.txt").write_text(long, encoding="utf-8")
        found, tally = read(str(tmp_path))
        assert b"".join(found[:-1]) == long.encode()
        assert (found[-1], tally["cut"]) == (b"short", 1)

    def test_a_folder_of_shards_is_read_by_rows(self, tmp_path):
        write_jsonl(tmp_path / "1.jsonl.gz", [{"text": text} for text in texts(30)])
        write_jsonl(tmp_path / "0.jsonl", [{"text": "first"}])
        (tmp_path / "README.md").write_text("about these shards")
        found, tally = read(str(tmp_path))
        assert found == [b"first", *(text.encode() for text in texts(30))]
        assert tally["other"] == 1

    def test_a_table_among_many_texts_is_left_out(self, tmp_path):
        (tmp_path / "a.txt").write_text("a" * 1000)
        write_jsonl(tmp_path / "few.jsonl", [{"text": "row"}])
        found, tally = read(str(tmp_path))
        assert found == [b"a" * 1000]
        assert tally["other"] == 1

    def test_blank_files_are_no_documents(self, tmp_path):
        text = tmp_path / "text"
        text.mkdir()
        for index, content in enumerate([*texts(60), "", " \n\t"]):
            (text / f"{index}.txt").write_text(content)
        assert prepare_corpus(str(text), tmp_path / "out").n_documents == 60


class TestTables:
    @pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
    def test_jsonl_rows_are_documents(self, tmp_path, name):
        path = write_jsonl(tmp_path / name, [{"n": 1, "body": text} for text in texts()])
        assert read(path, "body")[0] == [text.encode() for text in texts()]

    def test_parquet_rows_are_documents(self, tmp_path):
        path = write_parquet(tmp_path / "rows.parquet", n=list(range(30)), body=texts())
        assert read(path, "body")[0] == [text.encode() for text in texts()]

    def test_the_same_rows_make_the_same_corpus_in_any_format(self, tmp_path):
        rows = texts(60)
        digests = {
            prepare_corpus(path, tmp_path / f"out{index}").digest
            for index, path in enumerate(
                [
                    write_jsonl(tmp_path / "rows.jsonl", [{"text": text} for text in rows]),
                    write_jsonl(tmp_path / "rows.jsonl.gz", [{"text": text} for text in rows]),
                    write_parquet(tmp_path / "rows.parquet", text=rows),
                ]
            )
        }
        assert len(digests) == 1

    def test_rows_without_text_are_counted(self, tmp_path):
        path = write_jsonl(tmp_path / "rows.jsonl", [{"text": "a"}, {"text": None}, {"n": 1}, {"text": "b"}])
        found, tally = read(path)
        assert (found, tally["rows"]) == ([b"a", b"b"], 2)

    def test_a_misnamed_column_suggests_the_nearest(self, tmp_path):
        jsonl = write_jsonl(tmp_path / "rows.jsonl", [{"content": "a", "id": "1"}])
        parquet = write_parquet(tmp_path / "rows.parquet", content=["a"], id=["1"])
        for path in (jsonl, parquet):
            with pytest.raises(InputError, match="no column 'contents'") as caught:
                read(path, "contents")
            assert "Did you mean content?" in caught.value.hint

    @pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
    def test_a_column_of_numbers_is_refused(self, tmp_path, suffix):
        path = tmp_path / f"rows.{suffix}"
        if suffix == "jsonl":
            write_jsonl(path, [{"text": 3}])
        else:
            write_parquet(path, text=[3])
        with pytest.raises(InputError, match="holds int, not text"):
            read(str(path))


class FakeRows:
    def __init__(self, rows):
        self.rows = rows
        self.column_names = ["text", "label"]

    def select_columns(self, names):
        assert names == ["text"]
        return self

    def iter(self, batch_size):
        for at in range(0, len(self.rows), batch_size):
            yield {"text": self.rows[at : at + batch_size]}


class TestDatasets:
    @pytest.fixture
    def library(self, monkeypatch):
        fake = types.ModuleType("datasets")
        known = {("org/prose",): texts(600), ("prose", "small"): ["small"], ("org/prose", "big"): ["big"]}

        def load_dataset(*name, split):
            assert split == "train"
            if name not in known:
                raise RuntimeError(f"{name}\nis unknown")
            return FakeRows(known[name])

        fake.load_dataset = load_dataset
        fake.disable_progress_bars = lambda: None
        monkeypatch.setitem(sys.modules, "datasets", fake)

    @pytest.mark.usefixtures("library")
    def test_a_name_is_read_with_and_without_its_mark(self, tmp_path):
        assert len(read("hf:org/prose")[0]) == 600
        assert prepare_corpus("org/prose", tmp_path / "out").name == "org/prose"

    @pytest.mark.usefixtures("library")
    def test_the_last_part_may_be_a_configuration(self):
        assert read("hf:prose/small")[0] == [b"small"]
        assert read("hf:org/prose/big")[0] == [b"big"]

    @pytest.mark.usefixtures("library")
    def test_an_unknown_name_is_one_line(self):
        with pytest.raises(InputError, match=r"data set nothing could not be loaded: .* is unknown$"):
            read("hf:nothing")

    @pytest.mark.usefixtures("library")
    def test_a_misnamed_column_suggests_the_nearest(self):
        with pytest.raises(InputError, match="no column 'txt'") as caught:
            read("hf:org/prose", "txt")
        assert "text" in caught.value.hint

    def test_what_was_prepared_needs_no_library_the_second_time(self, library, tmp_path, monkeypatch):
        first = prepare_corpus("hf:org/prose", tmp_path / "out")
        monkeypatch.setitem(sys.modules, "datasets", None)
        assert prepare_corpus("hf:org/prose", tmp_path / "out") == first

    def test_without_the_library_the_extra_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(MissingExtraError, match="needs datasets") as caught:
            read("wikitext")
        assert "scalescope[datasets]" in caught.value.hint

    @pytest.mark.slow
    def test_the_real_library_reads_a_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        pytest.importorskip("datasets", reason="needs the extra datasets")
        (tmp_path / "data").mkdir()
        write_jsonl(tmp_path / "data" / "train.jsonl", [{"text": text} for text in texts()])
        assert read(f"hf:{tmp_path / 'data'}")[0] == [text.encode() for text in texts()]


class TestFindSource:
    def test_each_kind_is_recognised(self, tmp_path):
        (tmp_path / "a.txt").write_text("a")
        assert isinstance(find_source(None), FolderSource)
        assert isinstance(find_source(str(tmp_path)), FolderSource)
        assert isinstance(find_source(str(tmp_path / "a.txt")), FileSource)
        assert isinstance(find_source("org/name"), DatasetSource)

    @pytest.mark.parametrize(
        "name", ["", "./absent", "/absent", "absent.txt", "a/b/c/d", "a\0b", "absent.jsonl.gz"]
    )
    def test_what_looks_like_a_path_must_exist(self, name):
        with pytest.raises(InputError, match="no such file or folder"):
            find_source(name)

    def test_a_mistyped_path_suggests_its_neighbours(self, tmp_path, monkeypatch):
        (tmp_path / "novels").mkdir()
        monkeypatch.chdir(tmp_path)
        for name in ("novel", "./novel", str(tmp_path / "novel")):
            with pytest.raises(InputError) as caught:
                find_source(name)
            assert "Did you mean novels?" in caught.value.hint
