"""Tiles, tables and facts of the page of a transfer study."""

from __future__ import annotations

from scalescope.fitting.pretraining import Pretraining
from scalescope.fitting.pretraining.text import characters, signed, told_gain
from scalescope.reports.sheets import Tile
from scalescope.reports.tables import Table
from scalescope.reports.text import shown, three_digits
from scalescope.reports.transfer.contents import TransferContents
from scalescope.units import format_count, format_loss, format_percent, format_significant

VERDICTS = {
    "worth": "helps",
    "more": "helps; more than scratch was trained on",
    "hurts": "hurts",
    "unclear": "cannot be told",
}


def tiles(found: Pretraining) -> list[Tile]:
    """Pick the numbers of the first screen."""
    one = found.headline
    made = [
        Tile(
            label="Loss from scratch less fine-tuned, nats",
            value=signed(one.difference.value),
            interval=f"[{signed(one.difference.low)}, {signed(one.difference.high)}]",
        ),
        Tile(label="Worth of pre-training, characters", **_split(told_gain(one))),
    ]
    if found.fit is not None:
        alpha = found.fit.coefficients["alpha"]
        made.append(Tile(label="Exponent of the new text", **_split(shown(alpha, three_digits))))
    return made


def _split(text: str) -> dict[str, str]:
    value, _, interval = text.partition(" [")
    return {"value": value, "interval": "[" + interval if interval else ""}


def tables(contents: TransferContents) -> list[Table]:
    """Every setting, the law, and the rates tried."""
    made = [gains(contents.found), coefficients(contents.found), rates(contents)]
    return [table for table in made if table is not None and table.rows]


def gains(found: Pretraining) -> Table:
    """Fine-tuned beside scratch."""
    rows = [
        (
            f"N {format_count(one.size)}, {characters(one.characters)} characters",
            f"{one.n_seeds}",
            shown(one.difference, signed),
            told_gain(one),
            VERDICTS[one.verdict],
        )
        for one in found.gains
    ]
    return Table(
        name="gains",
        title="Fine-tuned beside from scratch",
        columns=("Setting", "Seeds", "Gain in loss, nats", "Worth D_T, characters", "Verdict"),
        rows=tuple(rows),
        note=f"Gain: loss from scratch less that of fine-tuning on the same text. Worth: further text that "
        f"training from scratch needs for the loss of fine-tuning. {format_percent(found.level)} intervals "
        "by the noise between seeds. N leaves embeddings out.",
    )


def coefficients(found: Pretraining) -> Table | None:
    """The law; None where none was fitted."""
    if found.fit is None:
        return None
    rows = [(name, shown(one, three_digits)) for name, one in found.fit.coefficients.items()]
    return Table(
        name="law",
        title="D_T = k D_F^alpha N^beta",
        columns=("Coefficient", "Value"),
        rows=tuple(rows),
        note=f"{found.fit.n_runs} fine-tuned points with a worth; residuals of "
        f"{format_percent(found.fit.residual_sd)}. A low alpha means that the texts are near: little of the "
        "new one already makes the most of what was learned before.",
    )


def rates(contents: TransferContents) -> Table:
    """Learning rates tried on the smallest shape."""
    rows = [
        (name, format_significant(min(tried, key=lambda pair: pair[1])[0], 3), _told(tried))
        for name, tried in contents.rates.items()
        if tried
    ]
    return Table(
        name="rates",
        title="Learning rates tried on the smallest shape",
        columns=("Runs", "Best of those tried", "Rate: loss"),
        rows=tuple(rows),
    )


def _told(tried: tuple[tuple[float, float], ...]) -> str:
    return ", ".join(f"{format_significant(rate, 3)}: {format_loss(loss)}" for rate, loss in tried)


def how(contents: TransferContents) -> dict[str, str]:
    """All facts, those of the workflow first."""
    found = contents.found
    facts = dict(contents.facts) | {
        "Text": "bytes of the new corpus that were read, no part of it twice; bytes are characters but where "
        "a text has others than those of ASCII",
        "Intervals": f"{format_percent(found.level)}; of gains by the noise between seeds and Student's t, "
        "of the law by residuals drawn again and the luck of the scratch curves",
    }
    facts.setdefault("Hash of the input", found.provenance.digest)
    facts.setdefault("Version", f"scalescope {found.provenance.version}")
    facts.setdefault("Machine of the fits", found.provenance.machine)
    return {name: value for name, value in facts.items() if value}
