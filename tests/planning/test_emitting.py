"""A chosen layout for the programs that run it."""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.cost import Experts, LatentAttention, Shape, StateSpace
from scalescope.cost.layout import RECOMPUTES, Layout, parse_layout
from scalescope.errors import InputError
from scalescope.planning.emitting import TARGETS, Job, emit, emit_all, megatron_arguments

LLAMA = Shape(
    width=8192,
    n_layers=80,
    n_heads=64,
    n_kv_heads=8,
    feed_forward=28672,
    vocabulary=128256,
    context=8192,
)
SPARSE = replace(LLAMA, experts=Experts(count=16, top_k=2, width=2048, shared=1, dense_layers=2))
LATENT = LatentAttention(key_value_rank=512, query_rank=1536, nope=128, rotary=64, value=128)
JOB = Job(shape=LLAMA, layout=Layout(fsdp=8, tp=8), global_batch=256, steps=1000)

TITAN = {
    "job": {"description"},
    "model": {"name", "flavor", "converters"},
    "optimizer": {"name"},
    "training": {
        "local_batch_size", "global_batch_size", "seq_len", "steps", "dtype", "mixed_precision_param",
    },
    "parallelism": {
        "data_parallel_replicate_degree", "data_parallel_shard_degree", "fsdp_reshard_after_forward",
        "tensor_parallel_degree", "context_parallel_degree", "pipeline_parallel_degree",
        "pipeline_parallel_schedule", "pipeline_parallel_layers_per_stage",
        "pipeline_parallel_first_stage_less_layers", "pipeline_parallel_last_stage_less_layers",
        "pipeline_parallel_microbatch_size", "expert_parallel_degree", "expert_tensor_parallel_degree",
    },
    "activation_checkpoint": {"mode", "selective_ac_option"},
}  # fmt: skip
"""Fields of torchtitan/config/job_config.py, release 0.2, that we write."""

MEGATRON = {
    "--num-layers", "--hidden-size", "--ffn-hidden-size", "--num-attention-heads", "--kv-channels",
    "--group-query-attention", "--num-query-groups", "--multi-latent-attention", "--q-lora-rank",
    "--kv-lora-rank", "--qk-head-dim", "--qk-pos-emb-head-dim", "--v-head-dim", "--window-size",
    "--seq-length",
    "--max-position-embeddings", "--position-embedding-type", "--normalization", "--swiglu",
    "--disable-bias-linear", "--add-qkv-bias", "--qk-layernorm", "--untie-embeddings-and-output-weights",
    "--vocab-size", "--make-vocab-size-divisible-by", "--attention-dropout", "--hidden-dropout",
    "--num-experts",
    "--moe-router-topk", "--moe-ffn-hidden-size", "--moe-token-dispatcher-type",
    "--moe-shared-expert-intermediate-size", "--moe-layer-freq", "--micro-batch-size", "--global-batch-size",
    "--train-iters", "--bf16", "--fp16", "--fp8-format", "--grad-reduce-in-bf16", "--optimizer",
    "--tensor-model-parallel-size", "--pipeline-model-parallel-size", "--context-parallel-size",
    "--sequence-parallel", "--expert-model-parallel-size", "--expert-tensor-parallel-size",
    "--num-virtual-stages-per-pipeline-rank", "--use-distributed-optimizer",
    "--num-distributed-optimizer-instances", "--use-megatron-fsdp", "--data-parallel-sharding-strategy",
    "--no-gradient-accumulation-fusion", "--ckpt-format", "--recompute-granularity", "--recompute-method",
    "--recompute-num-layers",
}  # fmt: skip
"""Options of megatron/training/arguments.py of NVIDIA/Megatron-LM at 000c4ac that we write."""


@st.composite
def jobs(draw):
    pp = draw(st.sampled_from([1, 2, 4]))
    schedule, stages = draw(
        st.sampled_from(
            [("1f1b", 1), ("interleaved", 2), ("zero-bubble", 1), ("zero-bubble", 2), ("gpipe", 1)]
        )
    )
    shape = draw(st.sampled_from([LLAMA, SPARSE]))
    dp, fsdp = draw(st.sampled_from([1, 2])), draw(st.sampled_from([1, 2, 8]))
    ep = draw(st.sampled_from([one for one in (1, 2, 4) if dp * fsdp % one == 0])) if shape.experts else 1
    layout = Layout(
        dp=dp,
        fsdp=fsdp,
        tp=draw(st.sampled_from([1, 2, 8])),
        pp=pp,
        cp=draw(st.sampled_from([1, 2])),
        ep=ep,
        zero=draw(st.sampled_from([1, 2, 3])),
        sequence_parallel=draw(st.booleans()),
        schedule=schedule if pp > 1 else "1f1b",
        virtual_stages=stages if pp > 1 else 1,
        micro_batch=draw(st.sampled_from([1, 2])),
        recompute=draw(st.sampled_from(RECOMPUTES)),
    )
    return Job(
        shape=shape,
        layout=layout,
        global_batch=256,
        steps=draw(st.integers(1, 10**6)),
        precision=draw(st.sampled_from(["bf16", "fp16", "fp8", "fp32"])),
        keeping=draw(st.sampled_from(["megatron", "zero", "fsdp", "bf16", "fp32"])),
        optimiser=draw(st.sampled_from(["adamw", "muon", "sgd", "lion"])),
    )


