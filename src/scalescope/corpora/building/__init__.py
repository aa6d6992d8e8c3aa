"""From a recipe to a corpus on disk, stage by stage: read, filter, remove duplicates, split, write tokens."""

from scalescope.corpora.building.build import build_corpus
from scalescope.corpora.building.recipe import Recipe
from scalescope.corpora.building.recipe_files import read_recipe

__all__ = ["Recipe", "build_corpus", "read_recipe"]
