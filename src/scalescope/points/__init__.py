"""The tables and small objects that everything shares."""

from scalescope.points.estimates import Array, Estimate
from scalescope.points.findings import Finding
from scalescope.points.provenance import Provenance, digest_of
from scalescope.points.results import from_plain, read_json, to_plain, write_json
from scalescope.points.runs import COLUMNS, Runs

__all__ = [
    "COLUMNS",
    "Array",
    "Estimate",
    "Finding",
    "Provenance",
    "Runs",
    "digest_of",
    "from_plain",
    "read_json",
    "to_plain",
    "write_json",
]
