"""A bench of 118 models, made up by a small cost model: every state, shared architectures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from scalescope.deployment.advice import strategies
from scalescope.deployment.recommendation import recommend
from scalescope.deployment.scaling import fit_scaling
from scalescope.deployment.tables import bench_tables
from scalescope.deployment.walls import find_walls
from scalescope.points.bench import (
    BenchMachine,
    Cell,
    Cells,
    Energy,
    Expectation,
    Load,
    Memory,
    Timing,
    Workload,
)
from scalescope.reports.bench import BenchContents

LENGTHS = (128, 512, 1024, 2048)
FREE = 15 * 2**30
MATMUL = 92e9

# Category: name, millions of parameters, longest text (0: nothing stops it).
STUDY = {
    "generative": (
        "gpt2 124 1024;gpt2-medium 355 1024;gpt2-large 774 1024;gpt2-xl 1558 1024;DialoGPT-small 124 1024;"
        "DialoGPT-medium 355 1024;DialoGPT-large 774 1024;gpt-neo-125m 125.2 2048;gpt-neo-1.3B 1316 2048;"
        "gpt-neo-2.7B 2651 2048;gpt-j-6b 5844 2048;pythia-70m 45 0;pythia-160m 124 0;pythia-410m 354 0;"
        "pythia-1b 909 0;pythia-1.4b 1312 0;pythia-2.8b 2646 0;pythia-6.9b 6651 0;opt-125m 125 2048;"
        "opt-350m 331 2048;opt-1.3b 1316 2048;opt-2.7b 2652 2048;opt-6.7b 6658 2048;bloom-560m 559 0;"
        "bloom-1b1 1065 0;bloom-1b7 1722 0;bloom-3b 3003 0;bloom-7b1 7069 0;bloomz-560m 559 0;"
        "bloomz-1b1 1065 0;bloomz-1b7 1722 0;bloomz-3b 3003 0;Cerebras-GPT-111M 111 2048;"
        "Cerebras-GPT-256M 256 2048;Cerebras-GPT-590M 590 2048;Cerebras-GPT-1.3B 1316 2048;"
        "Cerebras-GPT-2.7B 2652 2048;Cerebras-GPT-6.7B 6658 2048;stablelm-base-alpha-3b 3430 0;"
        "Mistral-7B-v0.1 7111 0;falcon-rw-1b 1312 0;falcon-7b 6922 0;pygmalion-350m 331 2048;"
        "pygmalion-1.3b 1312 0;pygmalion-2.7b 2651 0;openai-gpt 117 512;xglm-564M 564 0;Qwen2.5-0.5B 494 0;"
        "Llama-3.2-1B 1236 0;stablelm-2-1_6b 1439 0;"
    ),
    "bert": (
        "bert-base-uncased 109.5 512;bert-base-cased 108.3 512;bert-large-uncased 335 512;"
        "bert-large-cased 334 512;bert-base-multilingual-cased 178 512;bert-base-chinese 102 512;"
        "roberta-base 124.6 512;roberta-large 355 512;xlm-roberta-base 278 512;xlm-roberta-large 560 512;"
        "albert-base-v1 11.7 512;albert-base-v2 11.7 512;albert-large-v2 17.7 512;"
        "albert-xlarge-v2 58.7 512;albert-xxlarge-v2 223 512;electra-small-discriminator 13.5 512;"
        "electra-base-discriminator 109 512;electra-large-discriminator 334.1 512;"
        "electra-small-generator 13.5 512;electra-base-generator 33.5 512;electra-large-generator 51 512;"
        "deberta-base 139 0;deberta-large 405 0;deberta-xlarge 758 0;deberta-v3-xsmall 71 0;"
        "deberta-v3-small 141 0;deberta-v3-base 184 0;deberta-v3-large 434 0;mdeberta-v3-base 278.2 0;"
        "camembert-base 111 512;mpnet-base 109 512;xlnet-base-cased 117 0;ModernBERT-base 149 8192;"
        "ModernBERT-large 395 8192;"
    ),
    "specialised": (
        "scibert_scivocab_uncased 110 512;scibert_scivocab_cased 110 512;finbert 109.5 512;"
        "finbert-tone 110 512;biobert-base-cased-v1.1 108.3 512;biobert-large-cased-v1.1 364 512;"
        "Bio_ClinicalBERT 108.3 512;BiomedNLP-BiomedBERT-base-uncased-abstract-fulltext 109.5 512;"
        "BioLinkBERT-base 108.2 512;legal-bert-base-uncased 109.5 512;legal-bert-small-uncased 35 512;"
        "custom-legalbert 111 512;bertweet-base 135 128;bert-for-patents 345 512;matscibert 109.9 512;"
        "distilroberta-base-climate-f 82.1 512;biogpt 347 1024;galactica-125m 125 2048;"
        "esm2_t12_35M_UR50D 34 0;"
    ),
    "compressed": (
        "distilbert-base-uncased 66.4 512;distilbert-base-cased 65.2 512;distilroberta-base 82.1 512;"
        "TinyBERT_General_4L_312D 14.4 512;mobilebert-uncased 24.8 512;"
    ),
    "small": ("phi-1 1313 0;phi-1_5 1313 0;phi-2 2649 0;TinyLlama-1.1B-Chat-v1.0 1035 0;"),
    "efficient": (
        "longformer-base-4096 149 4096;longformer-large-4096 435 4096;bigbird-roberta-base 127 4096;"
        "bigbird-roberta-large 359 4096;"
    ),
    "code": ("codebert-base 124.6 512;graphcodebert-base 124.6 512;"),
}

ODD: dict[tuple[str, int], tuple[str, str, str]] = {
    ("openai-gpt", 512): ("position_limit", "index out of range in self", "IndexError"),
    ("xlnet-base-cased", 2048): ("timeout", "did not end within 120 s", ""),
    ("gpt-neo-2.7B", 2048): ("killed", "the kernel ended it: its memory group was over the limit", "SIGKILL"),
    ("bloom-3b", 2048): ("allocator_oom", "tried to allocate 2.1 GiB", "RuntimeError"),
    ("deberta-xlarge", 2048): ("unsupported_op", "no such operation for bf16", "NotImplementedError"),
    ("mpnet-base", 512): ("nonfinite", "the output holds NaN", ""),
    ("bigbird-roberta-base", 128): ("api_error", "got an unexpected keyword 'attention_type'", "TypeError"),
    ("esm2_t12_35M_UR50D", 2048): ("other", "ValueError: what nobody had thought of", "ValueError"),
    ("xglm-564M", 128): ("missing_input", "needs decoder_input_ids", "ValueError"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    name: str
    category: str
    params: int
    limit: int

    @property
    def causal(self) -> bool:
        return self.category in {"generative", "small"}


def entries() -> Iterator[Entry]:
    for category, listed in STUDY.items():
        for one in listed.rstrip(";").split(";"):
            name, millions, limit = one.split()
            yield Entry(name=name, category=category, params=int(float(millions) * 1e6), limit=int(limit))


def example_cells(lengths: tuple[int, ...] = LENGTHS, most: int | None = None, dtype: str = "fp32") -> Cells:
    """Cells of the study's models, or of the first `most`."""
    rng = np.random.default_rng(4)
    owners: dict[str, str] = {}
    cells = []
    for entry in list(entries())[:most]:
        family = entry.name if entry.name.startswith(("deberta", "xlnet", "mpnet", "esm", "electra")) else ""
        architecture = f"{entry.params:x}-{entry.limit}-{entry.causal}{family}"
        owner = owners.setdefault(architecture, entry.name)
        for length in lengths:
            cell = made(entry, length, rng, dtype)
            if owner != entry.name:
                measured = next(one for one in cells if one.model == owner and one.workload.length == length)
                cell = _as_of(measured, entry, owner)
            cells.append(_with(cell, architecture=architecture))
    machine = BenchMachine(
        processor="AMD EPYC 7763",
        cores=2,
        threads=1,
        memory_bytes=16 * 2**30,
        matmul_flop_per_s={"fp32": MATMUL, "bf16": 4 * MATMUL},
        copy_bytes_per_s=9.5e9,
        libraries={"torch": "2.13.0", "transformers": "5.23.0"},
    )
    return Cells(cells=tuple(cells), machine=machine, title="118 models", command="scalescope bench --out b")


