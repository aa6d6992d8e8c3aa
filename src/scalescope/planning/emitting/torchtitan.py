"""A torchtitan configuration file.

Keys of `torchtitan/config/job_config.py` as of release 0.2 (pytorch/torchtitan, checked against commit
6404b93 of 2025-07 and later copies up to 2026-02). After pull request 2386 of 2026-02, its main branch takes
configurations written in Python, with the same names in `ParallelismConfig`; files need a release 0.2.

Which stages a rank gets follows `distributed/pipeline_parallel.py`: stages are layers over
`pipeline_parallel_layers_per_stage`, one a rank under 1F1B and GPipe and at least two under the others.
"""

from __future__ import annotations

from collections.abc import Mapping

from scalescope.cost import Shape
from scalescope.planning.emitting.job import ARCHITECTURE, RECIPE, SETTING, Emitted, Job, Notes, head

Value = str | int | bool | list[str]
Table = dict[str, Value]

FLAVORS: Mapping[tuple[int, int, int, int, int, int], str] = {
    (4096, 32, 32, 8, 14336, 128256): "8B",
    (8192, 80, 64, 8, 28672, 128256): "70B",
    (16384, 126, 128, 8, 53248, 128256): "405B",
}
"""Width, layers, heads, key/value heads, feed-forward and vocabulary of torchtitan's own Llama 3 models."""

FLAVOR = "scalescope"
"""What a model that torchtitan does not have is called in its table of flavors."""


def emit_torchtitan(job: Job) -> Emitted:
    """Write the file."""
    notes = Notes("torchtitan")
    tables: dict[str, Table] = {
        "job": {"description": job.name},
        "model": _model(job, notes),
        "optimizer": {"name": _optimizer(job, notes)},
        "training": _training(job, notes),
        "parallelism": _parallelism(job, notes),
        "activation_checkpoint": _recompute(job, notes),
    }
    lines = [head(job), "# data, tokeniser, learning rate and checkpoints are not in it"]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return notes.emitted(lines)


def _model(job: Job, notes: Notes) -> Table:
    shape = job.shape
    sizes = (
        shape.width, shape.n_layers, shape.n_heads, shape.n_kv_heads, shape.feed_forward, shape.vocabulary
    )  # fmt: skip
    family = "deepseek_v3" if shape.latent else "qwen3" if shape.experts or shape.head_norms else "llama3"
    flavor = FLAVORS.get(sizes) if family == "llama3" and not shape.tied else None
    if flavor is None:
        notes.lack(
            ARCHITECTURE, f"no flavor has these sizes: {_sizes(shape)}.", f"Register {FLAVOR!r} there."
        )
    for wrong, what in (
        (shape.state_space, "state-space layers"),
        (shape.linear or shape.hashing, "linear or hashed attention"),
        (len(set(shape.mixers)) > 1, "layers that mix tokens in different ways"),
        (not shape.causal or shape.patches, "an encoder or patches of images"),
        (shape.norm != "rms", "layer norms with biases"),
        (not shape.gated, "a feed-forward without a gate"),
        (shape.positions != "rotary", f"{shape.positions} positions"),
        (shape.window, "a sliding window in every layer"),
        (shape.tied and family != "qwen3", "a head tied to the embedding"),
    ):
        if wrong:
            notes.lack(ARCHITECTURE, f"{family} has not {what}.", "The model must be written there.")
    table: Table = {"name": family, "flavor": flavor or FLAVOR}
    return table | ({"converters": ["quantize.linear.float8"]} if job.precision == "fp8" else {})


def _sizes(shape: Shape) -> str:
    told = (
        f"width {shape.width}, {shape.n_layers} layers, {shape.n_heads} heads, {shape.n_kv_heads} key/value "
        f"heads, feed-forward {shape.feed_forward}, vocabulary {shape.vocabulary}"
    )
    experts = shape.experts
    if experts is None:
        return told
    return f"{told}, {experts.count} experts of width {experts.width}, {experts.top_k} for each token"


