from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalescope.errors import InputError, MissingExtraError
from scalescope.points import Runs, digest_of, read_runs, runs_from_frame, write_runs

SHARED = Path(__file__).parents[2] / "../shared"
TABLE = "params,tokens,loss\n70B,1.4T,1.9\n1e9,2e10,2.6\n"


@pytest.fixture
def table(tmp_path):
    def write(content, name="runs.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def codes(runs):
    return [finding.code for finding in runs.findings]


class TestFormats:
    def test_a_csv_is_read_with_suffixes_and_exponents(self, table):
        runs = read_runs(table(TABLE))
        assert runs.size.tolist() == [70e9, 1e9]
        assert runs.compute.tolist() == [6 * 70e9 * 1.4e12, 6 * 1e9 * 2e10]

    @pytest.mark.parametrize("separator", [";", "\t"])
    def test_other_separators_are_recognised(self, table, separator):
        assert len(read_runs(table(TABLE.replace(",", separator)))) == 2

    def test_a_spreadsheet_s_marks_blank_lines_and_line_ends_do_not_matter(self, table):
        assert len(read_runs(table("\ufeff" + TABLE.replace("\n", "\r\n\r\n")))) == 2

    def test_quoted_cells_may_hold_separators(self, table):
        runs = read_runs(table('name,params,tokens,loss\n"a, b","1,000,000",2e7,3\n'))
        assert runs.names == ("a, b",)
        assert runs.size.tolist() == [1e6]

    def test_a_compressed_table_is_read(self, table):
        assert len(read_runs(table(gzip.compress(TABLE.encode()), "runs.csv.gz"))) == 2

    @pytest.mark.parametrize("name", ["runs.jsonl", "runs.ndjson", "runs.json"])
    def test_json_lines_are_read(self, table, name):
        first = '{"params": "70B", "tokens": 1.4e12, "loss": 1.9}'
        lines = first + '\n\n{"params": 1e9, "tokens": 2e10, "loss": 2.6}\n'
        assert read_runs(table(lines, name)).size.tolist() == [70e9, 1e9]

    def test_a_json_list_is_read(self, table):
        rows = [{"params": 1e9, "tokens": 2e10, "loss": 2.6}]
        assert len(read_runs(table(json.dumps(rows), "runs.json"))) == 1

    def test_parquet_is_read(self, tmp_path):
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        columns = {"params": ["70B", "1B"], "tokens": [1.4e12, 2e10], "loss": [1.9, 2.6]}
        parquet.write_table(pyarrow.table(columns), tmp_path / "runs.parquet")
        assert read_runs(tmp_path / "runs.parquet").size.tolist() == [70e9, 1e9]

    def test_parquet_without_its_library_says_how_to_get_it(self, table, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(MissingExtraError) as caught:
            read_runs(table(b"PAR1 and so on", "runs.parquet"))
        assert "scalescope[parquet]" in caught.value.hint

    @pytest.mark.parametrize("content", [TABLE, '{"params": 1e9, "tokens": 2e10, "loss": 2.6}\n'])
    def test_standard_input_is_read_and_recognised(self, monkeypatch, content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
        assert 1e9 in read_runs("-").size

    def test_our_own_file_comes_back_as_it_was(self, tmp_path):
        runs = Runs.from_columns(
            {"params_matmul": [1e6], "tokens": [2e7], "loss": [3.0]}, count="params_matmul"
        )
        again = read_runs(write_runs(runs, tmp_path / "runs.json"))
        assert again.to_dict() == runs.to_dict()

    @pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
    def test_a_data_frame_is_read(self, library):
        frames = pytest.importorskip(library)
        columns = {"N": [1e9, 2e9], "D": [2e10, 4e10], "L": [2.6, 2.4], "run": ["a", "b"]}
        frame = frames.table(columns) if library == "pyarrow" else frames.DataFrame(columns)
        runs = read_runs(frame)
        assert runs.size.tolist() == [1e9, 2e9]
        assert runs.names == ("a", "b")
        assert runs.provenance.digest

    def test_a_lazy_frame_is_collected(self):
        polars = pytest.importorskip("polars")
        assert len(read_runs(polars.LazyFrame({"N": [1e9], "D": [2e10], "L": [2.6]}))) == 1

    def test_what_is_no_frame_is_refused(self):
        with pytest.raises(InputError, match="neither a path nor a data frame"):
            runs_from_frame(3)  # type: ignore[arg-type]


class TestColumns:
    @pytest.mark.parametrize("pair", [("params", "tokens"), ("params", "compute"), ("tokens", "compute")])
    def test_any_two_of_size_tokens_and_compute_are_enough(self, table, pair):
        values = {"params": 1e9, "tokens": 2e10, "compute": 1.2e20}
        row = ",".join(str(values[name]) for name in pair)
        runs = read_runs(table(f"{','.join(pair)},loss\n{row},2.6\n"))
        np.testing.assert_allclose([runs.size[0], runs.tokens[0], runs.compute[0]], list(values.values()))
        assert "RUN003" in codes(runs)

    def test_a_mapping_names_the_columns(self, table):
        path = table("size,toks,l\n1e9,2e10,2.6\n")
        runs = read_runs(path, columns={"size": "params", "toks": "tokens", "l": "loss"})
        assert "RUN001" not in codes(runs)
        assert runs.provenance.options["columns"] == "size=params,toks=tokens,l=loss"

    def test_recognised_and_ignored_columns_are_told(self, table):
        runs = read_runs(table("Model Size,D,loss,colour\n1e9,2e10,2.6,red\n"))
        texts = {finding.code: finding.text for finding in runs.findings}
        assert "'Model Size' as params" in texts["RUN001"]
        assert texts["RUN002"] == "Ignored 1 column: 'colour'."

    def test_a_scaled_header_is_read_and_told(self, table):
        runs = read_runs(table("Model Size (B),tokens,loss\n7,2e12,1.9\n"))
        assert runs.size.tolist() == [7e9]
        assert "'Model Size (B)' as params in B" in runs.findings[0].text
        assert runs.provenance.options["units"] == "params=B"

    def test_names_units_and_gaps_of_optional_columns_are_kept(self, table):
        runs = read_runs(
            table("run,params,tokens,loss,seconds,held_out\na,1M,2M,3,,false\nb,2M,4M,2.8,7,true\n")
        )
        assert runs.names == ("a", "b")
        assert np.isnan(runs["seconds"][0])
        assert runs.held_out.tolist() == [False, True]

    def test_n_is_counted_as_asked(self, table):
        path = table("params,params_nonembedding,tokens,loss\n2e9,1e9,2e10,2.6\n")
        assert read_runs(path).count == "params"
        runs = read_runs(path, count="params_nonembedding")
        assert runs.size.tolist() == [1e9]
        assert "RUN005" in codes(runs)

    def test_the_only_count_in_a_table_is_taken_and_told(self, table):
        runs = read_runs(table("params_nonembedding,tokens,loss\n1e9,2e10,2.6\n"))
        assert runs.count == "params_nonembedding"
        assert "RUN005" in codes(runs)

    def test_a_count_that_the_table_lacks_is_never_derived(self, table):
        path = table("params,tokens,compute,loss\n1e9,2e10,1.2e20,2.6\n")
        with pytest.raises(InputError, match="does not count params_active"):
            read_runs(path, count="params_active")

    def test_an_unknown_count_gets_a_suggestion(self, table):
        with pytest.raises(InputError) as caught:
            read_runs(table(TABLE), count="param")
        assert "params" in caught.value.hint

    def test_the_source_is_a_name_and_the_digest_that_of_the_bytes(self, table):
        path = table(TABLE)
        provenance = read_runs(path).provenance
        assert provenance.source == "runs.csv"
        assert provenance.digest == digest_of(path.read_bytes())


class TestDoubts:
    def test_compute_that_is_not_six_n_d_is_told(self, table):
        runs = read_runs(table("params,tokens,compute,loss\n1e9,2e10,2.4e20,2.6\n"))
        assert "RUN004" in codes(runs)

    def test_compute_that_is_six_n_d_is_not(self, table):
        assert codes(read_runs(table("params,tokens,compute,loss\n1e9,2e10,1.25e20,2.6\n"))) == []

    def test_repeated_rows_are_told(self, table):
        assert "RUN006" in codes(read_runs(table(TABLE + "1e9,2e10,2.6\n")))

    @pytest.mark.parametrize(
        ("row", "code"), [("7,2e12,1.9", "RUN007"), ("7e9,300,1.9", "RUN007"), ("7e9,2e12,45", "RUN014")]
    )
    def test_numbers_in_other_units_are_told(self, table, row, code):
        assert code in codes(read_runs(table(f"params,tokens,loss\n{row}\n")))


class TestBadInput:
    """Each is one line with a hint; the message names the place."""

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "runs.csv is empty"),
            ("\n \n", "runs.csv is empty"),
            ("params,tokens,loss\n", "runs.csv has no rows"),
            ("params,tokens,loss\n1e9,2e10\n", "line 2: 2 cells under 3 columns"),
            ("params,tokens,loss\n1e9,2e10,2.6\n\n1e9,2e10,2.6,4\n", "line 4: 4 cells under 3 columns"),
            ("params,params,loss\n1,2,3\n", "two columns called 'params'"),
            ('params,tokens,loss\n"1e9,2e10,2.6\n', "line 2: unexpected end of data"),
            (b"params,tokens\0,loss\n1,2,3\n", "runs.csv is binary"),
            (b"params,tokens,loss\n1,2,3\n1,\xff,3\n", "line 3: not UTF-8 text"),
            (b"PAR1\x15\x04", "runs.csv does not hold CSV"),
            ('{"params": 1}', "runs.csv does not hold CSV"),
            ("loss,note\n2.6,a\n", "no column for what a law reads"),
            ("note\na\n", "no column for the loss or what it depends on"),
            ("params,tokens\n1e9,2e10\n", "no column for the loss"),
            ("params,tokens,compute,los\n1e9,2e10,1.2e20,2.6\n", "no column for the loss"),
            ("7e9,2e12,1.9\n1e9,2e10,2.6\n", "no column for the loss"),
            ("model,0,200,400\na,5,4,3\n", "no column for the loss"),
            (b"\xff\xfep\x00,\x00", "runs.csv is binary"),
        ],
    )
    def test_a_file_that_is_no_table_of_runs(self, table, content, message):
        with pytest.raises(InputError) as caught:
            read_runs(table(content))
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.hint

    @pytest.mark.parametrize(
        ("cell", "message"),
        [
            ("-2.6", "'-2.6' must be above zero and finite"),
            ("0", "'0' must be above zero and finite"),
            ("1e999", "'1e999' must be above zero and finite"),
            ("nan", "'nan' is missing or not a number"),
            ("", "'' is missing or not a number"),
            ("2,6", "'2,6' is not a number"),
            ("abc", "'abc' is not a number"),
        ],
    )
    def test_a_cell_that_cannot_be_names_line_and_column(self, table, cell, message):
        path = table(f'Model Size,tokens,loss\n1e9,2e10,2.6\n\n1e9,2e10,"{cell}"\n')
        with pytest.raises(InputError) as caught:
            read_runs(path)
        assert str(caught.value) == f"runs.csv, line 4, column 'loss': {message}"

    def test_a_renamed_column_is_named_both_ways(self, table):
        with pytest.raises(
            InputError, match=r"line 2, column 'Model Size' \(params\): 'big' is not a number"
        ):
            read_runs(table("Model Size,tokens,loss\nbig,2e10,2.6\n"))

    def test_how_many_rows_are_bad_is_told(self, table):
        with pytest.raises(InputError) as caught:
            read_runs(table("params,tokens,loss\n1e9,2e10,0\n1e9,2e10,-1\n1e9,2e10,2\n"))
        assert caught.value.hint.startswith("2 of 3 rows")

    def test_a_misnamed_column_gets_a_suggestion_that_works(self, table):
        path = table("params,tokens,loss_c4\n1e9,2e10,2.6\n")
        with pytest.raises(InputError) as caught:
            read_runs(path)
        assert caught.value.hint == "Did you mean 'loss_c4'? Map it by name: loss_c4=loss."
        assert len(read_runs(path, columns={"loss_c4": "loss"})) == 1

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('{"params": 1\n', "line 1 is not JSON"),
            ("3\n", "line 1: not an object"),
            (
                '{"params": [1], "tokens": 2e10, "loss": 2}\n',
                "line 1, column 'params': '[1]' is not a number",
            ),
            ('{"params": 1e9, "tokens": 2e10, "loss": NaN}\n', "line 1, column 'loss': 'nan' is missing"),
            ('{"params": 1e9, "tokens": 2e10}\n', "no column for the loss"),
        ],
    )
    def test_broken_json_lines_name_the_line(self, table, content, message):
        with pytest.raises(InputError) as caught:
            read_runs(table(content, "runs.jsonl"))
        assert message in str(caught.value)

    @pytest.mark.parametrize("content", ['{"a": 1}', '{"a":\n 1}', "[1, 2]", "[", "[]", '"text"'])
    def test_json_that_holds_no_runs_is_refused(self, table, content):
        with pytest.raises(InputError):
            read_runs(table(content, "runs.json"))

    @pytest.mark.parametrize(
        "columns",
        [{}, {"los": [1]}, {"loss": [[1]]}, {"loss": "x", "params": [1], "tokens": [1], "compute": [6]}, 3],
    )
    def test_a_damaged_file_of_our_own_is_refused(self, table, columns):
        with pytest.raises(InputError):
            read_runs(table(json.dumps({"schema": Runs.schema, "columns": columns}), "runs.json"))

    def test_another_result_of_ours_is_refused_by_name(self, table):
        with pytest.raises(InputError, match=r"expected scalescope.runs/1, got 'scalescope.plan/1'"):
            read_runs(table('{"schema": "scalescope.plan/1"}', "plan.json"))

    @pytest.mark.parametrize("size", [0, 3, 4, 40, 200])
    def test_truncated_parquet_is_refused(self, tmp_path, size):
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        path = tmp_path / "runs.parquet"
        parquet.write_table(pyarrow.table({"params": [1.0]}), path)
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(InputError):
            read_runs(path)

    def test_truncated_gzip_is_refused(self, table):
        with pytest.raises(InputError, match="is not gzip"):
            read_runs(table(gzip.compress(TABLE.encode())[:-9], "runs.csv.gz"))

    def test_an_unknown_extension_is_refused(self, table):
        with pytest.raises(InputError, match=r"not a table: its name ends in '.xlsx'"):
            read_runs(table(b"PK", "runs.xlsx"))

    def test_an_absent_file_suggests_its_neighbour(self, table):
        path = table(TABLE)
        with pytest.raises(InputError, match="no such file") as caught:
            read_runs(path.with_name("run.csv"))
        assert "runs.csv" in caught.value.hint

    def test_a_folder_names_the_tables_in_it(self, table):
        with pytest.raises(InputError, match="is a folder") as caught:
            read_runs(table(TABLE).parent)
        assert "runs.csv" in caught.value.hint

    @pytest.mark.parametrize("name", ["runs.csv", "runs.jsonl", "runs.json", "runs.parquet", "runs.csv.gz"])
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(content=st.one_of(st.binary(max_size=60), st.text('{}[]",:paramstokenslo1e9-.\n', max_size=60)))
    def test_no_content_brings_more_than_an_input_error(self, table, name, content):
        try:
            assert len(read_runs(table(content, name))) > 0
        except InputError as error:
            assert str(error)

    def test_an_empty_frame_is_refused(self):
        polars = pytest.importorskip("polars")
        with pytest.raises(InputError, match="has no rows"):
            read_runs(polars.DataFrame({"N": []}))


