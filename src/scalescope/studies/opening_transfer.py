"""Opening the folder of a transfer study, new or old, with its two texts."""

from __future__ import annotations

import time
from pathlib import Path

from scalescope.corpora.corpus import Corpus
from scalescope.errors import InputError
from scalescope.executors import Executor
from scalescope.ledgers.ledger import Ledger
from scalescope.studies.data import Data, Shelf, doubts_of_leaks, judged_alike
from scalescope.studies.opening import identity_of
from scalescope.studies.request import Request
from scalescope.studies.settings import Settings
from scalescope.studies.transfer_study import TransferStudy

NEW, BEFORE = "the new corpus", "the corpus of pre-training"


def open_transfer(folder: Path, settings: Settings, executor: Executor, request: Request) -> TransferStudy:
    """Open a study's folder and prepare both corpora.

    Raises
    ------
    InputError
        If there is nothing to pre-train on, the two have other tokens, or the folder holds another study.
    LedgerError
        If another process is at work in the folder, or its ledger is damaged.
    """
    _check(request)
    shelf = Shelf(
        folder=folder, task=settings.task, tokenizer=request.tokenizer, text_column=request.text_column
    )
    ledger = Ledger.open(folder)
    try:
        data: dict[str, Data] = {
            NEW: shelf.open(request.corpus, own=False),
            BEFORE: shelf.open(request.pretrain, own=True),
        }
        judged = judged_alike(data)
        found = ledger.meta("identity")
        ledger.claim(
            identity_of(settings, data, found), extend=request.extend or ledger.meta("design") is None
        )
        asked = identity_of(settings, data, found)["design"]
        if ledger.meta("laid_for", asked) != asked:
            for name in ("design", "seconds_spent", "forecast"):
                ledger.set_meta(name, None)
        ledger.set_meta("laid_for", asked)
        ledger.reset_interrupted()
        for finding in doubts_of_leaks(judged):
            ledger.record_finding(finding)
    except BaseException:
        ledger.close()
        raise
    target, source = data[NEW], data[BEFORE]
    assert isinstance(target, Corpus)
    assert isinstance(source, Corpus)
    return TransferStudy(
        settings=settings,
        source=source,
        target=target,
        ledger=ledger,
        executor=executor,
        cores=executor.slots,
        watch=lambda _: None,
        started=time.monotonic() - float(ledger.meta("seconds_spent") or 0.0),
    )


def _check(request: Request) -> None:
    if request.pretrain is None:
        raise InputError(
            "a transfer study has nothing to pre-train on", hint="Name a corpus: --pretrain OTHER_CORPUS."
        )
    if request.task != "next-token":
        raise InputError(
            f"a transfer study is of text that is read on, not of {request.task}", hint="Leave the task out."
        )
    if request.vary:
        raise InputError(
            f"a transfer study varies nothing, and this one varies {', '.join(request.vary)}",
            hint="Leave --vary or --design transfer out.",
        )
