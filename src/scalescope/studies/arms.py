"""The arms of a study: one where nothing is varied, else the baseline and one for each other value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from scalescope.errors import InputError
from scalescope.studies.settings import Settings
from scalescope.training.levers import Variant, apply_lever, find_lever

BASELINE = "baseline"
"""Name of the first arm where several settings are varied; else it has its value's."""
SWITCHES = ("on", "off", "none")
"""Values that say nothing without the name of their lever; neither do numbers, nor `8x2`."""
MEASURED = {"rate": "The learning rate is measured for every variant; vary rates.matrix or width_power."}
"""Levers that a study sets itself, and why they cannot be varied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What one set of trials has in common."""

    name: str = ""
    """Empty in a study that varies nothing."""
    variant: Variant = field(default_factory=Variant)

    def key(self, name: str) -> str:
        """Return the ledger's key of a trial of this arm."""
        return f"{self.name}/{name}" if self.name else name


def arms_of(settings: Settings) -> tuple[Arm, ...]:
    """Return the arms, the baseline first.

    The first value of every lever is the baseline's. Where several levers are varied, each other value is an
    arm of its own beside the one baseline: no combinations.

    Raises
    ------
    InputError
        If a lever or a value is unknown, or there is nothing to compare.
    """
    if not settings.vary:
        return (Arm(variant=settings.variant),)
    for name, values in settings.vary.items():
        _check(name, values)
    base = settings.variant
    for name, values in settings.vary.items():
        base = apply_lever(name, values[0], base)
    single = len(settings.vary) == 1
    bare = single and all(_speaks(value) for values in settings.vary.values() for value in values)
    pairs = [(name, value) for name, values in settings.vary.items() for value in values]
    names = [value if bare else f"{name}={value}" for name, value in pairs]
    arms = [Arm(name=names[0] if single else BASELINE, variant=base)]
    arms += (
        Arm(name=called, variant=apply_lever(name, value, base))
        for called, (name, value) in zip(names, pairs, strict=True)
        if value != settings.vary[name][0]
    )
    _check_distinct(arms)
    return tuple(arms)


def _speaks(value: str) -> bool:
    """Whether a value names a variant by itself, as `muon` and `bf16` do."""
    return value not in SWITCHES and re.search("[a-z]{2}", value) is not None


def _check(name: str, values: tuple[str, ...]) -> None:
    find_lever(name)
    if name in MEASURED:
        raise InputError(f"{name} cannot be varied", hint=MEASURED[name])
    if len(values) < 2:
        raise InputError(
            f"{name} is given one value, and a comparison needs two",
            hint=f"Write the baseline's first: --vary {name}=BASELINE,OTHER.",
        )
    doubled = [value for value in values if values.count(value) > 1]
    if doubled:
        raise InputError(f"{name} is given {doubled[0]!r} twice", hint="Give every value once.")


def _check_distinct(arms: list[Arm]) -> None:
    """Refuse values that are spelled differently and mean the same."""
    for index, arm in enumerate(arms):
        for other in arms[:index]:
            if arm.variant == other.variant:
                raise InputError(
                    f"{other.name} and {arm.name} are the same setting", hint="Give every value once."
                )


def parse_vary(texts: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """Read `name=value,value`, one text a lever.

    Raises
    ------
    InputError
        If a text is not of that form or a lever comes twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        given = tuple(value.strip() for value in values.split(","))
        if not (equals and name and all(given)):
            raise InputError(f"{text!r} does not say what to vary", hint="Write it as optimizer=adamw,muon.")
        if name in found:
            raise InputError(f"{name} is varied twice", hint="Give all its values at once.")
        found[name] = given
    return found


def told(vary: Mapping[str, tuple[str, ...]]) -> str:
    """Write what is varied in words, such as `optimizer: adamw, muon`."""
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in vary.items())
