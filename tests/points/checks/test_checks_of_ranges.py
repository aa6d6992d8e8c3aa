from __future__ import annotations

import numpy as np
from check_tables import D, N, findings, good


def test_a_column_that_is_the_same_in_all_rows_is_told():
    told = findings(good(tokens=np.full(len(N), 2e10), compute=None))
    assert "tokens = 2.00e10" in told["RUN023"]


def test_a_narrow_range_is_told_in_decades():
    told = findings(good(tokens=1e10 * (D / D.min()) ** 0.15, compute=None))
    assert "tokens 0.30" in told["RUN024"]


def test_few_rows_have_no_range():
    assert "RUN023" not in findings(good().select(np.arange(len(N)) < 3))
