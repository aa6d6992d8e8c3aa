"""The tables and small objects that everything shares."""

from scalescope.points.bench import (
    STATES,
    TRIED,
    BenchMachine,
    Cell,
    Cells,
    Energy,
    Expectation,
    Load,
    Memory,
    State,
    Timing,
)
from scalescope.points.bench_files import read_cells, write_cells
from scalescope.points.columns import COLUMNS, SIZES, Column
from scalescope.points.conventions import convert, express, recompute, recount
from scalescope.points.estimates import Array, Estimate
from scalescope.points.files import replacing
from scalescope.points.findings import Finding
from scalescope.points.provenance import Provenance, digest_of
from scalescope.points.readers import read_runs, runs_from_frame
from scalescope.points.results import from_plain, read_json, to_plain, write_json
from scalescope.points.runs import Runs
from scalescope.points.screening import screen
from scalescope.points.workload import Attention, Batching, Dtype, Kind, Workload, name_cell
from scalescope.points.writers import write_runs

__all__ = [
    "COLUMNS",
    "SIZES",
    "STATES",
    "TRIED",
    "Array",
    "Attention",
    "Batching",
    "BenchMachine",
    "Cell",
    "Cells",
    "Column",
    "Dtype",
    "Energy",
    "Estimate",
    "Expectation",
    "Finding",
    "Kind",
    "Load",
    "Memory",
    "Provenance",
    "Runs",
    "State",
    "Timing",
    "Workload",
    "convert",
    "digest_of",
    "express",
    "from_plain",
    "name_cell",
    "read_cells",
    "read_json",
    "read_runs",
    "recompute",
    "recount",
    "replacing",
    "runs_from_frame",
    "screen",
    "to_plain",
    "write_cells",
    "write_json",
    "write_runs",
]
