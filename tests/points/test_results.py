from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.points import (
    Array,
    Estimate,
    Finding,
    Provenance,
    from_plain,
    read_json,
    to_plain,
    write_json,
)

SCHEMA = "scalescope.sample/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    estimate: Estimate
    numbers: Array
    findings: tuple[Finding, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


def same(left, right):
    return left == right or (left != left and right != right)


@given(numbers=st.lists(st.floats(), max_size=5), value=st.floats())
def test_results_survive_json_with_all_their_floats(numbers, value, tmp_path_factory):
    estimate = Estimate(value=value, low=value, high=value)
    sample = Sample(estimate=estimate, numbers=np.array(numbers, dtype=float))
    path = tmp_path_factory.mktemp("json") / "sample.json"
    write_json(path, to_plain(sample, SCHEMA))
    again = from_plain(Sample, read_json(path), SCHEMA)
    assert same(again.estimate.value, value)
    np.testing.assert_array_equal(again.numbers, sample.numbers)


def test_another_schema_is_refused():
    with pytest.raises(InputError, match=r"expected scalescope.sample/1, got 'scalescope.fit/1'"):
        from_plain(Sample, {"schema": "scalescope.fit/1"}, SCHEMA)


def test_a_wrong_type_names_the_path_to_it():
    plain = {"schema": SCHEMA, "estimate": {"value": "x", "low": 1, "high": 2}, "numbers": []}
    with pytest.raises(InputError, match=r"estimate\.value"):
        from_plain(Sample, plain, SCHEMA)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"nonsense"])
def test_a_broken_file_is_an_input_error(tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(path)
    assert caught.value.hint


def test_an_absent_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "absent.json")


def test_no_half_file_is_left_behind(tmp_path):
    write_json(tmp_path / "one.json", {"schema": SCHEMA})
    assert [path.name for path in tmp_path.iterdir()] == ["one.json"]


def test_provenance_names_no_host():
    import platform

    provenance = Provenance()
    node = platform.node()
    assert provenance.version
    assert not node or node not in provenance.machine


def test_a_finding_prints_its_code_first():
    assert str(Finding(code="RUN001", text="Took x as y.", hint="Check.")) == "RUN001: Took x as y. Check."
