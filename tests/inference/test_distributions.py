"""Lengths of texts are drawn from what a specification or a file says."""

from __future__ import annotations

import numpy as np
import pytest

from scalescope.errors import InputError
from scalescope.inference.distributions import read_distribution


class TestDistributions:
    def test_a_lognormal_one_has_its_mean_and_sigma(self):
        drawn = np.array(read_distribution("lognormal:mean=180,sigma=0.8").draw(20_000, seed=3))
        assert drawn.mean() == pytest.approx(180, rel=0.03)
        assert np.log(drawn).std() == pytest.approx(0.8, rel=0.03)

    def test_a_uniform_one_reaches_both_ends(self):
        drawn = read_distribution("uniform:16-20").draw(200)
        assert set(drawn) == {16, 17, 18, 19, 20}

    def test_a_fixed_one_is_fixed(self):
        assert read_distribution("fixed:128").draw(3) == (128, 128, 128)

    def test_the_same_seed_draws_the_same_lengths(self):
        one = read_distribution("lognormal:mean=180,sigma=0.8")
        assert one.draw(8, seed=1) == one.draw(8, seed=1) != one.draw(8, seed=2)

    def test_longer_texts_are_cut(self):
        assert max(read_distribution("uniform:16-512").draw(50, cut=100)) == 100

    @pytest.mark.parametrize(
        "text",
        [
            "fixed:0",
            "fixed:-4",
            "fixed:99999999999",
            "fixed:x",
            "uniform:5",
            "uniform:9-3",
            "uniform:0-3",
            "lognormal:180",
            "lognormal:mean=0,sigma=1",
            "lognormal:mean=180,sigma=0",
            "lognormal:mean=180,sigma=9",
            "lognormal:mean=nan,sigma=1",
            "gamma:3",
            "no such file",
            "\0",
        ],
    )
    def test_a_malformed_one_is_refused_in_one_line(self, text):
        with pytest.raises(InputError) as caught:
            read_distribution(text)
        assert "\n" not in str(caught.value)

    def test_a_file_of_lengths_is_read_in_its_order(self, tmp_path):
        path = tmp_path / "lengths.txt"
        path.write_text("12\n7\n\n90\n")
        read = read_distribution(str(path))
        assert read.draw(3) == (12, 7, 90)
        assert sorted(read.draw(2, seed=1)) in ([7, 12], [7, 90], [12, 90])
        assert set(read.draw(50)) == {12, 7, 90}
        assert read.findings == ()

    def test_texts_are_measured_by_their_bytes_and_say_so(self, tmp_path):
        path = tmp_path / "texts.jsonl"
        path.write_text('{"text": "abcdefgh"}\n{"text": "abc"}\n{"text": ""}\n')
        read = read_distribution(str(path))
        assert read.observed == (2, 1, 1)
        assert [finding.code for finding in read.findings] == ["BEN030"]

    def test_plain_texts_are_measured_line_by_line(self, tmp_path):
        path = tmp_path / "texts.txt"
        path.write_text("one line here\n12\n")
        assert read_distribution(str(path)).observed == (4, 1)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"12\n0\n", "line 2"),
            (b"12\n-3\n", "line 2"),
            (b"12\n1.5\n", "line 2"),
            (b"9999999999\n", "line 1"),
            (b'{"other": 1}\n', "field 'text'"),
            (b'{"text": 1}\n', "field 'text'"),
            (b'{"text": \n', "field 'text'"),
            (b"", "empty"),
            (b"\xff\xfe\x00", "cannot be read"),
        ],
    )
    def test_a_bad_file_is_refused_in_one_line(self, tmp_path, content, said):
        path = tmp_path / "bad"
        path.write_bytes(content)
        with pytest.raises(InputError, match=said) as caught:
            read_distribution(str(path))
        assert "\n" not in str(caught.value)

    def test_a_folder_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_distribution(str(tmp_path))
