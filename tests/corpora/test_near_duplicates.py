"""Near-duplicates on made sets whose similarity is known."""

from __future__ import annotations

import random

import numpy as np
import pytest

pytest.importorskip("rensa", reason="needs the extra data")

from scalescope.corpora.building.near_duplicates import band_rows, group_near_duplicates
from scalescope.corpora.building.recipe import NearRecipe
from scalescope.corpora.building.signatures import shingles, sign
from scalescope.corpora.filters import Text

WORDS = [f"w{number}" for number in range(5000)]


def pairs(n: int, changed: list[int]) -> list[Text]:
    """Texts of 300 words, each followed by a copy in which some words are others."""
    rng = random.Random(1)
    texts = []
    for _ in range(n):
        words = rng.choices(WORDS, k=300)
        copy = list(words)
        for place in rng.sample(range(300), rng.choice(changed)):
            copy[place] = rng.choice(WORDS)
        texts += [Text(" ".join(words).encode()), Text(" ".join(copy).encode())]
    return texts


def jaccard(texts: list[Text]) -> np.ndarray:
    """The similarity of each pair, from the sets themselves."""
    sets = [set(shingles(text, 5, "words").tolist()) for text in texts]
    return np.array([len(a & b) / len(a | b) for a, b in zip(sets[::2], sets[1::2], strict=True)])


def group(signatures: np.ndarray, folder, threshold: float = 0.8) -> np.ndarray:
    signatures.tofile(folder / "signatures")
    n, permutations = signatures.shape
    return group_near_duplicates(
        folder / "signatures", n, np.arange(n), threshold=threshold, permutations=permutations
    )


@pytest.fixture(scope="module")
def made():
    texts = pairs(400, [1, 3, 6, 10, 15, 25])
    return jaccard(texts), sign(texts, NearRecipe(), 0)


def test_signatures_agree_in_the_share_of_the_similarity(made):
    exact, signatures = made
    estimate = (signatures[::2] == signatures[1::2]).mean(axis=1)
    expected = np.sqrt((exact * (1 - exact) / 128).mean())
    assert abs((estimate - exact).mean()) < 4 * expected / np.sqrt(len(exact))
    assert (estimate - exact).std() < 1.2 * expected


def test_pairs_well_above_the_threshold_are_found_and_those_well_below_are_not(made, tmp_path):
    exact, signatures = made
    first = group(signatures, tmp_path)
    found = first[1::2] == np.arange(0, len(first), 2)
    # The estimate has a standard deviation of 0.035 at the threshold.
    assert found[exact > 0.88].mean() > 0.99
    assert found[exact < 0.69].mean() < 0.01
    assert (exact > 0.88).sum() > 100
    assert (exact < 0.69).sum() > 100
    assert (first != np.arange(len(first))).sum() == found.sum()  # no two texts that were not made alike


def test_the_first_of_a_group_stays_and_copies_of_copies_are_one_group(tmp_path):
    rng = np.random.default_rng(0)
    signatures = rng.integers(0, 2**32, (40, 128), dtype=np.uint32)
    signatures[20] = signatures[3]
    signatures[20, :20] += 1  # alike 3
    signatures[30] = signatures[20]
    signatures[30, 100:118] += 1  # alike 20, not alike 3
    first = group(signatures, tmp_path)
    assert first[[3, 20, 30]].tolist() == [3, 3, 3]
    assert (first == np.arange(40)).sum() == 38


def test_many_equal_documents_are_one_group(tmp_path):
    signatures = np.full((5000, 128), 7, dtype=np.uint32)
    assert not group(signatures, tmp_path).any()


def test_documents_that_agree_in_a_band_alone_stay(tmp_path):
    rng = np.random.default_rng(0)
    signatures = rng.integers(0, 2**32, (300, 128), dtype=np.uint32)
    signatures[:, :6] = 1
    signatures[200] = signatures[100]  # found behind a hundred candidates by another band
    first = group(signatures, tmp_path)
    assert first[200] == 100
    assert (first == np.arange(300)).sum() == 299


@pytest.mark.parametrize("permutations", [64, 128, 256])
@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.95])
def test_bands_find_nearly_all_pairs_at_the_threshold(threshold, permutations):
    rows = band_rows(threshold, permutations)
    assert 1 - (1 - threshold**rows) ** (permutations // rows) >= 0.99


def test_short_texts_are_alike_only_if_all_their_words_are():
    one, other, same = (Text(text) for text in (b"one two", b"one three", b"One, two!"))
    assert shingles(one, 5, "words").tolist() == shingles(same, 5, "words").tolist()
    assert not set(shingles(one, 5, "words").tolist()) & set(shingles(other, 5, "words").tolist())
    assert len(shingles(Text(b"!?"), 5, "words")) == 1
