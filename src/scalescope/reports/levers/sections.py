"""The tables of a report of levers, its tiles, and how it was computed."""

from __future__ import annotations

from scalescope.fitting.multipliers import Lever, Multipliers
from scalescope.fitting.multipliers.text import count_text, times, verdict_text
from scalescope.reports.levers.contents import LeverContents
from scalescope.reports.sheets import Tile
from scalescope.reports.tables import Table
from scalescope.reports.text import number, shown
from scalescope.units import format_factor, format_flop, format_percent, format_significant

SHORT = {
    "grows": "grows",
    "holds": "holds",
    "fades": "fades",
    "unclear": "cannot be told",
    "none": "no gain seen",
}
"""Verdict in a word or three."""
FORMS = {
    "shared exponents": "E, alpha and beta common",
    "own exponents": "E common, exponents of each variant",
    "everything own": "nothing common",
    "best runs only": "E and gamma common, through each variant's lower hull of runs: one factor of compute",
}
"""What each form assumes."""


def tiles(made: Multipliers) -> list[Tile]:
    """Pick the numbers of the best variant."""
    best = made.levers[0]
    top = best.headline
    found = [
        Tile(
            label=f"Multiplier at {format_flop(top.compute)}, {best.name}",
            **_split(shown(top.multiplier, times)),
        )
    ]
    for point in best.extrapolated[:1]:
        label = f"Extrapolated to {format_factor(point.reach)} the compute"
        found.append(Tile(label=label, **_split(shown(point.multiplier, times))))
    found.append(Tile(label="Change of the multiplier a decade", **_split(shown(best.growth, times))))
    floor = times(made.noise.floor) if made.noise.known else "unknown"
    found.append(Tile(label="Noise floor of one pair of cells", value=floor))
    return found


def _split(text: str) -> dict[str, str]:
    value, _, interval = text.partition(" [")
    return {"value": value, "interval": "[" + interval if interval else ""}


def ranking(made: Multipliers) -> Table:
    """Every variant against the baseline, the best first."""
    far = [point.reach for point in made.levers[0].extrapolated]
    rows = [
        (
            lever.name,
            shown(lever.headline.multiplier, times),
            shown(lever.headline.matched, times),
            *(shown(point.multiplier, times) for point in lever.extrapolated),
            shown(lever.growth, times),
            SHORT[lever.verdict],
            _exponents(lever),
        )
        for lever in made.levers
    ]
    columns = (
        "Variant",
        f"At {format_flop(made.measured[1])}",
        "Equal settings",
        *(f"{format_factor(reach)} beyond" for reach in far),
        "Change a decade",
        "Verdict",
        "Exponents",
    )
    return Table(
        name="ranking",
        title=f"Every variant against {made.baseline}",
        columns=columns,
        rows=tuple(rows),
        note=f"How many times the compute {made.baseline} needs, with {format_percent(made.level)} "
        "intervals. "
        "Each variant is compared with the baseline alone; what several comparisons do to the best of "
        "them is not "
        "in its interval.",
    )


def _exponents(lever: Lever) -> str:
    if lever.sharing is None:
        return "–"
    return f"{lever.form} (p {format_significant(lever.sharing.p_value, 2)})"


def forms(made: Multipliers) -> Table:
    """The multiplier under every form of the law."""
    names = list(made.levers[0].alternatives)
    rows = [
        (f"{lever.name}, {name}", shown(lever.alternatives[name], times), FORMS[name], _taken(lever, name))
        for lever in made.levers
        for name in names
    ]
    return Table(
        name="forms",
        title="What other forms of the law say",
        columns=("Form", f"At {format_flop(made.measured[1])}", "What it assumes", "Use"),
        rows=tuple(rows),
        note="Which form is headlined is fixed before the losses are seen: shared exponents unless their "
        "test denies "
        "them. Its interval in the answer is wider than here, since away from the middle of the data it "
        "does not rest "
        "on sharing.",
    )


def _taken(lever: Lever, name: str) -> str:
    return "headlined" if name == f"{lever.form} exponents" else "beside it"


def rule_facts(made: Multipliers) -> dict[str, str]:
    """How the verdict was made and what it assumes."""
    rule = made.rule
    model = (
        "E + A N^-alpha + B D^-beta, each variant on its own compute-optimal frontier"
        if made.model == "surface"
        else "E + K C^-gamma along the ladder, as sizes and tokens cannot be told apart"
    )
    return {
        "Law": model,
        "Compute": count_text(made),
        "Verdict": "grows or fades where the interval of the change a decade leaves out 1 and its value is "
        f"beyond {times(rule.least)}; else no difference where the multiplier's interval holds 1 at "
        "half or more of the measured budgets and that of the pairs at one or more; else holds where the "
        f"interval of the change lies within {times(1 / rule.band)} to {times(rule.band)}; else it cannot be "
        "told",
        "Exponents": f"shared unless the test gives p below {format_significant(rule.alpha, 2)}: F of the "
        "squared residuals, its null drawn with noise that horizons of a training run share. The change a "
        "decade always comes from own exponents",
        "Intervals": f"{format_percent(made.level)}, from fresh losses of the fit and noise in three parts: "
        f"of a point, of one of {made.n_clusters} training runs, and of a size and seed over all variants",
    }


def how(contents: LeverContents) -> dict[str, str]:
    """All facts, those of the workflow first."""
    made = contents.multipliers
    source = made.provenance
    facts = dict(contents.facts) | rule_facts(made)
    if source.source:
        facts.setdefault("Runs from", source.source)
    facts.setdefault("Hash of the input", source.digest)
    facts.setdefault("Seed", f"{source.seed}")
    facts.setdefault("Version", f"scalescope {source.version}")
    facts.setdefault("Machine", source.machine)
    return {name: value for name, value in facts.items() if value}


def check(made: Multipliers) -> tuple[str, bool | None]:
    """Say whether the second estimate agrees, and whether that is good; nothing where there is none."""
    best = made.levers[0]
    one, other = best.headline.multiplier, best.headline.matched
    if number(other.value, times) == "–":
        return "No setting is common to both, so nothing checks the law.", None
    agree = other.low <= one.high and one.low <= other.high
    told = f"Pairs of equal settings, without a law for the variant, say **{times(other.value)}** "
    told += f"[{times(other.low)}, {times(other.high)}]: "
    return told + ("the two estimates **agree**." if agree else "the two estimates **disagree**."), agree


def note(made: Multipliers, noise: str) -> str:
    """What stands below the answer."""
    best = made.levers[0]
    far = best.extrapolated[-1] if best.extrapolated else None
    reach = (
        f" If the law goes on, it is {shown(far.multiplier, times)} at {format_factor(far.reach)} the "
        "compute."
        if far is not None
        else ""
    )
    others = [f"{lever.name}: {verdict_text(lever)}" for lever in made.levers[1:]]
    rest = f" {'. '.join(others)}." if others else ""
    return f"{format_percent(made.level)} intervals. {noise}{reach}{rest}"
