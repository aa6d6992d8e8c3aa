"""Megabytes a second of each stage of `corpus build` and its peak memory, beside `datatrove`.

    python benchmarks/corpus_stages.py --peer-python PYTHON >> benchmarks/results/corpus_stages.jsonl
    python benchmarks/corpus_stages.py --once --documents 1000000 --memory 4 >> ...

The corpus is made here, the same for ever: Zipf-distributed words in lines and paragraphs, of which a tenth
are near-duplicates, a twentieth exact copies, a twentieth repeat themselves. Both sides read the same JSONL,
apply Gopher's filters, remove near-duplicates by MinHash (5-grams of words) and turn the rest into tokens
with the same tokenizer, each in one process. Ours runs once more with one process for each core.
`PYTHON` is one that has datatrove with spacy, nltk, tokenizers, datasketch and xxhash below 4; without it
only our side runs. One JSON line a figure; sizes are bytes of text, rates 1e6 bytes a second.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from scalescope.points.provenance import machine_name

WORDS = 20_000
RECIPE = """
[[source]]
name = "made"
path = "made.jsonl"
[filters.length]
[filters.words]
[filters.symbols]
[filters.bullets]
[filters.repeated_lines]
[filters.repeated_ngrams]
[duplicates]
exact = false
near = {{threshold = 0.8, permutations = 112}}
[tokenizer]
kind = "{kind}"
{tokenizer}
"""
ALL = "[contamination]\n[filters.line_length]\n[filters.control]\n[filters.compressibility]\n"

PEER = r"""
import json, sys, time
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.writers.jsonl import JsonlWriter
folder, name, tokenizer = sys.argv[1:]
config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)

def run(stage, pipeline, tasks=1):
    started = time.perf_counter()
    LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=f"{folder}/logs/{stage}").run()
    seconds[stage] = time.perf_counter() - started

seconds = {}
plain = dict(compression=None)
run("filters", [
    JsonlReader(folder, glob_pattern=name),
    GopherRepetitionFilter(),
    GopherQualityFilter(min_stop_words=None),
    JsonlWriter(f"{folder}/filtered", output_filename="${rank}.jsonl", **plain)])
run("signatures", [JsonlReader(f"{folder}/filtered"), MinhashDedupSignature(f"{folder}/signatures", config)])
run("groups", [MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config)], tasks=14)
run("clusters", [MinhashDedupCluster(f"{folder}/buckets", f"{folder}/removed", config=config)])
run("removal", [
    JsonlReader(f"{folder}/filtered"),
    MinhashDedupFilter(f"{folder}/removed"),
    JsonlWriter(f"{folder}/unique", output_filename="${rank}.jsonl", **plain)])
run("tokens", [
    JsonlReader(f"{folder}/unique"),
    DocumentTokenizer(f"{folder}/tokens", tokenizer_name_or_path=tokenizer, eos_token="<|endoftext|>",
                      shuffle_documents=False)])
counts = {stage: sum(1 for _ in open(f"{folder}/{stage}/00000.jsonl")) for stage in ("filtered", "unique")}
print(json.dumps({"seconds": seconds, "documents": counts}))
"""

SKETCH = r"""
import json, re, sys
from datasketch import MinHash, MinHashLSH
index, kept = MinHashLSH(threshold=0.8, num_perm=128), []
for number, line in enumerate(open(sys.argv[1])):
    words = re.findall(r"\w+", json.loads(line)["text"].lower())
    grams = {" ".join(words[at:at + 5]).encode() for at in range(max(1, len(words) - 4))}
    sketch = MinHash(num_perm=128)
    sketch.update_batch(grams)
    alike = [other for other, earlier in ((o, sketches[o]) for o in index.query(sketch))
             if sketch.jaccard(earlier) >= 0.8] if number else []
    sketches = {} if not number else sketches
    sketches[number] = sketch
    index.insert(number, sketch)
    if alike:
        kept.append(number)
