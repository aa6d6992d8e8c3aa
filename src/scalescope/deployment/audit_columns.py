"""What the columns of anybody's result table hold, guessed from their names.

`512 tok/s`, `latency_ms_1024`, `Throughput@512`, `Memory Used (GB)`, `Params (M)`, `p99 ms`: a quantity, its
unit, perhaps the length in tokens, and the words that are left, which tell one series from another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from scalescope.deployment.audit_cells import BYTES, SECONDS
from scalescope.errors import InputError, nearest

Role = Literal[
    "model",
    "category",
    "params",
    "load",
    "memory",
    "memory part",
    "rate",
    "latency",
    "flop rate",
    "length",
    "batch",
    "dtype",
    "condition",
    "samples",
    "state",
    "ignored",
]
"""What a column is taken for."""

NAMES: Mapping[Role, str] = {
    "model": "model|modelname|modelid|name|checkpoint|hubid|architecturename",
    "category": "category|family|group|class|architecturetype|modelcategory",
    "length": "length|seqlen|seqlength|sequencelength|contextlength|context|ctx|seq|inputlength|inputtokens|"
    "prompttokens|promptlength|tokens|ntokens|inputlen|promptlen|nprompt",
    "batch": "batch|batchsize|bs|nbatch",
    "dtype": "dtype|precision|type|torchdtype|quantization|quantisation|weights",
    "condition": "device|attention|attn|attnimplementation|backend|task|kind|engine|compiled|compile|threads|"
    "machine|batching|newtokens|head|framework|workload|mode|gpu|processor|outputtokens|outputlen|ngen|maxnewtokens|outputlength",
    "samples": "n|nsamples|samples|repeats|nrepeats|runs|nruns|iterations|iters|count|trials",
    "state": "state|status|outcome|result|success|error|ok|exception|works",
}
"""Roles that a whole name decides, in lower case without signs."""

_TOK = r"(?:tokens?|tok|toks|tks?)"
_PER = r"\s*(?:/|\bper\b|\s)\s*"
_SECOND = r"(?:s|secs?|seconds?)\b"
_TOKEN_RATE = re.compile(rf"\b{_TOK}{_PER}{_SECOND}|\bt/s\b|\bts\b|\btps\b|\bthroughput\b|\bspeed\b")
_TEXT_RATE = re.compile(
    rf"\b(?:samples?|seqs?|sequences?|sentences?|requests?|examples?|queries|it|iters?){_PER}{_SECOND}|\bqps\b"
)
_FLOP_RATE = re.compile(rf"\b([mgtp]?)flops?{_PER}{_SECOND}|\b([mgtp])flops\b")
_PER_TOK = re.compile(rf"\btpot\b|\bitl\b|(?:\bper|/)\s*(?:output\s+)?{_TOK}\b")
_PERCENTILE = re.compile(r"\bp(\d{2}(?:\.\d+)?)\b|\b(\d{2})th\b")
_BATCH = re.compile(r"\b(?:bs|batch|batch size|b)\s?(\d+)\b")
_LENGTH = re.compile(
    r"(?:\b(?:len|length|seq|seqlen|ctx|context|l|n)\s?|(?<![a-z0-9.]))(\d{2,8}(?=k?(?![a-z0-9.]))|\d{1,5}(?=k(?![a-z0-9.])))(k?)"
)
_PARAMS = re.compile(r"\b(?:n?\s?param(?:s|eters?)?|numparams|model size|size)\b")
_MEMORY = re.compile(r"\b(?:memory|mem|vram|rss|ram|footprint)\b")
_PART = re.compile(r"\b(?:cache|kv|activations?|logits|baseline|state|delta|buffers?|weights?)\b")
_LATENCY = re.compile(
    r"\b(?:latency|ttft|tpot|itl|time|elapsed|duration|runtime|median|mean|avg|average|wall|seconds)\b"
)
_LOAD = re.compile(r"\b(?:load|loading|init|initiali[sz]ation|startup)\b")
_NOT_MEASURED = re.compile(
    r"\b(?:score|efficiency|factor|rating|rank|complexity|ratio|success|max|best|change|std|stderr|stdev|low|high|"
    r"expected|predicted|limit|free|target|speedup|cpu|foreign|energy|started|flop|loss|accuracy|utili[sz]ation)\b"
)
_FILLER = re.compile(
    r"\b(?:throughput|latency|speed|time|avg|average|mean|median|tokens?|at|of|the|length|seq|len|inference|used|"
    r"memory|peak|in|total|wall|seconds|per|output|usage|gpu|elapsed|duration|runtime|batch|size)\b|[/.]"
)
_SIZES = {"m": 1e6, "million": 1e6, "millions": 1e6, "b": 1e9, "billion": 1e9, "billions": 1e9, "k": 1e3}
_FLOP_UNITS = {"": 1.0, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column as it was taken."""

    theirs: str
    role: Role
    factor: float = 1.0
    """To the base unit."""
    length: int | None = None
    """Tokens, where the name says so."""
    batch: int | None = None
    percent: float | None = None
    """Of a percentile."""
    per_token: bool = False
    """Latency of one output token rather than of a call."""
    per_text: bool = False
    """Rate of texts rather than of tokens."""
    series: str = ""
    """Words that are left: `decode`, `second`."""
    assumed: str = ""
    """What the name did not say and was assumed."""

    @property
    def text(self) -> str:
        """What it was taken for, in words."""
        unit = {
            **dict.fromkeys(("rate",), "texts/s" if self.per_text else "tokens/s"),
            **dict.fromkeys(("latency", "load"), "s"),
            **dict.fromkeys(("memory", "memory part"), "bytes"),
            "flop rate": "FLOP/s",
        }.get(self.role, "")
        factor = f" x {self.factor:g}" if self.factor != 1 else ""
        length = f" at {self.length}" if self.length else ""
        percent = f" p{self.percent:g}" if self.percent else ""
        per = " per output token" if self.per_token else ""
        series = f" ({self.series})" if self.series else ""
        return f"{self.role}{percent}{per}{length}{series}{f', {unit}{factor}' if unit else factor}"