def _optimizer(job: Job, notes: Notes) -> str:
    if job.optimiser != "adamw":
        notes.lack(RECIPE, f"there is no optimiser {job.optimiser!r}; AdamW stands there.")
    return "AdamW"


def _training(job: Job, notes: Notes) -> Table:
    """Without a pipeline every pass accumulates on its own; with one, all passes of a step go through it."""
    passes = job.micro_batches if job.layout.pp > 1 else 1
    if job.precision == "fp16":
        notes.lack(RECIPE, "products are not computed in fp16; bfloat16 stands there.")
    if job.keeping in ("megatron", "zero"):
        notes.lack(RECIPE, f"numbers are not kept as {job.keeping!r}; weights stay in float32 alone.")
    return {
        "local_batch_size": job.layout.micro_batch * passes,
        "global_batch_size": job.global_batch,
        "seq_len": job.shape.context,
        "steps": job.steps,
        "dtype": "bfloat16" if job.keeping == "bf16" else "float32",
        "mixed_precision_param": "float32" if job.precision == "fp32" else "bfloat16",
    }


def _parallelism(job: Job, notes: Notes) -> Table:
    layout = job.layout
    if layout.tp > 1 and not layout.sequence_parallel:
        notes.lack(SETTING, "tensor parallelism always shares the sequence too.")
    if layout.zero == 1 and layout.fsdp * layout.cp > 1:
        notes.lack(SETTING, "ZeRO-1 is not there; gradients are shared too (ZeRO-2).")
    return {
        "data_parallel_replicate_degree": layout.dp,
        "data_parallel_shard_degree": layout.fsdp,
        "fsdp_reshard_after_forward": "default" if layout.zero == 3 else "never",
        "tensor_parallel_degree": layout.tp,
        "context_parallel_degree": layout.cp,
        **_pipeline(job, notes),
        **_experts(job, notes),
    }


def _pipeline(job: Job, notes: Notes) -> Table:
    layout = job.layout
    if layout.pp == 1:
        return {"pipeline_parallel_degree": 1}
    schedule = {"gpipe": "GPipe", "1f1b": "1F1B", "interleaved": "Interleaved1F1B"}.get(layout.schedule)
    if schedule is None:
        stages = layout.virtual_stages
        schedule = {1: "1F1B", 2: "ZBVZeroBubble"}.get(stages, "InterleavedZeroBubble")
        if stages == 1:
            notes.lack(SETTING, "zero-bubble schedules take two stages a rank; 1F1B stands there.")
    elif layout.schedule == "interleaved" and layout.virtual_stages == 1:
        notes.lack(SETTING, "an interleaved pipeline takes two stages a rank; 1F1B stands there.")
        schedule = "1F1B"
    return {
        "pipeline_parallel_degree": layout.pp,
        "pipeline_parallel_schedule": schedule,
        "pipeline_parallel_layers_per_stage": job.shape.n_layers // (layout.pp * layout.virtual_stages),
        "pipeline_parallel_first_stage_less_layers": 0,
        "pipeline_parallel_last_stage_less_layers": 0,
        "pipeline_parallel_microbatch_size": layout.micro_batch,
    }


def _experts(job: Job, notes: Notes) -> Table:
    layout = job.layout
    if layout.ep == 1:
        return {}
    if layout.fsdp * layout.cp % layout.ep:
        notes.lack(
            SETTING,
            f"experts are spread inside the {layout.fsdp * layout.cp} ranks of fsdp and cp, "
            f"which ep={layout.ep} does not divide.",
            "Choose fsdp a multiple of ep.",
        )
    return {"expert_parallel_degree": layout.ep, "expert_tensor_parallel_degree": layout.tp}


def _recompute(job: Job, notes: Notes) -> Table:
    if job.layout.recompute in ("none", "full"):
        return {"mode": job.layout.recompute}
    if job.layout.recompute == "selective":
        notes.lack(SETTING, "'selective' computes every second product again, not scores alone.")
    return {"mode": "selective", "selective_ac_option": "op"}


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
