"""What pre-training on one text is worth on another, in text: estimates, law and forecast."""

from scalescope.fitting.pretraining.curves import ScratchCurve, is_tuned, scratch_curve, table_of, transferred
from scalescope.fitting.pretraining.estimation import forecast_tuned, worth_of_pretraining
from scalescope.fitting.pretraining.result import Gain, Pretraining, TunedForecast

__all__ = [
    "Gain",
    "Pretraining",
    "ScratchCurve",
    "TunedForecast",
    "forecast_tuned",
    "is_tuned",
    "scratch_curve",
    "table_of",
    "transferred",
    "worth_of_pretraining",
]
