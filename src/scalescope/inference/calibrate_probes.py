"""Three small models, run for a moment each, whose times and memory set the corrections of this machine.

One of each kind that the bench is mostly made of: an encoder, a decoder with learnt positions and an unfused
activation, a decoder with rotary positions and a gated feed-forward.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from scalescope.cost import Anatomy
from scalescope.errors import MissingExtraError
from scalescope.inference.calibrate_rates import best_seconds
from scalescope.points import Attention, Cell, Dtype, Timing, Workload

LENGTHS = (96, 256)
SETTINGS: tuple[tuple[Dtype, Attention], ...] = (("fp32", "sdpa"), ("fp32", "eager"), ("bf16", "sdpa"))
_NAMES = {"fp32": "float32", "bf16": "bfloat16"}

PROBES: Mapping[str, Mapping[str, Any]] = {
    "bert": {
        "hidden_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "intermediate_size": 2048,
        "vocab_size": 1000,
    },
    "gpt2": {
        "n_embd": 384,
        "n_layer": 5,
        "n_head": 6,
        "vocab_size": 1000,
        "n_positions": 512,
        "bos_token_id": 0,
        "eos_token_id": 0,
    },
    "llama": {
        "hidden_size": 576,
        "num_hidden_layers": 3,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "vocab_size": 1000,
        "max_position_embeddings": 512,
    },
}
"""Type to the settings of its configuration."""


def probe_cells(*, device: str = "cpu", threads: int = 1) -> tuple[tuple[Cell, ...], dict[str, Anatomy]]:
    """Run the probes in this process; return their cells and their anatomies by model.

    A setting that the device cannot run is left out.

    Raises
    ------
    MissingExtraError
        If torch or transformers is not installed.
    """
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "bench") from error
    from scalescope.inference.anatomy import anatomy_of

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    cells: list[Cell] = []
    anatomies = {}
    try:
        for model_type, kwargs in PROBES.items():
            anatomies[f"probe {model_type}"] = anatomy_of(model_type, kwargs)
            config = transformers.AutoConfig.for_model(model_type, **kwargs)
            for dtype, attention in SETTINGS:
                cells += _cells(config, dtype, attention, device, threads)
    finally:
        torch.set_num_threads(before)
    return tuple(cells), anatomies


def _cells(config: Any, dtype: Dtype, attention: Attention, device: str, threads: int) -> Iterator[Cell]:
    import torch
    import transformers

    kind = getattr(torch, _NAMES[dtype])
    auto: Any = transformers.AutoModel
    module = auto.from_config(config, dtype=kind, attn_implementation=attention)
    module = module.eval().to(device)
    causal = config.model_type != "bert"
    for length in LENGTHS:
        ids = torch.randint(config.vocab_size, (1, length), device=device)
        more = {"use_cache": True} if causal else {}
        try:
            with torch.inference_mode():
                seconds = best_seconds(partial(module, input_ids=ids, **more), device, seconds=0.05)
        except (RuntimeError, NotImplementedError):
            return  # no kernel of this type here; the rates say as much
        yield Cell(
            model=f"probe {config.model_type}",
            workload=Workload(kind="prefill" if causal else "encode", length=length),
            dtype=dtype,
            attention=attention,
            device=device,
            threads=threads,
            state="ok",
            timing=Timing(samples=(seconds,)),
        )
