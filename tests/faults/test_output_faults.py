"""What stands where a result is written: links, pipes, devices, and streams that are closed or full."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from scalescope.errors import WorkError
from scalescope.points import replacing, write_json

RESULT = {"schema": "scalescope.test/1", "value": 1}


def run(words, **streams):
    return subprocess.run(
        [sys.executable, "-m", "scalescope", *words],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **streams,
    )


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_json(pipe, RESULT)
    reader.join(timeout=10)
    assert pipe.is_fifo()
    assert '"value": 1' in read[0]
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    target, link = tmp_path / "real.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    write_json(link, RESULT)
    assert link.is_symlink()
    assert '"value": 1' in target.read_text()
    assert sorted(tmp_path.iterdir()) == [link, target]


def test_a_link_to_nothing_makes_its_target(tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "new.json")
    write_json(link, RESULT)
    assert link.is_symlink()
    assert '"value": 1' in (tmp_path / "new.json").read_text()


def test_a_link_to_itself_is_a_fault_of_the_work(tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(link)
    with pytest.raises(WorkError, match="cannot write"):
        write_json(link, RESULT)


def test_a_full_device_is_told_and_is_still_a_device_afterwards(tmp_path):
    # A node of the test's own: what could be replaced by mistake is not the machine's.
    device = tmp_path / "full"
    try:
        os.mknod(device, 0o600 | 0o020000, os.makedev(1, 7))
        with device.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space"):
            stream.write(b"x")
    except PermissionError:
        pytest.skip("this user may not make devices")
    with pytest.raises(WorkError, match="No space left"):
        write_json(device, RESULT)
    assert device.is_char_device()


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(WorkError, match="directory"), replacing(tmp_path) as part:
        part.write_text("x")
    assert tmp_path.is_dir()
    assert not Path(f"{tmp_path}.part").exists()


@pytest.mark.parametrize("words", [["--help"], ["laws"]])
def test_a_closed_standard_output_is_an_error_in_words(words):
    done = run(words, preexec_fn=lambda: os.close(1))
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output is closed")


def test_a_closed_standard_error_does_not_spoil_the_result():
    done = subprocess.run(
        [sys.executable, "-m", "scalescope", "laws", "chinchilla"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=lambda: os.close(2),
    )
    assert done.returncode == 0
    assert "chinchilla" in done.stdout
