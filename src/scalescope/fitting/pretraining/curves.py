r"""What pre-training is worth in text: a fine-tuned loss looked up on the scratch curve of its shape.

The text that scratch needs for it, less the text that was read, is :math:`D_T = D_{scratch}(L) - D_F`, the
target of the law `data-transferred` (Hernandez et al. 2021, https://arxiv.org/abs/2102.01293, eq. 1.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError
from scalescope.points import Array, Finding, Runs

UNREACHED, WORTHLESS = "TRN131", "TRN132"
"""A fine-tuned loss that no scratch run reaches; one that scratch reaches with no more text."""

Row = Mapping[str, Any]

_COLUMNS = (
    *("params", "params_nonembedding", "params_matmul", "params_active", "tokens", "tokens_pretraining"),
    *(
        "characters",
        "characters_transferred",
        "compute",
        "loss",
        "learning_rate",
        "width",
        "n_layers",
        "seed",
    ),
    *("budget", "held_out"),
)
_SAME = ("width", "n_layers", "params")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchCurve:
    """Loss against text of one shape trained from scratch, seeds averaged; it never rises."""

    text: Array
    """Characters, ascending."""
    loss: Array
    n_seeds: int

    def text_for(self, loss: float) -> float:
        """Return the text that scratch needs for a loss, between its points on double logarithmic lines.

        Infinite below the curve; above it the shortest text, which is more than is needed.
        """
        if loss < self.loss[-1]:
            return float("inf")
        if loss >= self.loss[0]:
            return float(self.text[0])
        falling = np.concatenate(([True], np.diff(self.loss) < 0))
        x, y = np.log(self.loss[falling])[::-1], np.log(self.text[falling])[::-1]
        return float(np.exp(np.interp(np.log(loss), x, y)))

    def loss_at(self, text: Array) -> Array:
        """Return the loss of scratch on so much text; beyond the curve its last line goes on."""
        x, y = np.log(self.text), np.log(self.loss)
        slope = (y[-1] - y[-2]) / (x[-1] - x[-2])
        beyond = np.maximum(np.log(text) - x[-1], 0.0)
        return np.asarray(np.exp(np.interp(np.log(text), x, y) + slope * beyond))

    def shifted(self, share: float) -> ScratchCurve:
        """Return the curve with all logarithms of losses moved, as another luck of its runs would."""
        return ScratchCurve(text=self.text, loss=self.loss * np.exp(share), n_seeds=self.n_seeds)


def is_tuned(row: Row) -> bool:
    """Whether a point began from weights that were trained before."""
    return bool(row.get("tokens_pretraining", 0) > 0)


def shape_key(row: Row) -> tuple[Any, ...]:
    """Return what tells the shapes of points apart."""
    return tuple(row.get(name) for name in _SAME)


def scratch_curve(points: Sequence[Row], row: Row) -> ScratchCurve | None:
    """Return the curve of a row's shape; None where it has fewer than two points."""
    twins = [one for one in points if not is_tuned(one) and shape_key(one) == shape_key(row)]
    text = np.unique([float(one["characters"]) for one in twins])
    if len(text) < 2:
        return None
    groups = [[one["loss"] for one in twins if float(one["characters"]) == size] for size in text]
    loss = np.array([np.mean(group) for group in groups], dtype=np.float64)
    return ScratchCurve(text=text, loss=np.minimum.accumulate(loss), n_seeds=min(map(len, groups)))


def transferred(points: Sequence[Row]) -> Runs:
    """Turn points on the target into a table for the laws `data-transferred` and `transfer`.

    Parameters
    ----------
    points
        Of fine-tuning, with `tokens_pretraining`, and from scratch, without it or with 0; any order. Each has
        `params_nonembedding`, `characters`, `loss`, and `width` and `n_layers` or `params`.

    Returns
    -------
    Runs
        A row each fine-tuned point; `characters_transferred` is nan where it cannot be told, and `findings`
        count these.

    Raises
    ------
    InputError
        If no fine-tuned point has a scratch curve of at least two points of its shape.
    """
    tuned = [row for row in points if is_tuned(row)]
    rows, unreached, worthless = [], 0, 0
    for row in tuned:
        curve = scratch_curve(points, row)
        if curve is None:
            continue
        needed = curve.text_for(row["loss"])
        unreached += bool(np.isinf(needed))
        worth = needed - row["characters"]
        worthless += bool(worth <= 0)
        rows.append({**row, "characters_transferred": worth if 0 < worth < np.inf else np.nan})
    if not rows:
        raise InputError(
            f"none of the {len(tuned)} fine-tuned points has runs from scratch of its shape",
            hint="Run the scratch twins first; at least two points each.",
        )
    return table_of(rows, tuple(_findings(unreached, worthless, len(rows))))


def table_of(rows: Sequence[Row], findings: tuple[Finding, ...] = ()) -> Runs:
    """Return points as a table; what a point does not have is nan, and columns that none has are left out."""
    columns: dict[str, npt.NDArray[np.float64]] = {
        name: np.array([float(row.get(name, np.nan)) for row in rows])
        for name in _COLUMNS
        if any(name in row for row in rows)
    }
    return Runs(
        columns=columns,
        names=tuple(str(row.get("name", place)) for place, row in enumerate(rows)),
        count="params_nonembedding",
        findings=findings,
    )


def _findings(unreached: int, worthless: int, n_rows: int) -> list[Finding]:
    found = []
    if unreached:
        found.append(
            Finding(
                code=UNREACHED,
                text=f"{unreached} of {n_rows} fine-tuned losses are below all runs from scratch; what "
                "pre-training is worth there is not known.",
                hint="Train longer from scratch.",
            )
        )
    if worthless:
        found.append(
            Finding(
                code=WORTHLESS,
                text=f"In {worthless} of {n_rows} points scratch does as well on the same text or less.",
                hint="Pre-training was worth nothing: the texts are too far apart, or the rate is wrong.",
            )
        )
    return found
