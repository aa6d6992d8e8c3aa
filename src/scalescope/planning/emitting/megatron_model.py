"""The architecture as arguments of Megatron-LM; see `megatron` for where their names are from."""

from __future__ import annotations

from collections.abc import Iterator

from scalescope.cost import Experts, Shape
from scalescope.planning.emitting.job import ARCHITECTURE, Job, Notes

POSITIONS = {"rotary": "rope", "learned": "learned_absolute", "none": "none"}


def model_arguments(job: Job, notes: Notes) -> Iterator[tuple[str, ...]]:
    """Yield what describes the architecture."""
    shape = job.shape
    yield ("--num-layers", str(shape.n_layers))
    yield ("--hidden-size", str(shape.width))
    if shape.feed_forward:
        yield ("--ffn-hidden-size", str(shape.feed_forward))
    yield from _attention(shape)
    yield ("--seq-length", str(shape.context))
    yield ("--max-position-embeddings", str(max(shape.n_positions or 0, shape.context)))
    yield ("--position-embedding-type", POSITIONS.get(shape.positions, "none"))
    yield ("--normalization", "RMSNorm" if shape.norm == "rms" else "LayerNorm")
    yield from _switches(shape)
    yield from _vocabulary(job, notes)
    yield ("--attention-dropout", "0.0")
    yield ("--hidden-dropout", "0.0")
    if shape.experts is not None:
        yield from _experts(shape, shape.experts)
    for wrong, what in (
        (shape.state_space, "state-space layers"),
        (shape.linear or shape.hashing, "linear or hashed attention"),
        (len(set(shape.mixers)) > 1, "layers that mix tokens in different ways"),
        (not shape.causal or shape.patches, "an encoder or patches of images"),
        (shape.positions not in POSITIONS, f"{shape.positions} positions"),
        (shape.embedding_norm, "a norm after the embedding"),
    ):
        if wrong:
            notes.lack(ARCHITECTURE, f"pretrain_gpt.py has not {what}.", "The model must be written there.")


def _attention(shape: Shape) -> Iterator[tuple[str, ...]]:
    yield ("--num-attention-heads", str(shape.n_heads))
    latent = shape.latent
    if latent is None:
        yield ("--kv-channels", str(shape.head_size))
        if shape.n_kv_heads != shape.n_heads:
            yield ("--group-query-attention",)
            yield ("--num-query-groups", str(shape.n_kv_heads))
    else:
        yield ("--multi-latent-attention",)
        if latent.query_rank is not None:
            yield ("--q-lora-rank", str(latent.query_rank))
        yield ("--kv-lora-rank", str(latent.key_value_rank))
        yield ("--qk-head-dim", str(latent.nope))
        yield ("--qk-pos-emb-head-dim", str(latent.rotary))
        yield ("--v-head-dim", str(latent.value))
    if shape.window is not None:
        yield ("--window-size", f"{shape.window - 1},0")


def _switches(shape: Shape) -> Iterator[tuple[str, ...]]:
    for given, name in (
        (shape.gated, "--swiglu"),
        (not shape.biases, "--disable-bias-linear"),
        (shape.query_biases and not shape.biases, "--add-qkv-bias"),
        (shape.head_norms, "--qk-layernorm"),
        (not shape.tied, "--untie-embeddings-and-output-weights"),
    ):
        if given:
            yield (name,)


def _vocabulary(job: Job, notes: Notes) -> Iterator[tuple[str, ...]]:
    """Rows are padded to a multiple of this times tp; take the largest up to 128 that pads nothing."""
    shape, tp = job.shape, job.layout.tp
    unit = next((one for one in (128, 64, 32, 16, 8, 4, 2, 1) if shape.vocabulary % (one * tp) == 0), 128)
    if shape.vocabulary % (unit * tp):
        padded = -(-shape.vocabulary // (unit * tp)) * unit * tp
        notes.lack(ARCHITECTURE, f"the vocabulary is padded from {shape.vocabulary} to {padded} rows.")
    yield ("--vocab-size", str(shape.vocabulary))
    yield ("--make-vocab-size-divisible-by", str(unit))


def _experts(shape: Shape, experts: Experts) -> Iterator[tuple[str, ...]]:
    yield ("--num-experts", str(experts.count))
    yield ("--moe-router-topk", str(experts.top_k))
    yield ("--moe-ffn-hidden-size", str(experts.width))
    yield ("--moe-token-dispatcher-type", "alltoall")
    if experts.shared:
        yield ("--moe-shared-expert-intermediate-size", str(experts.shared * experts.width))
    dense, every, sparse = experts.dense_layers, experts.every, experts.layers(shape.n_layers)
    if dense or every > 1:
        rest = shape.n_layers - dense - sparse * every
        parts = [
            (dense, "[0]*{}"),
            (sparse, f"([0]*{every - 1}+[1])*{{}}" if every > 1 else "[1]*{}"),
            (rest, "[0]*{}"),
        ]
        yield ("--moe-layer-freq", "+".join(text.format(count) for count, text in parts if count))
