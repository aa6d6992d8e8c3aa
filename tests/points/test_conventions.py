from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.points import Runs, convert, express, read_runs, recompute, recount
from scalescope.points.conventions import nonembedding_of_total, total_of_nonembedding


def some_runs(**changes):
    return Runs.from_columns({"params": [1e8, 2e8], "tokens": [2e9, 4e9], "loss": [3.0, 2.5]} | changes)


class TestConvert:
    def test_a_loss_in_bits_becomes_nats_and_the_provenance_says_so(self):
        runs = convert(some_runs(), {"loss": "bits"})
        np.testing.assert_allclose(runs.loss, np.array([3.0, 2.5]) * np.log(2))
        assert runs.provenance.options["units"] == "loss=bits"

    def test_what_was_derived_is_derived_again(self):
        runs = convert(some_runs(params=[100.0, 200.0], tokens=[2.0, 4.0]), {"params": "M", "tokens": "B"})
        np.testing.assert_allclose(runs.compute, 6 * runs.size * runs.tokens)
        assert runs.size.tolist() == [1e8, 2e8]

    def test_what_was_measured_stays(self):
        runs = convert(some_runs(params=[100.0, 200.0], compute=[1e18, 2e18]), {"params": "M"})
        assert runs.compute.tolist() == [1e18, 2e18]

    def test_the_standard_error_follows_the_loss(self):
        runs = some_runs(loss=[20.0, 10.0], loss_stderr=[0.2, 0.2])
        np.testing.assert_allclose(convert(runs, {"loss": "perplexity"})["loss_stderr"], [0.01, 0.02])

    def test_a_rate_is_given_among_the_units(self):
        runs = convert(some_runs(), {"loss": "bits/byte", "bytes_per_token": "4"})
        np.testing.assert_allclose(runs.loss, 4 * np.log(2) * np.array([3.0, 2.5]))

    def test_conversions_follow_one_another_in_the_provenance(self):
        runs = convert(convert(some_runs(), {"loss": "bits"}), {"tokens": "k"})
        assert runs.provenance.options["units"] == "loss=bits; tokens=k"

    @pytest.mark.parametrize(
        ("units", "message"),
        [
            ({"losss": "bits"}, "no column 'losss'"),
            ({"accuracy": "%"}, "no column 'accuracy'"),
            ({"loss": "M"}, "not given in 'M'"),
            ({"loss": "bits/byte", "bytes_per_token": "many"}, "must be a number"),
        ],
    )
    def test_what_cannot_be_converted_is_refused(self, units, message):
        with pytest.raises(InputError, match=message):
            convert(some_runs(), units)

    @given(value=st.floats(0.1, 20))
    def test_to_express_is_to_convert_back(self, value):
        runs = some_runs(loss=[value, value])
        again = convert(some_runs(loss=express(runs, "loss", "bits")), {"loss": "bits"})
        np.testing.assert_allclose(again.loss, runs.loss, rtol=1e-14)

    def test_units_are_taken_on_reading(self, tmp_path):
        path = tmp_path / "runs.csv"
        path.write_text("params,tokens,compute,loss\n100,2,0.0138888889,4\n200,4,0.0555555556,3\n")
        units = {"params": "M", "tokens": "B", "compute": "PF-days", "loss": "bits"}
        runs = read_runs(path, units=units)
        np.testing.assert_allclose(runs.compute, 6 * runs.size * runs.tokens)
        np.testing.assert_allclose(runs.loss, np.array([4, 3]) * np.log(2))
        assert runs.findings == ()
        assert runs.provenance.options["units"] == "params=M,tokens=B,compute=PF-days,loss=bits"

    def test_a_unit_that_was_asked_for_beats_the_one_of_the_header(self, tmp_path):
        path = tmp_path / "runs.csv"
        path.write_text("params (B),tokens,loss\n100,2e9,4\n")
        assert read_runs(path, units={"params": "M"}).size.tolist() == [1e8]


