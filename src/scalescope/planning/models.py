"""Published language models as typed facts: how large they are and how many tokens they saw."""

from __future__ import annotations

from dataclasses import dataclass

from scalescope.errors import InputError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A dense language model, with size and training tokens as its makers state them."""

    name: str
    params: float
    """All parameters."""
    tokens: float
    """Training tokens, repeats counted."""
    source: str


_GPT3 = "https://arxiv.org/abs/2005.14165, tables 2.1 and 2.2"
_GOPHER = "https://arxiv.org/abs/2112.11446, table 1 and section 3.1"
_CHINCHILLA = "https://arxiv.org/abs/2203.15556, table 1"
_LLAMA_1 = "https://arxiv.org/abs/2302.13971, table 2"
_LLAMA_2 = "https://arxiv.org/abs/2307.09288, table 1"
_LLAMA_3 = "https://github.com/meta-llama/llama3, MODEL_CARD.md: over 15T tokens"
_LLAMA_31 = "https://arxiv.org/abs/2407.21783, section 3.2: 3.8e25 FLOP on 15.6T tokens"

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(name="gpt-3", params=175e9, tokens=300e9, source=_GPT3),
        Model(name="gopher", params=280e9, tokens=300e9, source=_GOPHER),
        Model(name="chinchilla", params=70e9, tokens=1.4e12, source=_CHINCHILLA),
        Model(name="llama-1-7b", params=6.7e9, tokens=1.0e12, source=_LLAMA_1),
        Model(name="llama-1-13b", params=13.0e9, tokens=1.0e12, source=_LLAMA_1),
        Model(name="llama-1-33b", params=32.5e9, tokens=1.4e12, source=_LLAMA_1),
        Model(name="llama-1-65b", params=65.2e9, tokens=1.4e12, source=_LLAMA_1),
        Model(name="llama-2-7b", params=7e9, tokens=2.0e12, source=_LLAMA_2),
        Model(name="llama-2-13b", params=13e9, tokens=2.0e12, source=_LLAMA_2),
        Model(name="llama-2-70b", params=70e9, tokens=2.0e12, source=_LLAMA_2),
        Model(name="llama-3-8b", params=8e9, tokens=15e12, source=_LLAMA_3),
        Model(name="llama-3-70b", params=70e9, tokens=15e12, source=_LLAMA_3),
        Model(name="llama-3.1-405b", params=405e9, tokens=15.6e12, source=_LLAMA_31),
    )
}
"""Built-in models by name."""


def get_model(name: str) -> Model:
    """Look a model up by name; capitals, blanks and underscores do not matter.

    Raises
    ------
    InputError
        If there is none; the nearest names are suggested.
    """
    key = "-".join(name.lower().replace("_", " ").split())
    if key not in MODELS:
        raise InputError(f"no built-in model is called {name!r}", hint=nearest(key, MODELS))
    return MODELS[key]
