from __future__ import annotations

import pytest

from scalescope.errors import InputError
from scalescope.points import COLUMNS
from scalescope.points.naming import ALIASES, LETTERS, match_columns, resolve_ours


def taken(found, mapping=None):
    return {match.theirs: match.ours for match in match_columns(found, mapping).values()}


def test_our_own_names_are_not_guesses():
    matches = match_columns(["params", "tokens", "loss", "name"])
    assert {match.guessed for match in matches.values()} == {False}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("N", "params"),
        ("D", "tokens"),
        ("C", "compute"),
        ("L", "loss"),
        ("n_params", "params"),
        ("Model Size", "params"),
        ("Training FLOP", "compute"),
        ("flops", "compute"),
        ("FLOPs", "compute"),
        ("training_tokens", "tokens"),
        ("val_loss", "loss"),
        ("Params", "params"),
        ("unique_tokens", "tokens_unique"),
    ],
)
def test_well_known_names_are_recognised(theirs, ours):
    assert taken([theirs]) == {theirs: ours}


@pytest.mark.parametrize("name", ["n", "d", "c", "l", "hex_color", "loss_c4_val", "train_loss"])
def test_names_that_could_mean_anything_are_left_alone(name):
    assert taken([name]) == {}


def test_an_exact_name_beats_an_alias_and_a_word_beats_a_letter():
    assert taken(["Model Size", "params"]) == {"params": "params"}
    assert taken(["N", "num_params"]) == {"num_params": "params"}


def test_a_mapping_beats_an_exact_name():
    assert taken(["params", "dense"], {"dense": "params"}) == {"dense": "params"}


def test_a_mapping_may_use_the_letters_of_the_papers():
    assert taken(["size_of_it"], {"size_of_it": "N"}) == {"size_of_it": "params"}


def test_a_scale_in_the_header_is_read():
    matches = match_columns(["Model Size (B)", "FLOPs (1E21)", "Data size [T]"])
    assert {match.ours: match.unit for match in matches.values()} == {
        "params": "B",
        "compute": "1E21",
        "tokens": "T",
    }


def test_a_misspelt_column_in_a_mapping_gets_a_suggestion():
    with pytest.raises(InputError, match="no column 'sizes'") as caught:
        match_columns(["size", "loss"], {"sizes": "params"})
    assert "size" in caught.value.hint


def test_a_mapping_the_wrong_way_round_is_recognised():
    with pytest.raises(InputError) as caught:
        match_columns(["mysize", "loss"], {"params": "mysize"})
    assert caught.value.hint == "Write the table's name first: mysize=params."


def test_a_column_that_runs_do_not_have_gets_a_suggestion():
    with pytest.raises(InputError, match="not a column of runs") as caught:
        match_columns(["size"], {"size": "parms"})
    assert "params" in caught.value.hint


def test_two_columns_for_one_are_refused():
    with pytest.raises(InputError, match="both"):
        match_columns(["a", "b"], {"a": "loss", "b": "loss"})


def test_every_alias_leads_to_a_column_and_to_one_only():
    aliases = [alias for group in ALIASES.values() for alias in group]
    assert len(aliases) == len(set(aliases))
    assert set(ALIASES) <= {"name", *COLUMNS}
    for ours, group in ALIASES.items():
        assert {resolve_ours(alias) for alias in group} <= {ours}
    assert set(LETTERS.values()) <= set(COLUMNS)


@pytest.mark.parametrize(
    ("header", "ours", "unit"),
    [
        ("compute (PF-days)", "compute", "PF-days"),
        ("loss [bits/token]", "loss", "bits/token"),
        ("accuracy (%)", "accuracy", "%"),
    ],
)
def test_a_unit_in_the_header_is_read(header, ours, unit):
    (match,) = match_columns([header]).values()
    assert (match.ours, match.unit) == (ours, unit)


def test_a_unit_that_a_column_does_not_have_is_part_of_a_name_that_is_not_ours():
    assert taken(["loss (furlongs)"]) == {}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("params_active_precise", "params_active"),
        ("final_loss", "loss"),
        ("num_experts", "experts"),
        ("dense_parameter_count", "params_active"),
        ("total_parameter_count", "params"),
        ("loss_validation", "loss"),
        ("vocab_size", "vocabulary"),
        ("Non_vocab_parameters", "params_nonembedding"),
        ("Lossu", "loss_unigram"),
        ("Seen Examples", "examples"),
        ("train_set_size", "examples"),
        ("test_loss", "loss"),
        ("eff_params", "params"),
        ("val_bpb", "bits_per_byte"),
        ("d_model", "width"),
        ("depth", "n_layers"),
    ],
)
def test_headers_of_public_tables_are_recognised(theirs, ours):
    assert taken([theirs]) == {theirs: ours}


def test_coordinates_of_a_figure_are_left_alone_where_a_loss_is_there():
    assert "x" not in taken(["x", "y", "loss", "Model Size"])
    assert taken(["x", "y"]) == {"x": "x", "y": "y"}
    assert taken(["x", "y", "loss", "N"], {"x": "x"}) == {"x": "x", "loss": "loss", "N": "params"}
