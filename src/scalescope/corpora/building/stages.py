"""What each stage took in and let through, why it removed what it did, and a few examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

EXCERPT_CHARACTERS = 160


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Sample:
    """A removed document.  Which ones are shown depends on their hashes alone, so not on their order."""

    digest: str
    """First 16 digits of its SHA-256."""
    source: str
    reason: str
    n_bytes: int
    excerpt: str
    """Its beginning, in one line."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """The record of one stage."""

    name: str
    documents_in: int = 0
    documents_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    """Of work; where several processes share it, summed over them."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why documents were removed, and how many for each reason."""
    samples: list[Sample] = field(default_factory=list)
    most_samples: int = 5

    @property
    def n_removed(self) -> int:
        """Documents."""
        return self.documents_in - self.documents_out

    @property
    def bytes_per_second(self) -> float:
        """Bytes in over seconds; 0 where nothing was measured."""
        return self.bytes_in / self.seconds if self.seconds > 0 else 0.0

    def kept(self, n_bytes: int, n_documents: int = 1) -> None:
        """Count documents that go on."""
        self.documents_in += n_documents
        self.documents_out += n_documents
        self.bytes_in += n_bytes
        self.bytes_out += n_bytes

    def removed(self, sample: Sample, reason: str = "") -> None:
        """Count a document that does not."""
        self.documents_in += 1
        self.bytes_in += sample.n_bytes
        self.reasons[reason or sample.reason] += 1
        self.samples.append(sample)
        if len(self.samples) > 2 * self.most_samples + 16:
            self._trim()

    def add(self, other: Stage) -> None:
        """Take in what another process recorded of the same stage."""
        for name in ("documents_in", "documents_out", "bytes_in", "bytes_out", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reasons.update(other.reasons)
        self.samples += other.samples
        self._trim()

    def _trim(self) -> None:
        self.samples = sorted(self.samples)[: self.most_samples]

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the seconds of a block."""
        started = perf_counter()
        try:
            yield
        finally:
            self.seconds += perf_counter() - started

    def finished(self) -> Stage:
        """Bring the samples and reasons into their final order."""
        self._trim()
        self.reasons = Counter(dict(sorted(self.reasons.items(), key=lambda pair: (-pair[1], pair[0]))))
        return self


def sample_of(document: bytes, digest: bytes, source: str, reason: str) -> Sample:
    """Describe a removed document by its beginning."""
    text = document[: 8 * EXCERPT_CHARACTERS].decode(errors="replace")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return Sample(
        digest=digest[:8].hex(),
        source=source,
        reason=reason,
        n_bytes=len(document),
        excerpt=line[:EXCERPT_CHARACTERS],
    )
