"""Anatomies typed in from published configurations, rates of a made-up machine, cells of a known law."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from scalescope.cost import Anatomy, AttentionLayers, Matrix, Positions
from scalescope.cost.rates import Curve, MatmulTable, Rates


def bert_base() -> Anatomy:
    """google-bert/bert-base-uncased: 12 layers of 768, 12 heads, feed-forward 3072."""
    return Anatomy(
        model_type="bert",
        bare_class="BertModel",
        head_class="BertForMaskedLM",
        params=109_482_240,
        params_with_head=109_514_298,
        hidden=768,
        n_layers=12,
        feed_forward=3072,
        vocabulary=30522,
        matrices=(
            Matrix(rows=768, columns=768, count=48, side="encoder"),
            Matrix(rows=768, columns=3072, count=12, side="encoder"),
            Matrix(rows=3072, columns=768, count=12, side="encoder"),
            Matrix(rows=768, columns=30522, count=1, side="head"),
        ),
        attention=(
            AttentionLayers(count=12, span="full", n_heads=12, head_size=64, n_kv_heads=12, side="encoder"),
        ),
        positions=Positions(kind="table", limit=512),
        causal=False,
        launches=120,
        attention_kinds=("eager", "sdpa"),
    )


def llama_1b() -> Anatomy:
    """TinyLlama-1.1B: 22 layers of 2048, 32 heads on 4 of keys and values, gated feed-forward 5632."""
    return Anatomy(
        model_type="llama",
        bare_class="LlamaModel",
        head_class="LlamaForCausalLM",
        params=1_034_512_384,
        params_with_head=1_100_048_384,
        hidden=2048,
        n_layers=22,
        feed_forward=5632,
        vocabulary=32000,
        matrices=(
            Matrix(rows=2048, columns=2048, count=44),
            Matrix(rows=2048, columns=256, count=44),
            Matrix(rows=2048, columns=5632, count=44),
            Matrix(rows=5632, columns=2048, count=22),
            Matrix(rows=2048, columns=32000, count=1, side="head"),
        ),
        attention=(AttentionLayers(count=22, span="causal", n_heads=32, head_size=64, n_kv_heads=4),),
        positions=Positions(kind="rope", limit=None),
        launches=250,
        attention_kinds=("eager", "sdpa"),
    )


def with_span(anatomy: Anatomy, **changes: object) -> Anatomy:
    """The same with other attention layers."""
    return replace(anatomy, attention=tuple(replace(one, **changes) for one in anatomy.attention))


def plain_rates(*, flop_per_s: float = 1e11, bandwidth: float = 1e10) -> Rates:
    """A machine whose thin products wait for their weights and whose thick ones do not."""
    rows, widths = (1, 16, 256), (64, 4096)
    table = [min(flop_per_s, bandwidth / 2 * row) for row in rows for _ in widths for _ in widths]
    tables = {
        dtype: MatmulTable(
            rows=rows, inner=widths, columns=widths, flop_per_s=tuple(scale * rate for rate in table)
        )
        for dtype, scale in (("fp32", 1.0), ("bf16", 4.0))
    }
    return Rates(
        matmul=tables,
        sdpa={"fp32": Curve(sizes=(128.0, 2048.0), rates=(3e10, 6e10))},
        copy=Curve(sizes=(1e5, 1e8), rates=(4e10, bandwidth)),
        launch_s=1e-5,
    )


def scaled(anatomy: Anatomy, width: int, name: str) -> Anatomy:
    """The same family at another width."""
    factor = width / anatomy.hidden
    return replace(
        anatomy,
        model_type=name,
        params=round(anatomy.params * factor**2),
        hidden=width,
        feed_forward=round(anatomy.feed_forward * factor),
        matrices=tuple(_resized(anatomy.matrices, factor)),
    )


def _resized(matrices: Iterable[Matrix], factor: float) -> Iterable[Matrix]:
    for matrix in matrices:
        columns = matrix.columns if matrix.side == "head" else round(matrix.columns * factor)
        yield replace(matrix, rows=round(matrix.rows * factor), columns=columns)
