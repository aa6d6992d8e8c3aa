"""The pages of studies over data: answer, check, findings, figures, tables, how it was computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scalescope.fitting.mixtures import Mixtures
from scalescope.fitting.mixtures import text as mixture_text
from scalescope.fitting.repetition import Repetition
from scalescope.fitting.repetition import text as repetition_text
from scalescope.points import Finding, Provenance
from scalescope.reports.data_study import mixing, repeating
from scalescope.reports.data_study.contents import MixtureContents, RepetitionContents
from scalescope.reports.figures.base import Figure
from scalescope.reports.sheets import Tile, checked, drawn, environment, mark, written
from scalescope.reports.tables import Table
from scalescope.reports.text import shown, three_digits, two_digits
from scalescope.units import format_loss, format_percent

TEMPLATE = "levers.html.j2"
MOST_TILES = 4
"""One row of them."""
MIXTURE_FIGURES: Mapping[str, Callable[[MixtureContents], Figure | None]] = {
    "slices": mixing.slices_figure,
    "agreement": mixing.agreement_figure,
}
REPETITION_FIGURES: Mapping[str, Callable[[RepetitionContents], Figure | None]] = {
    "epochs": repeating.epochs_figure,
    "worth": repeating.worth_figure,
    "twins": repeating.twins_figure,
}
"""In the order of the page; None where the contents do not have what the figure shows."""


def mixture_report(contents: MixtureContents, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it.

    Raises
    ------
    InputError
        If the path does not end in `.html`.
    WorkError
        If it cannot be written.
    """
    return written(path, render_mixture(contents, checked(path).name), contents.to_dict())


def render_mixture(contents: MixtureContents, twin_name: str = "report.json") -> str:
    """Return the page as text; `twin_name` is the file beside it."""
    made = contents.mixtures
    check, held = _mixture_check(made)
    return _render(
        drawn(MIXTURE_FIGURES, contents, packed=True),
        title=contents.title,
        answer=mixture_text.answer(made, bold="**"),
        note=_mixture_note(made),
        check=check,
        good=held,
        tiles=_mixture_tiles(made),
        findings=(*made.findings, *contents.findings),
        tables=[mixing.rivals_table(made), mixing.shares_table(made)],
        facts=_facts(contents.facts, _mixture_facts(made), made.provenance),
        command=contents.command,
        twin_name=twin_name,
    )


def repetition_report(contents: RepetitionContents, path: Path) -> Path:
    """Write one self-contained page and its JSON twin beside it.

    Raises
    ------
    InputError
        If the path does not end in `.html`.
    WorkError
        If it cannot be written.
    """
    return written(path, render_repetition(contents, checked(path).name), contents.to_dict())


def render_repetition(contents: RepetitionContents, twin_name: str = "report.json") -> str:
    """Return the page as text; `twin_name` is the file beside it."""
    found = contents.repetition
    check, held = _repetition_check(found)
    return _render(
        drawn(REPETITION_FIGURES, contents, packed=True),
        title=contents.title,
        answer=repetition_text.answer(found, bold="**"),
        note=f"{format_percent(found.level)} intervals. {repetition_text.noise_text(found)}",
        check=check,
        good=held,
        tiles=_repetition_tiles(found),
        findings=(*found.findings, *contents.findings),
        tables=[one for one in (repeating.forecast_table(found), _coefficients(found)) if one is not None],
        facts=_facts(contents.facts, _repetition_facts(found), found.provenance),
        command=contents.command,
        twin_name=twin_name,
    )


def _render(
    drawing: Mapping[str, Any],
    *,
    title: str,
    answer: str,
    note: str,
    check: str,
    good: bool | None,
    tiles: Sequence[Tile],
    findings: Iterable[Finding],
    tables: Sequence[Table],
    facts: Mapping[str, str],
    command: str,
    twin_name: str,
) -> str:
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            title=title,
            answer=answer,
            answer_note=note,
            check=check,
            **mark(good),
            tiles=tiles,
            findings=list(dict.fromkeys(findings)),
            tables=tables,
            facts=facts,
            command=command,
            twin_name=twin_name,
            **drawing,
        )
    )


def _mixture_note(made: Mixtures) -> str:
    told = " ".join(
        f"{rival.name[0].upper()}{rival.name[1:]} ({' / '.join(format_percent(s) for s in rival.shares)}) "
        f"has a loss of {format_loss(rival.loss.value)}."
        for rival in made.rivals
    )
    return (
        f"{format_percent(made.level)} intervals, at one size and token count: a larger model may "
        "want another "
        f"mixture. {mixture_text.noise_text(made)} {told}"
    )


