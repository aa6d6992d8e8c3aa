"""What kills a study, done to a ledger: dead processes, cut files, a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from scalescope.errors import InputError, LedgerError, RunError
from scalescope.ledgers.ledger import Ledger

IDENTITY = {"corpus": "3f2a"}
TASKS = Path(__file__).parents[1] / "executors"
TRIALS = 3

DRIVER = """
import sys
from pathlib import Path
from scalescope.executors import LocalExecutor, Task
from scalescope.ledgers.ledger import Ledger

with Ledger.open(Path(sys.argv[1])) as ledger, LocalExecutor(3, allowed=["executor_tasks."]) as executor:
    ledger.add_trials({"a": {}, "b": {}, "silent": {}})
    payload = {"x": 2, "steps": 1000, "seconds": 60}
    for key, function in (("silent", "wait"), ("a", "work"), ("b", "work")):
        executor.submit(Task(key=key, function=f"executor_tasks:{function}", payload=payload))
    while True:
        for event in executor.events(1.0):
            if event.kind == "started":
                ledger.start(event.key)
            if event.kind == "message":
                step = event.data.get("step", 0)
                ledger.record_point(event.key, f"{event.key}@{step}", event.data)
                print(event.key, step, event.data["pid"], flush=True)
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def driver(folder):
    """A study at work in another process, with the end of it made sure."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TASKS), *filter(None, sys.path)])}
    command = [sys.executable, "-c", DRIVER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def fill(ledger, trials=TRIALS):
    """Finish some trials of two points each; return the keys of the points."""
    ledger.add_trials({f"t{index}": {"text": "x" * 500} for index in range(trials)})
    for index in range(trials):
        ledger.start(f"t{index}")
        for step in range(2):
            ledger.record_point(f"t{index}", f"t{index}@{step}", {"loss": 1 / 3, "text": "y" * 1500})
        ledger.record_curve(f"t{index}", {"loss": [1 / 3] * 500})
        ledger.finish(f"t{index}")
    return {point.key for point in ledger.points()}


def remove_backup(folder):
    (folder / "ledger.backup.sqlite").unlink()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "ledger.lock"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A ledger that was closed, and its points."""
    folder = tmp_path_factory.mktemp("whole")
    with Ledger.open(folder, IDENTITY) as ledger:
        points = fill(ledger)
    return folder, points


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """A ledger as a kill leaves it, changes still in SQLite's log, and its points."""
    folder, copy = tmp_path_factory.mktemp("running"), tmp_path_factory.mktemp("crashed") / "study"
    with Ledger.open(folder, IDENTITY) as ledger:
        fill(ledger)
        ledger.add_trials({"last": {}})
        ledger.start("last")
        for step in range(3):
            ledger.record_point("last", f"last@{step}", {"loss": 0.5, "text": "z" * 3000})
        points = {point.key for point in ledger.points()}
        shutil.copytree(folder, copy)
    return copy, points


