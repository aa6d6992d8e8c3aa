from __future__ import annotations

import numpy as np
from check_tables import L, N, findings, good

from scalescope.points import Runs


def test_a_loss_above_guessing_is_told_as_bits():
    vocabulary = np.full(len(N), 50.0)
    nats = np.linspace(3.0, 3.8, len(N))
    told = findings(good(loss=nats / np.log(2), vocabulary=vocabulary))
    assert "units loss=bits" in told["RUN013"]
    assert "RUN013" not in findings(good(loss=nats, vocabulary=vocabulary))


def test_a_loss_beside_the_same_in_nats_is_told_as_bits():
    assert "1.4427 times 'nll'" in findings(good(loss=L / np.log(2)), {"nll": L})["RUN013"]
    assert "RUN013" not in findings(good(), {"bits": L / np.log(2)})


def test_a_loss_that_is_the_bits_per_byte_is_told():
    assert "RUN013" in findings(good(bits_per_byte=L))
    assert "RUN013" not in findings(good(bits_per_byte=L / 2.9))


def test_a_perplexity_is_told_by_its_size():
    told = findings(good(loss=np.exp(L)))
    assert "units loss=perplexity" in told["RUN014"]


def test_a_small_perplexity_is_told_by_what_such_models_reach():
    size = np.geomspace(1e9, 1e11, 8)
    nats = 1.69 + 406.4 * size**-0.34 + 410.7 * (20 * size) ** -0.28
    runs = Runs.from_columns({"params": size, "tokens": 20 * size, "loss": np.exp(nats)})
    assert np.median(runs.loss) < 12
    assert "its logarithm is near" in findings(runs)["RUN014"]


def test_a_perplexity_beside_its_logarithm_is_told():
    assert "the exponential of 'nll'" in findings(good(loss=np.exp(L / 2)), {"nll": L / 2})["RUN014"]


def test_a_logarithm_of_the_loss_is_told():
    words = np.full(len(N), 32_000.0)
    assert "units loss=log" in findings(good(loss=np.log(L), vocabulary=words))["RUN015"]
    assert "RUN015" not in findings(good(vocabulary=words))
