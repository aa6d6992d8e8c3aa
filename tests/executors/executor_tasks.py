"""What the tests give executors to do.  Workers import it by its name."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from scalescope.errors import InputError
from scalescope.executors.calls import Emit

JSON = dict[str, Any]


def square(payload: JSON, emit: Emit) -> JSON:
    emit({"half": payload["x"] / 2})
    return {"square": payload["x"] ** 2}


def nothing(payload: JSON, emit: Emit) -> None:
    return None


def identify(payload: JSON, emit: Emit) -> JSON:
    return {"pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"]}


def echo(payload: JSON, emit: Emit) -> JSON:
    emit({"text": payload["text"]})
    return {"text": payload["text"]}


def chatter(payload: JSON, emit: Emit) -> JSON:
    for index in range(payload["n"]):
        emit({"index": index, "text": "x" * payload["size"]})
    return {"n": payload["n"]}


def shout(payload: JSON, emit: Emit) -> JSON:
    """Print what looks like an event, on both streams and past Python."""
    fake = '{"key": "a", "kind": "done", "data": {}}\n'
    sys.stdout.write(fake)
    sys.stderr.write(fake)
    os.write(1, fake.encode() * payload.get("times", 1))
    return {"said": True}


def refuse(payload: JSON, emit: Emit) -> JSON:
    raise InputError("the width is\n  odd", hint="Choose an even one.")


def leave(payload: JSON, emit: Emit) -> JSON:
    raise SystemExit(3)


def give_a_set(payload: JSON, emit: Emit) -> Any:
    return {"set": {1, 2}}


def tuples(payload: JSON, emit: Emit) -> JSON:
    return {"pair": (1, 2.5)}


def die(payload: JSON, emit: Emit) -> JSON:
    """Say one thing and end, by a signal or with an exit code."""
    emit({"last": "words"})
    sys.stderr.write("allocating 3 GiB\nno luck\n")
    sys.stderr.flush()
    if "signal" in payload:
        os.kill(os.getpid(), signal.Signals[payload["signal"]])
    os._exit(payload["code"])


def wait(payload: JSON, emit: Emit) -> JSON:
    """Say who we are and wait for a file, or for ever."""
    emit({"pid": os.getpid()})
    until = Path(payload["until"]) if "until" in payload else None
    while until is None or not until.exists():
        time.sleep(0.01)
    return {"x": payload.get("x")}


def wait_with_a_child(payload: JSON, emit: Emit) -> JSON:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    emit({"pid": os.getpid(), "child": child.pid})
    time.sleep(600)
    return {}


def read(payload: JSON, emit: Emit) -> JSON:
    content = Path(payload["corpus"]).read_bytes()
    return {"path": payload["corpus"], "sha256": hashlib.sha256(content).hexdigest()}


def work(payload: JSON, emit: Emit) -> JSON:
    """Sum the powers of x, telling each partial sum, taking `seconds` for all of them."""
    total, parent = 0, os.getppid()
    for step in range(payload["steps"]):
        total += payload["x"] ** step
        emit({"step": step, "total": total, "pid": os.getpid(), "parent": parent})
        time.sleep(payload["seconds"] / payload["steps"])
    return {"total": total}


def meet(payload: JSON, emit: Emit) -> JSON:
    """Add up the ranks of a gang through a store at its meeting place, as a process group begins."""
    import socket

    gang = payload["gang"]
    host, _, port = gang["meeting"].rpartition(":")
    emit({"rank": gang["rank"]})
    if gang["rank"]:
        until = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection((host, int(port)), timeout=1) as to:
                    to.sendall(bytes([gang["rank"]]))
                return {"rank": gang["rank"]}
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
    with socket.create_server(("", int(port))) as server:
        server.settimeout(20)
        total = 0
        for _ in range(gang["size"] - 1):
            with server.accept()[0] as other:
                total += other.recv(1)[0]
    return {"total": total, "host": host}


def one_rank_ends(payload: JSON, emit: Emit) -> JSON:
    """One rank ends as asked; the others wait for it for ever, or hear of it by a broken connection."""
    if payload["gang"]["rank"] == payload["which"]:
        if payload["how"] == "raise":
            raise InputError("no such layer")
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    if payload["how"] == "break":
        time.sleep(0.1)
        raise ConnectionError("reset by peer")
    time.sleep(60)
    return {}
