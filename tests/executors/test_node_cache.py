from __future__ import annotations

import hashlib
import tempfile

import pytest

from scalescope.errors import RunError
from scalescope.executors.cache import cache_folder, digest_file, keep_file

CONTENT = b"once upon a time " * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def chunks(content=CONTENT, size=1000):
    for start in range(0, len(content), size):
        yield memoryview(content[start : start + size])


def keep(folder, given):
    return keep_file(folder, DIGEST, ".bin", len(CONTENT), given)


def test_a_file_is_kept_under_the_digest_of_its_content(tmp_path):
    path = keep(tmp_path, chunks())
    assert path.name == f"{DIGEST}.bin"
    assert path.read_bytes() == CONTENT
    assert digest_file(path) == DIGEST


def test_what_is_kept_is_not_fetched_again(tmp_path):
    keep(tmp_path, chunks())

    def never():
        raise AssertionError("fetched again")
        yield

    assert keep(tmp_path, never()).read_bytes() == CONTENT


def test_a_file_of_another_size_is_replaced(tmp_path):
    keep(tmp_path, chunks()).write_bytes(b"cut")
    assert keep(tmp_path, chunks()).read_bytes() == CONTENT


def test_content_with_another_digest_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(RunError, match="another content"):
        keep(tmp_path, chunks(b"y" * len(CONTENT)))
    assert list(tmp_path.iterdir()) == []


def test_a_transfer_that_breaks_leaves_nothing(tmp_path):
    def broken():
        yield memoryview(CONTENT[:1000])
        raise ConnectionError

    with pytest.raises(ConnectionError):
        keep(tmp_path, broken())
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_can_be_kept(tmp_path):
    path = keep_file(tmp_path, hashlib.sha256().hexdigest(), "", 0, [])
    assert path.read_bytes() == b""


def test_the_folder_is_for_its_user_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert cache_folder() == cache_folder()
    assert cache_folder().stat().st_mode & 0o077 == 0


def test_a_folder_that_someone_else_planted_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = cache_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(RunError, match="belongs to someone else"):
        cache_folder()
