"""What chains the verbs: train, fit, forecast, train the held-out rung, compare, plan, report."""

from scalescope.workflow.analysis import contents_of, demo, write_all
from scalescope.workflow.job import draft, study, suggest
from scalescope.workflow.progress import Progress, Watch

__all__ = ["Progress", "Watch", "contents_of", "demo", "draft", "study", "suggest", "write_all"]
