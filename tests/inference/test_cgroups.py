"""Control groups, on folders that look like them: no real group is ever changed here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scalescope.inference import cgroups
from scalescope.inference.cgroups import Leaf, count_own_kills, delegated_folder, free_bytes, headroom

GIB = 1 << 30


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Make a version 2 tree in which this process is in `/jobs/main`."""
    monkeypatch.delenv(cgroups.VARIABLE, raising=False)
    root = tmp_path / "cgroup"
    (root / "jobs" / "main").mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("0::/jobs/main\n")
    (root / "jobs" / "cgroup.subtree_control").write_text("cpu memory\n")
    (root / "jobs" / "memory.max").write_text(f"{8 * GIB}\n")
    (root / "jobs" / "memory.current").write_text(f"{3 * GIB}\n")
    (root / "jobs" / "memory.stat").write_text(f"anon 5\ninactive_file {GIB}\n")
    (root / "jobs" / "main" / "memory.max").write_text("max\n")
    (root / "jobs" / "main" / "memory.current").write_text("4096\n")
    (root / "jobs" / "main" / "memory.events").write_text("oom 3\noom_kill 2\noom_group_kill 0\n")
    return root, own


def test_no_leaf_is_made_in_a_folder_that_nobody_delegated(tree):
    root, own = tree
    assert delegated_folder(root=root, own=own) is None


def test_a_folder_that_was_named_is_used(tree, monkeypatch):
    root, own = tree
    monkeypatch.setenv(cgroups.VARIABLE, str(root / "jobs"))
    assert delegated_folder(root=root, own=own) == root / "jobs"


def test_the_parent_is_used_where_the_system_marked_it(tree, monkeypatch):
    root, own = tree
    marks = {root / "jobs": b"1"}

    def getxattr(path, name):
        if name != "user.delegate" or Path(path) not in marks:
            raise OSError
        return marks[Path(path)]

    monkeypatch.setattr(os, "getxattr", getxattr, raising=False)
    assert delegated_folder(root=root, own=own) == root / "jobs"


def test_a_named_folder_without_the_controller_is_not_used(tree, monkeypatch):
    root, own = tree
    monkeypatch.setenv(cgroups.VARIABLE, str(root / "jobs" / "main"))  # has no such file
    assert delegated_folder(root=root, own=own) is None


def test_a_leaf_holds_limit_and_process_and_is_removed(tree):
    root, _ = tree
    leaf = Leaf(root / "jobs", 5 * GIB)
    leaf.add(4711)
    read = {path.name: path.read_text() for path in leaf.folder.iterdir()}
    assert read == {
        "memory.max": str(5 * GIB),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "cgroup.procs": "4711",
    }
    (leaf.folder / "memory.events").write_text("low 0\noom_kill 1\n")
    assert leaf.kills() == 1
    for path in leaf.folder.iterdir():  # a real group's files go with it
        path.unlink()
    leaf.remove()
    assert not leaf.folder.exists()


def test_kills_in_our_own_group_are_counted_in_both_versions(tree, tmp_path):
    root, own = tree
    assert count_own_kills(root=root, own=own) == 2
    (root / "memory" / "old").mkdir(parents=True)
    (root / "memory" / "old" / "memory.oom_control").write_text("under_oom 0\noom_kill 7\n")
    first = tmp_path / "first"
    first.write_text("5:cpu,memory:/old\n0::/\n")
    assert count_own_kills(root=root, own=first) == 7
    assert count_own_kills(root=root, own=tmp_path / "nothing") is None


def test_headroom_is_that_of_the_tightest_group_with_its_page_cache_given_back(tree):
    root, own = tree
    assert headroom(root=root, own=own) == 6 * GIB


def test_without_limits_there_is_no_headroom_to_tell(tree, tmp_path):
    root, _ = tree
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("0::/other\n")
    assert headroom(root=root, own=elsewhere) is None


def test_free_memory_is_what_the_machine_says(tmp_path, monkeypatch):
    monkeypatch.setattr(cgroups, "headroom", lambda: None)
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 16000 kB\nMemAvailable:    8000 kB\n")
    assert free_bytes(meminfo=meminfo) == 8000 << 10
    monkeypatch.setattr(cgroups, "headroom", lambda: 5)
    assert free_bytes(meminfo=meminfo) == 5
