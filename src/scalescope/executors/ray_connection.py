"""Connecting to a Ray cluster, or starting Ray on this machine, without noise and without waiting in vain."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from scalescope.errors import InputError, MissingExtraError, RunError
from scalescope.executors.calls import one_line

_SECONDS_TO_CONNECT = 5.0
_WHERE = "Start a cluster with `ray start --head` and give its host:port, or leave the address out."


def connect(address: str | None, cores: int | None) -> bool:
    """Connect to a cluster or start one here; False when this process was connected already."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a study tells nobody that it runs
    try:
        import ray
    except ImportError:
        raise MissingExtraError("ray", "ray") from None
    if ray.is_initialized():
        return False
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    where = address or os.environ.get("RAY_ADDRESS")
    if where in (None, "local"):
        options |= {"num_cpus": cores, "include_dashboard": False}
    else:
        _knock(str(where))
    _keep_ray_off_stdout()
    try:
        ray.init(address=where, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if where in (None, "local"):
            raise RunError(
                f"Ray did not start here: {one_line(error)}", hint="Try --executor local."
            ) from error
        raise InputError(f"no Ray cluster at {where}: {one_line(error)}", hint=_WHERE) from error
    return True


def _knock(address: str) -> None:
    """See whether anything listens at the address: Ray itself would try for minutes and then exit."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if "/" in address or not (host and colon and port.isdigit()):
        raise InputError(f"{address!r} is not the address of a Ray cluster", hint=_WHERE)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"nothing answers at {address}: {error}", hint=_WHERE) from error


def _keep_ray_off_stdout() -> None:
    """Send what Ray would print about dying nodes to the log: our standard output is for results.

    Ray has no option for this; where its printing has moved, it stays as Ray has it.
    """
    from ray._private import worker

    log = logging.getLogger(__name__)
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda data, **_: log.info("%s", data.get("lines"))
