"""Short signatures of documents whose equal places tell how similar the documents are (MinHash, Broder 1997).

The signatures are those of the library `rensa`, over the set of a document's n-grams: two documents agree in
a place of their signatures with the probability of their Jaccard similarity.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scalescope.corpora.building.recipe import NearRecipe
from scalescope.corpora.filters import Text
from scalescope.corpora.ngrams import Hashes, Unit, hash_bytes, hash_ngrams
from scalescope.errors import MissingExtraError

Signatures = npt.NDArray[np.uint32]
"""Shape (n_documents, permutations)."""


def sign(texts: list[Text], near: NearRecipe, seed: int) -> Signatures:
    """Return a signature for each text.

    Raises
    ------
    MissingExtraError
        If `rensa` is not installed.
    """
    try:
        import rensa
    except ImportError:
        raise MissingExtraError("rensa", "data") from None
    sets = [shingles(text, near.ngram, near.unit) for text in texts]
    if not sets:
        return np.empty((0, near.permutations), dtype=np.uint32)
    edges = np.cumsum([0, *map(len, sets)], dtype=np.uint64)
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        np.concatenate(sets), edges, near.permutations, seed
    )
    return np.array(matrix.to_rows(), dtype=np.uint32)


def shingles(text: Text, n: int, unit: Unit) -> Hashes:
    """Return the numbers of a text's n-grams; of a text with fewer units, one number for all of them.

    A text without a word is described by its bytes, so that two such texts are alike only if they are equal.
    """
    units = text.word_hashes if unit == "words" and text.words else hash_bytes(text.data)
    return hash_ngrams(units, min(n, len(units)))
