"""Bytes and tokenizer files."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest

from scalescope.corpora import tokens as tokens_module
from scalescope.corpora.preparing import prepare_corpus
from scalescope.corpora.tokens import open_tokenizer, token_type
from scalescope.errors import InputError, MissingExtraError

tokenizers = pytest.importorskip("tokenizers", reason="needs the extra tokenizers")

WORDS = [a + b for a in ("ba", "do", "mi") for b in ("n", "r", "lo")]


def prose(seed: int, n_words: int) -> str:
    words = random.Random(seed).choices(WORDS, k=n_words)
    return "\n".join(" ".join(words[at : at + 10]) for at in range(0, n_words, 10))


def train_bytes(path, *, special=("<|endoftext|>",), size=300):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([prose(99, 500)], trainer)
    tokenizer.save(str(path))
    return tokenizer


@pytest.fixture
def tokenizer_file(tmp_path):
    train_bytes(tmp_path / "tokenizer.json")
    return tmp_path / "tokenizer.json"


@pytest.fixture
def text(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    for index in range(60):
        (folder / f"{index:02}.txt").write_text(prose(index, 1500))
    return folder


def test_bytes_end_with_a_zero():
    (encoded,) = open_tokenizer(None).encode([b"ab\xff"])
    assert encoded.tolist() == [97, 98, 255, 0]


@pytest.mark.parametrize(
    ("vocabulary", "kind"),
    [(256, np.uint8), (257, np.uint16), (65_536, np.uint16), (65_537, np.uint32)],
)
def test_tokens_are_stored_in_the_smallest_type(vocabulary, kind):
    assert token_type(vocabulary) is kind


def test_a_corpus_decodes_to_its_text(text, tokenizer_file, tmp_path):
    corpus = prepare_corpus(str(text), tmp_path / "out", tokenizer=tokenizer_file)
    library = tokenizers.Tokenizer.from_file(str(tokenizer_file))
    assert corpus.train().dtype == np.uint16
    decoded = library.decode(corpus.held_out().tolist(), skip_special_tokens=False)
    documents = decoded.split("<|endoftext|>")[:-1]
    assert len(documents) == corpus.n_held_out_documents
    assert {document.encode() for document in documents} <= {path.read_bytes() for path in text.iterdir()}


def test_bytes_per_token_is_measured_on_the_held_out_text(text, tokenizer_file, tmp_path):
    corpus = prepare_corpus(str(text), tmp_path / "out", tokenizer=tokenizer_file)
    assert corpus.bytes_per_token == pytest.approx(corpus.held_out_bytes / len(corpus.held_out()), rel=1e-12)
    assert corpus.bytes_per_token > 2
    library = tokenizers.Tokenizer.from_file(str(tokenizer_file))
    assert corpus.vocabulary == library.get_vocab_size() > int(corpus.train().max())


def test_truncation_and_padding_stored_in_the_file_are_ignored(tmp_path):
    library = train_bytes(tmp_path / "plain.json")
    library.enable_truncation(16)
    library.enable_padding(length=64)
    library.save(str(tmp_path / "cut.json"))
    document = prose(1, 400).encode()
    plain, cut = (
        open_tokenizer(tmp_path / f"{name}.json").encode([document, b"do"]) for name in ("plain", "cut")
    )
    assert len(plain[0]) > 64
    for one, other in zip(plain, cut, strict=True):
        np.testing.assert_array_equal(one, other)


def test_long_documents_go_through_in_parts_without_loss(tokenizer_file, monkeypatch):
    library = tokenizers.Tokenizer.from_file(str(tokenizer_file))
    document = prose(5, 3000)
    monkeypatch.setattr(tokens_module, "SEGMENT_CHARACTERS", 1000)
    (encoded,) = open_tokenizer(tokenizer_file).encode([document.encode()])
    assert library.decode(encoded.tolist()[:-1]) == document


def test_without_an_end_token_documents_follow_without_a_mark(text, tmp_path):
    train_bytes(tmp_path / "bare.json", special=())
    corpus = prepare_corpus(str(text), tmp_path / "out", tokenizer=tmp_path / "bare.json")
    assert "COR011" in {finding.code for finding in corpus.findings}


def test_text_that_is_not_utf8_is_replaced_and_said(text, tokenizer_file, tmp_path):
    (text / "latin.txt").write_bytes("Grüße aus Köln ".encode("latin-1") * 50)
    corpus = prepare_corpus(str(text), tmp_path / "out", tokenizer=tokenizer_file)
    (finding,) = (finding for finding in corpus.findings if finding.code == "COR004")
    assert finding.text.startswith("1 documents are not UTF-8")
    assert not {"COR004"} & {f.code for f in prepare_corpus(str(text), tmp_path / "bytes").findings}


def test_unknown_tokens_are_a_finding(text, tmp_path):
    vocabulary = {word: index for index, word in enumerate(["[UNK]", "</s>", *WORDS[:-1]])}
    library = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    library.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    library.save(str(tmp_path / "words.json"))
    corpus = prepare_corpus(str(text), tmp_path / "out", tokenizer=tmp_path / "words.json")
    (finding,) = (finding for finding in corpus.findings if finding.code == "COR012")
    assert finding.text.startswith("11%")  # one word in nine is unknown


def test_gaps_in_the_numbering_count_for_the_vocabulary(tmp_path):
    library = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "do": 700}, unk_token="[UNK]"))
    library.save(str(tmp_path / "gaps.json"))
    assert open_tokenizer(tmp_path / "gaps.json").vocabulary == 701


def test_a_folder_with_a_tokenizer_is_enough(tokenizer_file):
    assert open_tokenizer(tokenizer_file.parent).digest == open_tokenizer(tokenizer_file).digest


def test_a_folder_prepared_with_another_tokenizer_is_refused(text, tokenizer_file, tmp_path):
    prepare_corpus(str(text), tmp_path / "out")
    with pytest.raises(InputError, match=r"prepared with the tokenizer bytes, not tokenizer\.json"):
        prepare_corpus(str(text), tmp_path / "out", tokenizer=tokenizer_file)


def test_a_changed_tokenizer_file_is_noticed(text, tokenizer_file, tmp_path):
    prepare_corpus(str(text), tmp_path / "out", tokenizer=tokenizer_file)
    train_bytes(tokenizer_file, size=260)
    with pytest.raises(InputError, match=r"not another tokenizer\.json"):
        prepare_corpus(str(text), tmp_path / "out", tokenizer=tokenizer_file)


@pytest.mark.parametrize("content", [b"", b"{}", b"\0\xff", b'{"version": "1.0"'])
def test_a_file_that_is_no_tokenizer_is_refused_in_one_line(text, tmp_path, content):
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(InputError, match="is not a file of the tokenizers library") as caught:
        prepare_corpus(str(text), tmp_path / "out", tokenizer=tmp_path / "bad.json")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "train.bin.part").exists()


def test_an_absent_tokenizer_is_refused(text, tmp_path):
    with pytest.raises(InputError, match="cannot read the tokenizer"):
        prepare_corpus(str(text), tmp_path / "out", tokenizer=tmp_path / "absent.json")


def test_without_the_library_the_extra_is_named(text, tokenizer_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError) as caught:
        prepare_corpus(str(text), tmp_path / "out", tokenizer=tokenizer_file)
    assert "scalescope[tokenizers]" in caught.value.hint