def guess_columns(found: Iterable[str], mapping: Mapping[str, str] | None = None) -> tuple[Column, ...]:
    """Say what every column is.

    Parameters
    ----------
    found
        Names of the columns.
    mapping
        Their name to a name that says it better, such as `{"A": "latency_ms_512"}` or `{"x": "ignored"}`.

    Raises
    ------
    InputError
        If there is no column of models, nothing that was measured, or the mapping names an absent column.
    """
    names, given = list(found), dict(mapping or {})
    for theirs in given:
        if theirs not in names:
            raise InputError(f"the table has no column {theirs!r}", hint=nearest(theirs, names))
    columns = [replace(guess_column(given.get(name, name)), theirs=name) for name in names]
    columns = _with_models(_first_of_each(_without_sizes(columns)))
    if not any(column.role == "model" for column in columns):
        raise InputError(
            "no column names the models", hint=f"Map one: NAME=model. Found: {', '.join(names)}."
        )
    measured = {"rate", "latency", "memory", "load", "flop rate", "state", "params"}
    if not any(column.role in measured for column in columns):
        raise InputError(
            "no column holds a rate, a latency, a memory or a load time",
            hint=f"Map one, such as NAME='tok/s 512'. Found: {', '.join(names)}.",
        )
    return tuple(columns)


def _without_sizes(columns: list[Column]) -> list[Column]:
    """Ignore a `size`, which may be of the file, where another column names parameters."""
    sizes = [one for one in columns if one.role == "params" and "param" not in one.theirs.lower()]
    if len(sizes) == sum(one.role == "params" for one in columns):
        return columns
    return [replace(one, role="ignored") if one in sizes else one for one in columns]


def _with_models(columns: list[Column]) -> list[Column]:
    """Take the first column with `model` in its name for the models, if no name says it alone."""
    if any(column.role == "model" for column in columns):
        return columns
    spare = (one for one in columns if one.role == "ignored" and "model" in one.theirs.lower())
    chosen = next(spare, None)
    return [replace(one, role="model") if one is chosen else one for one in columns]


def _first_of_each(columns: list[Column]) -> list[Column]:
    """Keep one column of each role that a row can have only once."""
    once = ("model", "category", "params", "length", "batch", "dtype", "samples")
    seen: set[str] = set()
    kept = []
    for column in columns:
        twice = column.role in once and column.role in seen
        seen.add(column.role)
        kept.append(replace(column, role="ignored") if twice else column)
    return kept


