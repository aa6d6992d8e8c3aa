"""The shipped anatomies against the modules themselves, every architecture."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the extra bench is not installed")
pytest.importorskip("transformers", reason="the extra bench is not installed")

from scalescope.inference.anatomy import anatomy_of, digest_of, params_of
from scalescope.inference.anatomy_building import build
from scalescope.inference.models import Model
from scalescope.inference.registry import load_registry

DISTINCT: dict[str, Model] = {}
for one in load_registry():
    DISTINCT.setdefault(one.architecture, one)
FAMILIES = sorted({model.model_type for model in DISTINCT.values()})


@pytest.mark.slow
@pytest.mark.parametrize("model_type", FAMILIES)
def test_the_registry_says_what_the_modules_say(model_type):
    for model in DISTINCT.values():
        if model.model_type != model_type:
            continue
        built = build(model.model_type, model.config)
        assert model.anatomy.params == params_of(built.bare), model.name
        assert model.anatomy.params_with_head == params_of(built.head or built.bare), model.name
        read = anatomy_of(model.model_type, model.config, built=built)
        assert model.anatomy == read, model.name
        assert model.architecture == digest_of(built, read), model.name
