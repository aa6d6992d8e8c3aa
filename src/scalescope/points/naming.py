"""Which column of someone's table is which of ours: exact names, a mapping that was given, known aliases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scalescope.errors import InputError, nearest
from scalescope.points.columns import COLUMNS, OUTCOMES
from scalescope.points.conversions import has_unit

LETTERS = {"N": "params", "D": "tokens", "C": "compute", "L": "loss"}
"""The letters of the papers; taken only in capitals and only where no spelled-out name is there."""

ALIASES: dict[str, tuple[str, ...]] = {
    "name": ("runname", "run", "runid", "modelname", "model", "id"),
    "params": (
        *("nparams", "numparams", "parameters", "nparameters", "numparameters", "paramcount"),
        *("parametercount", "totalparams", "totalparameters", "totalparametercount", "modelsize"),
        *("modelparams", "size", "effparams", "effectiveparams"),
    ),
    "params_nonembedding": (
        *("nonembeddingparams", "nonembeddingparameters", "nonembparams", "nparamsnonembedding"),
        *("nonvocabparameters", "nonvocabparams"),
    ),
    "params_active": (
        *("activeparams", "activeparameters", "paramsactiveprecise", "denseparametercount"),
        *("activatedparams", "nactiveparams"),
    ),
    "params_embedding": ("embeddingparams", "embeddingparameters", "vocabparams", "vocabparameters"),
    "tokens": (
        *("ntokens", "numtokens", "trainingtokens", "traintokens", "tokensseen", "totaltokens"),
        *("datasize", "datasetsize", "pretrainingdatasize", "pretrainingtokens"),
    ),
    "tokens_unique": ("uniquetokens", "nuniquetokens", "numuniquetokens"),
    "characters": ("numcharacters", "ncharacters", "chars"),
    "examples": (
        *("seenexamples", "examplesseen", "numexamples", "nexamples", "trainsetsize", "trainingsetsize"),
        "samplesseen",
    ),
    "compute": (
        *("flop", "flops", "trainingflop", "trainingflops", "trainflop", "trainflops"),
        *("totalflop", "totalflops", "nflop", "nflops", "trainingcompute", "traincompute"),
    ),
    "loss": (
        *("heldoutloss", "testloss", "validationloss", "valloss", "evalloss"),
        *("lossvalidation", "lossval", "losstest", "finalloss"),
    ),
    "loss_stderr": ("lossse", "lossstandarderror"),
    "loss_unigram": ("lossu",),
    "bits_per_byte": ("bpb", "valbpb"),
    "error": ("errorrate", "testerror", "valerror"),
    "accuracy": ("acc", "testaccuracy", "valaccuracy", "testacc", "valacc"),
    "learning_rate": ("lr", "peaklr", "maxlr"),
    "batch_tokens": ("batchsizetokens", "tokensperbatch", "tokensperstep"),
    "width": ("dmodel", "embeddim", "embeddingdim", "hiddensize", "modeldim", "hiddendim"),
    "n_layers": ("nlayer", "numlayers", "layers", "depth", "numblocks", "nblocks"),
    "context": ("contextlength", "seqlen", "sequencelength", "seqlength"),
    "vocabulary": ("vocabsize", "vocabularysize", "nvocab", "vocab"),
    "experts": ("numexperts", "nexperts"),
    "steps": ("numsteps", "nsteps", "trainingsteps", "trainsteps"),
    "budget": ("flopbudget", "flopsbudget", "computebudget", "isoflopbudget"),
}
"""Our column to the names it goes by elsewhere, best first, in lower case without spaces and signs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One column of a table that is one of ours."""

    theirs: str
    ours: str
    unit: str = ""
    """What its header says that it is given in: `B` for `Model Size (B)`; empty for the base unit."""
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
    guessed = _guessed([name for name in table if name not in taken], matches)
    return _without_coordinates(guessed, mapping or {})


def _without_coordinates(matches: dict[str, Match], mapping: Mapping[str, str]) -> dict[str, Match]:
    """Leave `x` and `y` aside where other columns say what was measured: they may be pixels of a figure."""
    rest = {ours for ours in matches if ours not in ("x", "y", "name")}
    if not rest & set(OUTCOMES) or not rest - set(OUTCOMES):
        return matches
    return {
        ours: match for ours, match in matches.items() if ours not in ("x", "y") or match.theirs in mapping
    }


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
        bare, unit = _split_unit(theirs)
        ours = resolve_ours(bare)
        if ours is None:
            continue
        match = Match(theirs=theirs, ours=ours, unit=unit, guessed=theirs != ours)
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


def _split_unit(name: str) -> tuple[str, str]:
    """Split `Model Size (B)` into its name and `B`, `compute [PF-days]` into its name and `PF-days`."""
    match = re.fullmatch(r"(.*\S)\s*[\(\[]\s*([^()\[\]]+?)\s*[\)\]]", name)
    if match is None:
        return name, ""
    ours = resolve_ours(match[1])
    known = ours in COLUMNS and has_unit(str(ours), match[2])
    return (match[1], match[2]) if known else (name, "")
