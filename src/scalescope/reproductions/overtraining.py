"""Gadre et al. (2024), "Language models scale reliably with over-training": two extrapolations.

Their protocol: the loss law is fitted to five small models (four at 20 tokens per parameter, one at 320), the
error law to the same and the 1.4B model at 20; both by least squares of the values. The 1.4B model at 640
tokens per parameter and the 7B model at 20 are then predicted, the error from the predicted loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError
from scalescope.fitting import Criterion, best_coefficients
from scalescope.laws import get_law
from scalescope.points import Array
from scalescope.reproductions.result import Reproduction, Row, to_digits, within
from scalescope.reproductions.sources import data_folder, numbers, open_table, words

TABLE = "gadre-overtraining/gadre_104_models.csv"
ORIGIN = "https://github.com/mlfoundations/scaling"
SQUARES = Criterion(penalty="squared", scale="raw")
PRINTED = {
    "rpj": {"1.4B, 640 tokens per parameter": ("0.71", "3.64"), "7B, 20": ("0.73", "0.05")},
    "c4_original": {"7B, 20": ("4.30", "")},
    "rw_original": {"7B, 20": ("1.62", "")},
}
"""Training set to model to the relative errors in percent: loss, then mean error over 17 tasks."""
ERROR_LAW = {"epsilon": 0.8570, "k": 2.206, "gamma": 0.7146}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Models:
    """The models trained on one data set."""

    size: Array
    tokens: Array
    ratio: Array
    loss: Array
    error: Array

    @property
    def large(self) -> dict[str, npt.NDArray[np.bool_]]:
        """The two models that are predicted."""
        middle = (self.size > 1e9) & (self.size < 2e9) & (self.ratio == 640)
        return {"1.4B, 640 tokens per parameter": middle, "7B, 20": self.size > 6e9}

    @property
    def small(self) -> npt.NDArray[np.bool_]:
        """The five that the loss law is fitted to."""
        small = (self.ratio == 20) & (self.size < 5e8)
        return np.asarray(small | ((self.ratio == 320) & (self.size < 2e7)))

    @property
    def for_error(self) -> npt.NDArray[np.bool_]:
        """The six that the error law is fitted to."""
        return np.asarray(self.small | ((self.ratio == 20) & (self.size > 1e9) & (self.size < 2e9)))


def _read(folder: Path, trained_on: str) -> _Models:
    table = open_table(folder, TABLE, ORIGIN)
    own = words(table, "dataset_name") == trained_on
    names = {"size": "N", "tokens": "D", "ratio": "tok_mult"}
    names |= {"loss": "loss_c4_val", "error": "err_avg_subset"}
    return _Models(**{ours: numbers(table, theirs)[own] for ours, theirs in names.items()})


def reproduce(data: str | Path | None) -> Reproduction:
    """Fit the small models of three training sets and predict the large ones."""
    folder = data_folder(data)
    rows: list[Row] = []
    for trained_on, printed in PRINTED.items():
        rows += _rows(_read(folder, trained_on), trained_on, printed)
    return Reproduction(
        name="overtraining",
        title="loss and error of over-trained and of larger models, extrapolated; relative errors",
        source="https://arxiv.org/abs/2403.08540, table 2",
        rows=tuple(rows),
    )


def _rows(models: _Models, trained_on: str, printed: dict[str, tuple[str, str]]) -> list[Row]:
    small, wants_error = models.small, any(error for _, error in printed.values())
    loss_law = get_law("overtraining")
    x = {"N": models.size, "D": models.tokens}
    theta = best_coefficients(
        "overtraining", models.loss[small], {k: v[small] for k, v in x.items()}, SQUARES
    )
    predicted = loss_law.value(theta, **x)
    rows: list[Row] = []
    error_theta = None
    if wants_error:
        kept = models.for_error
        error_theta = best_coefficients(
            "error-from-loss", models.error[kept], {"L": models.loss[kept]}, SQUARES
        )
        rows += [
            within(f"{trained_on}: {name} of the error law", value, got, 5e-4 * (1 if value < 1 else 2), 4)
            for (name, value), got in zip(ERROR_LAW.items(), error_theta.tolist(), strict=True)
        ]
    for model, (loss_text, error_text) in printed.items():
        there = models.large[model]
        if not there.any():
            raise InputError(
                f"{TABLE} has no model of {model} trained on {trained_on}",
                hint=f"Fetch the table again from {ORIGIN}; rows are missing.",
            )
        off = 100 * abs(predicted[there] / models.loss[there] - 1)
        rows.append(to_digits(f"{trained_on}: loss of {model}", loss_text, float(off[0]), "%"))
        if error_text and error_theta is not None:
            error = get_law("error-from-loss").value(error_theta, L=predicted[there])
            off = 100 * abs(error / models.error[there] - 1)
            rows.append(to_digits(f"{trained_on}: error of {model}", error_text, float(off[0]), "%"))
    return rows
