"""Cells of tiny real models, measured in processes of their own."""

from __future__ import annotations

import json

import pytest

from scalescope.inference.cell_results import cell_of
from scalescope.inference.crossing import plain
from scalescope.inference.requests import CellRequest, Effort, Limits
from scalescope.points import Workload

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("psutil")

GPT2 = {"model_type": "gpt2", "vocab_size": 400, "n_positions": 256, "n_embd": 64, "n_layer": 2, "n_head": 2}
BERT = {
    "model_type": "bert",
    "vocab_size": 30000,
    "hidden_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "intermediate_size": 1024,
    "max_position_embeddings": 512,
}
QUICK = Effort(fewest=2, most=3, seconds=0.5, warmup=2)


@pytest.fixture(scope="module")
def nursery():
    from scalescope.inference.nursery import Nursery

    with Nursery(threads=1) as nursery:
        yield nursery


@pytest.fixture
def measure(nursery, tmp_path):
    from scalescope.inference.finding_models import find_model

    def measure(config, workload, **changed):
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config))
        request = CellRequest(
            model=find_model(str(path)),
            workload=workload,
            cache=tmp_path / "cache",
            effort=QUICK,
            limits=Limits(seconds=120),
            **changed,
        )
        payload = {"request": plain(request)}
        written = nursery.run("scalescope.inference.probe:prepare", payload, request.limits)
        assert written.kind == "done", written.message
        outcome = nursery.run("scalescope.inference.probe:run", payload | written.result, request.limits)
        return cell_of(request, outcome)

    return measure


def test_a_cell_has_load_times_samples_and_memory_in_parts(measure):
    cell = measure(BERT, Workload(kind="encode", length=256))
    assert cell.state == "ok", cell.cause
    assert cell.load.construct_s > 0
    assert cell.load.materialise_s > 0
    assert 2 <= len(cell.timing.samples) <= 3
    weights = 4 * cell.params
    assert weights <= cell.memory.weights <= 1.01 * weights
    assert cell.memory.weights < cell.memory.peak < 3 * cell.memory.weights
    # The least that a block keeps at once: its feed-forward's inner activations.
    assert cell.memory.activations >= 4 * 256 * BERT["intermediate_size"]
    assert cell.memory.load_peak == pytest.approx(cell.memory.weights, rel=0.15)
    assert cell.memory.cache == 0
    assert cell.computed_tokens == 256
    assert cell.flop > 2 * 256 * 0.5 * (cell.params - 30000 * 512)


def test_decoding_times_the_first_token_and_every_later_one(measure):
    cell = measure(GPT2, Workload(kind="decode", length=64, new_tokens=5))
    assert cell.state == "ok", cell.cause
    assert len(cell.timing.samples) % 4 == 0
    assert len(cell.first_token.samples) == len(cell.timing.samples) / 4
    # Keys and values of two layers, fp32, for the prompt and the tokens fed.
    assert cell.memory.cache == pytest.approx(2 * 2 * 64 * 4 * 68, rel=0.1)
    assert cell.tokens_per_s == pytest.approx(1 / cell.timing.median)


def test_a_text_beyond_the_table_fails_with_its_cause_and_keeps_its_load_times(measure):
    cell = measure(GPT2, Workload(kind="prefill", length=300))
    assert cell.state == "position_limit"
    assert "300 tokens, positions end at 256" in cell.cause
    assert cell.load.construct_s > 0
    assert cell.timing is None
    assert cell.peak_bytes > 0
    assert cell.traceback_digest


def test_energy_and_carbon_come_with_their_sources(measure):
    cell = measure(GPT2, Workload(kind="prefill", length=64), watts=100.0, grid="France")
    if cell.energy.source.startswith("RAPL"):
        pytest.skip("this machine meters its energy")
    assert cell.energy.joules == pytest.approx(100 * cell.timing.median, rel=1e-6)
    assert cell.energy.grid.startswith("France 20")
    assert cell.energy.grams > 0
