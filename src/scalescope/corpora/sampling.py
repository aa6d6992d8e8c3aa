r"""Which windows of a corpus a model sees, in which order: fixed by a seed, for ever.

Training reads windows of `context` tokens that do not overlap, each once an epoch, in an order that is a
permutation :math:`\pi_e` of the epoch. The permutation is not stored: it is a Feistel network over the
window numbers, six rounds of a 64-bit mixing function, with cycle walking down to the size that is needed.
So the place of any sequence can be computed from its number alone, in constant memory however large the
corpus; a run may be resumed anywhere, and may change its batch size, and still sees the same sequences in the
same order; and the order does not depend on the version of a random number library. Each epoch shifts the
windows by an offset of its own, so that repeated text is not cut at the same places. Where only so many
unique tokens are to be read, the windows are the first ones of one fixed permutation, so that a smaller set
is part of every larger one, and they are not shifted, since that would let in tokens that are not of the set.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scalescope.corpora.corpus import Corpus
from scalescope.corpora.draws import GOLDEN, Words, mix, word
from scalescope.corpora.tokens import Tokens
from scalescope.errors import InputError

Windows = npt.NDArray[np.int64]
"""Token numbers, shape (n, context + 1): inputs are `[:, :-1]`, targets `[:, 1:]`."""

_ROUNDS = 6
_BLOCK = 4096


class Sampler:
    """Training sequences by number, without replacement within an epoch.

    Parameters
    ----------
    tokens
        Usually `corpus.train()`.
    context
        Length of a sequence in tokens.
    seed
        Decides the order; the same seed gives the same order on any machine.
    unique_tokens
        How many different tokens are read, again and again; all if None.

    Raises
    ------
    InputError
        If the text is too short for two windows, or has fewer tokens than are to be read.
    """

    def __init__(self, tokens: Tokens, context: int, seed: int, *, unique_tokens: int | None = None) -> None:
        _check_context(context)
        # One window is given up, so that every offset below `context` leaves room for all the others.
        self.windows_per_epoch = len(tokens) // context - 1
        if self.windows_per_epoch < 1:
            raise InputError(
                f"{len(tokens)} tokens are too few for sequences of {context}",
                hint="Use a shorter context or a larger corpus.",
            )
        self._all_windows, self._fixed = self.windows_per_epoch, unique_tokens is not None
        if unique_tokens is not None:
            self.windows_per_epoch = _unique_windows(unique_tokens, context, self._all_windows)
        self.context = context
        self._windows = _windows(tokens, context)
        self._seed = seed
        self._block = -1
        self._starts: Windows = np.empty(0, dtype=np.int64)

    def take(self, start: int, n: int) -> Windows:
        """Return sequences number `start` to `start + n - 1`, counted from the beginning of the run.

        The array has shape (n, context + 1); its last column is only a target. Numbers beyond the first epoch
        go on with the next.
        """
        if start < 0 or n < 0:
            raise InputError(f"sequences are counted from 0, got start {start}, n {n}")
        places = np.concatenate([self._place(block, start, n) for block in _blocks(start, n)])
        windows: Windows = self._windows[places].astype(np.int64)
        return windows

    def at(self, numbers: Windows) -> Windows:
        """Return sequences by number, in any order."""
        windows: Windows = self._windows[self._compute(numbers)].astype(np.int64)
        return windows

    def starts(self, numbers: Windows) -> Windows:
        """Return the token at which each sequence begins."""
        return self._compute(numbers)

    def epoch(self, start: int) -> float:
        """Return how many epochs lie before sequence number `start`."""
        return start / self.windows_per_epoch

    def _place(self, block: int, start: int, n: int) -> Windows:
        """Return where the sequences of one block that are asked for begin in the text."""
        if block != self._block:
            first = block * _BLOCK
            self._starts, self._block = self._compute(np.arange(first, first + _BLOCK)), block
        return self._starts[max(start - block * _BLOCK, 0) : start + n - block * _BLOCK]

    def _compute(self, numbers: Windows) -> Windows:
        epoch, index = np.divmod(numbers, self.windows_per_epoch)
        key = mix(word(self._seed))
        keys = mix(key + epoch.astype(np.uint64))
        window = _permute(index.astype(np.uint64), self.windows_per_epoch, keys)
        if self._fixed:
            keys = np.broadcast_to(mix(key - word(1)), window.shape)
            window = _permute(window, self._all_windows, keys)
        offset = mix(keys + word(1)) % word(self.context)
        return (offset + window * word(self.context)).astype(np.int64)


def evaluation_windows(corpus: Corpus, context: int, n_tokens: int, seed: int = 0) -> Windows:
    """Return the held-out windows that every model is judged by, shape (n, context + 1).

    The held-out text is cut into as many equal stretches as windows are asked for, and one window is drawn
    from each, so that every part of the text counts alike and a document has its share to within a window.
    Windows do not overlap. Where the text has fewer tokens than asked for, all its windows are returned.

    Parameters
    ----------
    corpus
        The corpus.
    context
        Length of a window in tokens.
    n_tokens
        How many tokens to predict in all, about.
    seed
        Decides which windows; leave it alone for results that are to be compared.

    Raises
    ------
    InputError
        If the held-out text is shorter than one window.
    """
    starts = evaluation_starts(corpus, context, n_tokens, seed)
    windows: Windows = _windows(corpus.held_out(), context)[starts].astype(np.int64)
    return windows


def evaluation_starts(corpus: Corpus, context: int, n_tokens: int, seed: int = 0) -> Windows:
    """Return the first token of every window of `evaluation_windows`, ascending."""
    _check_context(context)
    tokens = corpus.held_out()
    n_windows = (len(tokens) - 1) // context
    if n_windows < 1:
        raise InputError(
            f"the held-out text has {len(tokens)} tokens, a window needs {context + 1}",
            hint="Use a shorter context, a larger corpus or a larger held-out share.",
        )
    n = min(n_windows, max(n_tokens // context, 1))
    edges = np.arange(n + 1) * n_windows // n
    numbers: Words = np.arange(n, dtype=np.uint64)
    draws = mix(mix(word(seed)) + numbers)
    chosen = edges[:-1] + (draws % np.diff(edges).astype(np.uint64)).astype(np.int64)
    starts: Windows = chosen * context
    return starts


def _unique_windows(unique_tokens: int, context: int, most: int) -> int:
    """Return how many windows hold so many tokens."""
    windows = unique_tokens // context
    if not 1 <= windows <= most:
        raise InputError(
            f"{unique_tokens} unique tokens are {windows} sequences of {context}, and the text has {most}",
            hint="Ask for fewer unique tokens, at least one sequence of them, or give a larger text.",
        )
    return windows


def _blocks(start: int, n: int) -> range:
    return range(start // _BLOCK, max(start + n - 1, start) // _BLOCK + 1)


def _windows(tokens: Tokens, context: int) -> Tokens:
    """Return a view of every window there is, which copies nothing until rows are taken."""
    return np.lib.stride_tricks.sliding_window_view(np.asarray(tokens), context + 1)


def _permute(numbers: Words, size: int, keys: Words) -> Words:
    """Map each number below `size` to another, one to one for equal keys."""
    half = max((size - 1).bit_length() + 1, 2) // 2
    result = _feistel(numbers, half, keys)
    outside = np.flatnonzero(result >= size)
    while outside.size:  # what falls outside walks on along its cycle, which comes back inside
        result[outside] = _feistel(result[outside], half, keys[outside])
        outside = outside[result[outside] >= size]
    return result


def _feistel(numbers: Words, half: int, keys: Words) -> Words:
    bits, mask = word(half), word((1 << half) - 1)
    left, right = numbers >> bits, numbers & mask
    for turn in range(1, _ROUNDS + 1):
        left, right = right, left ^ (mix(right + keys + word(turn * GOLDEN)) & mask)
    return (left << bits) | right


def _check_context(context: int) -> None:
    if context < 1:
        raise InputError(f"context must be at least 1 token, got {context}")
