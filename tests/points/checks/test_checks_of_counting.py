from __future__ import annotations

import numpy as np
import pytest
from check_tables import D, N, findings, good


def test_a_good_table_has_no_findings():
    assert findings(good()) == {}


@pytest.mark.parametrize(
    ("factor", "what"), [(2.0, "12 N D"), (1 / 3, "2 N D"), (4 / 3, "8 N D"), (3.0, "6 N D")]
)
def test_a_constant_factor_is_told_with_its_likely_reason(factor, what):
    told = findings(good(compute=factor * 6 * N * D))
    assert set(told) == {"RUN004"}
    assert what in told["RUN004"]


def test_the_count_that_multiplies_is_named():
    told = findings(good(params_nonembedding=N / 2, compute=3 * N * D))
    assert "With params_nonembedding as N it is 6 N D." in told["RUN004"]


def test_compute_that_is_no_multiple_is_told_with_the_row_farthest_off():
    compute = 6 * N * D * np.where(np.arange(len(N)) % 2, 1.0, 2.0)
    compute[7] *= 50
    told = findings(good(compute=compute))
    assert set(told) == {"RUN009"}
    assert "row 8" in told["RUN009"]


def test_the_column_of_text_that_explains_the_factor_is_named():
    kinds = ["a", "b"] * (len(N) // 2)
    compute = 6 * N * D * np.array([{"a": 1.0, "b": 3.0}[kind] for kind in kinds])
    assert (
        "The column 'convention' tells them apart."
        in findings(good(compute=compute), {"convention": kinds})["RUN009"]
    )


def test_a_factor_that_moves_with_the_size_is_told():
    assert "It moves with N" in findings(good(compute=6 * (N + 1e8) * D))["RUN009"]


def test_several_counts_are_told_with_how_far_they_are_apart():
    told = findings(good(params_nonembedding=N * np.linspace(0.5, 0.9, len(N))))
    assert "params_nonembedding is 0.50 to 0.90 times that" in told["RUN005"]


def test_what_was_derived_is_told_and_not_checked_against_itself():
    assert set(findings(good(compute=None))) == {"RUN003"}
    assert "C / (6 N)" in findings(good(tokens=None))["RUN003"]
