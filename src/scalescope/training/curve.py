"""The learning curve of a run, thinned while it is made."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(slots=True)
class Curve:
    """Training loss and gradient norm at tokens a twentieth of an e-fold apart, averaged in between."""

    context: int
    rows: list[tuple[int, float, float]] = field(default_factory=list)
    recent: list[tuple[float, float]] = field(default_factory=list)

    def add(self, tokens: int, loss: float, gradient_norm: float) -> None:
        """Take a step that ended at a token."""
        self.recent.append((loss, gradient_norm))
        last = self.rows[-1][0] if self.rows else 0
        if tokens > max(last * 1.05, last + 2 * self.context):
            loss, norm = np.mean(self.recent, axis=0)
            self.rows.append((tokens, float(loss), float(norm)))
            self.recent.clear()

    def to_dict(self) -> dict[str, list[float]]:
        """Return a list a column."""
        tokens, loss, norm = zip(*self.rows, strict=True) if self.rows else ((), (), ())
        return {"tokens": list(tokens), "loss": list(loss), "gradient_norm": list(norm)}
