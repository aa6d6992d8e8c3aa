"""What a study says about itself: its cost before it runs, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping

from scalescope.ledgers.ledger import Ledger
from scalescope.studies.arms import Arm, told
from scalescope.studies.data import Data
from scalescope.studies.design import Design
from scalescope.studies.prepared import Ready
from scalescope.studies.settings import Settings
from scalescope.studies.sizes import size_of
from scalescope.training.trial_settings import TaskName
from scalescope.units import format_count, format_flop, format_seconds

UNITS: Mapping[TaskName, str] = {
    "next-token": "",
    "masked": "a loss is nats per masked token",
    "images": "a token is a patch of an image, a loss is nats per image",
}
"""What tokens and losses mean in a task; nothing where they mean what they say."""


def told_cost(design: Design, ready: Ready, reserve: float) -> str:
    """Say what a design will cost; the time has `reserve` seconds for what follows the training."""
    seconds = ready.cost(design, ready.seconds)
    flop = len(ready.arms) * sum(rung.compute for rung in design.rungs)
    flop += ready.held_out_seeds * design.held_out_compute
    flop += design.n_held_out * max(rung.compute for rung in design.rungs)
    threads = f"{ready.machine.threads} thread each"
    places = f" on {', '.join(ready.machine.devices)}" if ready.machine.devices else ""
    return (
        f"cost: about {format_seconds(seconds / ready.machine.slots + reserve)} on this machine "
        f"({ready.machine.slots} trials side by side{places}, {threads}), {format_flop(flop)}"
    )


def told_arms(design: Design, ready: Ready) -> list[str]:
    """Return a line for each arm, and one that says which is the baseline; none where nothing is varied."""
    if len(ready.arms) == 1:
        return []
    shapes = [rung.shape for rung in design.rungs]
    ends = (min(shapes, key=size_of), max(shapes, key=size_of))
    width = max(len(arm.name) for arm in ready.arms)
    lines = [f"{len(ready.arms)} variants, each on all of these trials; the first is the baseline"]
    for arm in ready.arms:
        small, large = (ready.maker.shape(arm, shape) for shape in ends)
        speed = format_count(ready.seconds(arm, large))
        total = (
            f", {format_count(large.params_matmul)} in all" if size_of(large) != large.params_matmul else ""
        )
        lines.append(
            f"  {arm.name:<{width}}  {format_count(size_of(small))} to {format_count(size_of(large))} "
            f"parameters{total}, {speed} tokens/s at the largest"
        )
    return lines


def facts_of(
    ledger: Ledger, settings: Settings, data: Mapping[str, Data], design: Design, ready: Ready
) -> dict[str, str]:
    """Return how a study was computed, for its report."""
    machine, base = ready.machine, ready.arms[0]
    facts = {
        "Corpus": "\n".join(dict.fromkeys(one.summary() for one in data.values())),
        "Design": f"{design.kind}, {len(design.rungs)} trials, {design.n_points} points, budgets "
        + ", ".join(format_flop(budget) for budget in design.budgets),
        "Recipe": _recipe(settings, base, ready),
        "Machine": f"{machine.slots} trials side by side, {machine.threads} thread each; tried "
        + ", ".join(f"{way}: {format_count(rate)} tokens/s" for way, rate in machine.tried.items()),
        "Compute": "C = 6 N D, N counting blocks and output head, of experts those that a token meets; "
        "compute_exact has the exact one",
    }
    if units := UNITS[settings.task]:
        facts["Units"] = units
    if settings.vary:
        facts["Variants"] = f"{told(settings.vary)}; the first is the baseline"
        return facts
    rate = ledger.notes("rate")
    tried = ", ".join(f"{rate:g}x: {loss:.3f}" for rate, loss in rate[-1].data["tried"]) if rate else ""
    facts["Learning rate, measured on the smallest rung"] = f"held-out loss at {tried}" if tried else ""
    if design.kind in ("isoflop", "ladder"):
        facts["Law trusted before the hold-out"] = (ledger.meta("held_out") or {}).get("law", "none")
    return facts


def _recipe(settings: Settings, base: Arm, ready: Ready) -> str:
    recipe = ready.recipe
    parts = [f"context {settings.context}", recipe.optimizer, base.variant.precision]
    if settings.task != "next-token":
        parts.append(f"task {settings.task}")
    if not settings.vary:
        parts.append(f"learning rates {recipe.rate:g}x the recipe's")
        return ", ".join(parts)
    return ", ".join([*parts, "learning rates measured for each variant on two rungs"])
