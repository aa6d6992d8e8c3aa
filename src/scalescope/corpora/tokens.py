"""Documents to numbers: bytes as they are, or any file of the library `tokenizers`.

Bytes need no vocabulary file: a token is a byte, and the byte 0, which text does not contain, ends every
document. With a tokenizer file its own end-of-text token does that; where it has none, documents follow one
another without a mark.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from scalescope.errors import InputError, MissingExtraError

Tokens = npt.NDArray[np.unsignedinteger[Any]]

SEGMENT_CHARACTERS = 1 << 18
"""A longer text goes to the tokenizer in parts that end at a line end, so that memory stays bounded."""
END_TOKENS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[EOS]", "[SEP]")
"""Names by which tokenizers call their end of text, the commonest first."""


class Tokenizer(Protocol):
    """Turns documents into arrays of token numbers, end marks included."""

    @property
    def name(self) -> str:
        """`bytes`, or the file's name."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides the tokens."""
        ...

    @property
    def vocabulary(self) -> int:
        """The highest token number plus one."""
        ...

    @property
    def bytes_per_token(self) -> float:
        """A rough guess before any text was seen."""
        ...

    @property
    def separates(self) -> bool:
        """Whether documents end with a mark."""
        ...

    @property
    def n_replaced(self) -> int:
        """Documents so far that were not UTF-8 and lost characters."""
        ...

    @property
    def n_unknown(self) -> int:
        """Tokens so far that stand for text the tokenizer has no token for."""
        ...

    def encode(self, documents: Sequence[bytes]) -> list[Tokens]:
        """Return one array a document."""
        ...


def token_type(vocabulary: int) -> type[np.uint8 | np.uint16 | np.uint32]:
    """Return the smallest unsigned integer that holds every token number."""
    if vocabulary <= 2**8:
        return np.uint8
    return np.uint16 if vocabulary <= 2**16 else np.uint32


class ByteTokenizer:
    """A token is a byte; 0 ends a document."""

    name = "bytes"
    digest = hashlib.sha256(b"bytes, 0 ends a document").hexdigest()
    vocabulary = 256
    bytes_per_token = 1.0
    separates = True
    n_replaced = 0
    n_unknown = 0

    def encode(self, documents: Sequence[bytes]) -> list[Tokens]:
        """Return the bytes of each document and a 0."""
        return [np.frombuffer(document + b"\0", dtype=np.uint8) for document in documents]


class FileTokenizer:
    """A tokenizer that was trained elsewhere; the library is loaded when the first text comes."""

    bytes_per_token = 4.0

    def __init__(self, path: Path) -> None:
        self._path = path / "tokenizer.json" if path.is_dir() else path
        self.name = path.name
        self.n_replaced = 0
        self.n_unknown = 0
        self._loaded: Any = None
        try:
            self.content = self._path.read_bytes()
        except OSError as error:
            raise InputError(
                f"cannot read the tokenizer {self._path}: {error.strerror}",
                hint="Give the path of a tokenizer.json.",
            ) from None
        self.digest = hashlib.sha256(self.content).hexdigest()

    @property
    def vocabulary(self) -> int:
        """The highest token number plus one."""
        return int(max(self._library().get_vocab(with_added_tokens=True).values())) + 1

    @property
    def separates(self) -> bool:
        """Whether it has an end-of-text token."""
        return self._end() is not None

    def encode(self, documents: Sequence[bytes]) -> list[Tokens]:
        """Return the tokens of each document and an end mark."""
        library, end = self._library(), self._end()
        parts: list[str] = []
        counts = []
        for document in documents:
            segments = _segments(self._decode(document))
            parts += segments
            counts.append(len(segments))
        encoded = iter(library.encode_batch_fast(parts, add_special_tokens=False))
        kind = token_type(self.vocabulary)
        result: list[Tokens] = []
        for count in counts:
            numbers = [number for _ in range(count) for number in next(encoded).ids]
            if end is not None:
                numbers.append(end)
            result.append(np.array(numbers, dtype=kind))
        self._count_unknown(result)
        return result

    def _decode(self, document: bytes) -> str:
        try:
            return document.decode()
        except UnicodeDecodeError:
            self.n_replaced += 1
            return document.decode(errors="replace")

    def _count_unknown(self, encoded: Sequence[Tokens]) -> None:
        token = getattr(self._library().model, "unk_token", None)
        unknown = None if token is None else self._library().token_to_id(token)
        if unknown is not None:
            self.n_unknown += sum(int((numbers == unknown).sum()) for numbers in encoded)

    def _end(self) -> int | None:
        numbers = (self._library().token_to_id(token) for token in END_TOKENS)
        return next((int(number) for number in numbers if number is not None), None)

    def _library(self) -> Any:
        if self._loaded is None:
            self._loaded = _load(self._path, self.content)
        return self._loaded


def open_tokenizer(path: Path | None) -> Tokenizer:
    """Return the tokenizer of a file, or bytes for None.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    return ByteTokenizer() if path is None else FileTokenizer(path)


def _load(path: Path, content: bytes) -> Any:
    try:
        import tokenizers
    except ImportError:
        raise MissingExtraError("tokenizers", "tokenizers") from None
    try:
        loaded = tokenizers.Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises plain Exception and ValueError alike
        cause = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} is not a file of the tokenizers library: {cause}",
            hint="Give a tokenizer.json; other formats must be converted first.",
        ) from None
    if loaded.get_vocab_size() == 0:
        raise InputError(f"the tokenizer {path} has no tokens", hint="Train it first.")
    # Either may be stored in the file and would silently shorten or lengthen every document.
    loaded.no_truncation()
    loaded.no_padding()
    return loaded


def _segments(text: str) -> list[str]:
    """Cut a long text after line ends."""
    segments, at = [], 0
    while len(text) - at > SEGMENT_CHARACTERS:
        line = text.rfind("\n", at, at + SEGMENT_CHARACTERS) + 1
        end = line if line > at else at + SEGMENT_CHARACTERS
        segments.append(text[at:end])
        at = end
    segments.append(text[at:])
    return segments
