"""What the first argument of a command can be: a table of runs, a fit, or the folder of a study."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scalescope.cli.options import FitOptions, parse_columns, parse_units
from scalescope.errors import InputError

if TYPE_CHECKING:
    from scalescope.fitting import Fit, Holdout
    from scalescope.points import Finding, Runs
    from scalescope.reports import Contents


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fit, and the runs behind it where they were given."""

    fit: Fit
    runs: Runs | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Doubts about the table and about the fit."""
        return (*(self.runs.findings if self.runs is not None else ()), *self.fit.findings)


def read_table(source: str, options: FitOptions) -> Runs:
    """Read runs from a table, `-`, or a folder that holds `runs.json` or `runs.csv`.

    Raises
    ------
    InputError
        If there is none, or it cannot be used.
    """
    from scalescope.points import read_runs

    path = _inside(source, ("runs.json", "runs.csv"))
    return read_runs(
        path, columns=parse_columns(options.columns), count=options.count, units=parse_units(options.units)
    )


def read_fit(source: str, options: FitOptions) -> Fitted:
    """Read a fit as `scalescope fit --output` wrote it, or fit a table of runs.

    Raises
    ------
    InputError
        If it is neither, or options of a new fit are given with an old one.
    """
    from scalescope.fitting import Fit, fit
    from scalescope.points.documents import open_document
    from scalescope.points.readers import runs_from_document
    from scalescope.points.tables import read_object

    document = open_document(_inside(source, ("runs.json", "runs.csv", "fit.json")))
    plain = read_object(document)
    if plain is not None and plain.get("schema") == Fit.schema:
        if options != FitOptions():
            raise InputError(
                f"{document.source} is a fit already; the options of a fit need runs",
                hint="Give the table of runs instead, or leave --law and the like out.",
            )
        return Fitted(fit=Fit.from_dict(plain))
    runs = runs_from_document(
        document,
        columns=parse_columns(options.columns),
        count=options.count,
        units=parse_units(options.units),
    )
    law = options.law or "chinchilla"
    fitted = fit(runs, law, resamples=options.resamples, level=options.level, seed=options.seed)
    return Fitted(fit=fitted, runs=runs)


def again(source: str, options: FitOptions) -> str:
    """Write a source and the options that were given with it as words of the next command."""
    words = [source]
    for name in ("law", "resamples", "level", "seed", "count"):
        if getattr(options, name) != getattr(FitOptions(), name):
            words += [f"--{name}", str(getattr(options, name))]
    for name, pieces in (("columns", options.columns), ("units", options.units)):
        for piece in pieces:
            words += [f"--{name}", piece]
    return shlex.join(words)


def past_errors(fitted: Fitted) -> tuple[Holdout, ...]:
    """How far off the law was inside the table, which widens a forecast; nothing for a fit alone."""
    from scalescope.fitting import roll

    return () if fitted.runs is None else roll(fitted.runs, fitted.fit.law)


def spent(fitted: Fitted) -> float:
    """Training FLOP spent on the runs; of a fit alone, of its largest run."""
    if fitted.runs is None:
        return fitted.fit.ranges["C"][1]
    return fitted.runs.spent


def read_contents(source: str, options: FitOptions) -> Contents:
    """Read what a study's report shows, or make it from a table of runs.

    Raises
    ------
    InputError
        If the folder holds no finished study, or the table cannot be used.
    """
    from scalescope.points import read_json
    from scalescope.reports import Contents

    if Path(source).is_dir() and options == FitOptions():
        kept = Path(source) / "report.json"
        if kept.is_file():
            return Contents.from_dict(read_json(kept))
    if options.law is not None:
        raise InputError("a report shows every law; --law chooses none", hint="Leave --law out.")
    runs = read_table(source, options)
    from scalescope.workflow import contents_of

    return contents_of(runs, resamples=options.resamples, level=options.level, seed=options.seed)


def _inside(source: str, names: tuple[str, ...]) -> str:
    """Return the first of `names` that a folder holds; anything else is returned as it is."""
    folder = Path(source)
    if source == "-" or not folder.is_dir():
        return source
    for name in names:
        if (folder / name).is_file():
            return str(folder / name)
    raise InputError(f"{source} is a folder without {' or '.join(names)}", hint="Give the table itself.")
