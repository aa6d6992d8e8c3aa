"""`scalescope models` as a person types it."""

from __future__ import annotations

import json


def test_the_core_set_has_118_models_with_the_length_their_configuration_allows(command):
    code, out, _ = command("models", "--set", "core", "--json")
    assert code == 0
    rows = json.loads(out)["models"]
    assert len(rows) == 118
    bert = next(row for row in rows if row["name"].endswith("/bert-base-uncased"))
    assert (bert["limit"], bert["params"]) == (512, 109_482_240)


def test_filters_narrow_the_list(command):
    _, out, _ = command("models", "--min-length", "4096", "--max-params", "1B", "--json")
    rows = json.loads(out)["models"]
    assert rows
    assert all(row["params"] <= 1e9 and (row["limit"] or 4096) >= 4096 for row in rows)


def test_the_list_ends_with_a_next_step(command):
    code, out, _ = command("models", "distilbert")
    assert code == 0
    assert out.rstrip().splitlines()[-1].startswith("next: scalescope bench ")


def test_nothing_found_and_bad_numbers_are_exit_code_2(command):
    for words in (["nosuchmodel"], ["--category", "cooking"], ["--max-params", "big"], ["--at", "0"]):
        code, _, err = command("models", *words)
        assert code == 2, words
        assert err.startswith("error: ")
