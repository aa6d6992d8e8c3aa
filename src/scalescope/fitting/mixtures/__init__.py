"""Own runs over mixtures of sources: a law for each source, and the mixture with the lowest loss."""

from scalescope.fitting.mixtures.estimation import best_mixture
from scalescope.fitting.mixtures.result import MixtureForecast, Mixtures, Rival, SourceLaw

__all__ = ["MixtureForecast", "Mixtures", "Rival", "SourceLaw", "best_mixture"]
