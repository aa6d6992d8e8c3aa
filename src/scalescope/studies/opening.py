"""Opening a study's folder, new or old: its corpora, and whether it is the study that is meant."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from scalescope.executors import Executor
from scalescope.ledgers.ledger import Ledger
from scalescope.studies.arms import arms_of
from scalescope.studies.data import Data, Shelf, judged_alike
from scalescope.studies.settings import Settings
from scalescope.studies.study import Study, asked

FORMER: Mapping[str, Any] = {
    "matrix_rate": 0.03,
    "head_rate": 0.016,
    "embedding_rate": 0.11,
    "norm_rate": 0.007,
    "matrix_rate_adamw": 0.004,
}
"""Fields that recipes once had, with the values that are now in the table of `training.rates`."""
FREE = ("design", "budget", "max_epochs")
"""Settings that do not make a study another one; the first two are claimed apart."""


def open_study(
    folder: Path,
    settings: Settings,
    executor: Executor,
    *,
    source: str | None,
    tokenizer: Path | None,
    text_column: str,
    extend: bool,
) -> Study:
    """Open a study's folder, new or old, and prepare its corpora.

    Raises
    ------
    InputError
        If the folder holds another study, or a corpus cannot be used.
    LedgerError
        If another process is at work in the folder, or its ledger is damaged.
    """
    arms = arms_of(settings)
    shelf = Shelf(folder=folder, task=settings.task, tokenizer=tokenizer, text_column=text_column)
    ledger = Ledger.open(folder)
    try:
        data = judged_alike(
            {
                arm.name: shelf.open(
                    arm.variant.data or source, own=bool(arm.variant.data), filters=arm.variant.filters
                )
                for arm in arms
            }
        )
        found = ledger.meta("identity")
        # A budget that was refused has left no design, and does not bind.
        ledger.claim(identity_of(settings, data, found), extend=extend or ledger.meta("design") is None)
        if ledger.meta("laid_for", asked(settings)) != asked(settings):
            for name in ("design", "held_out", "seconds_spent"):
                ledger.set_meta(name, None)
        ledger.reset_interrupted()
    except BaseException:
        ledger.close()
        raise
    return Study(
        folder=folder,
        settings=settings,
        arms=arms,
        data=data,
        ledger=ledger,
        executor=executor,
        cores=executor.slots,
        watch=lambda _: None,
        started=time.monotonic() - float(ledger.meta("seconds_spent") or 0.0),
    )


def identity_of(
    settings: Settings, data: Mapping[str, Data], found: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What makes a study this one; only the design may change later, and only when asked.

    A setting that the folder does not know yet is left out while it has its default: what was made before
    there was a choice was made with the default.
    """
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    default: dict[str, Any] = msgspec.to_builtins(Settings(budget=settings.budget))
    for name in FREE:
        del plain[name], default[name]
    before = plain if found is None else found["settings"]
    identity = {
        "corpus": next(iter(data.values())).digest,
        "settings": _comparable(plain, before, default),
        "design": asked(settings),
    }
    if len({one.digest for one in data.values()}) > 1:
        identity["corpora"] = {name: one.digest for name, one in data.items()}
    return identity


def _comparable(
    wanted: Mapping[str, Any], found: Mapping[str, Any], default: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is wanted as the folder would have told it."""
    kept = {}
    for name, value in wanted.items():
        if name not in found:
            if value != default.get(name):
                kept[name] = value
        elif isinstance(value, dict) and isinstance(found[name], dict):
            kept[name] = _comparable(value, found[name], default.get(name) or {})
        else:
            kept[name] = value
    return kept | {
        name: value for name, value in found.items() if name not in wanted and FORMER.get(name) == value
    }
