"""Documents whose words are not those of a language: of odd length, or without letters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from scalescope.corpora.filters.protocol import Measure, check_range, check_shares
from scalescope.corpora.filters.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Keeps documents whose words have a usual mean length and mostly hold a letter."""

    name: ClassVar[str] = "words"
    source: ClassVar[str] = "Rae et al. 2021, https://arxiv.org/abs/2112.11446, appendix A.1.1"

    least_mean: float = 3.0
    most_mean: float = 10.0
    least_with_letter: float = 0.8
    """Share of the words."""

    def __post_init__(self) -> None:
        check_range("least_mean", self.least_mean, "most_mean", self.most_mean)
        check_shares(least_with_letter=self.least_with_letter)

    def measures(self, text: Text) -> Iterator[Measure]:
        """Yield the mean length in characters and the share of words that hold a letter."""
        n_words = max(len(text.words), 1)
        yield Measure(
            "mean word length", float(text.word_sizes.sum()) / n_words, self.least_mean, self.most_mean
        )
        # Most words are letters alone, which is tested at once.
        with_letter = sum(word.isalpha() or any(map(str.isalpha, word)) for word in text.words)
        yield Measure("share of words with a letter", with_letter / n_words, self.least_with_letter)
