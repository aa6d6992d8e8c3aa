"""Clark et al. (2022), "Unified scaling laws for routed language models": loss from size and experts.

Rows of their convention: every second layer routed, one expert a token, seed 42, the last step, and the five
dense models. Least squares of log loss; their numbers are in decimal logarithms.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from scalescope.fitting import Criterion, best_coefficients
from scalescope.laws import get_law
from scalescope.points import Array, Finding
from scalescope.points.tables import Table
from scalescope.reproductions.result import Reproduction, Row, at_most, within_share
from scalescope.reproductions.sources import data_folder, numbers, open_table, words

TABLE = "deepmind-routing/curves.csv.gz"
ORIGIN = "https://github.com/google-deepmind/scaling_laws_for_routing"
SQUARES = Criterion(penalty="squared", scale="log")
LAST_STEP = 249_000
MOST = 0.0033
"""Root mean square error of log10 L."""
ROUTERS = {
    # router: published set of the law, its error, cut-off size of the re-fit
    "S-Base": ("s-base", 0.00369, 937e9),
    "RL-R": ("rl-r", 0.00774, 85e9),
    "Hash": ("hash", 0.00525, 83e9),
}


def reproduce(data: str | Path | None) -> Reproduction:
    """Fit each router, and hold the printed coefficients against the same rows."""
    table = open_table(data_folder(data), TABLE, ORIGIN)
    rows: list[Row] = []
    findings: list[Finding] = []
    for router, (name, printed_error, cut_off) in ROUTERS.items():
        x, loss = _rows_of(table, router)
        law = get_law("routed")
        theta = best_coefficients("routed", loss, x, SQUARES)
        printed = np.array(list(law.published[name].coefficients.values()))
        places = dict(zip(law.coefficients, range(len(theta)), strict=True))
        size = 10 ** (-theta[places["b"]] / theta[places["c"]])
        theirs = 10 ** (-printed[places["b"]] / printed[places["c"]])
        rows += [
            at_most(f"{router}: rmse of log10 L", MOST, _error(law.value(theta, **x), loss), 4),
            within_share(
                f"{router}: the same at the printed coefficients",
                printed_error,
                _error(law.value(printed, **x), loss),
                0.01,
                3,
            ),
            within_share(f"{router}: cut-off size, printed coefficients", cut_off, float(theirs), 0.25, 3),
        ]
        findings.append(
            Finding(
                code="REP006",
                text=f"{router}: experts stop helping at {size:.3g} parameters by the optimum, "
                f"at {theirs:.3g} by the printed coefficients.",
                hint="The cut-off is 10^(-b/c) of two small numbers; three printed digits move it by a lot.",
            )
        )
    return Reproduction(
        name="routed",
        title=f"loss from size and experts, {len(loss)} to 50 rows a router",
        source="https://arxiv.org/abs/2202.01169, table 3",
        rows=tuple(rows),
        findings=tuple(findings),
    )


def _error(predicted: Array, loss: Array) -> float:
    return float(np.sqrt(np.mean(np.log10(predicted / loss) ** 2)))


def _rows_of(table: Table, router: str) -> tuple[dict[str, Array], Array]:
    kind = words(table, "router_type")
    chosen: npt.NDArray[np.bool_] = (
        ((kind == router) | (kind == "Dense"))
        & (numbers(table, "routing_frequency") == 0.5)
        & (numbers(table, "k") == 1)
        & (numbers(table, "seed") == 42)
        & (numbers(table, "step") == LAST_STEP)
    )
    x = {
        "N": numbers(table, "dense_parameter_count")[chosen],
        "E": numbers(table, "num_experts")[chosen],
    }
    return x, numbers(table, "loss_validation")[chosen]
