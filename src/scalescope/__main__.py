"""`python -m scalescope` is the command `scalescope`."""

from __future__ import annotations

import sys

from scalescope.cli import main

if __name__ == "__main__":
    sys.exit(main())
