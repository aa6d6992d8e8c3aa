"""`build_corpus` from end to end on small made sources."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scalescope.corpora.building import build_corpus
from scalescope.corpora.building.recipe import (
    ContaminationRecipe,
    DuplicatesRecipe,
    HeldOutRecipe,
    NearRecipe,
    Recipe,
    ShardsRecipe,
    SourceRecipe,
    TokenizerRecipe,
)
from scalescope.corpora.built import BuiltCorpus, open_built
from scalescope.corpora.filters import FILTERS, Text, compressed_share
from scalescope.corpora.preparing import prepare_corpus
from scalescope.errors import InputError

WORDS = ["".join(random.Random(n).choices("etaoinshrdlu", k=2 + n % 8)) for n in range(4000)]


def prose(seed: int, n_words: int = 150) -> str:
    words = random.Random(seed).choices(WORDS, k=n_words)
    return "\n".join(" ".join(words[at : at + 12]) for at in range(0, n_words, 12))


def write_rows(path: Path, texts: list[str]) -> Path:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())
    return path


def recipe(*paths: Path, **parts) -> Recipe:
    sources = tuple(SourceRecipe(name=path.name.split(".")[0], path=str(path)) for path in paths)
    return Recipe(**{"sources": sources, **parts})


def names(tokens: np.ndarray) -> list[bytes]:
    return tokens.tobytes().split(b"\0")[:-1]


def training(built: BuiltCorpus) -> list[bytes]:
    return [one for stream in built.streams() for shard in stream.shards for one in names(np.asarray(shard))]


def stage(folder: Path, name: str) -> dict:
    report = json.loads((folder / "report.json").read_text())
    return next(stage for stage in report["stages"] if stage["name"] == name)


def codes(built: BuiltCorpus) -> set[str]:
    return {finding.code for finding in built.findings}


@pytest.fixture
def rows(tmp_path):
    return write_rows(tmp_path / "web.jsonl", [prose(seed) for seed in range(300)])


def test_a_recipe_with_a_source_alone_gives_what_a_study_prepares(rows, tmp_path):
    built = build_corpus(recipe(rows), tmp_path / "built")
    prepared = prepare_corpus(str(rows), tmp_path / "prepared")
    assert built.digest == prepared.digest
    assert training(built) == names(np.asarray(prepared.train()))
    np.testing.assert_array_equal(built.held_out(), prepared.held_out())


def test_the_index_says_where_each_document_lies_and_what_it_is(rows, tmp_path):
    more = write_rows(tmp_path / "more.jsonl.gz", [prose(seed, 80) for seed in range(1000, 1100)])
    built = build_corpus(recipe(rows, more, shards=ShardsRecipe(size=20_000)), tmp_path / "built")
    index = built.train_index()
    texts = training(built)
    assert len(index) == len(texts) == built.train_documents
    assert index["bytes"].tolist() == [len(text) for text in texts]
    assert index["tokens"].tolist() == [len(text) + 1 for text in texts]
    assert index["start"].tolist() == (np.cumsum(index["tokens"]) - index["tokens"]).tolist()
    assert index["hash"].tolist() == [
        int.from_bytes(hashlib.sha256(text).digest()[:8], "little") for text in texts
    ]
    assert index["words"].tolist() == [len(Text(text).words) for text in texts]
    assert index["compressed"].tolist() == pytest.approx([compressed_share(text) for text in texts])
    assert [built.shards[number].source for number in index["shard"]] == index["source"].tolist()
    per_shard = Counter(index["shard"].tolist())
    assert [per_shard[number] for number in range(len(built.shards))] == [
        one.n_documents for one in built.shards
    ]
    held_out = built.held_out_index()
    assert held_out["bytes"].tolist() == [len(text) for text in names(np.asarray(built.held_out()))]
    assert set(held_out["source"].tolist()) == {0, 1}


def test_shards_hold_one_source_each_and_cut_no_document(rows, tmp_path):
    more = write_rows(tmp_path / "more.jsonl", [prose(seed, 80) for seed in range(1000, 1100)])
    small = build_corpus(recipe(rows, more, shards=ShardsRecipe(size=20_000)), tmp_path / "small")
    whole = build_corpus(recipe(rows, more), tmp_path / "whole")
    assert len(whole.shards) == 2
    assert len(small.shards) > 8
    assert all(shard.n_tokens <= 20_000 for shard in small.shards)
    assert training(small) == training(whole)
    assert small.digest == whole.digest


def test_a_document_longer_than_a_shard_is_a_shard(tmp_path):
    rows = write_rows(
        tmp_path / "web.jsonl", [prose(seed, 300 if seed % 9 == 0 else 20) for seed in range(60)]
    )
    built = build_corpus(recipe(rows, shards=ShardsRecipe(size=500)), tmp_path / "built")
    assert len(training(built)) == built.train_documents
    assert max(shard.n_tokens for shard in built.shards) > 500


@pytest.fixture
def dirty(tmp_path):
    """Good documents, and each kind of bad one a known number of times."""
    good = [prose(seed) for seed in range(300)]
    near = [good[seed] + " and one more line" for seed in range(20)]
    texts = (
        good
        + ["too short"] * 1
        + [good[7]] * 11
        + near
        + ["the same line\n" * 99 + prose(5000 + n) for n in range(13)]
    )
    random.Random(0).shuffle(texts)
    return write_rows(tmp_path / "dirty.jsonl", [" ", *texts, ""])


PARTS = {
    "filters": (FILTERS["length"](), FILTERS["repeated_lines"]()),
    "duplicates": DuplicatesRecipe(near=NearRecipe()),
    "contamination": ContaminationRecipe(),
}


class TestStages:
    def test_each_removes_what_it_is_for_and_counts_it(self, dirty, tmp_path):
        pytest.importorskip("rensa", reason="needs the extra data")
        built = build_corpus(recipe(dirty, **PARTS), tmp_path / "built")
        removed = {
            name: stage(tmp_path / "built", name)["documents_in"]
            - stage(tmp_path / "built", name)["documents_out"]
            for name in ("read", "filter length", "filter repeated_lines", "exact duplicates")
        }
        assert removed == {"read": 2, "filter length": 1, "filter repeated_lines": 13, "exact duplicates": 11}
        near = stage(tmp_path / "built", "near-duplicates: groups")
        assert near["documents_in"] - near["documents_out"] == 20
        assert built.n_read == 347
        assert built.n_duplicates == 31
        assert built.train_documents + built.held_out_documents == 300

    def test_stages_hand_on_all_that_they_do_not_remove(self, dirty, tmp_path):
        build_corpus(recipe(dirty, **{**PARTS, "duplicates": DuplicatesRecipe()}), tmp_path / "built")
        stages = json.loads((tmp_path / "built/report.json").read_text())["stages"]
        before = [one for one in stages if one["name"] not in {"contamination", "tokens and shards"}]
        for one, following in itertools.pairwise(before):
            assert one["documents_out"] == following["documents_in"], following["name"]
            assert one["bytes_out"] == following["bytes_in"], following["name"]
        for one in stages:
            if one["name"] != "split":
                assert sum(one["reasons"].values()) == one["documents_in"] - one["documents_out"]

    def test_samples_are_few_and_show_what_was_removed(self, dirty, tmp_path):
        build_corpus(
            recipe(dirty, **{**PARTS, "duplicates": DuplicatesRecipe()}, samples=3), tmp_path / "built"
        )
        samples = stage(tmp_path / "built", "filter repeated_lines")["samples"]
        assert len(samples) == 3
        assert all(one["excerpt"].startswith("the same line the same line") for one in samples)
        page = (tmp_path / "built/report.md").read_text()
        assert samples[0]["digest"] in page
        assert "## Removed by exact duplicates" in page

    def test_samples_do_not_depend_on_the_order_of_documents(self, dirty, tmp_path):
        lines = dirty.read_text().splitlines()
        turned = tmp_path / "turned" / "dirty.jsonl"
        turned.parent.mkdir()
        turned.write_text("\n".join(reversed(lines)))
        wanted = {"filters": PARTS["filters"], "samples": 4}
        for number, path in enumerate((dirty, turned)):
            build_corpus(recipe(path, **wanted), tmp_path / f"built{number}")
        one, other = (stage(tmp_path / f"built{n}", "filter repeated_lines")["samples"] for n in (0, 1))
        assert one == other

    def test_copies_that_stay_are_on_one_side(self, tmp_path):
        texts = [prose(seed) for seed in range(100)] * 2
        rows = write_rows(tmp_path / "web.jsonl", texts)
        built = build_corpus(
            recipe(rows, duplicates=DuplicatesRecipe(exact=False), held_out=HeldOutRecipe(share=0.3)),
            tmp_path / "built",
        )
        held_out = names(np.asarray(built.held_out()))
        assert built.train_documents + built.held_out_documents == 200
        assert set(Counter(held_out).values()) == {2}
        assert not set(held_out) & set(training(built))

    def test_training_documents_that_hold_held_out_text_are_removed(self, tmp_path):
        texts = [prose(seed) for seed in range(200)]
        clean = build_corpus(recipe(write_rows(tmp_path / "clean.jsonl", texts)), tmp_path / "clean")
        leaked = names(np.asarray(clean.held_out()))[0].decode()
        # Longer than all others together are short, so that it is passed over and stays for training.
        texts.append(prose(900, 8000) + "\n" + leaked)
        rows = write_rows(tmp_path / "web.jsonl", texts)
        wanted = recipe(rows, contamination=ContaminationRecipe())
        built = build_corpus(wanted, tmp_path / "built")
        if leaked.encode() not in names(np.asarray(built.held_out())):
            pytest.fail("the split changed; choose another document")
        assert stage(tmp_path / "built", "contamination")["reasons"] == {
            "shares 13-grams of words with held-out text": 1
        }
        assert not any(leaked.encode() in text for text in training(built))
        assert names(np.asarray(built.held_out())) != []


def files(folder: Path) -> dict[str, bytes]:
    kept = [
        path
        for path in folder.iterdir()
        if path.suffix in {".bin", ".index"} or path.name == "tokenizer.json"
    ]
    return {path.name: path.read_bytes() for path in kept}


def test_the_files_are_the_same_for_any_number_of_processes(tmp_path, monkeypatch):
    pytest.importorskip("rensa", reason="needs the extra data")
    monkeypatch.setattr("scalescope.corpora.building.reading.CHUNK_DOCUMENTS", 50)
    monkeypatch.setattr("scalescope.corpora.building.spool.BATCH_BYTES", 10_000)
    rows = write_rows(tmp_path / "web.jsonl", [prose(seed % 800, 40) for seed in range(1200)])
    wanted = recipe(rows, **{**PARTS, "filters": (FILTERS["length"](least_words=10),)})
    one = build_corpus(wanted, tmp_path / "one", n_workers=1)
    two = build_corpus(wanted, tmp_path / "two", n_workers=2)
    assert one.digest == two.digest
    assert files(tmp_path / "one") == files(tmp_path / "two")
    reports = [json.loads((tmp_path / name / "report.json").read_text())["stages"] for name in ("one", "two")]
    for stages in reports:
        for record in stages:
            record.pop("seconds"), record.pop("mb_per_second")
    assert reports[0] == reports[1]


def test_weights_give_one_and_fall_to_those_that_are_left(tmp_path):
    paths = [
        write_rows(tmp_path / f"{name}.jsonl", [prose(seed + at, n) for seed in range(100)])
        for at, name, n in ((0, "a", 100), (1000, "b", 100), (2000, "c", 20))
    ]
    sources = tuple(
        SourceRecipe(name=path.stem, path=str(path), weight=weight)
        for path, weight in zip(paths, (3, 1, 4), strict=True)
    )
    built = build_corpus(Recipe(sources=sources, filters=(FILTERS["length"](),)), tmp_path / "built")
    assert [source.weight for source in built.sources] == [0.75, 0.25, 0.0]
    assert "COR015" in codes(built)
    plain = build_corpus(recipe(*paths[:2]), tmp_path / "plain")
    assert sum(source.weight for source in plain.sources) == pytest.approx(1)
    assert plain.sources[0].weight == plain.sources[0].train_tokens / plain.train_tokens


class TestTokenizer:
    def test_a_bpe_is_trained_on_the_training_side_only(self, tmp_path):
        tokenizers = pytest.importorskip("tokenizers", reason="needs the extra tokenizers")
        texts = [prose(seed) for seed in range(300)]
        rows = write_rows(tmp_path / "web.jsonl", texts)
        wanted = recipe(rows, tokenizer=TokenizerRecipe(kind="bpe", vocabulary=400))
        built = build_corpus(wanted, tmp_path / "built")
        path = tmp_path / "built/tokenizer.json"
        assert built.vocabulary == 400
        assert built.tokenizer_digest == hashlib.sha256(path.read_bytes()).hexdigest()
        assert built.held_out().dtype == np.uint16
        library = tokenizers.Tokenizer.from_file(str(path))
        index, (stream,) = built.train_index(), built.streams()
        first = np.asarray(stream.shards[0])[: index["tokens"][0]]
        assert first[-1] == library.token_to_id("<|endoftext|>")
        assert library.decode(first[:-1].tolist()) in texts

        held_out = [library.decode(part) for part in _cut(built)]
        assert sorted(held_out) == sorted(set(texts) & set(held_out))

        build_corpus(wanted, tmp_path / "again")
        assert files(tmp_path / "again") == files(tmp_path / "built")

    def test_the_sample_is_within_its_limit_and_in_order(self, tmp_path):
        from scalescope.corpora.building.spool import Spool
        from scalescope.corpora.building.training_tokenizer import choose_sample
        from scalescope.corpora.split import take_census

        census = take_census(prose(seed).encode() for seed in range(200))
        zeros = np.zeros(200)
        spool = Spool(
            path=tmp_path,
            census=census,
            starts=np.cumsum(census.sizes) - census.sizes,
            sources=zeros.astype(np.uint16),
            compressed=zeros.astype(np.float32),
            words=zeros.astype(np.uint32),
            signatures=None,
        )
        allowed = np.arange(0, 200, 2)
        chosen = choose_sample(spool, allowed, 20_000, seed=0)
        assert set(chosen) <= set(allowed)
        assert chosen.tolist() == sorted(chosen)
        assert 15_000 < census.sizes[chosen].sum() <= 20_000
        assert chosen.tolist() != choose_sample(spool, allowed, 20_000, seed=1).tolist()

    def test_a_file_is_copied_beside_the_tokens(self, rows, tmp_path):
        pytest.importorskip("tokenizers", reason="needs the extra tokenizers")
        made = build_corpus(
            recipe(rows, tokenizer=TokenizerRecipe(kind="bpe", vocabulary=300)), tmp_path / "made"
        )
        given = tmp_path / "mine.json"
        given.write_bytes((tmp_path / "made/tokenizer.json").read_bytes())
        used = build_corpus(
            recipe(rows, tokenizer=TokenizerRecipe(kind="file", path=str(given))), tmp_path / "used"
        )
        assert used.digest == made.digest
        assert files(tmp_path / "used") == files(tmp_path / "made")


def _cut(built: BuiltCorpus) -> list[list[int]]:
    index, tokens = built.held_out_index(), np.asarray(built.held_out())
    return [tokens[at : at + n - 1].tolist() for at, n in zip(index["start"], index["tokens"], strict=True)]


class TestStudyDoor:
    def test_a_built_corpus_is_the_corpus_of_a_study(self, tmp_path):
        more = [
            write_rows(tmp_path / f"{n}.jsonl", [prose(n * 1000 + m) for m in range(150)]) for n in (1, 2)
        ]
        built = build_corpus(recipe(*more, shards=ShardsRecipe(size=20_000)), tmp_path / "built")
        corpus = prepare_corpus(str(tmp_path / "built"), tmp_path / "study")
        assert names(np.asarray(corpus.train())) == training(built)
        np.testing.assert_array_equal(corpus.held_out(), built.held_out())
        assert corpus.digest == built.digest
        assert [share.name for share in corpus.sources] == ["1", "2"]
        for share, stream in zip(corpus.sources, built.streams(), strict=True):
            part = np.asarray(corpus.train())[share.train_start : share.train_start + share.train_tokens]
            np.testing.assert_array_equal(part, np.concatenate(stream.shards))
        assert (tmp_path / "study/train.index").read_bytes() == (tmp_path / "built/train.index").read_bytes()

    def test_a_study_goes_on_without_the_built_corpus(self, rows, tmp_path):
        build_corpus(recipe(rows), tmp_path / "built")
        first = prepare_corpus(str(tmp_path / "built"), tmp_path / "study")
        assert prepare_corpus(str(tmp_path / "built"), tmp_path / "study") == first
        (tmp_path / "built").rename(tmp_path / "away")
        again = prepare_corpus(str(tmp_path / "built"), tmp_path / "study")
        assert "COR006" in {finding.code for finding in again.findings}
        np.testing.assert_array_equal(again.train(), first.train())

    def test_a_study_of_another_corpus_is_refused(self, rows, tmp_path):
        other = write_rows(tmp_path / "other.jsonl", [prose(seed) for seed in range(400, 700)])
        build_corpus(recipe(rows), tmp_path / "built")
        build_corpus(recipe(other), tmp_path / "built2")
        prepare_corpus(str(tmp_path / "built"), tmp_path / "study")
        with pytest.raises(InputError, match="prepared from built, not from"):
            prepare_corpus(str(tmp_path / "built2"), tmp_path / "study")


def test_a_second_call_returns_what_the_first_made(rows, tmp_path, monkeypatch):
    first = build_corpus(recipe(rows), tmp_path / "built")
    monkeypatch.setattr("scalescope.corpora.building.build.read_sources", lambda *a, **o: pytest.fail("read"))
    assert build_corpus(recipe(rows), tmp_path / "built") == first
    assert open_built(tmp_path / "built") == first


def test_a_manifest_survives_json(rows, tmp_path):
    built = build_corpus(recipe(rows), tmp_path / "built")
    assert BuiltCorpus.from_dict(built.to_dict()) == built
    assert str(tmp_path) not in (tmp_path / "built/corpus.json").read_text().replace(str(rows), "")
    assert [row["name"] for row in built.frame()] == ["web"]
    assert replace(built, findings=()).summary() == built.summary(findings=False)
