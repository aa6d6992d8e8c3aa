from __future__ import annotations

import numpy as np
from check_tables import D, L, N, findings, good


def test_distinct_and_all_tokens_swapped_are_told_with_the_mapping():
    told = findings(good(tokens=D / 4, tokens_unique=D, compute=None), tokens="tok", tokens_unique="uniq")
    assert "uniq=tokens,tok=tokens_unique" in told["RUN016"]


def test_a_few_rows_with_too_many_distinct_tokens_are_named():
    unique = D / 2
    unique[4] = 2 * D[4]
    assert "row 5" in findings(good(tokens_unique=unique))["RUN016"]
    assert "RUN016" not in findings(good(tokens_unique=D))


def test_size_and_tokens_swapped_are_told_with_the_mapping():
    told = findings(good(params=60 * N, tokens=N, compute=None), params="n", tokens="d")
    assert "n=tokens,d=params" in told["RUN017"]


def test_a_loss_that_rises_is_told():
    assert "rises with size and tokens" in findings(good(loss=6 - L))["RUN018"]
    assert "RUN018" not in findings(good())


def test_a_loss_that_rises_with_one_of_two_is_left_alone():
    # On one IsoFLOP budget the loss rises with size where the tokens run out.
    size = np.geomspace(1e7, 1e10, 30)
    tokens = 1e20 / size
    loss = 1.69 + 406.4 * size**-0.34 + 410.7 * tokens**-0.28
    assert "RUN018" not in findings(good(params=size, tokens=tokens, compute=None, loss=loss))


def test_absurdly_few_tokens_for_a_size_are_told_as_a_question_of_units():
    told = findings(good(params=1e4 * N, tokens=D / 1e3, compute=None), params="n", tokens="d")
    assert "units n=k or d=M" in told["RUN017"]
