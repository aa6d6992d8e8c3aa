from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalescope.errors import InputError
from scalescope.points import COLUMNS, SIZES, Runs, read_runs, screen, write_runs
from scalescope.points.runs import counts_in

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "../shared/laws/data"

NUMBERS = {
    "positive": st.floats(5e-324, 1.7e308) | st.floats(1e3, 1e12) | st.just(1.0),
    "nonnegative": st.floats(0.0, 1.7e308) | st.floats(0, 100) | st.just(0.0),
    "any": st.floats(-1.7e308, 1.7e308),
}


@st.composite
def tables(draw):
    """Any finite table: any columns, any numbers that they may hold, gaps where they may be."""
    usual = ["params", "tokens", "compute", "loss", "step", "vocabulary", "bits_per_byte", "tokens_unique"]
    chosen = draw(
        st.lists(st.sampled_from(usual) | st.sampled_from(list(COLUMNS)), min_size=1, max_size=6, unique=True)
    )
    n, rng = draw(st.sampled_from([1, 2, 5, 40])), np.random.default_rng(draw(st.integers(0, 9)))
    columns = {}
    for name in chosen:
        pool = draw(st.lists(NUMBERS[COLUMNS[name].kind], min_size=1, max_size=5))
        columns[name] = np.array(pool)[rng.integers(len(pool), size=n)]
    if draw(st.booleans()) and "loss" not in columns:
        columns[chosen[0]][0] = np.nan
    names = tuple(np.array(["a", "b", "a-step100", ""])[rng.integers(4, size=n)].tolist())
    return Runs(
        columns=columns,
        names=names if draw(st.booleans()) else (),
        count=(counts_in(columns) or SIZES)[0],
    )


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(runs=tables(), other=st.sampled_from(["text", "numbers", "none"]))
def test_no_finite_table_breaks_a_check(runs, other):
    n = len(runs)
    rest = {"text": {"kind": ["x", "y"] * n}, "numbers": {"more": np.arange(n, dtype=float)}, "none": {}}[
        other
    ]
    found = screen(runs, rest={name: column[:n] for name, column in rest.items()})
    assert all(finding.text and finding.code.startswith("RUN") for finding in found)


@settings(deadline=None)
@given(runs=tables())
def test_any_table_survives_a_dictionary_and_json(runs):
    again = Runs.from_dict(json.loads(json.dumps(runs.to_dict())))
    assert again.names == runs.names
    assert again.count == runs.count
    for name, column in runs.columns.items():
        np.testing.assert_array_equal(again[name], column)
    assert runs.summary().splitlines()[0] == again.summary().splitlines()[0]


@pytest.mark.parametrize("extension", [".csv", ".json", ".jsonl", ".parquet"])
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=25,
)
@given(runs=tables())
def test_any_table_survives_a_file(tmp_path, extension, runs):
    path = write_runs(runs, tmp_path / f"runs{extension}")
    try:
        again = read_runs(path)
    except InputError as error:
        # One column alone is no table of runs, and 6 N D may be beyond all floats.
        assert re.search("no column|no rows|not an object|must be above zero and finite", str(error))
        return
    for name in again.columns:
        if name in runs:
            np.testing.assert_array_equal(again[name], runs[name])


def codes(runs):
    return [finding.code for finding in runs.findings if finding.code not in ("RUN001", "RUN002", "RUN003")]


def test_our_own_study_raises_no_doubt_but_that_it_counts_in_several_ways():
    text = (resources.files("scalescope.points") / "bundled" / "default_study.json").read_text("utf-8")
    assert [finding.code for finding in screen(Runs.from_dict(json.loads(text)))] == ["RUN005"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/results").glob("default-study-*.csv")), ids=lambda p: p.stem
)
def test_tables_of_our_studies_raise_no_doubt_but_about_their_count(path):
    assert codes(read_runs(path, count="params_matmul")) == ["RUN005"]