class TestRecount:
    V, d = 50_000.0, 512.0

    @pytest.mark.parametrize("tied", [True, False])
    def test_counts_are_exact_with_vocabulary_and_width(self, tied):
        runs = some_runs()
        outside = recount(runs, "params_nonembedding", vocabulary=self.V, width=self.d, tied=tied)
        matrices = 1 if tied else 2
        np.testing.assert_array_equal(outside.size, runs.size - matrices * self.V * self.d)
        matmul = recount(outside, "params_matmul", vocabulary=self.V, width=self.d, tied=tied)
        np.testing.assert_array_equal(matmul.size, outside.size + self.V * self.d)
        assert matmul.count == "params_matmul"
        np.testing.assert_array_equal(matmul["params"], runs.size)

    def test_columns_of_the_table_serve_too(self):
        runs = some_runs(vocabulary=[self.V] * 2, width=[self.d, 2 * self.d])
        np.testing.assert_array_equal(
            recount(runs, "params_nonembedding", tied=True).size, runs.size - self.V * np.array([512, 1024])
        )

    def test_a_count_that_is_there_is_chosen(self):
        runs = some_runs(params_nonembedding=[9e7, 1.8e8])
        assert recount(runs, "params_nonembedding").size.tolist() == [9e7, 1.8e8]

    def test_an_estimate_must_be_asked_for_and_is_told(self):
        with pytest.raises(InputError, match="does not follow") as caught:
            recount(some_runs(), "params_nonembedding")
        assert "vocabulary and width" in caught.value.hint
        found = recount(some_runs(), "params_nonembedding", estimate=True)
        assert [finding.code for finding in found.findings] == ["RUN008"]
        assert "Pearce & Song" in found.provenance.options["recounted"]
        np.testing.assert_allclose(total_of_nonembedding(found.size), found["params"])

    @given(value=st.floats(1.0, 1e13))
    def test_the_relation_and_its_inverse_agree(self, value):
        outside = np.array([value])
        np.testing.assert_allclose(nonembedding_of_total(total_of_nonembedding(outside)), outside, rtol=1e-9)

    def test_the_relation_adds_the_published_multiple_of_the_cube_root(self):
        # 47491 times the cube roots, 100 and 1000, more: what the embedding of such models holds.
        np.testing.assert_allclose(
            total_of_nonembedding(np.array([1e6, 1e9])), [1e6 + 4.7491e6, 1e9 + 4.7491e7], rtol=1e-12
        )

    @pytest.mark.parametrize(
        ("count", "options", "message"),
        [
            ("param", {}, "cannot be counted"),
            ("params_active", {}, "does not follow"),
            ("params_matmul", {"estimate": True}, "does not follow"),
            ("params_nonembedding", {"vocabulary": 1e6, "width": 1e3}, "no parameters left"),
        ],
    )
    def test_what_cannot_be_counted_is_refused(self, count, options, message):
        with pytest.raises(InputError, match=message):
            recount(some_runs(), count, **options)


class TestRecompute:
    def test_six_n_d_uses_the_count(self):
        runs = some_runs(compute=[1e18, 2e18], params_matmul=[9e7, 1.8e8]).counted_by("params_matmul")
        found = recompute(runs)
        np.testing.assert_array_equal(found.compute, 6 * runs["params_matmul"] * runs.tokens)
        assert found.provenance.options["compute"] == "counted as 6ND"

    def test_exact_flop_are_those_of_the_table_or_of_the_architecture(self):
        assert recompute(some_runs(compute_exact=[7.0, 8.0]), "exact").compute.tolist() == [7.0, 8.0]
        shape = {"params_matmul": [9e7] * 2, "n_layers": [12] * 2, "context": [1024] * 2, "width": [768] * 2}
        runs = some_runs(**shape)
        np.testing.assert_allclose(
            recompute(runs, "exact").compute, 6 * runs.tokens * (9e7 + 12 * 1024 * 768)
        )

    def test_what_is_missing_is_named(self):
        with pytest.raises(InputError, match="params_matmul, n_layers, context, width"):
            recompute(some_runs(), "exact")
        with pytest.raises(InputError, match="not counted as"):
            recompute(some_runs(), "approximately")
