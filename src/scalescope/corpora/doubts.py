"""What a reader should know about a corpus, as findings."""

from __future__ import annotations

from dataclasses import replace

from scalescope.corpora.corpus import Corpus
from scalescope.corpora.documents import Tally
from scalescope.corpora.tokens import Tokenizer
from scalescope.points import Finding
from scalescope.units import format_count, format_percent

SMALL_HELD_OUT = 100_000
"""Held-out tokens below which the evaluation is noisy."""
FEW_DOCUMENTS = 10
MANY_UNKNOWN = 1e-3


def doubts(corpus: Corpus, tally: Tally, tokenizer: Tokenizer) -> tuple[Finding, ...]:
    """Return what is doubtful about a corpus that was just made."""
    return (*_about_source(corpus, tally), *_about_split(corpus), *_about_tokens(corpus, tokenizer))


def gone(corpus: Corpus) -> Corpus:
    """Return `corpus` with the finding that its source is not there any more."""
    finding = Finding(
        code="COR006",
        text=f"The source of the corpus, {corpus.name}, is not there any more.",
        hint="The tokens prepared from it are used.",
    )
    return replace(corpus, findings=(*corpus.findings, finding))


def mended(corpus: Corpus) -> Corpus:
    """Return `corpus` with the finding that its token files had to be made again."""
    finding = Finding(
        code="COR009",
        text="The prepared tokens were damaged or missing and were made again from the source.",
        hint="They are the same as before.",
    )
    return replace(corpus, findings=(*corpus.findings, finding))


def _about_source(corpus: Corpus, tally: Tally) -> list[Finding]:
    found = []
    if tally["cut"]:
        found.append(
            Finding(
                code="COR001",
                text=f"{_files(tally['cut'])} cut into pieces at blank lines, each piece a document.",
                hint="Neighbours may be on both sides of the split, which flatters the held-out loss.",
            )
        )
    kinds = {
        "binary": "binary",
        "hidden": "hidden",
        "special": "not regular",
        "other": "of the smaller kind (text or tables)",
    }
    left_out = [f"{tally[kind]} {words}" for kind, words in kinds.items() if tally[kind]]
    if left_out:
        found.append(
            Finding(
                code="COR002",
                text=f"Files left out: {', '.join(left_out)}.",
                hint="Only text files, or tables where they are most of a folder, are read.",
            )
        )
    if tally["rows"]:
        found.append(
            Finding(code="COR005", text=f"{format_count(tally['rows'])} rows have no text and were left out.")
        )
    if corpus.n_duplicates > corpus.n_documents:
        share = format_percent(corpus.n_duplicates / (corpus.n_documents + corpus.n_duplicates))
        found.append(
            Finding(
                code="COR010",
                text=f"{share} of the documents were exact duplicates.",
                hint="Near-duplicates, which are not looked for, may be as common.",
            )
        )
    return found


def _about_split(corpus: Corpus) -> list[Finding]:
    found = []
    if corpus.held_out_tokens < SMALL_HELD_OUT:
        found.append(
            Finding(
                code="COR003",
                text=f"Only {format_count(corpus.held_out_tokens)} tokens are held out.",
                hint="The loss is noisy below 100k; use a larger corpus.",
            )
        )
    if corpus.n_held_out_documents < FEW_DOCUMENTS:
        found.append(
            Finding(
                code="COR008",
                text=f"Only {corpus.n_held_out_documents} of {corpus.n_documents} documents are held out.",
                hint="The loss tells about them more than about the corpus.",
            )
        )
    return found


def _about_tokens(corpus: Corpus, tokenizer: Tokenizer) -> list[Finding]:
    found = []
    if tokenizer.n_replaced:
        found.append(
            Finding(
                code="COR004",
                text=f"{format_count(tokenizer.n_replaced)} documents are not UTF-8 and lost characters.",
                hint="Convert them, or use bytes as tokens.",
            )
        )
    share = tokenizer.n_unknown / (corpus.train_tokens + corpus.held_out_tokens)
    if share > MANY_UNKNOWN:
        found.append(
            Finding(
                code="COR012",
                text=f"{format_percent(share)} of the tokens are the tokenizer's unknown token.",
                hint="Bits per byte then leave out what it hides; use a tokenizer with byte fallback.",
            )
        )
    if not tokenizer.separates:
        found.append(
            Finding(
                code="COR011",
                text=f"{corpus.tokenizer} has no end-of-text token: documents follow without a mark.",
            )
        )
    return found


def _files(count: int) -> str:
    return "One file was" if count == 1 else f"{count} files were"
