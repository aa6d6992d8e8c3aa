r"""Published coefficients of :math:`E + A N^{-\alpha} + B D^{-\beta}`, typed in with their sources."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from scalescope.laws.base import Published

_HOFFMANN = {"N": (44e6, 16e9), "D": (5e8, 5e11), "C": (1e18, 1e22)}


def _plain(E: float, A: float, B: float, alpha: float, beta: float) -> Mapping[str, float]:
    return {"E": E, "A": A, "B": B, "alpha": alpha, "beta": beta}


def _logs(e: float, a: float, b: float, alpha: float, beta: float) -> Mapping[str, float]:
    """From the logarithms of E, A and B, in which most codes fit and print."""
    return _plain(float(np.exp(e)), float(np.exp(a)), float(np.exp(b)), alpha, beta)


def _scaled(
    E: float, A: float, B: float, alpha: float, beta: float, *, per: tuple[float, float]
) -> Mapping[str, float]:
    """From a fit to N and D divided by these numbers."""
    return _plain(E, A * per[0] ** alpha, B * per[1] ** beta, alpha, beta)


def _sardana(most: str, coefficients: Mapping[str, float]) -> Published:
    return Published(
        coefficients=coefficients,
        source=f"https://arxiv.org/abs/2401.00448, re-fits by range of data: {most}",
        verified=True,
        note=f"Runs of {most}: the exponents double with the range of the data.",
    )


def _gemstones(data: str, coefficients: Mapping[str, float], objective: str) -> Published:
    return Published(
        coefficients=coefficients,
        source=f"https://arxiv.org/abs/2502.06857, its code, {data}, delta 1e-4",
        verified=True,
        note=f"Sum of Huber losses {objective} on its runs; a lower minimum exists.",
    )


HOFFMANN = {
    "hoffmann2022": Published(
        coefficients=_logs(0.5267228, 6.0073404, 6.0179186, 0.33917084, 0.2849083),
        source="https://arxiv.org/abs/2203.15556, appendix D.3 (unrounded, from its TeX source)",
        verified=True,
        note="Printed as 1.69, 406.4, 410.7, 0.34, 0.28; its own data reject it (arXiv 2404.10102).",
        ranges=_HOFFMANN,
    ),
    "epoch2024": Published(
        coefficients=_plain(1.8172, 482.01, 2085.43, 0.3478, 0.3658),
        source="https://arxiv.org/abs/2404.10102, the re-fit of Hoffmann's figure 4",
        verified=True,
        ranges=_HOFFMANN,
    ),
    "epoch2024-all": Published(
        coefficients=_plain(1.89, 463.0, 12530.0, 0.345, 0.452),
        source="https://arxiv.org/abs/2404.10102, the same with all 245 points",
        verified=True,
        note="Five points far above the rest move beta from 0.37 to 0.45; the authors leave them out.",
        ranges=_HOFFMANN,
    ),
}

OTHERS = {
    "muennighoff2023": Published(
        coefficients=_logs(0.6254804, 6.255414, 7.3049974, 0.3526596, 0.3526596),
        source="https://arxiv.org/abs/2305.16264, appendix A (unrounded, from its code), on C4",
        verified=True,
        note="Printed as E 1.87, A 521, B 1488, alpha = beta = 0.353; fitted with equal exponents.",
    ),
    "sardana2024-100": _sardana("at most 100 tokens per parameter", _plain(0.17, 7.199, 25.97, 0.08, 0.13)),
    "sardana2024-250": _sardana("at most 250 tokens per parameter", _plain(0.98, 14.23, 39.54, 0.13, 0.16)),
    "sardana2024-500": _sardana("at most 500 tokens per parameter", _plain(0.95, 17.07, 35.80, 0.13, 0.16)),
    "sardana2024": _sardana("up to 10,000 tokens per parameter", _plain(1.45, 33.66, 138.9, 0.18, 0.24)),
    "gemstones2025-hot": _gemstones(
        "constant rate", _logs(0.76632, 5.4575, 14.9720, 0.29892, 0.69283), "2.076e-4"
    ),
    "gemstones2025-cool": _gemstones(
        "cooled down", _logs(0.74589, 5.3628, 14.9718, 0.29701, 0.69040), "2.059e-4"
    ),
    "gemstones2025-slim": _gemstones(
        "its table slim_chinchilla", _logs(0.56706, 5.0155, 9.9100, 0.27644, 0.47382), "1.340e-5"
    ),
    "llama3-isoflop": Published(
        coefficients=_plain(0.6047, 59.1, 155.1, 0.31, 0.3136),
        source="https://arxiv.org/abs/2407.21783, figure 2, as re-fitted by others to its digitised curves",
        note="A re-fit by others. The figure's loss is not in nats per token: for the allocation alone.",
        ranges={"C": (6e18, 1e22)},
    ),
    "ml-scalefit-squares": Published(
        coefficients=_scaled(1.9051, 4.0001, 1.0509, 0.3510, 0.4588, per=(1e6, 1e9)),
        source="https://github.com/apple/ml-scalefit, chinchilla.csv, 217 points below 1e21 FLOP, squares",
        note="Fitted to N/1e6 and D/1e9: A and B here are for parameters and tokens.",
        ranges={"C": (1e18, 1e21)},
    ),
    "ml-scalefit-huber": Published(
        coefficients=_scaled(1.8267, 3.7066, 1.0386, 0.3240, 0.4080, per=(1e6, 1e9)),
        source="https://github.com/apple/ml-scalefit, chinchilla.csv, 217 points below 1e21 FLOP, Huber",
        note="Fitted to N/1e6 and D/1e9: A and B here are for parameters and tokens.",
        ranges={"C": (1e18, 1e21)},
    ),
}

SETS: Mapping[str, Published] = MappingProxyType(HOFFMANN | OTHERS)
"""All of them, oldest data first; the name is who fitted, and when."""