@pytest.mark.shared
class TestPublishedTables:
    def read(self, name, **options):
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"the published table {name} is not here")
        return read_runs(path, **options)

    @pytest.mark.parametrize(
        ("name", "columns", "expected"),
        [
            ("bnsl-repo/four_digit_addition.csv", {}, []),
            ("curves/image_tasks.csv", {}, ["RUN022"]),
            ("deepmind-routing/curves.csv.gz", {}, ["RUN005", "RUN021"]),
            ("epoch-analyzing-chinchilla/svg_extracted_data.csv", {}, ["RUN019", "RUN020"]),
            ("gadre-overtraining/gadre_104_models.csv", {"loss_c4_val": "loss"}, []),
            ("gadre-overtraining/gadre_104_models.csv", {"loss_openlm": "loss"}, ["RUN022"]),
            ("gadre-overtraining/gadre_104_models.csv", {"err_avg": "error"}, []),
            ("gemstones/wandb_df_for_fitting_cool_end.jsonl", {}, ["RUN005", "RUN021"]),
            ("gemstones/wandb_df_for_fitting_hot.jsonl", {}, ["RUN005", "RUN021"]),
            ("gemstones/wandb_df_for_fitting_slim_chinchilla.jsonl", {}, ["RUN005"]),
            ("muennighoff-datablations/runs_182.csv", {}, ["RUN020"]),
            ("nanochat/isoflop_optima_LOG.csv", {}, ["RUN009", "RUN024"]),
            ("obsscaling/base_llm_benchmark_eval.csv", {"MMLU": "accuracy"}, []),
            ("sld/vocab_scaling_law__data.csv", {}, ["RUN005"]),
            ("supercollapse/c5m_schedules_curves.csv.gz", {}, ["RUN010"]),
        ],
        ids=str,
    )
    def test_what_is_told_of_them(self, name, columns, expected):
        assert codes(self.read(name, columns=columns)) == expected

    @pytest.mark.parametrize(
        ("name", "message", "hint"),
        [
            ("curves/measured_rmsle.csv", "no column for the loss", "theirs=loss"),
            ("gadre-overtraining/gadre_104_models.csv", "no column for the loss", "loss_openlm=loss"),
            ("gadre-overtraining/grid.json", "does not hold a list", "one flat row a run"),
            ("muennighoff-datablations/all_runs_raw_names.csv", "size, tokens or compute", "theirs=params"),
            ("nanogpt/chinchilla_table_A9_models.csv", "no column for the loss", "theirs=loss"),
            ("obsscaling/base_llm_emergent_capability_eval.csv", "no column", "=accuracy"),
            ("open-athena/extrapolation_error_data.csv", "no column", "abs_error=error"),
            ("sld/rectified_scaling_law__flan.csv", "no column", "write one row a setting"),
            ("sld/domain_mixture_scaling_law__all_models_data.json", "does not hold", "flat row"),
            (
                "supercollapse/c5m_schedules_runs.csv",
                "'test_loss' (loss): '-1' must be above",
                "45 of 45 rows",
            ),
        ],
    )
    def test_those_that_cannot_be_guessed_say_what_to_do(self, name, message, hint):
        with pytest.raises(InputError) as caught:
            self.read(name)
        assert message in str(caught.value)
        assert hint in caught.value.hint

    def test_the_copy_with_swapped_columns_is_recognised(self):
        swapped = {"tokens": "tokens_unique", "unique_tokens": "tokens"}
        runs = self.read("muennighoff-datablations/runs_182.csv", columns=swapped)
        text = next(finding.text for finding in runs.findings if finding.code == "RUN016")
        assert text.startswith("153 of 182 rows")
        assert "probably swapped" in text

    def test_the_outliers_of_the_figure_are_among_the_rows_that_were_left_out(self):
        runs = self.read("epoch-analyzing-chinchilla/svg_extracted_data.csv")
        worst = np.argsort(runs.loss)[-5:] + 1
        text = next(finding.text for finding in runs.findings if finding.code == "RUN020")
        assert "rows 2, 4," in text
        assert {2, 4} <= set(worst.tolist())
