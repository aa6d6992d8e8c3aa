"""What a folder of ours remembers: trials, points and events, safe against any ending of the driver."""

from scalescope.ledgers.ledger import Ledger
from scalescope.ledgers.records import Note, Point, State, Trial

__all__ = ["Ledger", "Note", "Point", "State", "Trial"]
