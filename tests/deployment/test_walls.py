"""Where models stop, and the answer to whether there is a wall."""

from __future__ import annotations

import pytest
from made_cells import make_cell, make_series, stopped

from scalescope.cost import Positions
from scalescope.deployment import Walls, find_walls
from scalescope.deployment.walls import limit_in
from scalescope.points import TRIED, Cells


def test_models_that_run_at_2048_are_no_wall(made):
    answer = find_walls(made).answer(2048)
    assert not answer.wall
    assert (answer.ran, answer.n_models) == (1, 5)
    assert answer.by_stop == {"configuration": 3, "fault": 1}
    assert answer.text == (
        "At 2048 tokens: no wall. 1 of 5 models ran (20%); 3 cannot by configuration, 1 met another error."
    )


def test_a_length_at_which_all_that_were_tried_fell_is_a_wall():
    cells = [make_cell("a", 128), stopped("a", 512, "allocator_oom"), stopped("b", 512, "not_applicable")]
    answer = find_walls(Cells(cells=tuple(cells))).answer(512)
    assert answer.wall
    assert "1 ran out of memory" in answer.text


def test_a_length_at_which_nothing_was_tried_is_no_wall():
    cells = [make_cell("a", 128), stopped("a", 512, "not_applicable"), stopped("b", 512, "skipped")]
    answer = find_walls(Cells(cells=tuple(cells))).answer(512)
    assert not answer.wall
    assert "nothing was tried" in answer.text


def test_the_limit_is_read_from_the_cause_or_given(made):
    assert find_walls(made).of("org/bert-a").limit == 512
    limits = {"org/bert-a": Positions(kind="table", limit=512, trained=512)}
    one = find_walls(made, limits=limits).of("org/bert-a")
    assert (one.position_kind, one.limit, one.longest_ok, one.stopped_at) == ("table", 512, 512, 1024)
    assert find_walls(made).of("org/rope-a").stop == "nothing"


@pytest.mark.parametrize(
    ("cause", "limit"),
    [
        ("position table ends at 512", 512),
        ("position table (1026 rows) ends at 1024 tokens", None),
        ("ends at 77", None),
        ("ends at 0.75", None),
        ("no decoder", None),
    ],
)
def test_a_limit_is_read_only_where_one_number_can_be_it(cause, limit):
    assert limit_in(cause, 512, 2048) == limit


@pytest.mark.parametrize("state", sorted(TRIED - {"ok"}))
def test_every_state_stops_a_model_for_one_reason(state):
    (one,) = find_walls(Cells(cells=(make_cell("a", 128), stopped("a", 512, state, "why")))).walls
    expected = {"position_limit": "configuration", "allocator_oom": "memory", "timeout": "time"}
    assert one.stop == expected.get(state, "killed" if state == "killed" else "fault")
    assert (one.state, one.cause) == (state, "why")


def test_only_an_allocator_makes_it_memory():
    walls = find_walls(Cells(cells=(make_cell("a", 128), stopped("a", 512, "killed", "SIGKILL"))))
    assert walls.of("a").stop == "killed"
    assert [one.code for one in walls.findings] == ["BEN069"]


def test_a_model_that_was_not_tried_did_not_fail():
    (one,) = find_walls(Cells(cells=(stopped("a", 128, "skipped", "needs 20 GiB"),))).walls
    assert (one.stop, one.longest_ok) == ("prediction", None)


def test_walls_come_back_from_their_dictionary_and_print(made):
    walls = find_walls(made)
    assert Walls.from_dict(walls.to_dict()) == walls
    assert "3 configuration" in walls.summary()
    assert len(walls.frame()) == 5


def test_a_gap_between_lengths_is_not_a_stop():
    cells = [*make_series("a", lengths=(128, 2048)), stopped("a", 512, "timeout")]
    (one,) = find_walls(Cells(cells=tuple(cells))).walls
    assert (one.longest_ok, one.stop) == (2048, "nothing")
