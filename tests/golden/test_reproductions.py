"""Every published result that `scalescope reproduce` makes again, row by row."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from scalescope.errors import InputError
from scalescope.reproductions import NAMES, Reproduction, reproduce

TABLES = Path(__file__).parents[2] / "../shared/laws/data"
WITHOUT_TABLES = {"tables"}


@cache
def made(name: str) -> Reproduction:
    return reproduce(name, data=TABLES)


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_row_holds(name: str) -> None:
    if name not in WITHOUT_TABLES and not TABLES.exists():
        pytest.skip("the published tables are not beside this checkout")
    result = reproduce(name, data=None) if name in WITHOUT_TABLES else made(name)
    assert [row for row in result.rows if not row.holds] == []
    assert len(result.rows) > 2


@pytest.mark.shared
@pytest.mark.skipif(not TABLES.exists(), reason="the published tables are not beside this checkout")
def test_the_data_constrained_fit_says_unasked_that_its_constant_is_open() -> None:
    text = " ".join(str(finding) for finding in made("data-constrained").findings)
    assert "R_D runs from 15" in text


def test_a_result_comes_back_from_its_dictionary() -> None:
    result = reproduce("tables")
    plain = result.to_dict()
    assert Reproduction.from_dict(plain).to_dict() == plain
    assert len(result.frame()) == len(result.rows)
    assert all(row.what in result.summary() for row in result.rows)


@pytest.mark.parametrize("name", sorted(set(NAMES) - WITHOUT_TABLES))
def test_an_absent_table_is_named_with_its_source(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="has no") as raised:
        reproduce(name, data=tmp_path)
    assert "https://" in raised.value.hint


def test_without_a_folder_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCALESCOPE_DATA", raising=False)
    with pytest.raises(InputError, match="no folder") as raised:
        reproduce("epoch")
    assert "SCALESCOPE_DATA" in raised.value.hint


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError) as raised:
        reproduce("epok")
    assert "epoch" in raised.value.hint
