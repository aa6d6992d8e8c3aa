"""Writes measured numbers and constants of the code into four pages: benchmarks, protocol, uncertainty, plan.

    python docs/benchmarks.py

Numbers come from `benchmarks/results/*.jsonl`, whatever is there, and constants from the source. Both stand
between `<!-- begin NAME -->` and `<!-- end NAME -->`; everything else on the pages is written by hand.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from scalescope.training.rates import PEAKS, Rates
from scalescope.units import format_count, format_percent, format_significant

HERE = Path(__file__).parent
SOURCE = HERE.parent / "src" / "scalescope"
RESULTS = HERE.parent / "benchmarks" / "results"
PAGES = (HERE / "benchmarks.md", HERE / "protocol.md", HERE / "uncertainty.md", HERE / "plan.md")
MARKED = re.compile(r"(<!-- begin ([\w -]+) -->\n)(.*?)(<!-- end \2 -->)", re.DOTALL)
NOT_MEASURED = "Not measured yet.\n"
OWN = (
    *("bench_overhead", "bench_bert", "bench_prediction", "multipliers", "transfer", "mixers", "hash_leak"),
    *("experts", "cross_entropy", "corpus_stages"),
)
"""Benchmarks that stand under a heading of their own as they are."""
KNOWN = ("recipe", "study_cost", "coverage", *OWN)
"""Benchmarks with a section of their own; all others follow in one."""

Line = Mapping[str, Any]

MEANINGS = {
    "momentum": "Nesterov's",
    "beta1": "Of AdamW and Lion",
    "beta2": "Of AdamW and Lion",
    "schedule": "How rates move along the run: `wsd`, `cosine`, `linear`, `constant`",
    "batch_power": "How fast the batch grows along the run",
    "cooldown_share": "The cooldown's length",
    "cooldown_steps": "The cooldown's length",
    "warmup_share": "The warm-up's length",
    "warmup_steps": "The warm-up's length",
    "BUDGET_RATIO": "From one compute budget of the grid to the next",
    "N_BUDGETS": "Budgets of the grid if they fit; else fewer",
    "SIZES_PER_BUDGET": "Sizes of each budget",
    "LADDER_TOKENS_PER_PARAM": "Tokens over parameters at which every size of a ladder is measured",
    "LADDER_RATIO": "From one size of a ladder to the next",
    "LADDER_RUNGS": "Sizes of a ladder",
    "SPENT_EVERY_SECONDS": "How often the time spent is noted in the ledger",
}
"""What a constant is, where its own docstring does not say it."""


def renewed(text: str, results: Path = RESULTS) -> str:
    """Return a page with what stands between its markers made anew."""
    lines = read(results)

    def fill(found: re.Match[str]) -> str:
        if found[2] not in BLOCKS:
            raise KeyError(f"no block is called {found[2]!r}; known: {', '.join(BLOCKS)}")
        return found[1] + BLOCKS[found[2]](lines).rstrip("\n") + "\n" + found[4]

    return MARKED.sub(fill, text)


def read(results: Path) -> list[Line]:
    """Every figure of every file, in the order of files and lines."""
    paths = sorted(results.glob("*.jsonl"))
    return [
        json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines() if line.strip()
    ]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    head = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def text_of(value: Any) -> str:
    """Write any JSON value for a cell."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, (int, float)):
        whole = float(value).is_integer() and abs(value) < 1e5
        return (
            f"{value:.0f}"
            if whole
            else format_count(value)
            if abs(value) >= 1e5
            else format_significant(value)
        )
    if isinstance(value, Mapping):
        return ", ".join(f"{text_of(str(key))} {text_of(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(text_of, value))
    return str(value).replace("|", "\\|")


def plain_tables(lines: Sequence[Line]) -> str:
    """One table for each set of keys, for benchmarks that this script knows nothing about."""
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        groups.setdefault(tuple(key for key in line if key not in ("benchmark", "machine")), []).append(line)
    parts = [
        table(
            [key.replace("_", " ") for key in keys], [[text_of(line[key]) for key in keys] for line in group]
        )
        for keys, group in groups.items()
    ]
    return "\n".join(parts) + machines(lines)


def machines(lines: Sequence[Line]) -> str:
    """Where lines were measured."""
    names = sorted({str(line["machine"]) for line in lines if line.get("machine")})
    return f"\nMeasured on {'; '.join(names)}.\n" if names else ""


def of(lines: Sequence[Line], benchmark: str, **fields: str) -> list[Line]:
    """The lines of one benchmark with these fields."""
    wanted = {"benchmark": benchmark, **fields}
    return [line for line in lines if all(line.get(key) == value for key, value in wanted.items())]


def rates(lines: Sequence[Line]) -> str:
    """Loss against learning rate at each width."""
    found = of(lines, "recipe", figure="rates")
    if not found:
        return NOT_MEASURED
    multiples = found[0]["rates"]
    columns = [
        *("width x layers", "tokens"),
        *(f"{multiple:g}x" for multiple in multiples),
        *("best rate", "lost at the smallest width's best", "lost at 1x"),
    ]
    rows = [
        [
            f"{line['width']} x {line['n_layers']}",
            format_count(line["tokens"]),
            *(f"{loss:.3f}" for loss in line["losses"]),
            f"{line['best_rate']:.2f}x",
            f"{line['excess_at_smallest_rungs_rate']:.4f}",
            f"{line['excess_at_default_rate']:.4f}",
        ]
        for line in found
        if line["rates"] == multiples
    ]
    worst = max(found, key=lambda line: float(line["excess_at_smallest_rungs_rate"]))
    share = worst["excess_at_smallest_rungs_rate"] / min(worst["losses"])
    return (
        table(columns, rows) + f"\nThe rate measured at the smallest width costs the others at most "
        f"{worst['excess_at_smallest_rungs_rate']:.4f} nats/token ({format_percent(share)}), "
        f"at width {worst['width']}.\n" + machines(found)
    )


def choices(lines: Sequence[Line]) -> str:
    """One setting changed at a time, beside the recipe."""
    found = of(lines, "recipe", figure="choices")
    base = _mean([line["losses"] for line in found if line["change"] == "recipe"])
    if not base:
        return NOT_MEASURED
    tokens = found[0]["tokens"]
    rows = []
    for change in dict.fromkeys(line["change"] for line in found):
        losses = _mean([line["losses"] for line in found if line["change"] == change])
        off = [f"{loss - own:+.3f}" for loss, own in zip(losses, base, strict=True)]
        rows.append([change, *(f"{loss:.3f}" for loss in losses), *(off if change != "recipe" else ["", ""])])
    columns = ["change", *(f"{format_count(n)} tokens" for n in tokens)]
    columns += [f"against the recipe, {format_count(n)}" for n in tokens]
    return table(columns, rows) + machines(found)


def _mean(rows: Sequence[Sequence[float]]) -> list[float]:
    return [sum(column) / len(column) for column in zip(*rows, strict=True)]


def trunk(lines: Sequence[Line]) -> str:
    """A branch of a shared trunk beside a run made for the same token count alone."""
    found = of(lines, "recipe", figure="trunk")
    if not found:
        return NOT_MEASURED
    rows = [
        [
            format_count(line["tokens"]),
            f"{line['shared']:.3f}",
            f"{line['alone']:.3f}",
            f"{line['excess']:+.3f}",
        ]
        for line in found
    ]
    return table(["tokens", "branch of a trunk", "run alone", "difference"], rows) + machines(found)


def study_cost(lines: Sequence[Line]) -> str:
    """What a study costs beside the plain way."""
    found = of(lines, "study_cost")
    return plain_tables(found) if found else NOT_MEASURED


def plain(name: str) -> Callable[[Sequence[Line]], str]:
    """One benchmark, as it stands."""

    def block(lines: Sequence[Line]) -> str:
        found = of(lines, name)
        return plain_tables(found) if found else NOT_MEASURED

    return block


def coverage(lines: Sequence[Line]) -> str:
    """How often the default intervals hold the truth: a row a design, for either level."""
    found = [line for line in of(lines, "coverage") if line.get("default")]
    if not found:
        return NOT_MEASURED
    parts = []
    for level in sorted({line["level"] for line in found}, reverse=True):
        rows: dict[tuple[str, ...], dict[str, Line]] = {}
        for line in found:
            if line["level"] == level:
                key = tuple(str(line[name]) for name in ("law", "design", "noise", "n_runs", "kind"))
                row, column = rows.setdefault(key, {}), coverage_column(line)
                if column not in row or line["coverage"] < row[column]["coverage"]:
                    row[column] = line
        names = sorted({name for row in rows.values() for name in row}, key=COVERED.index)
        body = [
            [
                *key,
                *(
                    f"{row[name]['coverage']:.2f} ({row[name]['width']:.1f}x)" if name in row else ""
                    for name in names
                ),
            ]
            for key, row in rows.items()
        ]
        head = ["law", "design", "noise", "runs", "drawn again", *names]
        parts.append(f"Intervals of {100 * level:.0f}%:\n\n{table(head, body)}")
    studies = sorted({int(line["studies"]) for line in found})
    error = 100 * math.sqrt(0.9 * 0.1 / studies[0])
    return "\n".join(parts) + (
        f"\nFrom {studies[0]} simulated studies a row or more; the standard error of a coverage of 0.90 is "
        f"{error:.1f} points.\n" + machines(found)
    )


COVERED = (
    "floor",
    "other coefficients",
    "exponents",
    "size exponent",
    "N* at 10x",
    "D*/N* at 10x",
    "loss at 10x",
)
"""Columns of the table of coverage."""


def coverage_column(line: Line) -> str:
    """Group of a quantity; several of one group stand by their worst, see `coverage`."""
    name = str(line["quantity"])
    if name in COVERED:
        return name
    if name.startswith("loss at"):
        return "loss at 10x"
    if name == "E":
        return "floor"
    greek = ("alpha", "beta", "gamma", "alphaN", "alphaD", "a")
    return "exponents" if name in greek else "other coefficients"


def planned(lines: Sequence[Line]) -> str:
    """What the planner was held against, in one table; figures that were not measured are left out."""
    rows = list(_held(lines))
    return table(["what", "against", "found", "in"], rows) if rows else NOT_MEASURED


def _held(lines: Sequence[Line]) -> Iterator[list[str]]:
    for one in of(lines, "flop_counts", figure="utilisations"):
        found = f"parameters of {one['params_exact']} exact, worst {format_percent(one['worst'])}"
        yield ["FLOP", f"{one['rows']} utilisations of llm-foundry", found, "`benchmarks/flop_counts.py`"]
    for one in of(lines, "flop_counts", figure="days, all"):
        found = f"{one['within_1_percent']} of {one['rows']} within 1%, worst {format_percent(one['worst'])}"
        yield ["FLOP", "days of Narayanan et al. 2021", found, "`benchmarks/flop_counts.py`"]
    for one in of(lines, "step_time", figure="halves"):
        error, held = format_percent(one["mean_error"]), format_percent(one["covered_90"])
        found = f"mean error {error}; {held} inside 90% intervals"
        yield ["step time, half from half", one["source"], found, "`benchmarks/step_time.py`"]
    unseen = [one["median_error"] for one in of(lines, "step_time", figure="unseen")]
    if unseen:
        low, high = format_percent(min(unseen)), format_percent(max(unseen))
        found = f"median error {low} to {high}"
        yield ["step time, nothing measured", f"{len(unseen)} groups", found, "`benchmarks/step_time.py`"]
    for one in of(lines, "training_memory", what="peak, all"):
        found = f"worst {format_percent(one['largest_error'])}, mean {format_percent(one['mean_error'])}"
        yield ["memory", f"{one['rows']} peaks of torchtitan", found, "`benchmarks/training_memory.py`"]
    for one in of(lines, "training_memory", what="out of memory, predicted to fit"):
        found = f"{one['wrong']} predicted to fit"
        yield ["memory", f"{one['rows']} runs that failed", found, "`benchmarks/training_memory.py`"]
    for one in of(lines, "collectives", what="halves, all"):
        found = f"median error {format_percent(one['median_error'])}"
        yield ["collectives, half from half", "NCCL on four fabrics", found, "`benchmarks/collectives.py`"]
    for one in of(lines, "energy", table="summary"):
        found = f"{one['within_1_percent']} of {one['identities']} within 1%"
        yield ["energy and carbon", "published runs", found, "`benchmarks/energy.py`"]
    for one in of(lines, "published_optima", what="held"):
        found = f"{one['holds']} of {one['figures']} figures to the printed digit"
        yield ["optima", "six papers", found, "`benchmarks/published_optima.py`"]


def others(lines: Sequence[Line]) -> str:
    """All benchmarks without a section of their own."""
    names = [name for name in dict.fromkeys(str(line["benchmark"]) for line in lines) if name not in KNOWN]
    parts = [f"### {name.replace('_', ' ')}\n\n{plain_tables(of(lines, name))}" for name in names]
    return "\n".join(parts) or NOT_MEASURED


def constants(path: Path, inside: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, value and meaning of the literal constants of a file, or of the fields of one of its classes."""
    body: list[ast.stmt] = ast.parse(path.read_text("utf-8")).body
    if inside:
        body = next(node.body for node in body if isinstance(node, ast.ClassDef) and node.name == inside)
    for node, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if not isinstance(target, ast.Name) or value is None or target.id.startswith("_"):
            continue
        try:
            literal = ast.literal_eval(value)
        except ValueError:
            continue
        if isinstance(literal, str) and ":" in literal:  # where a worker finds a function
            continue
        note = following.value if isinstance(following, ast.Expr) else None
        said = note.value if isinstance(note, ast.Constant) and isinstance(note.value, str) else ""
        parts = (MEANINGS.get(target.id, ""), " ".join(said.split()).rstrip("."))
        yield target.id, ast.unparse(value), ". ".join(part for part in parts if part)


def constant_table(*files: str, inside: str = "") -> str:
    """A table of the constants of some files."""
    rows = [
        [f"`{name}`", f"`{value}`", meaning.replace("|", "\\|")]
        for file in files
        for name, value, meaning in constants(SOURCE / file, inside)
    ]
    return table(["constant", "value", "meaning"], rows)


def peaks() -> str:
    """Peak learning rates of every optimiser and parametrisation."""
    roles = [one.name for one in fields(Rates)]
    rows = [
        [f"`{optimizer}`", f"`{rule}`", *(f"{getattr(rates, role):g}" for role in roles)]
        for (optimizer, rule), rates in PEAKS.items()
    ]
    return table(["optimiser", "parametrisation", *roles], rows)


BLOCKS: dict[str, Callable[[Sequence[Line]], str]] = {
    "rates": rates,
    "choices": choices,
    "trunk": trunk,
    "study cost": study_cost,
    "coverage": coverage,
    **{name.replace("_", " "): plain(name) for name in OWN},
    "planned": planned,
    "others": others,
    "recipe": lambda _: constant_table("training/recipe.py", inside="Recipe"),
    "peaks": lambda _: peaks(),
    "design": lambda _: constant_table("studies/design.py", "studies/tune.py"),
    "time": lambda _: constant_table("studies/study.py", "studies/driver.py"),
}
"""What can stand between markers."""


def main() -> None:
    """Renew the pages."""
    for path in PAGES:
        path.write_text(renewed(path.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
