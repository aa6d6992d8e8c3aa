"""Filters by the name that recipes call them; a new one is one file and one line here.

None knows a language: no lists of stop words, no models. Those that count words are for writing that puts
spaces between them.
"""

from __future__ import annotations

from scalescope.corpora.filters.bullets import Bullets
from scalescope.corpora.filters.compressibility import Compressibility, compressed_share
from scalescope.corpora.filters.control import Control
from scalescope.corpora.filters.length import Length
from scalescope.corpora.filters.line_length import LineLength
from scalescope.corpora.filters.protocol import Filter, Measure, first_outside
from scalescope.corpora.filters.repeated_lines import RepeatedLines
from scalescope.corpora.filters.repeated_ngrams import RepeatedNgrams
from scalescope.corpora.filters.symbols import Symbols
from scalescope.corpora.filters.text import Text
from scalescope.corpora.filters.words import Words

FILTERS: dict[str, type[Filter]] = {
    filter_.name: filter_
    for filter_ in (
        Control,
        Length,
        LineLength,
        Symbols,
        Words,
        Bullets,
        RepeatedLines,
        RepeatedNgrams,
        Compressibility,
    )
}
"""In the order in which they are applied: the cheap ones first."""

__all__ = ["FILTERS", "Filter", "Measure", "Text", "compressed_share", "first_outside"]