def _with(cell: Cell, **changes: object) -> Cell:
    return replace(cell, **changes)


def _as_of(cell: Cell, entry: Entry, owner: str) -> Cell:
    return _with(cell, model=entry.name, category=entry.category, shared_from=owner)


def made(entry: Entry, length: int, rng: np.random.Generator, dtype: str) -> Cell:
    """One cell: time and memory from a cost model with noise."""
    width = 64 * max(round(math.sqrt(entry.params / 12e6) * 3), 4)
    layers = max(entry.params // (12 * width**2), 4)
    flop = 2.0 * entry.params * length + 4.0 * length**2 * width * layers
    share = 0.75 * length / (length + 70)
    rate = MATMUL * share * (4 if dtype == "bf16" else 1)
    seconds = flop / rate * float(rng.lognormal(0, 0.05)) + 0.004
    bytes_each = 2 if dtype == "bf16" else 4
    weights = entry.params * bytes_each
    activations = int(length * width * 34 * bytes_each * rng.lognormal(0, 0.05))
    cache = 2 * layers * width * length * bytes_each if entry.causal else 0
    peak = weights + activations + cache
    workload = Workload(kind="prefill" if entry.causal else "encode", length=length)
    expected = Expectation(
        state="ok",
        memory_bytes=peak * float(rng.lognormal(0, 0.06)),
        seconds=seconds * float(rng.lognormal(0, 0.11)),
        flop=flop,
        spread=1.12,
    )
    common = {
        "model": entry.name,
        "category": entry.category,
        "params": entry.params,
        "workload": workload,
        "dtype": dtype,
    }
    if entry.limit and length > entry.limit:
        cause = f"position table of {entry.limit}"
        refused = Expectation(state="not_applicable", cause=cause)
        return Cell(**common, state="not_applicable", cause=cause, expected=refused)
    if 1.05 * peak + 0.5e9 > FREE:
        cause = f"needs {peak / 2**30:.1f} GiB, 14.2 GiB are free"
        refused = Expectation(state="skipped", cause=cause, memory_bytes=float(peak))
        return Cell(**common, state="skipped", cause=cause, expected=refused)
    odd = ODD.get((entry.name, length))
    if odd is not None:
        state, cause, exception = odd
        return Cell(
            **common,
            state=state,
            cause=cause,
            exception=exception,
            traceback_digest="9f2c1a",
            expected=expected,
            free_bytes=FREE,
            peak_bytes=int(peak * 1.1),
        )
    samples = tuple(float(seconds * one) for one in rng.lognormal(0, 0.02, 15))
    ordered = sorted(samples)
    return Cell(
        **common,
        state="ok",
        expected=expected,
        free_bytes=FREE,
        peak_bytes=peak + 300_000_000,
        load=Load(
            import_s=0.01 + 0.05 * float(rng.random()),
            construct_s=0.01 + layers * 0.002,
            map_s=0.002 + weights / 40e9,
            materialise_s=weights / 3.1e9 * float(rng.lognormal(0, 0.1)),
            page_cache="warm",
            weight_bytes=weights,
        ),
        memory=Memory(
            source="VmHWM",
            baseline=300_000_000,
            weights=weights,
            activations=activations,
            cache=cache or None,
            load_peak=int(weights * 1.05),
            peak=peak,
        ),
        timing=Timing(
            samples=samples,
            cpu=samples,
            warmup=(seconds * 1.8, seconds * 1.1),
            foreign=0.31 if entry.name == "gpt2-xl" else 0.01,
            met=entry.name != "phi-2",
            low=ordered[3],
            high=ordered[11],
        ),
        flop=flop,
        computed_tokens=length,
        energy=Energy(joules=seconds * 35, source="stated power model, 35 W"),
        doubts=("faster than the matrix product of this machine",) if entry.name == "albert-base-v1" else (),
        wall_s=20 * seconds,
    )


def bench_contents(cells: Cells, draws: int = 10) -> BenchContents:
    """What the workflow gathers for the page of a bench."""
    if not any(cell.ok for cell in cells):
        return BenchContents(cells=cells, walls=find_walls(cells) if len(cells) else None)
    scaling = fit_scaling(cells, draws=draws)
    return BenchContents(
        cells=cells,
        tables=bench_tables(cells),
        scaling=scaling,
        memory_walls=scaling.walls(2e9, "a phone"),
        walls=find_walls(cells),
        strategies=strategies(cells),
        recommendations=(recommend(cells, length=500, memory_bytes=2e9),),
    )
