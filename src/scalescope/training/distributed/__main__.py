"""The program that `torchrun` starts: `--layout dp=2,tp=2 --config training.toml`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scalescope.cost.layout import parse_layout
from scalescope.errors import ScalescopeError

FIRST_WORD_S = 2.0
"""How long the others wait before they end, since torchrun ends all with the first, unheard or not."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what the configuration says under the layout; return the exit status."""
    reader = argparse.ArgumentParser(prog="scalescope.training.distributed", description=__doc__)
    reader.add_argument("--layout", default="dp=1", help="degrees such as dp=2,tp=2")
    reader.add_argument("--config", type=Path, default=Path("training.toml"), help="a TOML file")
    given = reader.parse_args(arguments)
    from scalescope.training.distributed.config import read_config
    from scalescope.training.distributed.joining import joined, own_rank, record_failure
    from scalescope.training.distributed.loop import run
    from scalescope.training.distributed.mesh import check_world
    from scalescope.training.distributed.support import check_layout

    folder, hearing = None, signal.getsignal(signal.SIGTERM)
    try:
        config = read_config(given.config)
        layout = parse_layout(given.layout)
        folder = Path(config.log.folder)
        check_world(layout, int(os.environ.get("WORLD_SIZE", "1")))
        check_layout(config.shape, layout)
        with joined(config.timeout_s) as device:
            run(config, layout, device)
    except ScalescopeError as error:
        if folder is not None:
            record_failure(folder, error)
        if own_rank() == 0:
            sys.stderr.write(f"{error}\n{error.hint}\n" if error.hint else f"{error}\n")
        else:
            time.sleep(FIRST_WORD_S)
        return error.exit_code
    except Exception as error:
        assert folder is not None
        path = record_failure(folder, error)
        sys.stderr.write(f"rank {own_rank()} failed: {type(error).__name__}: {error}\nsee {path}\n")
        return 1
    finally:
        signal.signal(signal.SIGTERM, hearing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
