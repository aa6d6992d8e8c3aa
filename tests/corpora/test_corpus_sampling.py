"""Which windows are read, in which order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalescope.corpora.corpus import Corpus
from scalescope.corpora.sampling import Sampler, evaluation_windows
from scalescope.errors import InputError

CONTEXT = 8
FIRST_SIX = [802, 226, 938, 26, 138, 154]


def counting(n: int) -> np.ndarray:
    """Tokens that say where they stand."""
    return np.arange(n, dtype=np.uint32)


def corpus_of(held_out: np.ndarray, folder) -> Corpus:
    held_out.astype("<u4").tofile(folder / "held_out.bin")
    return Corpus(
        name="counting",
        n_documents=2,
        n_held_out_documents=1,
        n_duplicates=0,
        n_bytes=1,
        train_tokens=1,
        held_out_tokens=len(held_out),
        train_bytes=1,
        held_out_bytes=1,
        bytes_per_token=1.0,
        vocabulary=100_000,
        tokenizer="counting",
        tokenizer_digest="",
        digest="",
        manifest="",
        held_out_file=str(folder / "held_out.bin"),
    )


class TestSampler:
    @settings(deadline=None, max_examples=50)  # other load on the machine is no failure
    @given(
        n_tokens=st.integers(2 * CONTEXT, 6000), seed=st.integers(-(2**70), 2**70), epoch=st.integers(0, 5)
    )
    def test_an_epoch_reads_every_window_once(self, n_tokens, seed, epoch):
        sampler = Sampler(counting(n_tokens), CONTEXT, seed)
        n = sampler.windows_per_epoch
        rows = sampler.take(epoch * n, n)
        np.testing.assert_array_equal(rows - rows[:, :1], np.tile(np.arange(CONTEXT + 1), (n, 1)))
        starts = np.sort(rows[:, 0])
        assert (np.diff(starts) == CONTEXT).all()
        assert starts[0] < CONTEXT
        assert rows.max() < n_tokens

    @settings(deadline=None, max_examples=50)  # other load on the machine is no failure
    @given(start=st.integers(0, 30_000), n=st.integers(0, 300), parts=st.integers(1, 9))
    def test_the_batch_size_does_not_change_the_order(self, start, n, parts):
        tokens = counting(80_000)
        whole = Sampler(tokens, CONTEXT, 3).take(start, n)
        sampler = Sampler(tokens, CONTEXT, 3)
        edges = np.linspace(0, n, parts + 1).astype(int)
        pieces = [sampler.take(start + a, b - a) for a, b in pairwise(edges)]
        np.testing.assert_array_equal(np.concatenate(pieces), whole)

    def test_a_resumed_run_goes_on_where_it_stopped(self):
        tokens = counting(200_000)
        sampler = Sampler(tokens, CONTEXT, 1)
        sampler.take(0, 5000)
        np.testing.assert_array_equal(sampler.take(5000, 32), Sampler(tokens, CONTEXT, 1).take(5000, 32))

    def test_the_order_is_the_same_for_ever(self):
        # Written down once: a change of it would make a resumed run repeat or miss text.
        rows = Sampler(counting(1000), CONTEXT, 7).take(0, 6)
        assert rows[:, 0].tolist() == FIRST_SIX

    def test_epochs_seeds_and_offsets_differ(self):
        sampler, other = (Sampler(counting(50_000), CONTEXT, seed) for seed in (0, 1))
        n = sampler.windows_per_epoch
        first, second = sampler.take(0, n)[:, 0], sampler.take(n, n)[:, 0]
        assert (first == second).mean() < 0.01
        assert (first == other.take(0, n)[:, 0]).mean() < 0.01
        offsets = {int(sampler.take(epoch * n, 1)[0, 0]) % CONTEXT for epoch in range(60)}
        assert len(offsets) == CONTEXT

    def test_the_order_is_as_random_as_a_shuffle(self):
        sampler = Sampler(counting(80_000), CONTEXT, 0)
        n = sampler.windows_per_epoch
        places = sampler.take(0, n)[:, 0] // CONTEXT
        # A shuffle's mean step is n/3 and its neighbours are uncorrelated, each to within 1/sqrt(n).
        assert np.abs(np.diff(places)).mean() == pytest.approx(n / 3, rel=0.03)
        assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 4 / np.sqrt(n)
        assert abs(np.corrcoef(np.arange(n), places)[0, 1]) < 4 / np.sqrt(n)
        # Chi-square of a tenth of the epoch over twenty stretches of the text: mean 19, sd about 6.
        counts = np.histogram(places[: n // 10], bins=20, range=(0, n))[0]
        expected = n / 200
        assert ((counts - expected) ** 2 / expected).sum() < 45

    def test_epochs_are_counted(self):
        sampler = Sampler(counting(801), CONTEXT, 0)
        assert sampler.windows_per_epoch == 99
        assert sampler.epoch(198) == 2.0

    def test_sequences_are_ready_for_an_embedding(self):
        rows = Sampler(counting(800).astype(np.uint8), CONTEXT, 0).take(0, 4)
        assert rows.dtype == np.int64
        assert rows.shape == (4, CONTEXT + 1)
        assert rows.flags.writeable

    @pytest.mark.parametrize(("start", "n"), [(-1, 4), (0, -1)])
    def test_numbers_below_zero_are_refused(self, start, n):
        with pytest.raises(InputError, match="counted from 0"):
            Sampler(counting(800), CONTEXT, 0).take(start, n)

    def test_a_text_too_short_for_the_context_is_refused(self):
        with pytest.raises(InputError, match="15 tokens are too few"):
            Sampler(counting(15), CONTEXT, 0)
        with pytest.raises(InputError, match="context must be at least 1"):
            Sampler(counting(15), 0, 0)


class TestEvaluationWindows:
    def test_windows_are_spread_evenly_and_do_not_overlap(self, tmp_path):
        corpus = corpus_of(counting(10_001), tmp_path)
        starts = evaluation_windows(corpus, 10, 1000)[:, 0]
        assert len(starts) == 100
        # A thousand windows, one of every ten.
        np.testing.assert_array_equal(starts // 100, np.arange(100))
        assert (np.diff(starts) >= 10).all()

    def test_they_are_the_same_every_time_and_others_with_another_seed(self, tmp_path):
        corpus = corpus_of(counting(10_001), tmp_path)
        first = evaluation_windows(corpus, 10, 1000)
        np.testing.assert_array_equal(first, evaluation_windows(corpus, 10, 1000))
        assert (first != evaluation_windows(corpus, 10, 1000, seed=1)).any()

    def test_no_part_of_a_stretch_is_preferred(self, tmp_path):
        corpus = corpus_of(counting(10_001), tmp_path)
        starts = np.concatenate([evaluation_windows(corpus, 10, 1000, seed)[:, 0] for seed in range(50)])
        counts = np.bincount(starts % 100 // 10, minlength=10)
        assert ((counts - 500.0) ** 2 / 500).sum() < 30  # chi-square, 9 degrees of freedom

    def test_a_short_text_gives_all_its_windows(self, tmp_path):
        corpus = corpus_of(counting(101), tmp_path)
        rows = evaluation_windows(corpus, 10, 10**9)
        np.testing.assert_array_equal(rows[:, 0], np.arange(0, 100, 10))
        assert rows[-1, -1] == 100

    def test_a_text_shorter_than_a_window_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="held-out text has 10 tokens"):
            evaluation_windows(corpus_of(counting(10), tmp_path), 10, 100)
