r"""FLOP per token of a training step under the conventions that are in use, and from one to another.

With :math:`P` the matrix parameters of the blocks that a token meets, :math:`V d` those of the head, and the
scores of all query-key pairs of a sequence of :math:`T` tokens, forward and backward,

.. math:: A = 6\, n_\text{layer}\, h\, (e_k + e_v)\, T

(:math:`12\, n_\text{layer}\, d\, T` where the heads fill the width), published utilisations count one of the
rows of `CONVENTIONS`. A figure without its convention can be off by 1.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from scalescope.cost.groups import mixer_costs
from scalescope.cost.shape import Shape
from scalescope.errors import InputError, nearest

Convention = Literal[
    "causal",
    "full",
    "palm",
    "palm-nonembedding",
    "6n",
    "6n-nonembedding",
    "hardware-selective",
    "hardware-full",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """One convention."""

    formula: str
    used_by: str
    source: str
    count: Callable[[Shape, float], float]
    """Shape and context to FLOP per token."""


def flop_per_token(shape: Shape, convention: Convention = "causal", context: float | None = None) -> float:
    """Return the FLOP of one token in a training step.

    Parameters
    ----------
    shape
        What is trained.
    convention
        A key of `CONVENTIONS`.
    context
        Tokens of a sequence; the shape's if None.

    Raises
    ------
    InputError
        If the convention is unknown or the context is not positive.
    """
    if convention not in CONVENTIONS:
        raise InputError(
            f"no convention of counting FLOP is called {convention!r}", hint=nearest(convention, CONVENTIONS)
        )
    tokens = shape.context if context is None else context
    if not tokens > 0:
        raise InputError(f"the context must be positive, got {tokens:g}")
    return CONVENTIONS[convention].count(shape, tokens)


def convert_utilisation(
    value: float, shape: Shape, *, given: Convention, wanted: Convention, context: float | None = None
) -> float:
    """Restate a utilisation (MFU, or HFU under a hardware convention) under another convention.

    Parameters
    ----------
    value
        Share of the peak.
    shape
        What was trained.
    given, wanted
        Conventions.
    context
        Tokens of a sequence; the shape's if None.

    Raises
    ------
    InputError
        See `flop_per_token`.
    """
    return value * flop_per_token(shape, wanted, context) / flop_per_token(shape, given, context)


def score_flop(shape: Shape, context: float, *, causal: bool) -> float:
    """Return the FLOP of mixing beside its matrices, forward and backward, for one token in the mean.

    Of all pairs, or (`causal`) of those that a token sees: half of them, or fewer inside a window, and all
    where the shape is an encoder's. Mixers with a state count the scores inside a chunk and what enters and
    leaves it.
    """
    return sum(cost.flop(shape, context, causal) for cost in mixer_costs(shape))


def _matrix_flop(shape: Shape) -> float:
    return 6.0 * (shape.params_matrices_active + _head(shape))


def _head(shape: Shape) -> float:
    """Head parameters that one token meets: it reads the mean over patches, once an image."""
    return shape.params_head if shape.patches is None else shape.params_head / shape.patches.count


def _causal(shape: Shape, context: float) -> float:
    return _matrix_flop(shape) + score_flop(shape, context, causal=True)


def _full(shape: Shape, context: float) -> float:
    return _matrix_flop(shape) + score_flop(shape, context, causal=False)


def _palm(shape: Shape, context: float) -> float:
    return 6.0 * shape.params_active + score_flop(shape, context, causal=False)


def _palm_nonembedding(shape: Shape, context: float) -> float:
    return 6.0 * (shape.params_active - shape.params_embedding) + score_flop(shape, context, causal=False)


def _six_n(shape: Shape, _: float) -> float:
    return 6.0 * shape.params_active


def _six_n_nonembedding(shape: Shape, _: float) -> float:
    ends = shape.params_embedding + (0 if shape.tied else shape.params_head)
    return 6.0 * (shape.params_active - ends)


def _selective(shape: Shape, context: float) -> float:
    return _matrix_flop(shape) + 2 * score_flop(shape, context, causal=False)


def _recomputed(shape: Shape, context: float) -> float:
    blocks = 8.0 * shape.params_matrices_active
    return blocks + 6.0 * _head(shape) + 4 / 3 * score_flop(shape, context, causal=False)


NARAYANAN = "Narayanan et al. 2021, https://arxiv.org/abs/2104.04473"

CONVENTIONS: Mapping[Convention, Counting] = {
    "causal": Counting(
        formula="6 (P + V d) + A / 2",
        used_by="scalescope, Megatron-Bridge, MaxText",
        source="Dao et al. 2022, https://arxiv.org/abs/2205.14135",
        count=_causal,
    ),
    "full": Counting(
        formula="6 (P + V d) + A",
        used_by="torch.utils.flop_counter, Megatron-LM",
        source=NARAYANAN,
        count=_full,
    ),
    "palm": Counting(
        formula="6 N + A",
        used_by="PaLM, llm-foundry, nanoGPT",
        source="Chowdhery et al. 2022, appendix B, https://arxiv.org/abs/2204.02311",
        count=_palm,
    ),
    "palm-nonembedding": Counting(
        formula="6 (N - embedding) + A",
        used_by="torchtitan",
        source="Liang et al. 2024, https://arxiv.org/abs/2410.06511",
        count=_palm_nonembedding,
    ),
    "6n": Counting(
        formula="6 N",
        used_by="Hoffmann et al. 2022 and most scaling laws since",
        source="https://arxiv.org/abs/2203.15556",
        count=_six_n,
    ),
    "6n-nonembedding": Counting(
        formula="6 (N - embedding - head)",
        used_by="Kaplan et al. 2020",
        source="https://arxiv.org/abs/2001.08361",
        count=_six_n_nonembedding,
    ),
    "hardware-selective": Counting(
        formula="6 (P + V d) + 2 A",
        used_by="Megatron-LM with selective recomputation",
        source="Korthikanti et al. 2022, https://arxiv.org/abs/2205.05198",
        count=_selective,
    ),
    "hardware-full": Counting(
        formula="8 P + 6 V d + 4/3 A",
        used_by="Megatron-LM with full recomputation",
        source=NARAYANAN,
        count=_recomputed,
    ),
}
"""Name to convention: `causal` to `6n-nonembedding` count the model, `hardware-*` what devices really do."""

assert tuple(CONVENTIONS) == get_args(Convention)
