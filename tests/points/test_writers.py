from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalescope.errors import InputError, MissingExtraError, WorkError
from scalescope.points import Runs, read_runs, replacing, write_runs

positive = st.floats(1e3, 1e30)
rows = st.lists(
    st.tuples(positive, positive, st.floats(1e-3, 20), st.integers(0, 99)), min_size=1, max_size=4
)


def runs_of(table):
    N, D, L, seed = np.array(table, dtype=float).T
    columns = {"params": N, "tokens": D, "loss": L, "seed": seed, "seconds": np.full(len(N), np.nan)}
    return Runs.from_columns(columns, names=tuple(f"run {i}, é" for i in range(len(N))))


@pytest.mark.parametrize("extension", [".csv", ".json", ".jsonl", ".parquet"])
class TestEveryFormat:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
    @given(table=rows)
    def test_numbers_come_back_to_the_last_bit(self, tmp_path, extension, table):
        runs = runs_of(table)
        again = read_runs(write_runs(runs, tmp_path / f"runs{extension}"))
        assert again.names == runs.names
        for name in ("params", "tokens", "compute", "loss", "seed"):
            np.testing.assert_array_equal(again[name], runs[name])

    def test_only_the_finished_file_is_left(self, tmp_path, extension):
        write_runs(runs_of([(1e6, 2e7, 3.0, 0)]), tmp_path / f"runs{extension}")
        assert [path.name for path in tmp_path.iterdir()] == [f"runs{extension}"]

    def test_a_full_disk_is_one_line_and_keeps_what_was_there(self, tmp_path, extension):
        if not Path("/dev/full").exists():
            pytest.skip("this system has no /dev/full")
        path = tmp_path / f"runs{extension}"
        path.write_text("precious")
        (tmp_path / f"runs{extension}.part").symlink_to("/dev/full")
        with pytest.raises(WorkError, match="cannot write") as caught:
            write_runs(runs_of([(1e6, 2e7, 3.0, 0)]), path)
        assert "Free some space" in caught.value.hint
        assert path.read_text() == "precious"
        assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_whole_numbers_are_written_without_a_point(tmp_path):
    text = write_runs(runs_of([(7e9, 2e12, 3.0, 0)]), tmp_path / "runs.csv").read_text()
    assert text.splitlines()[1].startswith('"run 0, é",7000000000,2000000000000,3,0,,')


def test_an_unknown_extension_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot write runs as '.xlsx'"):
        write_runs(runs_of([(1e6, 2e7, 3.0, 0)]), tmp_path / "runs.xlsx")


def test_an_absent_folder_is_one_line(tmp_path):
    with pytest.raises(WorkError, match="No such file") as caught:
        write_runs(runs_of([(1e6, 2e7, 3.0, 0)]), tmp_path / "absent" / "runs.csv")
    assert caught.value.hint == "Make the folder first."


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO])
def test_every_refusal_of_the_system_is_one_line(tmp_path, number):
    with pytest.raises(WorkError, match="cannot write") as caught, replacing(tmp_path / "runs.csv"):
        raise OSError(number, "refused")
    assert caught.value.hint


def test_an_interrupted_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "runs.csv") as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_parquet_without_its_library_says_how_to_get_it(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError):
        write_runs(runs_of([(1e6, 2e7, 3.0, 0)]), tmp_path / "runs.parquet")
