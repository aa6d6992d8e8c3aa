"""A worker process of the local executor: `python -m scalescope.executors.worker FD PREFIX...`.

Commands and events are JSON lines on one socket of its own, so nothing that a task prints can be taken for
an event: standard output is joined to standard error. A thread listens for commands all the time; the end of
the stream means that the driver is gone, and then the whole process group ends at once.
"""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Sequence

from scalescope.executors.calls import Kind, call
from scalescope.executors.protocol import JSON


class Channel:
    """The worker's end of the socket."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)  # what a task starts must not keep the stream open
        self._lock = threading.Lock()
        self.commands: queue.SimpleQueue[JSON] = queue.SimpleQueue()

    def listen(self) -> None:
        """Queue every command; end the process with the stream."""
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    self.commands.put(json.loads(line))
        finally:
            end_group()

    def send(self, key: str, kind: Kind, data: JSON) -> None:
        """Write one event; blocks while the driver is behind."""
        line = json.dumps({"key": key, "kind": kind, "data": data}).encode() + b"\n"
        try:
            with self._lock:
                self._socket.sendall(line)
        except OSError:
            end_group()


def end_group() -> None:
    """End this process and, when it leads its group, everything that its task started."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def main(arguments: Sequence[str]) -> None:
    """Serve one driver until it goes away."""
    descriptor, *allowed = arguments
    os.dup2(2, 1)
    faulthandler.enable()
    channel = Channel(int(descriptor))
    threading.Thread(target=channel.listen, name="commands", daemon=True).start()
    while True:
        command = channel.commands.get()
        key = command["key"]
        call(
            command["function"],
            command["payload"],
            allowed=allowed,
            send=lambda kind, data, key=key: channel.send(key, kind, data),
        )


if __name__ == "__main__":
    main(sys.argv[1:])