def offsets(path, page=4096):
    """Every page border, a byte to each side of it, the middle of each page, and the header's inside."""
    size = path.stat().st_size
    borders = range(0, size + 1, page)
    cuts = {cut for border in borders for cut in (border - 1, border, border + 1, border + page // 2)}
    return sorted(cut for cut in cuts | {10, 50, 99, 100, 101, size - 1} if 0 <= cut < size)


@pytest.mark.slow
def test_killing_the_driver_ends_its_workers_and_keeps_every_point(tmp_path):
    with driver(tmp_path) as process:
        seen = []
        while len(seen) < 30 or len({key for key, _, _ in seen}) < 3:
            seen.append(process.stdout.readline().split())
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        process.wait()
        workers = {int(pid) for _, _, pid in seen}
        while any(alive(pid) for pid in workers):
            assert time.monotonic() - killed < 2, "a worker outlived its driver by two seconds"
            time.sleep(0.01)
    assert len(workers) == 3
    with Ledger.open(tmp_path) as ledger:
        assert {f"{key}@{step}" for key, step, _ in seen} <= {point.key for point in ledger.points()}
        assert ledger.findings() == ()
        assert set(ledger.reset_interrupted()) == {"a", "b", "silent"}


def test_a_page_of_zeros_is_refused_wherever_it_is(whole, tmp_path):
    folder, _ = whole
    content = (folder / "ledger.sqlite").read_bytes()
    for start in range(0, len(content), 4096):
        study = shutil.copytree(folder, tmp_path / str(start))
        remove_backup(study)
        damaged = content[:start] + bytes(4096) + content[start + 4096 :]
        (study / "ledger.sqlite").write_bytes(damaged)
        with pytest.raises(LedgerError, match="is damaged: ") as caught:
            Ledger.open(study, IDENTITY)
        assert "\n" not in str(caught.value)
        assert (study / "ledger.sqlite").read_bytes() == damaged


def test_a_cut_in_text_that_means_nothing_to_us_is_damage_too(tmp_path):
    with Ledger.open(tmp_path, IDENTITY) as ledger:
        ledger.add_trials({"t": {}})
        ledger.fail("t", "x" * 20_000)
    remove_backup(tmp_path)
    content = (tmp_path / "ledger.sqlite").read_bytes()
    os.truncate(tmp_path / "ledger.sqlite", content.rindex(b"xxxx") - 100)
    with pytest.raises(LedgerError, match="is damaged"):
        Ledger.open(tmp_path)


@pytest.mark.slow
def test_a_second_driver_is_refused_until_the_first_is_killed(tmp_path):
    with driver(tmp_path) as process:
        process.stdout.readline()
        with pytest.raises(LedgerError, match="another scalescope is at work") as caught:
            Ledger.open(tmp_path)
        assert caught.value.hint
        process.kill()
        process.wait()
        Ledger.open(tmp_path).close()


def test_what_a_kill_leaves_opens_with_every_point(crashed, tmp_path):
    folder, points = crashed
    study = shutil.copytree(folder, tmp_path / "study")
    remove_backup(study)
    with Ledger.open(study, IDENTITY) as ledger:
        assert {point.key for point in ledger.points()} == points
        assert ledger.findings() == ()


def test_a_cut_ledger_without_a_backup_is_refused_and_left_alone(whole, tmp_path):
    folder, _ = whole
    for cut in offsets(folder / "ledger.sqlite"):
        study = shutil.copytree(folder, tmp_path / str(cut))
        remove_backup(study)
        os.truncate(study / "ledger.sqlite", cut)
        before = contents(study)
        with pytest.raises(LedgerError, match="is damaged: ") as caught:
            Ledger.open(study, IDENTITY)
        assert "Nothing was changed" in caught.value.hint
        assert "\n" not in str(caught.value)
        assert contents(study) == before


def test_a_cut_ledger_is_restored_from_its_backup_with_every_point(whole, tmp_path):
    folder, points = whole
    for cut in offsets(folder / "ledger.sqlite")[::5]:
        study = shutil.copytree(folder, tmp_path / str(cut))
        os.truncate(study / "ledger.sqlite", cut)
        damaged = (study / "ledger.sqlite").read_bytes()
        with Ledger.open(study, IDENTITY) as ledger:
            assert {point.key for point in ledger.points()} == points
            assert [finding.code for finding in ledger.findings()] == ["STU001"]
        assert (study / "ledger.damaged-1.sqlite").read_bytes() == damaged


def test_a_ledger_cut_after_a_kill_opens_with_every_point_or_is_refused(crashed, tmp_path):
    folder, points = crashed
    outcomes = set()
    for cut in offsets(folder / "ledger.sqlite")[::3]:
        study = shutil.copytree(folder, tmp_path / str(cut))
        remove_backup(study)
        os.truncate(study / "ledger.sqlite", cut)
        before = contents(study)
        try:
            with Ledger.open(study, IDENTITY) as ledger:
                assert {point.key for point in ledger.points()} == points
            outcomes.add("opened")
        except LedgerError:
            assert contents(study) == before
            outcomes.add("refused")
    assert "refused" in outcomes


def test_a_cut_log_costs_nothing_that_a_finished_trial_recorded(crashed, tmp_path):
    folder, points = crashed
    finished = {key for key in points if not key.startswith("last")}
    counts = []
    for cut in offsets(folder / "ledger.sqlite-wal"):
        study = shutil.copytree(folder, tmp_path / str(cut))
        os.truncate(study / "ledger.sqlite-wal", cut)
        with Ledger.open(study, IDENTITY) as ledger:
            found = {point.key for point in ledger.points()}
        assert finished <= found <= points
        counts.append(len(found))
    assert counts == sorted(counts)


def test_a_main_file_older_than_its_backup_is_replaced_by_it(tmp_path):
    with Ledger.open(tmp_path / "study", IDENTITY) as ledger:
        old = shutil.copytree(tmp_path / "study", tmp_path / "old")
        points = fill(ledger)
    for name in ("ledger.sqlite", "ledger.sqlite-wal"):
        (tmp_path / "study" / name).unlink(missing_ok=True)
        if (old / name).exists():
            shutil.copyfile(old / name, tmp_path / "study" / name)
    with Ledger.open(tmp_path / "study", IDENTITY) as ledger:
        assert {point.key for point in ledger.points()} == points
        assert "lacks changes" in ledger.findings()[0].text


def test_a_lost_ledger_comes_back_from_its_backup(whole, tmp_path):
    folder, points = whole
    study = shutil.copytree(folder, tmp_path / "study")
    (study / "ledger.sqlite").unlink()
    with Ledger.read(study) as ledger:
        assert {point.key for point in ledger.points()} == points
        assert "it is missing" in ledger.findings()[0].text


@pytest.mark.parametrize("garbage", [b"", b"name,loss\n1,2\n" * 500, b"SQLite format 3\0" + b"\0" * 8176])
def test_what_is_not_a_ledger_is_refused(tmp_path, garbage):
    (tmp_path / "ledger.sqlite").write_bytes(garbage)
    for attempt in (Ledger.open, Ledger.read):
        with pytest.raises(LedgerError, match="is damaged"):
            attempt(tmp_path)
    assert (tmp_path / "ledger.sqlite").read_bytes() == garbage


def test_values_that_are_not_json_are_damage(whole, tmp_path):
    import sqlite3

    study = shutil.copytree(whole[0], tmp_path / "study")
    remove_backup(study)
    with sqlite3.connect(study / "ledger.sqlite") as connection:
        connection.execute("UPDATE points SET data = '{\"loss\": 1.' WHERE key = 't0@0'")
    connection.close()
    with pytest.raises(LedgerError, match="not ours"):
        Ledger.open(study)


def test_a_kill_while_the_ledger_is_made_leaves_a_folder_that_can_be_used(tmp_path):
    (tmp_path / "ledger.lock").touch()
    (tmp_path / "ledger.sqlite.part").write_bytes(b"SQLite for")
    Ledger.open(tmp_path, IDENTITY).close()


def test_a_log_without_its_ledger_is_never_read_into_a_new_one(crashed, tmp_path):
    shutil.copyfile(crashed[0] / "ledger.sqlite-wal", tmp_path / "ledger.sqlite-wal")
    with pytest.raises(InputError, match="not empty"):
        Ledger.open(tmp_path)


def test_a_full_ledger_says_so_and_keeps_what_it_has(tmp_path):
    with Ledger.open(tmp_path, IDENTITY) as ledger:
        points = fill(ledger)
        ledger._connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size
        with pytest.raises(RunError, match="no space left") as caught:
            for step in range(100):
                ledger.record_point("t0", f"more@{step}", {"text": "x" * 4000})
                points.add(f"more@{step}")
        assert "\n" not in str(caught.value)
        assert "Free some space" in caught.value.hint
        ledger._connection.execute("PRAGMA max_page_count = 1000000")
        ledger.record_point("t0", "later", {})
    with Ledger.open(tmp_path, IDENTITY) as ledger:
        assert {point.key for point in ledger.points()} == points | {"later"}


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"cannot mount a small disk: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="mount is not there")
def test_a_full_disk_is_told_in_one_line_and_nothing_recorded_is_lost(small_disk):
    study, points = small_disk / "study", set()
    with Ledger.open(study, IDENTITY) as ledger:
        points |= fill(ledger)
        with pytest.raises(RunError, match="no space left") as caught:
            for step in range(1000):
                ledger.record_point("t0", f"more@{step}", {"text": "x" * 4000})
                points.add(f"more@{step}")
        assert "\n" not in str(caught.value)
        assert {point.key for point in ledger.points()} == points
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    with Ledger.open(study, IDENTITY) as ledger:
        assert {point.key for point in ledger.points()} == points
        ledger.record_point("t0", "later", {})


def test_a_disk_too_full_for_the_backup_is_a_finding(small_disk):
    with Ledger.open(small_disk / "study", IDENTITY) as ledger:
        fill(ledger, trials=1)
        free = shutil.disk_usage(small_disk).free
        (small_disk / "filler").write_bytes(bytes(free - 48 * 1024))
        ledger.add_trials({"other": {}})
        ledger.finish("other")
        assert [finding.code for finding in ledger.findings()] == ["STU002"]
        assert not list((small_disk / "study").glob("*.part*"))
        (small_disk / "filler").unlink()
        ledger.note("forecast", {})
        assert ledger.findings() == ()


def test_a_disk_too_full_for_a_new_ledger_is_told_in_one_line(small_disk):
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free - 8192))
    with pytest.raises(RunError, match="no space left"):
        Ledger.open(small_disk / "study", IDENTITY)
    (small_disk / "filler").unlink()
    Ledger.open(small_disk / "study", IDENTITY).close()


def test_points_survive_a_process_that_ends_without_closing(tmp_path):
    code = (
        "import os, sys, json; from pathlib import Path; from scalescope.ledgers.ledger import Ledger\n"
        "ledger = Ledger.open(Path(sys.argv[1])); ledger.add_trials({'t': {}})\n"
        "[ledger.record_point('t', str(i), {'i': i}) for i in range(20)]\n"
        "print(json.dumps([point.key for point in ledger.points()]), flush=True); os._exit(1)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=environment, check=False
    )
    with Ledger.open(tmp_path) as ledger:
        assert [point.key for point in ledger.points()] == json.loads(done.stdout)
