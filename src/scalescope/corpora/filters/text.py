"""A document as filters look at it; each view is computed once, when the first filter asks for it."""

from __future__ import annotations

import re
from functools import cached_property

import numpy as np
import numpy.typing as npt

from scalescope.corpora.ngrams import Hashes, find_words, hash_words

_PARAGRAPH = re.compile(rb"\n[ \t\r]*\n\s*")


class Text:
    """One document.

    Parameters
    ----------
    data
        Its bytes.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data

    @cached_property
    def string(self) -> str:
        """The text; what is not UTF-8 is replaced by U+FFFD."""
        return self.data.decode(errors="replace")

    @cached_property
    def words(self) -> list[str]:
        """Runs of letters and digits, in lower case."""
        return find_words(self.string)

    @cached_property
    def word_hashes(self) -> Hashes:
        """One number a word."""
        return hash_words(self.words)

    @cached_property
    def word_sizes(self) -> npt.NDArray[np.int64]:
        """Characters of each word."""
        return np.fromiter(map(len, self.words), dtype=np.int64, count=len(self.words))

    @cached_property
    def lines(self) -> list[bytes]:
        """Lines that are not blank, without white space at their ends."""
        return [line for line in map(bytes.strip, self.data.split(b"\n")) if line]

    @cached_property
    def paragraphs(self) -> list[bytes]:
        """What blank lines separate."""
        return [part for part in map(bytes.strip, _PARAGRAPH.split(self.data)) if part]
