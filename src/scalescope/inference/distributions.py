"""Lengths of texts: drawn from a named distribution, or from a file of lengths or of texts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalescope.cost.batching import MOST, check_count
from scalescope.errors import InputError, nearest
from scalescope.points import Finding

BYTES_PER_TOKEN = 4
"""Of English text under the usual subword vocabularies, roughly."""
SHAPES: Mapping[str, str] = {
    "fixed": "fixed:128",
    "uniform": "uniform:16-512",
    "lognormal": "lognormal:mean=180,sigma=0.8",
}
"""Known distributions, each with an example."""
MOST_SIGMA = 3.0

_SPEC = re.compile(r"([a-z]+):(.*)", re.DOTALL)
_RANGE = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")
_LOGNORMAL = re.compile(r"mean=([0-9]+(?:\.[0-9]*)?),sigma=([0-9]+(?:\.[0-9]*)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How long texts are.  Made by `read_distribution`."""

    name: str
    """The specification, or the name of the file."""
    low: int = 1
    high: int = MOST
    mean: float | None = None
    """Of a lognormal one, in tokens."""
    sigma: float | None = None
    """Of the logarithm, for a lognormal one."""
    observed: tuple[int, ...] = ()
    """Of a file, in its order."""
    findings: tuple[Finding, ...] = field(default=())

    def draw(self, n: int, *, seed: int = 0, cut: int | None = None) -> tuple[int, ...]:
        """Draw the lengths of `n` texts.

        A file's texts are drawn without repeating one while there are enough, all of them in their order if
        there are exactly `n`.

        Parameters
        ----------
        cut
            Longest text, as a tokeniser truncates; None to leave them.

        Raises
        ------
        InputError
            If `n` or `cut` is below 1.
        """
        check_count(n, "number of texts")
        lengths = self._draw(n, np.random.default_rng(seed))
        longest = MOST if cut is None else check_count(cut, "length")
        return tuple(int(length) for length in np.clip(lengths, 1, longest))

    def _draw(self, n: int, random: np.random.Generator) -> NDArray[np.float64]:
        if self.observed:
            if n == len(self.observed):
                return np.array(self.observed, dtype=float)
            return random.choice(np.array(self.observed, dtype=float), n, replace=n > len(self.observed))
        if self.mean is not None and self.sigma is not None:
            middle = math.log(self.mean) - self.sigma**2 / 2
            return np.rint(np.minimum(random.lognormal(middle, self.sigma, n), MOST))
        return random.integers(self.low, self.high, n, endpoint=True).astype(float)


def read_distribution(text: str) -> Distribution:
    """Read a distribution: `fixed:128`, `uniform:16-512`, `lognormal:mean=180,sigma=0.8`, or a file.

    The mean is that of the lengths, sigma that of their logarithm. A file holds one length a line, or texts:
    JSON lines with a field `text`, else one text a line; the length of a text is taken as its bytes over 4.

    Raises
    ------
    InputError
        If it is none of these, or a length is below 1 or beyond 2^31 - 1.
    """
    match = _SPEC.fullmatch(text)
    if match is None or Path(text).exists():
        return _read_file(Path(text))
    name, rest = match.groups()
    if name not in SHAPES:
        raise InputError(f"unknown distribution {name!r} in {text!r}", hint=nearest(name, SHAPES))
    made = _READERS[name](text, rest)
    if made is None:
        raise InputError(f"{text!r} is not a distribution of lengths", hint=f"Write it as {SHAPES[name]}.")
    return made


def _fixed(text: str, rest: str) -> Distribution | None:
    if not re.fullmatch(r"-?[0-9]{1,20}", rest):
        return None
    length = check_count(int(rest), "length")
    return Distribution(name=text, low=length, high=length)


def _uniform(text: str, rest: str) -> Distribution | None:
    match = _RANGE.fullmatch(rest)
    if match is None:
        return None
    low, high = (check_count(int(end), "length") for end in match.groups())
    if low > high:
        raise InputError(f"{text!r} ends below its start", hint=f"Write it as uniform:{high}-{low}.")
    return Distribution(name=text, low=low, high=high)


def _lognormal(text: str, rest: str) -> Distribution | None:
    match = _LOGNORMAL.fullmatch(rest)
    if match is None:
        return None
    mean, sigma = float(match[1]), float(match[2])
    if not 1 <= mean <= MOST or not 0 < sigma <= MOST_SIGMA:
        raise InputError(
            f"{text!r} needs a mean from 1 to {MOST} tokens and a sigma above 0, {MOST_SIGMA:g} at most"
        )
    return Distribution(name=text, mean=mean, sigma=sigma)


_READERS = {"fixed": _fixed, "uniform": _uniform, "lognormal": _lognormal}


def _read_file(path: Path) -> Distribution:
    """Read lengths, or measure texts."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        examples = ", ".join(SHAPES.values())
        raise InputError(f"no distribution or file {str(path)!r}", hint=f"Such as {examples}.") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} cannot be read as text: {error}", hint="Give a UTF-8 file.") from None
    if not lines:
        raise InputError(f"{path} is empty", hint="One length or one text a line.")
    numbers = [line.strip() for line in lines]
    if all(re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", number) for number in numbers):
        lengths = tuple(_length(path, row, number) for row, number in enumerate(numbers, 1))
        return Distribution(name=path.name, observed=lengths)
    texts = [_text(path, row, line) for row, line in enumerate(lines, 1)]
    return Distribution(name=path.name, observed=tuple(map(_tokens, texts)), findings=(_estimated(path),))


def _length(path: Path, row: int, number: str) -> int:
    if not re.fullmatch(r"\+?[0-9]{1,10}", number) or not 1 <= int(number) <= MOST:
        raise InputError(f"{path}, line {row}: {number!r} is not a length from 1 to {MOST}")
    return int(number)


def _text(path: Path, row: int, line: str) -> str:
    """Return the text of one line: of a JSON object its field `text`, else the line."""
    if not line.lstrip().startswith("{"):
        return line
    try:
        value = json.loads(line)["text"]
    except (json.JSONDecodeError, KeyError, RecursionError):
        value = None
    if not isinstance(value, str):
        raise InputError(
            f"{path}, line {row}: no JSON object with a field 'text'",
            hint="One object a line, or plain text.",
        )
    return value


def _tokens(text: str) -> int:
    return max(1, -(-len(text.encode()) // BYTES_PER_TOKEN))


def _estimated(path: Path) -> Finding:
    return Finding(
        code="BEN030",
        text=f"Lengths in {path.name} are estimated as {BYTES_PER_TOKEN} bytes a token.",
        hint="Tokenise the texts and give one length a line for exact ones.",
    )
