"""What the tests of the nursery let cells do.  Cells import it by its name."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

JSON = dict[str, Any]

MIB = 1 << 20


def square(payload: JSON, emit: Any) -> JSON:
    emit({"phase": "squaring"})
    return {"square": payload["x"] ** 2, "pid": os.getpid(), "ppid": os.getppid(), "pgid": os.getpgid(0)}


def chatter(payload: JSON, emit: Any) -> JSON:
    for index in range(payload["n"]):
        emit({"index": index, "text": "x" * payload["size"]})
    return {}


def chance(payload: JSON, emit: Any) -> JSON:
    return {"drawn": random.random()}


def remember(payload: JSON, emit: Any) -> JSON:
    """Leave something in the process that the next cell would see if it lived there."""
    before = getattr(sys, "remembered", None)
    sys.remembered = payload["x"]  # type: ignore[attr-defined]
    return {"before": before}


def refuse(payload: JSON, emit: Any) -> JSON:
    emit({"phase": "thinking"})
    raise KeyError("no\nsuch layer")


def leave(payload: JSON, emit: Any) -> JSON:
    sys.stderr.write("had enough\n")
    sys.stderr.flush()
    os._exit(payload["code"])


def exit_politely(payload: JSON, emit: Any) -> JSON:
    raise SystemExit(4)


def signal_self(payload: JSON, emit: Any) -> JSON:
    os.kill(os.getpid(), signal.Signals[payload["signal"]])
    time.sleep(60)
    return {}


def segfault(payload: JSON, emit: Any) -> JSON:
    ctypes.string_at(0)
    return {}


def sleep(payload: JSON, emit: Any) -> JSON:
    emit({"phase": "sleeping", "pid": os.getpid()})
    time.sleep(payload["seconds"])
    return {}


def ignore_and_sleep(payload: JSON, emit: Any) -> JSON:
    """Be as deaf as a process can be."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return sleep(payload, emit)


def multiply_processes(payload: JSON, emit: Any) -> JSON:
    """Start one that stays in the group and one that leaves it, and perhaps wait with them."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    stays = subprocess.Popen(command)
    leaves = subprocess.Popen(command, start_new_session=True)
    emit({"phase": "parenthood", "pids": [os.getpid(), stays.pid, leaves.pid]})
    time.sleep(payload.get("seconds", 0))
    return {}


def close_everything(payload: JSON, emit: Any) -> JSON:
    """Close all descriptors, the socket to the driver among them, then go on for a moment."""
    os.closerange(3, 256)
    time.sleep(0.05)
    os._exit(0)


def shout(payload: JSON, emit: Any) -> JSON:
    line = b'{"kind": "done", "data": {"forged": true}}' + b"x" * 4053 + b"\n"
    for _ in range(payload["bytes"] // len(line)):
        os.write(1, line)
    os.write(2, b"the end\n")
    return {"shouted": True}


def send_garbage(payload: JSON, emit: Any) -> JSON:
    """Write to the socket what is no message."""
    for descriptor in range(3, 64):
        try:
            if not os.path.samestat(os.fstat(descriptor), os.fstat(descriptor)):
                continue
            own = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue
        with own:
            own.sendall(
                b'\x00\xff{]\nnull\n[1]\n{"kind": 3, "data": {}}\n{"kind": "done"}\n' + b"[" * 5000 + b"\n"
            )
    return {"sent": True}


def give_a_set(payload: JSON, emit: Any) -> Any:
    return {"set": {1}}


def touch(payload: JSON, emit: Any) -> JSON:
    """Fill memory bit by bit, past what any single allocation shows."""
    kept = []
    for _ in range(payload["bytes"] // (4 * MIB)):
        kept.append(b"\x01" * (4 * MIB))
        time.sleep(payload.get("pause", 0.0))
    emit({"phase": "filled"})
    return {"bytes": sum(map(len, kept))}


def touch_file(payload: JSON, emit: Any) -> JSON:
    """Read every page of a mapped file: resident, but not a byte of private memory."""
    with Path(payload["path"]).open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
        total = 0
        for start in range(0, len(pages), mmap.PAGESIZE):
            total += pages[start]
            if start % (4 * MIB) == 0:
                time.sleep(payload.get("pause", 0.0))
    return {"total": total}


def reserve(payload: JSON, emit: Any) -> JSON:
    """Ask for much at once."""
    return {"bytes": len(bytearray(payload["bytes"]))}


def peak_before_reset(payload: JSON, emit: Any) -> JSON:
    """Use memory, give it back, and clear the kernel's mark, as a probe does between phases."""
    from scalescope.inference.limits import reset_peak

    block = b"\x01" * payload["bytes"]
    del block
    emit({"phase": "used"})
    reset_peak()
    return {}


def make_thread(payload: JSON, emit: Any) -> JSON:
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    return {}


def threads(payload: JSON, emit: Any) -> JSON:
    import torch

    return {"threads": torch.get_num_threads(), "drawn": float(torch.rand(()))}


def close_streams(payload: JSON, emit: Any) -> JSON:
    """Close both streams, then go on for a while."""
    os.close(1)
    os.close(2)
    time.sleep(0.4)
    return {}