@settings(max_examples=60)
@given(jobs())
def test_a_torchtitan_file_has_known_keys_and_its_degrees_multiply_to_the_devices(job):
    data = tomllib.loads(emit(job, "torchtitan").text)
    assert all(set(table) <= TITAN[name] for name, table in data.items())
    spread, batch = data["parallelism"], data["training"]
    shard, pipe = spread["data_parallel_shard_degree"], spread["pipeline_parallel_degree"]
    ranks = spread["data_parallel_replicate_degree"] * shard
    assert ranks * spread["tensor_parallel_degree"] * spread["context_parallel_degree"] * pipe == job.devices
    assert batch["global_batch_size"] % (batch["local_batch_size"] * ranks) == 0
    if pipe > 1:
        micro = spread["pipeline_parallel_microbatch_size"]
        assert batch["local_batch_size"] == micro * job.micro_batches
        stages = job.shape.n_layers / spread["pipeline_parallel_layers_per_stage"] / pipe
        single = spread["pipeline_parallel_schedule"] in ("1F1B", "GPipe")
        assert stages == 1 if single else stages >= 2
    else:
        assert batch["local_batch_size"] == job.layout.micro_batch


@settings(max_examples=60)
@given(jobs())
def test_megatron_arguments_are_known_and_multiply_to_the_devices(job):
    words = megatron_arguments(job)
    given_ = parsed(words)
    assert set(given_) <= MEGATRON
    model = [given_[f"--{name}-parallel-size"] for name in ("tensor-model", "pipeline-model", "context")]
    tp, pp, cp = map(int, model)
    world, batch = job.devices, int(given_["--global-batch-size"])
    assert world % (tp * pp * cp) == 0
    data = world // (tp * pp * cp)
    assert data == job.layout.data_ranks
    assert batch % (data * int(given_["--micro-batch-size"])) == 0
    assert data % int(given_.get("--num-distributed-optimizer-instances", 1)) == 0
    assert (
        int(given_["--num-layers"]) % (pp * int(given_.get("--num-virtual-stages-per-pipeline-rank", 1))) == 0
    )
    assert int(given_["--vocab-size"]) % (int(given_["--make-vocab-size-divisible-by"]) * tp) == 0
    command = shlex.split(emit(job, "megatron").text.replace("\\\n", ""), comments=True)
    assert command[command.index("pretrain_gpt.py") + 1 :] == list(words)


def parsed(words):
    """Option to its value, or None."""
    told = {}
    for place, word in enumerate(words):
        if word.startswith("--"):
            after = words[place + 1] if place + 1 < len(words) else "--"
            told[word] = None if after.startswith("--") else after
    return told


@settings(max_examples=30)
@given(jobs())
def test_our_command_carries_the_layout_as_it_writes_itself(job):
    words = shlex.split(emit(job, "torchrun").text, comments=True)
    assert parse_layout(words[words.index("--layout") + 1]) == job.layout
    sizes = dict(word[2:].split("=", 1) for word in words if word.startswith("--n"))
    assert int(sizes.get("nnodes", 1)) * int(sizes["nproc-per-node"]) == job.devices
    assert words[words.index("-m") + 1] == "scalescope.training.distributed"


@settings(max_examples=30)
@given(jobs())
def test_what_a_target_cannot_say_stands_in_its_text(job):
    for target, made in emit_all(job).items():
        for finding in made.findings:
            assert finding.text.startswith(f"{target}: ")
            assert f"# {finding.code} {finding.text}" in made.text


