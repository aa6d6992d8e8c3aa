"""Which column of someone's table is which of ours: exact names, a mapping that was given, known aliases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scalescope.errors import InputError, nearest
from scalescope.points.columns import COLUMNS

LETTERS = {"N": "params", "D": "tokens", "C": "compute", "L": "loss"}
"""The letters of the papers; taken only in capitals and only where no spelled-out name is there."""

ALIASES: dict[str, tuple[str, ...]] = {
    "name": ("runname", "run", "runid", "modelname", "model", "id"),
    "params": (
        *("nparams", "numparams", "parameters", "nparameters", "numparameters", "paramcount"),
        *("parametercount", "totalparams", "totalparameters", "modelsize", "modelparams", "size"),
    ),
    "params_nonembedding": ("nonembeddingparams", "nonembeddingparameters", "nonembparams"),
    "params_active": ("activeparams", "activeparameters", "paramsactiveprecise"),
    "tokens": (
        *("ntokens", "numtokens", "trainingtokens", "traintokens", "tokensseen", "totaltokens"),
        *("datasize", "datasetsize", "pretrainingdatasize"),
    ),
    "tokens_unique": ("uniquetokens", "nuniquetokens", "numuniquetokens"),
    "compute": (
        *("flop", "flops", "trainingflop", "trainingflops", "trainflop", "trainflops"),
        *("totalflop", "totalflops", "nflop", "nflops", "trainingcompute", "traincompute"),
    ),
    "loss": (
        *("heldoutloss", "testloss", "validationloss", "valloss", "evalloss"),
        *("lossvalidation", "lossval", "losstest", "finalloss"),
    ),
    "loss_stderr": ("lossse", "lossstandarderror"),
    "bits_per_byte": ("bpb", "valbpb"),
    "learning_rate": ("lr", "peaklr", "maxlr"),
    "budget": ("flopbudget", "flopsbudget", "computebudget", "isoflopbudget"),
}
"""Our column to the names it goes by elsewhere, best first, in lower case without spaces and signs."""

_SCALES = {"thousands": 1e3, "millions": 1e6, "billions": 1e9, "trillions": 1e12}
_SCALES |= {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12, "million": 1e6, "billion": 1e9, "trillion": 1e12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One column of a table that is one of ours."""

    theirs: str
    ours: str
    scale: float = 1.0
    """What its numbers are multiplied by: 1e9 for a header such as `Model Size (B)`."""
    guessed: bool = False
    """Whether it was recognised by an alias and not named exactly or mapped."""


def match_columns(found: Iterable[str], mapping: Mapping[str, str] | None = None) -> dict[str, Match]:
    """Decide which columns are ours, keyed by our names.

    Parameters
    ----------
    found
        The columns of the table.
    mapping
        Their name to ours, such as `{"size": "params"}`; it beats exact names, which beat aliases.

    Raises
    ------
    InputError
        If the mapping names a column that is not there or not ours, or two for one.
    """
    table = list(found)
    matches = _mapped(table, mapping or {})
    taken = {match.theirs for match in matches.values()}
    for name in table:
        if name not in taken and name not in matches and (name in COLUMNS or name == "name"):
            matches[name] = Match(theirs=name, ours=name)
    taken = {match.theirs for match in matches.values()}
    return _guessed([name for name in table if name not in taken], matches)


def resolve_ours(name: str) -> str | None:
    """Return our column for a name, a letter or an alias; None if it is none."""
    if name in COLUMNS or name == "name":
        return name
    plain = _plain(name)
    known = {_plain(ours): ours for ours in COLUMNS} | {
        alias: ours for ours, aliases in ALIASES.items() for alias in aliases
    }
    return LETTERS.get(name, known.get(plain))


def _mapped(table: list[str], mapping: Mapping[str, str]) -> dict[str, Match]:
    matches: dict[str, Match] = {}
    for theirs, wanted in mapping.items():
        ours = resolve_ours(wanted)
        if theirs not in table and wanted in table and resolve_ours(theirs):
            raise InputError(
                f"the table has no column {theirs!r} but has {wanted!r}",
                hint=f"Write the table's name first: {wanted}={theirs}.",
            )
        if theirs not in table:
            raise InputError(f"the table has no column {theirs!r}", hint=nearest(theirs, table))
        if ours is None:
            raise InputError(f"{wanted!r} is not a column of runs", hint=nearest(wanted, ("name", *COLUMNS)))
        if ours in matches:
            raise InputError(
                f"both {matches[ours].theirs!r} and {theirs!r} are mapped to {ours}",
                hint="Map one of them.",
            )
        matches[ours] = Match(theirs=theirs, ours=ours)
    return matches


def _guessed(rest: list[str], matches: dict[str, Match]) -> dict[str, Match]:
    """Add what aliases recognise; a better-known alias wins over a lesser one, words over letters."""
    ranked: list[tuple[int, Match]] = []
    for theirs in rest:
        bare, scale = _split_scale(theirs)
        ours = resolve_ours(bare)
        if ours is None:
            continue
        match = Match(theirs=theirs, ours=ours, scale=scale, guessed=theirs != ours)
        if bare in LETTERS:
            rank = 1000
        else:
            aliases = ALIASES.get(ours, ())
            rank = aliases.index(_plain(bare)) + 1 if _plain(bare) in aliases else 0
        ranked.append((rank, match))
    for _, match in sorted(ranked, key=lambda pair: pair[0]):
        matches.setdefault(match.ours, match)
    return matches


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _split_scale(name: str) -> tuple[str, float]:
    """Split `Model Size (B)` into its name and 1e9, `FLOPs (1E21)` into its name and 1e21."""
    match = re.fullmatch(r"(.*\S)\s*[\(\[]\s*([^()\[\]]+?)\s*[\)\]]", name)
    if match is None:
        return name, 1.0
    unit = match[2].lower()
    if re.fullmatch(r"1e[0-9]{1,2}", unit):
        return match[1], float(unit)
    return (match[1], _SCALES[unit]) if unit in _SCALES else (name, 1.0)