def _mixture_check(made: Mixtures) -> tuple[str, bool | None]:
    best = made.forecasts[0] if made.forecasts else None
    if best is None or best.measured_loss is None:
        return "The best mixture was forecast and has not been trained yet.", None
    others = [one for one in made.forecasts[1:] if one.measured_loss is not None]
    told = [
        f"The {one.name} was forecast at **{format_loss(one.loss.value)}** [{format_loss(one.loss.low)}, "
        f"{format_loss(one.loss.high)}] before it was trained and measured "
        f"**{format_loss(one.measured_loss or 0.0)}**: "
        f"**{'inside' if one.inside else 'outside'}**."
        for one in (best, *others)
    ]
    return " ".join(told), all(one.inside for one in (best, *others))


def _mixture_tiles(made: Mixtures) -> list[Tile]:
    found = [
        Tile(label=f"Best share of {law.name}", **_split(shown(law.share, format_percent)))
        for law in made.laws
    ]
    found += [
        Tile(label=f"Loss below {rival.name}, nats", **_split(shown(rival.gain, format_loss)))
        for rival in made.rivals
    ]
    return found[:MOST_TILES]


def _mixture_facts(made: Mixtures) -> dict[str, str]:
    weights = ", ".join(f"{law.name} {format_percent(law.target)}" for law in made.laws)
    return {
        "Law": "loss on a source = c + exp(sum of t times share), one for each source (Ye et al. 2024, "
        "arXiv:2403.16952)",
        "Weights of the losses": weights,
        "Best mixture": "lowest weighted loss by the laws, no share below the least that was tried: "
        + ", ".join(f"{law.name} {format_percent(law.least)}" for law in made.laws),
        "Told apart": "the interval of the gain, corrected for having chosen the mixture on these "
        "runs, is above "
        "zero, and few studies without any difference between mixtures show such a gain",
        "Runs": f"{len(made.tried)} of {made.n_mixtures} mixtures",
    }


def _repetition_check(found: Repetition) -> tuple[str, bool | None]:
    one = found.forecast
    if one is None or one.measured is None:
        return "The most repeated run has not been trained yet.", None
    told = (
        f"The most repeated run ({two_digits(one.epochs)} epochs) was forecast at "
        f"**{format_loss(one.loss.value)}** "
        f"[{format_loss(one.loss.low)}, {format_loss(one.loss.high)}] before it was trained and measured "
        f"**{format_loss(one.measured)}**: **{'inside' if one.inside else 'outside'}**. Were every "
        "token fresh, "
        f"the law of size and tokens says {format_loss(one.as_fresh.value)}."
    )
    return told, one.inside


def _repetition_tiles(found: Repetition) -> list[Tile]:
    tiles = [
        Tile(label="Epochs nearly as good as fresh", **_split(shown(found.nearly, two_digits))),
        Tile(label="Epochs to half the worth", **_split(shown(found.half, two_digits))),
        Tile(label="Most epochs fitted", value=two_digits(found.most_epochs)),
    ]
    if found.overfitted:
        tiles.append(Tile(label="Runs that overfit", value=f"{len(found.overfitted)}"))
    return tiles


def _repetition_facts(found: Repetition) -> dict[str, str]:
    return {
        "Law": "L = E + A/N'^alpha + B/D'^beta with D' = U + U R_D (1 - exp(-(D/U - 1)/R_D)) and N' alike "
        "(Muennighoff et al. 2023, arXiv:2305.16264)",
        "Worth": "of one more token after so many epochs: exp(-(epochs - 1)/R_D) of a fresh one; "
        "nearly as good is "
        "nine tenths",
        "Verdict": "cannot be told where the interval of R_D, or its values under three forms of the "
        "law, span "
        "more than 3x",
        "Fitted": f"{sum(found.fitted)} of {len(found.fitted)} points; points beyond the lowest loss "
        "of their run "
        "and held-out ones are left out",
    }


def _coefficients(found: Repetition) -> Table:
    names = list(found.fit.coefficients)
    rows = [(name, shown(found.fit.coefficients[name], three_digits), _naive(found, name)) for name in names]
    rows.append(("R²", three_digits(found.fit.r_squared), three_digits(found.naive.r_squared)))
    rows.append(("scatter", format_percent(found.fit.residual_sd), format_percent(found.naive.residual_sd)))
    return Table(
        name="coefficients",
        title="Coefficients, with repetition and without",
        columns=("Coefficient", "Data-constrained law", "Size and tokens alone"),
        rows=tuple(rows),
        note="The right column takes every token for fresh, on the same runs.",
    )


def _naive(found: Repetition, name: str) -> str:
    known = found.naive.coefficients
    return shown(known[name], three_digits) if name in known else "–"


def _facts(given: Mapping[str, str], own: Mapping[str, str], source: Provenance) -> dict[str, str]:
    facts = dict(given) | dict(own)
    if source.source:
        facts.setdefault("Runs from", source.source)
    facts.setdefault("Hash of the input", source.digest)
    facts.setdefault("Seed", f"{source.seed}")
    facts.setdefault("Version", f"scalescope {source.version}")
    facts.setdefault("Machine", source.machine)
    return {name: value for name, value in facts.items() if value}


def _split(text: str) -> dict[str, str]:
    value, _, interval = text.partition(" [")
    return {"value": value, "interval": "[" + interval if interval else ""}