@pytest.mark.parametrize(
    ("changes", "target", "code"),
    [
        ({"layout": Layout(fsdp=8, tp=8, zero=1)}, "torchtitan", "PLN120"),
        ({"layout": Layout(fsdp=8, tp=8, sequence_parallel=False)}, "torchtitan", "PLN120"),
        ({"layout": Layout(pp=8, schedule="zero-bubble")}, "torchtitan", "PLN120"),
        ({"layout": Layout(pp=8, schedule="interleaved")}, "torchtitan", "PLN120"),
        ({"layout": Layout(recompute="selective")}, "torchtitan", "PLN120"),
        ({"shape": SPARSE, "layout": Layout(dp=4, ep=4)}, "torchtitan", "PLN120"),
        ({"shape": replace(LLAMA, width=4096)}, "torchtitan", "PLN121"),
        ({"shape": replace(LLAMA, gated=False)}, "torchtitan", "PLN121"),
        ({"optimiser": "lion"}, "torchtitan", "PLN122"),
        ({"precision": "fp16"}, "torchtitan", "PLN122"),
        ({"keeping": "megatron"}, "torchtitan", "PLN122"),
        ({"layout": Layout(pp=8, schedule="zero-bubble")}, "megatron", "PLN120"),
        ({"layout": Layout(recompute="operations")}, "megatron", "PLN120"),
        ({"layout": Layout(fsdp=2, pp=2)}, "megatron", "PLN120"),
        ({"shape": replace(LLAMA, positions="alibi")}, "megatron", "PLN121"),
        ({"shape": replace(LLAMA, vocabulary=50257)}, "megatron", "PLN121"),
        ({"shape": replace(LLAMA, state_space=StateSpace())}, "megatron", "PLN121"),
        ({"keeping": "bf16"}, "megatron", "PLN122"),
        ({"optimiser": "lion", "keeping": "megatron"}, "megatron", "PLN122"),
        ({"optimiser": "muon", "keeping": "megatron"}, "megatron", "PLN122"),
        ({"device": "abacus"}, "skypilot", "PLN124"),
    ],
)
def test_each_thing_that_cannot_be_said_is_found(changes, target, code):
    made = emit(replace(JOB, **changes), target)
    assert code in [one.code for one in made.findings]


@pytest.mark.parametrize(("target", "keeping"), [("torchtitan", "fsdp"), ("megatron", "megatron")])
def test_what_can_be_said_raises_no_doubt(target, keeping):
    layout = Layout(fsdp=8, tp=8, zero=3, recompute="full")
    assert not emit(replace(JOB, layout=layout, keeping=keeping), target).findings
    assert not emit(JOB, "torchrun").findings and not emit(JOB, "skypilot").findings


def test_torchtitans_own_models_are_called_by_their_name():
    assert tomllib.loads(emit(JOB, "torchtitan").text)["model"] == {"name": "llama3", "flavor": "70B"}


def test_megatron_is_told_the_parts_of_an_architecture():
    shape = replace(SPARSE, latent=LATENT, window=4096, head_norms=True)
    told = parsed(megatron_arguments(replace(JOB, shape=shape, precision="fp8")))
    assert told["--moe-layer-freq"] == "[0]*2+[1]*78"
    assert told["--moe-shared-expert-intermediate-size"] == "2048"
    assert told["--kv-lora-rank"] == "512" and told["--window-size"] == "4095,0"
    assert {"--qk-layernorm", "--bf16", "--swiglu", "--untie-embeddings-and-output-weights"} <= set(told)
    assert told["--fp8-format"] == "hybrid"


def test_layers_with_experts_are_counted_out_one_by_one():
    experts = Experts(count=4, top_k=1, width=64, dense_layers=1, every=2)
    told = parsed(megatron_arguments(replace(JOB, shape=replace(LLAMA, experts=experts))))
    assert told["--moe-layer-freq"] == "[0]*1+([0]*1+[1])*39+[0]*1"


@pytest.mark.parametrize("layout", [Layout(fsdp=8, tp=8), Layout(fsdp=4)])
def test_a_skypilot_task_is_yaml_and_rents_all_devices(layout):
    yaml = pytest.importorskip("yaml")
    task = yaml.safe_load(emit(replace(JOB, layout=layout, device="A100 SXM 80GB"), "skypilot").text)
    device, count = task["resources"]["accelerators"].split(":")
    assert (device, task["num_nodes"] * int(count)) == ("A100-80GB", layout.devices)
    assert task["name"] == "scalescope"
    assert f"--layout {layout}" in task["run"]
    assert ("$SKYPILOT_NODE_IPS" in task["run"]) == (task["num_nodes"] > 1)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"layout": Layout(fsdp=3)}, "not a multiple of 3"),
        ({"layout": Layout(tp=7)}, "tp=7 does not divide"),
        ({"layout": Layout(pp=10)}, "10 devices are not whole nodes of 8"),
        ({"precision": "bf8"}, "no precision is called 'bf8'"),
        ({"steps": 0}, "steps"),
        ({"name": "my run; ls"}, "cannot be called"),
    ],
)
def test_a_job_that_cannot_be_is_refused(changes, text):
    with pytest.raises(InputError, match=text):
        replace(JOB, **changes)


def test_an_unknown_target_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="no target is called 'megatrom'") as caught:
        emit(JOB, "megatrom")
    assert "megatron" in caught.value.hint
    assert tuple(TARGETS) == ("torchrun", "training", "torchtitan", "megatron", "skypilot")


@settings(max_examples=20, deadline=None)
@given(jobs())
def test_the_trainer_reads_the_configuration_that_is_written_for_it(job):
    pytest.importorskip("torch", reason="needs the extra train")
    from scalescope.training.distributed.config import read_config_text

    written = emit(job, "training")
    config = read_config_text(written.text, "training.toml")
    assert config.shape == job.shape
    assert (config.sequences, config.n_steps) == (job.global_batch, job.steps)
    assert config.precision == job.precision or written.findings
    assert config.recipe.optimizer == job.optimiser or written.findings
    assert config.trial(job.layout).layout == job.layout
