"""Own runs that read text again and again: what a token is worth when it is read again."""

from scalescope.fitting.repetition.estimation import forecast_repeated, worth_of_epochs
from scalescope.fitting.repetition.result import Form, Overfitted, Repetition, RepetitionForecast, Twin

__all__ = [
    "Form",
    "Overfitted",
    "Repetition",
    "RepetitionForecast",
    "Twin",
    "forecast_repeated",
    "worth_of_epochs",
]
