"""The speed of every arm on the machine at hand: measured once, then taken from the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from scalescope.executors import Executor
from scalescope.ledgers.ledger import Ledger
from scalescope.studies.arms import Arm
from scalescope.studies.machine import Machine, measure_machine, measure_speed
from scalescope.studies.sizes import Sizes


def machines_of(
    ledger: Ledger, executor: Executor, arms: Sequence[Arm], sizes: Mapping[str, Sizes], *, cores: int
) -> dict[str, Machine]:
    """Return the machine as every arm finds it, by name; all use it in the way that suits the first best."""
    base, *others = arms
    stored = ledger.meta("machine")
    if stored is not None and stored["cores"] == cores:
        kept = msgspec.convert(stored.get("arms", {}), dict[str, Machine], strict=False)
        return {base.name: msgspec.convert(stored["machine"], Machine, strict=False), **kept}
    first = measure_machine(executor, base.variant, cores=cores, sizes=sizes[base.name])
    rest = {arm.name: measure_speed(executor, first, arm.variant, sizes=sizes[arm.name]) for arm in others}
    told = {"cores": cores, "machine": msgspec.to_builtins(first)}
    ledger.set_meta("machine", told | ({"arms": msgspec.to_builtins(rest)} if rest else {}))
    return {base.name: first, **rest}
