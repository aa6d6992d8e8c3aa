"""The first screen: what there is to do, without importing anything that does it."""

from __future__ import annotations

GROUPS: dict[str, dict[str, str]] = {
    "From a corpus": {
        "study": "Train a ladder of small models on a corpus, then fit, forecast, plan and report.",
        "corpus": "Build a corpus from a recipe, check one, or show what it is.",
    },
    "From a table of runs": {
        "fit": "Fit a scaling law to a table of training runs.",
        "compare": "Fit every suitable law to the smaller runs, predict the larger, rank and stack them.",
        "forecast": "Forecast the loss of a run that was not made.",
        "plan": "Choose size and tokens for a budget, and say what the run takes.",
        "report": "Write one page with the answer, the figures and the tables.",
        "extrapolate": "Carry one curve beyond its end, with an interval.",
    },
    "From models": {
        "bench": "Measure models across lengths on this machine, and say why each stops.",
        "models": "List the models that can be benchmarked, with size, cost, limit and predicted memory.",
        "recommend": "Rank the models of a bench that meet a length, a memory and a latency.",
    },
    "Without data": {
        "demo": "Run fit, forecast, plan and report on a bundled table.",
        "count": "Count parameters by group, FLOP under every convention, and bytes of a configuration.",
        "probe": "Time training steps of the present device, for plans that rest on it.",
        "devices": "List the devices of the catalogue, or show one with the source of every figure.",
        "diagnose": "Tell whether a model is under- or over-trained for its compute.",
        "reproduce": "Make a published result again from its own table, or list what can be.",
        "laws": "List the scaling laws by question, or show one in full and draw it.",
        "doctor": "Show what this machine has, how fast it is, and what can be installed.",
    },
}
"""Verb to sentence, grouped; the sentence is the first line of the command's own help."""

VERBS: tuple[str, ...] = tuple(verb for group in GROUPS.values() for verb in group)


def overview() -> str:
    """Return the text of `scalescope --help`."""
    width = max(map(len, VERBS))
    lines = [
        "Tells how transformers scale before you pay for it, each number with an error bar.",
        "",
        "usage: scalescope VERB [THING] [--option value ...]",
    ]
    for title, verbs in GROUPS.items():
        lines += ["", title]
        lines += [f"  {verb:<{width}}  {sentence}" for verb, sentence in verbs.items()]
    lines += [
        "",
        "scalescope VERB --help explains one; scalescope --version names the release.",
        "Results go to standard output, findings and progress to standard error; --json prints it all.",
        "",
        "next: scalescope demo",
    ]
    return "\n".join(lines) + "\n"