def guess_column(name: str) -> Column:
    """Say what one column is; `ignored` if nothing in its name tells."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain == "ignored":
        return Column(theirs=name, role="ignored")
    for role, known in NAMES.items():
        if re.fullmatch(known, plain):
            return Column(theirs=name, role=role)
    if re.fullmatch(r"\d{2,8}k?", plain):
        length = _tokens(re.fullmatch(r"(\d+)(k?)", plain))
        return Column(theirs=name, role="rate", length=length, assumed="tokens per second")
    return _guess_quantity(name)


def _guess_quantity(name: str) -> Column:
    text = re.sub(r"[_\-@()\[\],:|=]+", " ", name.lower()).strip()
    text = re.sub(r"(\d)(?=(?:tok|ms|sec|tps)\b|tok)", r"\1 ", text)
    batch, percent = _BATCH.search(text), _PERCENTILE.search(text)
    rest = _PERCENTILE.sub(" ", _BATCH.sub(" ", text))
    column = _quantity(name, rest)
    if column.role == "ignored":
        return column
    length = _LENGTH.search(_without_units(rest))
    return replace(
        column,
        length=_tokens(length),
        batch=int(batch[1]) if batch else None,
        percent=float(percent[1] or percent[2]) if percent and column.role == "latency" else None,
        series=_series(rest) if column.role in ("rate", "latency", "flop rate") else "",
    )


def _quantity(name: str, text: str) -> Column:
    """Decide quantity and unit, without length."""
    ignored = Column(theirs=name, role="ignored")
    if match := _FLOP_RATE.search(text):
        return Column(theirs=name, role="flop rate", factor=_FLOP_UNITS[match[1] or match[2] or ""])
    if _NOT_MEASURED.search(text) or _is_ratio(text):
        return ignored
    words = text.split()
    memory = next((BYTES[word] for word in reversed(words) if word in BYTES), None)
    time = next((SECONDS[word] for word in reversed(words) if word in SECONDS), None)
    if _PARAMS.search(text) and not _MEMORY.search(text):
        factor = next((_SIZES[word] for word in reversed(words) if word in _SIZES), 1.0)
        return Column(theirs=name, role="params", factor=factor)
    if _TEXT_RATE.search(text):
        return Column(theirs=name, role="rate", per_text=True)
    if _TOKEN_RATE.search(text):
        said = re.search(rf"\b{_TOK}{_PER}{_SECOND}|\bt/s\b|\btps\b", text)
        return Column(theirs=name, role="rate", assumed="" if said else "tokens per second")
    if _MEMORY.search(text) or (memory and "peak" in words):
        role: Role = "memory part" if _PART.search(text) else "memory"
        return Column(theirs=name, role=role, factor=memory or 1.0, assumed="" if memory else "bytes")
    if _LOAD.search(text):
        return Column(theirs=name, role="load", factor=time or 1.0, assumed="" if time else "seconds")
    if _LATENCY.search(text) or (time and _PERCENTILE.search(name.lower().replace("_", " "))):
        return Column(
            theirs=name,
            role="latency",
            factor=time or 1.0,
            per_token=_PER_TOK.search(text) is not None,
            assumed="" if time else "seconds",
        )
    return ignored


def _is_ratio(text: str) -> bool:
    """Whether it is one measured quantity over another, such as `Memory/Param`."""
    rest = _PER_TOK.sub(" ", _TEXT_RATE.sub(" ", re.sub(rf"\b{_TOK}{_PER}{_SECOND}", " ", text)))
    return bool(re.search(r"[a-z]\s*(?:/|\bper\b)\s*[a-z]", rest))


def _without_units(text: str) -> str:
    return _FLOP_RATE.sub(" ", _TEXT_RATE.sub(" ", _TOKEN_RATE.sub(" ", text)))


def _series(text: str) -> str:
    rest = _FILLER.sub(" ", _LENGTH.sub(" ", _PER_TOK.sub(" decode ", _without_units(text))))
    return " ".join(word for word in rest.split() if word not in SECONDS and not word.isdigit())


def _tokens(match: re.Match[str] | None) -> int | None:
    return int(match[1]) * (1024 if match[2] else 1) if match else None
