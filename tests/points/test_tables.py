from __future__ import annotations

import gzip
import io
import lzma
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.points import read_runs
from scalescope.points.documents import Document, open_document
from scalescope.points.tables import read_table

TABLE = b"params,tokens,loss\n70B,1.4T,1.9\n1e9,2e10,2.6\n"


def parsed(content, keep=None, kind=".csv"):
    return read_table(Document(source="x" + kind, kind=kind, content=content.encode()), keep=keep)


class TestCompressed:
    @pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
    def test_a_compressed_table_is_read(self, tmp_path, ending, pack):
        path = tmp_path / f"runs.csv{ending}"
        path.write_bytes(pack(TABLE))
        assert read_runs(path).size.tolist() == [70e9, 1e9]

    @pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
    def test_a_compressed_standard_input_is_recognised(self, monkeypatch, pack):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(TABLE))))
        assert len(read_runs("-")) == 2

    def test_a_truncated_archive_is_refused(self, tmp_path):
        path = tmp_path / "runs.csv.xz"
        path.write_bytes(lzma.compress(TABLE)[:-9])
        with pytest.raises(InputError, match="is not xz"):
            open_document(path)

    def test_a_compressed_file_under_another_name_is_told(self, tmp_path):
        path = tmp_path / "runs.csv"
        path.write_bytes(gzip.compress(TABLE))
        with pytest.raises(InputError, match="does not hold CSV") as caught:
            open_document(path)
        assert "looks like GZ" in caught.value.hint


class TestCells:
    def test_without_a_word_every_cell_stays_as_it_was_written(self):
        assert parsed("a,b\n1,x\n2,y\n").columns == {"a": ["1", "2"], "b": ["x", "y"]}

    def test_plain_numbers_become_floats_and_can_be_looked_up_as_written(self):
        table = parsed("a,b\n1.50,x\n\n2.0,007\n", keep=lambda _: ["b"])
        np.testing.assert_array_equal(table.columns["a"], [1.5, 2.0])
        assert table.columns["b"] == ["x", "007"]
        assert (table.written("a", 0), list(table.places)) == ("1.50", [2, 4])

    @pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
    def test_separators_are_recognised(self, separator):
        table = parsed(f"a{separator}b\n1{separator}2\n")
        assert (list(table.columns), table.separator) == (["a", "b"], separator)

    def test_a_cell_over_several_lines_moves_the_lines_after_it(self):
        table = parsed('a,b\n"x\ny",1\nz,2\n', keep=lambda _: [])
        assert list(table.places) == [2, 4]

    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(
        rows=st.lists(
            st.tuples(
                st.sampled_from(["1", "", " ", "a", '"q"', '"1\n2"', "é"]), st.sampled_from(["2", "", "b"])
            ),
            min_size=1,
            max_size=6,
        ),
        end=st.sampled_from(["\n", "\r\n"]),
    )
    def test_whole_blocks_and_single_rows_read_alike(self, rows, end):
        content = end.join(["x,y", *(",".join(row) for row in rows)]) + end
        kept = [row for row in rows if "".join(row).strip()]
        if not kept:
            with pytest.raises(InputError, match="has no rows"):
                parsed(content)
            return
        table = parsed(content)
        assert table.columns["x"] == [row[0].strip('"') for row in kept]
        assert len(table.places) == len(kept)

    def test_json_lines_may_lack_keys(self):
        table = parsed('{"a": 1}\n{"b": 2.5}\n', keep=lambda _: [], kind=".jsonl")
        np.testing.assert_array_equal(table.columns["a"], [1, np.nan])
        np.testing.assert_array_equal(table.columns["b"], [np.nan, 2.5])

    def test_a_key_that_first_comes_late_is_a_gap_before(self):
        lines = '{"a": 1}\n' * 300 + '{"a": 1, "b": 2}\n'
        column = parsed(lines, keep=lambda _: [], kind=".jsonl").columns["b"]
        assert len(column) == 301
        assert column[300] == 2


@pytest.mark.slow
def test_a_million_rows_are_read_in_seconds(tmp_path):
    n = 1_000_000
    rng = np.random.default_rng(0)
    N, D = np.exp(rng.uniform(16, 23, n)), np.exp(rng.uniform(20, 27, n))
    L = 1.69 + 406.4 / N**0.34 + 410.7 / D**0.28
    path = tmp_path / "runs.csv"
    lines = (f"{a:.6g},{b:.6g},{c:.6f}\n" for a, b, c in zip(N.tolist(), D.tolist(), L.tolist(), strict=True))
    path.write_text("params,tokens,loss\n" + "".join(lines))
    start = time.process_time()
    runs = read_runs(path)
    assert len(runs) == n
    assert time.process_time() - start < 15
    assert [finding.code for finding in runs.findings] == ["RUN003"]
