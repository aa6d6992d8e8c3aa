"""What tests of studies share: a clock that they move, an executor that follows a formula, a ledger."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fake_executor import Clock, FakeExecutor

from scalescope.corpora.corpus import Corpus
from scalescope.ledgers import files as ledger_file
from scalescope.ledgers.ledger import Ledger
from scalescope.studies.machine import Machine


@pytest.fixture
def no_power_cuts(monkeypatch):
    """Waiting for the disk is most of a simulated study; what a power cut does is not tested with it."""
    connect, opened = ledger_file.connect, Ledger.open

    def relax(connection):
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def open_relaxed(*args, **options):
        ledger = opened(*args, **options)
        relax(ledger._connection)
        return ledger

    monkeypatch.setattr(ledger_file.os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(ledger_file, "connect", lambda *args, **options: relax(connect(*args, **options)))
    monkeypatch.setattr(Ledger, "open", open_relaxed)


@pytest.fixture
def clock(monkeypatch, no_power_cuts):
    clock = Clock()
    for module in ("pace", "driver", "study", "opening"):
        monkeypatch.setattr(f"scalescope.studies.{module}.time", clock)
    return clock


@pytest.fixture
def executor(clock):
    return FakeExecutor(clock)


@pytest.fixture
def machine():
    sizes = (1e4, 1e5, 1e6)
    rates = tuple(3e8 / size**0.8 for size in sizes)
    return Machine(slots=2, threads=1, params=sizes, tokens_per_second=rates, tried={})


@pytest.fixture
def corpus():
    return Corpus(
        name="text",
        n_documents=100,
        n_held_out_documents=10,
        n_duplicates=0,
        n_bytes=110_000_000,
        train_tokens=100_000_000,
        held_out_tokens=10_000_000,
        train_bytes=100_000_000,
        held_out_bytes=10_000_000,
        bytes_per_token=1.0,
        vocabulary=256,
        tokenizer="bytes",
        tokenizer_digest="",
        digest="3f2a",
        manifest="9b",
    )


@pytest.fixture
def ledger(tmp_path, no_power_cuts):
    with Ledger.open(tmp_path / "ledger", {"corpus": "3f2a"}) as ledger:
        yield ledger


@pytest.fixture
def statuses():
    """A place to keep what a study told, and the function that it tells."""
    kept = SimpleNamespace(all=[])
    kept.watch = kept.all.append
    return kept
