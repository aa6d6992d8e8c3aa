"""Plan one budget under two laws, and see whether they agree.

    python examples/plan_under_two_laws.py runs.csv 1e22

The table needs at least three compute budgets with three sizes each, for the parabolas.
"""

from __future__ import annotations

import sys

import scalescope


def main(path: str, budget: str) -> None:
    """Print size, tokens and loss by either law, and what each thinks of the other's size."""
    runs = scalescope.load_runs(path)
    fits = {law: scalescope.fit(runs, law, resamples=200) for law in ("chinchilla", "isoflop")}
    plan = scalescope.plan(fits["chinchilla"], [float(budget)], alternative=fits["isoflop"])
    choices = {plan.law: plan.allocations[0], plan.alternative_law: plan.alternative[0]}
    for law, choice in choices.items():
        size, loss = choice.params, choice.loss
        print(f"{law}: {size.value:.3g} [{size.low:.3g}, {size.high:.3g}] parameters, loss {loss.value:.3f}")
    for law, fit in fits.items():
        for other, choice in choices.items():
            if other != law:
                there = scalescope.forecast(fit, params=choice.params.value, compute=choice.compute)
                extra = there.loss.value - choices[law].loss.value
                print(f"by {law}, taking the size of {other} costs {extra:.4f} nats/token")
    for finding in plan.findings:
        print(finding)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except scalescope.ScalescopeError as error:
        sys.exit(f"{error} {error.hint}")
