r"""Accuracy on a task from what models can do in general: Ruan et al. (2024).

.. math:: Acc(S) = floor + (1 - floor)\,\sigma\!\left(\alpha + \sum_i \beta_i S_i\right)

The features S are principal components of a table of benchmarks (`fitting.observational` makes them), which
lie on a line in log compute within a family of models. `observational-2` uses two of them.
"""

from __future__ import annotations

import numpy as np

from scalescope.errors import InputError
from scalescope.laws.base import Array, Coefficient, Law, Variable, register
from scalescope.laws.sigmoids import logistic, logistic_slope
from scalescope.laws.terms import stacked

_MOST = 4
_EXAMPLES = (4.0, -2.0, 1.5, 1.0)


@register
class Observational(Law):
    """A logistic curve of a weighted sum of features."""

    family = "downstream"
    title = "Accuracy on a task from principal components of others, Ruan et al. 2024"
    target = "accuracy"
    scale = "raw"
    reference = "https://arxiv.org/abs/2405.10938, eq. 6"
    caveats = (
        "Make the components without the task itself, and without benchmarks that all but contain it.",
        "Features of models to come are needed: take them from a line in log compute within a family.",
        "The signs of components are a convention; keep the components of the fit for every prediction.",
    )

    def __init__(self, number: int = 3) -> None:
        self.number = number
        self.name = "observational" if number == 3 else f"observational-{number}"
        terms = " + ".join(f"beta_{i} S{i}" for i in range(1, number + 1))
        self.formula = f"Acc = floor + (1 - floor)/(1 + exp(-(alpha + {terms})))"
        self.variables = {
            f"S{i}": Variable(column=f"feature_{i}", low=-1.0, high=1.0, logarithmic=False)
            for i in range(1, number + 1)
        }
        self.coefficients = {
            "floor": Coefficient(
                meaning="accuracy of guessing", example=0.1, low=0.0, high=0.9, start=(0.0, 0.3)
            ),
            "alpha": Coefficient(meaning="intercept, in logits", example=-0.5, start=(-4.0, 2.0)),
        } | {
            f"beta_{i}": Coefficient(
                meaning=f"weight of feature {i}, logits per unit", example=_EXAMPLES[i - 1], start=(-6.0, 6.0)
            )
            for i in range(1, number + 1)
        }

    def sized(self, number: int) -> Law:
        """Return the law with another number of features, one to four.

        Raises
        ------
        InputError
            If the number is out of range.
        """
        if not 1 <= number <= _MOST:
            raise InputError(
                f"observational takes 1 to {_MOST} features, got {number}",
                hint="Three components hold nearly all of the variance; write observational.",
            )
        return Observational(number)

    def value(self, theta: Array, **x: Array) -> Array:
        """Predicted share of right answers; `theta` is ordered as `coefficients`."""
        floor = theta[0]
        return np.asarray(floor + (1 - floor) * logistic(self._logit(theta, x)))

    def gradient(self, theta: Array, **x: Array) -> Array:
        """Derivative by each coefficient, stacked first."""
        floor, logit = theta[0], self._logit(theta, x)
        slope = (1 - floor) * logistic_slope(logit)
        weights = [slope * x[f"S{i}"] for i in range(1, self.number + 1)]
        return stacked(1 - logistic(logit), slope, *weights)

    def starts(self, target: Array, **x: Array) -> Array:
        """Least squares of the logits under several floors."""
        columns = np.column_stack([np.ones(len(target)), *x.values()])
        rows = []
        for floor in (0.0, 0.1, 0.2, 0.4):
            share = np.clip((target - floor) / (1 - floor), 0.02, 0.98)
            solved = np.linalg.lstsq(columns, np.log(share / (1 - share)), rcond=1e-10)[0]
            rows += [(floor, *solved), (floor, *(solved / 2))]
        return np.array(rows)

    def _logit(self, theta: Array, x: dict[str, Array]) -> Array:
        weighted = [theta[i + 1] * x[f"S{i}"] for i in range(1, self.number + 1)]
        return np.asarray(theta[1] + sum(weighted))
