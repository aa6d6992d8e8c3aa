"""What tests of several rooms share lies in `studies/`: it can be imported from all of them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "studies"))
