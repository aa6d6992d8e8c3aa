from __future__ import annotations

import numpy as np
import pytest

from scalescope.laws import LAWS, get_law
from scalescope.reports import sections


def test_shares_go_on_summing_to_one_while_one_of_them_moves():
    law = get_law("data-mixing")
    found = sections.section(law, "r1", np.linspace(0, 1, 11), sections.middle(law))
    np.testing.assert_allclose(sum(found.at.values()), 1.0)
    np.testing.assert_allclose(found.at["r2"], found.at["r3"])
    assert found.held == {}


def test_unique_data_never_exceed_all_data():
    law = get_law("data-constrained")
    found = sections.section(law, "U", np.geomspace(1e8, 1e11, 20), {"N": 1e8, "D": 1e9})
    assert found.x.max() <= 1e9 * (1 + 1e-9)
    assert found.held == {"N": 1e8, "D": 1e9}


def test_medians_leave_gaps_out_and_shares_keep_their_sum():
    law = get_law("data-mixing-2")
    at = {"r1": np.array([0.1, 0.2, 0.9]), "r2": np.array([0.9, 0.8, 0.1])}
    assert sum(sections.medians(law, at).values()) == pytest.approx(1.0)
    chinchilla = get_law("chinchilla")
    gap = {"N": np.array([1.0, np.nan, 3.0]), "D": np.array([2.0, 2.0, 2.0])}
    assert sections.medians(chinchilla, gap) == {"N": 2.0, "D": 2.0}


def test_the_first_verified_published_set_is_chosen():
    name, published = sections.chosen_set(get_law("chinchilla"))
    assert published is get_law("chinchilla").published[name]
    assert published.verified
    assert sections.chosen_set(get_law("m4")) == ("examples", None)


def test_a_law_of_three_variables_begins_with_what_it_is_about():
    assert sections.by_interest(get_law("data-constrained"))[0] == "U"
    assert sections.beside(get_law("data-constrained"), "D") == "U"
    assert sections.by_interest(get_law("chinchilla")) == ["N", "D"]


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_every_variable_of_every_law_has_a_section_inside_its_range(law):
    for letter, one in law.variables.items():
        grid = sections.spread(law, letter, 9)
        found = sections.section(law, letter, grid, sections.middle(law))
        assert set(found.at) == set(law.variables)
        assert len(found.x) > 1
        spare = 1e-9 * max(abs(one.low), abs(one.high))
        assert one.low - spare <= found.x.min()
        assert found.x.max() <= one.high + spare