print(json.dumps(kept))
"""


def make_corpus(path: Path, n_documents: int) -> int:
    """Write the documents, and return the bytes of their text."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = np.array(["".join(rng.choice(letters, 2 + number % 9)) for number in range(WORDS)])
    shares = 1 / np.arange(10, WORDS + 10)
    shares /= shares.sum()
    n_bytes, earlier = 0, ""
    with path.open("w", encoding="utf-8") as file:
        for number in range(n_documents):
            kind = number % 20
            if kind in (7, 14):
                text = f"{earlier} {words[number % WORDS]}"
            elif kind == 3:
                text = earlier
            else:
                chosen = words[rng.choice(WORDS, int(rng.integers(60, 300)), p=shares)].tolist()
                if kind == 11:
                    chosen = chosen[:10] * 20
                lines = [" ".join(chosen[at : at + 12]).capitalize() for at in range(0, len(chosen), 12)]
                text = ".\n".join(lines)
            earlier = text if kind in (2, 6, 13) else earlier
            n_bytes += len(text)
            file.write(json.dumps({"text": text, "id": str(number)}) + "\n")
    return n_bytes


def build(recipe: Path, out: Path, n_workers: int) -> dict[str, Any]:
    """Run `scalescope corpus build` in a process of its own; return its report, wall seconds and memory."""
    command = [sys.executable, "-m", "scalescope", "corpus", "build", str(recipe), "--out", str(out)]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--workers", str(n_workers), "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    answer = json.loads(process.stdout.read())
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    return {
        "stages": answer["report"]["stages"],
        "documents": sum(one["train_documents"] + one["held_out_documents"] for one in answer["sources"]),
        "seconds": time.perf_counter() - started,
        # The largest process; of several workers each holds less than the first.
        "peak_bytes": used.ru_maxrss * 1024,
    }


def tell(**figure: object) -> None:
    """Print one figure."""
    print(json.dumps({"benchmark": "corpus_stages", **figure, "machine": machine_name()}), flush=True)


def rounded(value: float) -> float:
    """Keep four significant digits."""
    return float(f"{value:.4g}")


def own(folder: Path, n_documents: int, n_bytes: int) -> dict[str, Any]:
    """Build with one process and with all, and print what each stage took."""
    (folder / "bpe.toml").write_text(RECIPE.format(kind="bpe", tokenizer="vocabulary = 4096"))
    if not (folder / "bpe" / "tokenizer.json").exists():
        build(folder / "bpe.toml", folder / "bpe", os.cpu_count() or 1)
    tokenizer = f'path = "{folder / "bpe" / "tokenizer.json"}"'
    (folder / "file.toml").write_text(RECIPE.format(kind="file", tokenizer=tokenizer))
    (folder / "all.toml").write_text(RECIPE.format(kind="file", tokenizer=tokenizer) + ALL)
    alone = build(folder / "file.toml", folder / "one", 1)
    n = os.cpu_count() or 1
    for name, recipe in (("as the peer", "file.toml"), ("every stage", "all.toml")):
        found = (
            alone if n == 1 and recipe == "file.toml" else build(folder / recipe, folder / f"{recipe}{n}", n)
        )
        tell_stages(found, name, n, n_documents, n_bytes)
    return alone


def tell_stages(found: dict[str, Any], work: str, processes: int, n_documents: int, n_bytes: int) -> None:
    """Print what each stage took, and all of them."""
    of = {"side": "scalescope", "work": work, "processes": processes}
    for stage in found["stages"]:
        tell(
            **of,
            stage=stage["name"],
            documents=stage["documents_in"],
            removed=stage["documents_in"] - stage["documents_out"],
            mb_per_second=stage["mb_per_second"],
            seconds=stage["seconds"],
        )
    tell(
        **of,
        stage="all, wall time",
        documents=n_documents,
        kept=found["documents"],
        mb_per_second=rounded(n_bytes / 1e6 / found["seconds"]),
        seconds=rounded(found["seconds"]),
        peak_bytes=found["peak_bytes"],
        peak_bytes_per_document=rounded(found["peak_bytes"] / n_documents),
    )