@pytest.mark.shared
class TestPublishedTables:
    def read(self, name, **options):
        path = SHARED / "laws/data" / name
        if not path.exists():
            pytest.skip(f"the published table {name} is not here")
        return read_runs(path, **options)

    def test_the_chinchilla_points_are_read_without_a_word(self):
        runs = self.read("epoch-analyzing-chinchilla/svg_extracted_data.csv")
        assert len(runs) == 245
        # Two rows are one point of the figure, and two of the highest losses are far off.
        assert codes(runs) == ["RUN001", "RUN002", "RUN003", "RUN019", "RUN020"]
        np.testing.assert_allclose(runs.tokens * runs.size * 6, runs.compute)

    def test_repeated_data_are_read_with_their_distinct_tokens(self):
        runs = self.read("muennighoff-datablations/runs_182.csv")
        assert len(runs) == 182
        assert np.all(runs["tokens_unique"] <= runs.tokens)

    def test_other_names_are_read_with_a_mapping(self):
        runs = self.read("gadre-overtraining/gadre_104_models.csv", columns={"loss_c4_val": "loss"})
        assert len(runs) == 104

    def test_active_parameters_are_never_taken_for_all(self):
        runs = self.read("gemstones/wandb_df_for_fitting_hot.jsonl")
        assert runs.count == "params_active"
        assert "RUN005" in codes(runs)
