"""Models that a bench knows by name; `entries.csv` is typed in, `architectures.json` read off modules."""

from scalescope.inference.registry.reader import Registry, list_models, load_registry

__all__ = ["Registry", "list_models", "load_registry"]