def own_once(folder: Path, n_documents: int, n_bytes: int) -> None:
    """Build once, with every stage, a tokenizer trained here and all processes."""
    recipe = folder / "once.toml"
    recipe.write_text(RECIPE.format(kind="bpe", tokenizer="vocabulary = 4096") + ALL)
    n = os.cpu_count() or 1
    found = build(recipe, folder / "once", n)
    tell_stages(found, "every stage and training the tokenizer", n, n_documents, n_bytes)


def beside(folder: Path, alone: dict[str, Any], n_bytes: int, python: str) -> None:
    """Run datatrove on the same work, and print both sides as a ratio of wall times in one process each."""
    script = folder / "peer.py"
    script.write_text(PEER)
    words = [python, str(script), str(folder), "made.jsonl", str(folder / "bpe" / "tokenizer.json")]
    started = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    peer = json.loads(done.stdout.splitlines()[-1])
    groups = {
        "filters": (("read", "filter"), ("filters",)),
        "near-duplicates": (("near", "hashes", "spool"), ("signatures", "groups", "clusters", "removal")),
        "tokens": (("tokens",), ("tokens",)),
    }
    for name, (ours, theirs) in groups.items():
        mine = sum(stage["seconds"] for stage in alone["stages"] if stage["name"].startswith(ours))
        other = sum(peer["seconds"][stage] for stage in theirs)
        tell(
            side="beside datatrove",
            stage=name,
            processes=1,
            own_seconds=rounded(mine),
            peer_seconds=rounded(other),
            ratio=rounded(other / mine),
        )
    tell(
        side="beside datatrove",
        stage="all, wall time",
        processes=1,
        own_seconds=rounded(alone["seconds"]),
        peer_seconds=rounded(seconds),
        own_mb_per_second=rounded(n_bytes / 1e6 / alone["seconds"]),
        ratio=rounded(seconds / alone["seconds"]),
        own_kept=alone["documents"],
        peer_kept=peer["documents"]["unique"],
        peer_filtered=peer["documents"]["filtered"],
    )


def answers(folder: Path, python: str, n_documents: int) -> None:
    """Compare which documents are near-duplicates with what datasketch finds."""
    from scalescope.corpora.building.near_duplicates import group_near_duplicates
    from scalescope.corpora.building.recipe import NearRecipe
    from scalescope.corpora.building.signatures import sign
    from scalescope.corpora.filters import Text

    script = folder / "sketch.py"
    script.write_text(SKETCH)
    lines = (folder / "made.jsonl").read_text("utf-8").splitlines()[:n_documents]
    (folder / "few").write_text("\n".join(lines))
    theirs = set(json.loads(subprocess.check_output([python, str(script), str(folder / "few")], text=True)))
    texts = [Text(json.loads(line)["text"].encode()) for line in lines]
    sign(texts, NearRecipe(), 0).tofile(folder / "signed")
    chosen = np.arange(len(texts))
    first = group_near_duplicates(
        folder / "signed", len(texts), chosen, threshold=0.8, permutations=NearRecipe().permutations
    )
    ours = set(np.flatnonzero(first != chosen).tolist())
    tell(
        side="beside datasketch",
        documents=len(texts),
        removed_by_both=len(ours & theirs),
        removed_by_us_alone=len(ours - theirs),
        removed_by_peer_alone=len(theirs - ours),
    )


def main() -> None:
    """Make the corpus, and run both sides on it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--peer-python", default="")
    parser.add_argument(
        "--memory", type=float, default=0, help="GB of address space for each of our processes"
    )
    parser.add_argument("--once", action="store_true", help="build once, with every stage; no peer")
    asked = parser.parse_args()
    if asked.memory:
        resource.setrlimit(resource.RLIMIT_AS, (int(asked.memory * 1e9),) * 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_bytes = make_corpus(folder / "made.jsonl", asked.documents)
        if asked.once:
            own_once(folder, asked.documents, n_bytes)
            return
        alone = own(folder, asked.documents, n_bytes)
        if asked.peer_python:
            beside(folder, alone, n_bytes, asked.peer_python)
            answers(folder, asked.peer_python, min(asked.documents, 3000))


if __name__ == "__main__":
    main()
