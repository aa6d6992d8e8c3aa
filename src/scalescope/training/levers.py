"""Every setting that a study may vary, by name: what `--vary name=value,value` and a recipe's TOML go by.

A lever changes a `Variant`: the recipe, the shapes, the precision or the data of all trials of one arm.
Values are text, as on the command line; a pattern of mixers joins its parts by `+`, since a comma parts the
values.

What trials tell besides points goes to the driver as messages: `{"kind": "finding", "code": "TRN120",
"text": ..., "hint": ...}`, which it records like a finding of its own (`scalescope.training.watching`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

import msgspec

from scalescope.corpora.reading import OrderName, Reading
from scalescope.errors import InputError, nearest
from scalescope.training.recipe import CHOICES, Recipe
from scalescope.training.shape_options import Routed, ShapeOptions, parse_pattern
from scalescope.training.trial_settings import Precision
from scalescope.units import parse_count

LeverKind = Literal["recipe", "trial", "shape", "data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """All that the trials of one arm of a study share."""

    recipe: Recipe = field(default_factory=Recipe)
    shape: ShapeOptions = field(default_factory=ShapeOptions)
    precision: Precision = "fp32"
    data: str = ""
    """Corpus, or recipe of one, that this arm reads; the study's if empty."""
    filters: str = ""
    """Filters of the recipe that this arm's training text passes: none, recipe, or names joined by `+`; what
    the recipe says if empty."""
    reading: Reading = field(default_factory=Reading)
    """How its text is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """One setting."""

    name: str
    kind: LeverKind
    meaning: str
    example: str
    """Values as on the command line."""
    parse: Callable[[str], Any]
    """Reads one value; raises `InputError`."""
    path: tuple[str, ...]
    """Fields from a `Variant` down to what is set."""


def apply_lever(name: str, text: str, variant: Variant) -> Variant:
    """Return a variant with one setting changed.

    Raises
    ------
    InputError
        If no lever has this name, or the value is none of its values.
    """
    lever = find_lever(name)
    changed: Variant = _set(variant, lever.path, lever.parse(text.strip()))
    return changed


def find_lever(name: str) -> Lever:
    """Return a lever; an `InputError` with the nearest names where there is none."""
    if name not in LEVERS:
        raise InputError(f"no setting is called {name!r}", hint=nearest(name, LEVERS))
    return LEVERS[name]


def _set(holder: Any, path: tuple[str, ...], value: Any) -> Any:
    first, *rest = path
    if not rest:
        return replace(holder, **{first: value})
    inner = getattr(holder, first)
    if inner is None:  # the recipe's own rates: begin with those of the table
        inner = holder.peaks
    return replace(holder, **{first: _set(inner, tuple(rest), value)})


def _reader(name: str, kind: type | Any) -> Callable[[str], Any]:
    """Make what reads a number, a switch or a choice; `off` is 0 or false, `on` is true."""
    words = {"off": False, "on": True} if kind is bool else {"off": 0}

    def read(text: str) -> Any:
        try:
            return msgspec.convert(words.get(text, text), kind, strict=False)
        except msgspec.ValidationError:
            known = get_args(kind)
            what = "on or off" if kind is bool else f"a number ({kind.__name__})" if not known else ""
            raise InputError(
                f"{name}: cannot use {text!r}", hint=nearest(text, known) if known else f"Give {what}."
            ) from None

    return read


_MEANINGS = {
    "optimizer": ("what turns gradients into updates", "muon,adamw,lion,adafactor"),
    "parametrisation": ("how rates and starts depend on width", "mup,standard"),
    "init": ("whether what writes into the stream starts at zero", "zero-out,normal"),
    "rate": ("multiplies all learning rates", "0.5,1,2"),
    "width_power": ("power of the width by which all rates fall", "0,0.5"),
    "momentum": ("of Muon", "0.9,0.95"),
    "beta1": ("of AdamW and Lion", "0.9,0.95"),
    "beta2": ("of AdamW and Lion", "0.95,0.99"),
    "weight_decay": ("decoupled decay of matrices and head", "off,0.1"),
    "decay_all": ("whether everything decays", "off,on"),
    "clip": ("largest norm of the gradient", "off,1"),
    "z_loss": ("weight of the squared log partition", "off,1e-4"),
    "batch_tokens": ("tokens a step at the reference token", "512,1024"),
    "batch_reference": ("token at which `batch_tokens` holds", "1e5,2e5"),
    "batch_power": ("growth of the batch along the run", "off,0.4"),
    "schedule": ("how rates move along the run", "wsd,cosine,linear,constant"),
    "warmup_share": ("share of a run that warms up", "0.01,0.05"),
    "warmup_steps": ("least steps that warm up", "10,100"),
    "cooldown_share": ("share of a run that cools down, under wsd", "0.1,0.25"),
    "cooldown_steps": ("least steps that cool down", "20,50"),
    "floor": ("share of the peak at which a schedule ends", "off,0.1"),
}


def _recipe_levers() -> dict[str, Lever]:
    kinds = {"float": float, "int": int, "bool": bool}
    found = {}
    for one in fields(Recipe):
        if one.name not in _MEANINGS:
            continue
        meaning, example = _MEANINGS[one.name]
        kind = Literal[CHOICES[one.name]] if one.name in CHOICES else kinds[str(one.type)]
        found[one.name] = Lever(
            name=one.name,
            kind="recipe",
            meaning=meaning,
            example=example,
            parse=_reader(one.name, kind),
            path=("recipe", one.name),
        )
    for role in ("matrix", "router", "head", "embedding", "vector"):
        found[f"rates.{role}"] = Lever(
            name=f"rates.{role}",
            kind="recipe",
            meaning=f"peak learning rate of {role} parameters",
            example="0.01,0.02",
            parse=_reader(f"rates.{role}", float),
            path=("recipe", "rates", role),
        )
    return found


def _pattern(text: str) -> Any:
    return parse_pattern(text)


def _routed(text: str) -> Routed | None:
    return None if text in ("off", "none", "dense") else Routed.parse(text)


def _positive(name: str, kind: type) -> Callable[[str], Any]:
    read = _reader(name, kind)

    def parse(text: str) -> Any:
        value = read(text)
        if not value > 0:
            raise InputError(f"{name}: must be above 0, got {text}")
        return value

    return parse


def _shape_levers() -> dict[str, Lever]:
    rows: list[tuple[str, str, str, Callable[[str], Any]]] = [
        ("qk_norm", "a norm of queries and one of keys", "off,on", _reader("qk_norm", bool)),
        ("attention", "what lets tokens see each other", "full,window+full,3*mamba2+full", _pattern),
        ("window", "tokens that a window layer sees", "32,64", _positive("window", int)),
        ("experts", "experts at equal active parameters", "dense,8x2,16x2+1", _routed),
        ("tied", "whether the head is the embedding", "off,on", _reader("tied", bool)),
        ("kv_heads", "most key/value heads", "1,2", _positive("kv_heads", int)),
        ("depth", "layers over the family's, at equal size", "0.5,1,2", _positive("depth", float)),
    ]
    return {
        name: Lever(
            name=name, kind="shape", meaning=meaning, example=example, parse=parse, path=("shape", name)
        )
        for name, meaning, example, parse in rows
    }


def _weights(text: str) -> dict[str, float]:
    """Read `prose:0.7+code:0.3`; `recipe` for the shares of the recipe."""
    if text == "recipe":
        return {}
    found = {}
    for part in text.split("+"):
        name, colon, share = part.rpartition(":")
        if not colon or name in found:
            raise InputError(
                f"weights: cannot use {text!r}", hint="Write prose:0.7+code:0.3, each source once, or recipe."
            )
        found[name] = _reader("weights", float)(share)
    return found


def _tokens(text: str) -> int:
    return 0 if text in ("off", "all", "0") else round(parse_count(text, what="unique_tokens"))


def _data_levers() -> dict[str, Lever]:
    rows: list[tuple[str, str, str, Callable[[str], Any], tuple[str, ...]]] = [
        ("data", "corpus that the arm reads", "a/corpus,b/corpus", str, ("data",)),
        ("filters", "filters that the training text passes", "none,length,length+words", str, ("filters",)),
        ("unique_tokens", "different tokens read, again and again", "all,250k", _tokens, ("reading",)),
        ("order", "order of the sequences", "shuffled,length", _reader("order", OrderName), ("reading",)),
        ("weights", "share of each source", "recipe,prose:0.7+code:0.3", _weights, ("reading",)),
    ]
    return {
        name: Lever(
            name=name,
            kind="data",
            meaning=meaning,
            example=example,
            parse=parse,
            path=(*path, name) if path == ("reading",) else path,
        )
        for name, meaning, example, parse, path in rows
    }


LEVERS: Mapping[str, Lever] = {
    **_recipe_levers(),
    **_shape_levers(),
    "precision": Lever(
        name="precision",
        kind="trial",
        meaning="numbers of matrix products",
        example="fp32,bf16,int8",
        parse=_reader("precision", Precision),
        path=("precision",),
    ),
    **_data_levers(),
}
"""All levers by name."""
