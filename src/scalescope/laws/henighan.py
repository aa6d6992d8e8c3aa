r"""Table 1 of Henighan et al. (2020), https://arxiv.org/abs/2010.14701: one row for each kind of data.

The paper writes every law as a ratio, :math:`L = E + (x / x_0)^{-a}` and :math:`N^* = (C / C_0)^a`, with N
without embeddings, loss in nats per token and compute in PF-days. The laws here have a prefactor and compute
in FLOP, so :math:`x_0^a` becomes the prefactor and :math:`C_0` is multiplied by the FLOP of a PF-day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scalescope.laws.base import Published
from scalescope.points.conversions import PF_DAY

SOURCE = "https://arxiv.org/abs/2010.14701, table 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One row of the table, as printed; None where the paper prints nothing."""

    name: str
    meaning: str
    size: tuple[float, float, float]
    """Floor in nats per token, reference size, exponent."""
    compute: tuple[float, float, float] | None = None
    """Floor in nats per token, reference compute in PF-days, exponent."""
    best: tuple[float, float] | None = None
    """Compute in PF-days at which one parameter is best, exponent."""


def _domain(
    name: str,
    meaning: str,
    size: tuple[float, float, float],
    compute: tuple[float, float, float] | None = None,
    best: tuple[float, float] | None = None,
) -> Domain:
    return Domain(name=name, meaning=meaning, size=size, compute=compute, best=best)


DOMAINS = (
    _domain("language", "language", (0.0, 1.47e14, 0.070), (0.0, 3.47e8, 0.048), (3.3e-13, 0.73)),
    _domain("image8", "images of 8x8 pixels", (3.12, 8.0e1, 0.24), (3.13, 1.8e-8, 0.19), (5.3e-14, 0.64)),
    _domain("image16", "images of 16x16 pixels", (2.64, 2.8e2, 0.22), (2.64, 1.6e-8, 0.16), (4.8e-12, 0.75)),
    _domain("image32", "images of 32x32 pixels", (2.20, 6.3e1, 0.13), (2.21, 3.6e-9, 0.10), (1.6e-13, 0.65)),
    _domain(
        "image-vq16", "images as 16x16 VQ codes", (3.99, 2.7e4, 0.13), (4.09, 6.1e-7, 0.11), (6.2e-14, 0.64)
    ),
    _domain(
        "image-vq32", "images as 32x32 VQ codes", (3.07, 1.9e4, 0.14), (3.17, 2.6e-6, 0.12), (9.4e-13, 0.70)
    ),
    _domain("text-to-image-text", "text to image, the text", (0.0, 5.6e8, 0.037)),
    _domain(
        "text-to-image-image",
        "text to image, the image",
        (2.0, 5.1e3, 0.16),
        (1.93, 1.5e-6, 0.15),
        (9.4e-13, 0.70),
    ),
    _domain("image-to-text-text", "image to text, the text", (0.0, 7.0e8, 0.039)),
    _domain(
        "image-to-text-image",
        "image to text, the image",
        (2.0, 5.5e3, 0.15),
        (1.97, 1.5e-6, 0.16),
        (3.3e-12, 0.72),
    ),
    _domain(
        "video", "video as 16x16x16 VQ codes", (1.01, 3.7e4, 0.24), (0.95, 2.2e-5, 0.14), (1.13e-12, 0.71)
    ),
    _domain(
        "math",
        "mathematics, harder than in training",
        (0.28, 1.1e4, 0.16),
        (0.14, 1.4e-5, 0.17),
        (2.3e-12, 0.69),
    ),
)


def _published(
    domain: Domain, coefficients: Mapping[str, float] | None, note: str
) -> tuple[tuple[str, Published], ...]:
    if coefficients is None:
        return ()
    one = Published(
        coefficients=coefficients,
        source=f"{SOURCE}, {domain.meaning}",
        count="params_nonembedding",
        verified=True,
        note=note,
    )
    return ((f"henighan2020-{domain.name}", one),)


def _table(row: Callable[[Domain], Mapping[str, float] | None], note: str) -> Mapping[str, Published]:
    return MappingProxyType(
        {name: one for domain in DOMAINS for name, one in _published(domain, row(domain), note)}
    )


def _size(domain: Domain) -> Mapping[str, float]:
    floor, reference, exponent = domain.size
    return {"E": floor, "A": reference**exponent, "alpha": exponent}


def _compute(domain: Domain) -> Mapping[str, float] | None:
    if domain.compute is None:
        return None
    floor, reference, exponent = domain.compute
    return {"E": floor, "K": (reference * PF_DAY) ** exponent, "gamma": exponent}


def _best(domain: Domain) -> Mapping[str, float] | None:
    if domain.best is None:
        return None
    reference, exponent = domain.best
    return {"G": (reference * PF_DAY) ** -exponent, "a": exponent}


LOSS_BY_SIZE = _table(_size, "A = Nc^alpha, from the ratio that the paper prints.")
"""Coefficients of `loss-size`."""
LOSS_BY_COMPUTE = _table(_compute, "K = Cc^gamma with Cc in FLOP; the paper has PF-days.")
"""Coefficients of `loss-compute`."""
BEST_SIZE = _table(_best, "G = C0^-a with C0 in FLOP; the paper has PF-days.")
"""Coefficients of `size-allocation`."""
