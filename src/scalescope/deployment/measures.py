"""The columns of the five tables: the model study's own, by its formulas, and ours beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from scalescope.deployment import aggregates as of
from scalescope.deployment.columns import Better, Column
from scalescope.deployment.series import Series
from scalescope.points import TRIED, BenchMachine, Cell

Group = Sequence[Series]
Measure = tuple[Column, Callable[[Group], float | None]]


def _ours(name: str, title: str, unit: str, definition: str, better: Better | None = None) -> Column:
    return Column(name=name, title=title, unit=unit, definition=definition, better=better)


def _study(name: str, title: str, unit: str, definition: str, better: Better | None = None) -> Column:
    return Column(name=name, title=title, unit=unit, definition=definition, better=better, study=True)


def _params(group: Group) -> float | None:
    return of.mean(one.params for one in group if one.usable)


def _loaded(group: Group) -> list[Cell]:
    return [cell for one in group if (cell := of.first_load(one)) is not None]


def _load_s(cell: Cell) -> float | None:
    return cell.load.total_s if cell.load is not None else None


def _held(group: Group) -> list[tuple[float | None, float | None]]:
    """Bytes of weights and parameters of every model that ran."""
    return [(of.weights(one.usable[0]), one.params) for one in group if one.usable]


_PARAMS = _study(
    "params", "Avg Params", "parameters", "Mean of all parameters of what ran, over the models that ran."
)


def loading_measures(reference: int) -> list[Measure]:
    """Table I: loading and memory."""
    return [
        (_PARAMS, _params),
        (
            _study("load_s", "Loading Time", "s", "Mean of the parts of loading that were timed.", "lower"),
            lambda group: of.mean(_load_s(cell) for cell in _loaded(group)),
        ),
        (
            _study("memory", "Memory", "bytes", "Mean memory of the loaded weights, touched.", "lower"),
            lambda group: of.mean(held for held, _ in _held(group)),
        ),
        (
            _study(
                "study_param_efficiency",
                "Memory/Param Efficiency",
                "tokens/s/M",
                f"What the study prints here: tokens/s at {reference} over millions of parameters, ratio of "
                "means. It holds no memory.",
                "higher",
            ),
            lambda group: _per_million(group, reference),
        ),
        (
            _ours(
                "load_bytes_per_s",
                "Loading rate",
                "bytes/s",
                "Bytes of weight files over seconds of loading, ratio of sums.",
                "higher",
            ),
            lambda group: of.ratio_of_sums(
                (cell.load.weight_bytes if cell.load else None, _load_s(cell)) for cell in _loaded(group)
            ),
        ),
        (
            _ours(
                "bytes_per_param",
                "Memory per parameter",
                "bytes",
                "Memory of the weights over parameters, ratio of sums: a cost, 4 for fp32.",
                "lower",
            ),
            lambda group: of.ratio_of_sums(_held(group)),
        ),
        (
            _ours(
                "load_peak_per_weights",
                "Loading peak over weights",
                "ratio",
                "Highest memory while loading over memory of the weights, ratio of sums; 1 is the least.",
                "lower",
            ),
            lambda group: of.ratio_of_sums(
                (one.usable[0].memory.load_peak if one.usable[0].memory else None, of.weights(one.usable[0]))
                for one in group
                if one.usable
            ),
        ),
    ]


def throughput_measures(lengths: Sequence[int]) -> list[Measure]:
    """Table II: throughput by length, and how many run."""
    by_length = [_throughput_at(length) for length in lengths]
    return [measure for same in zip(*by_length, strict=True) for measure in same]


def _throughput_at(length: int) -> list[Measure]:
    def cells(group: Group) -> list[Cell]:
        return [cell for one in group if (cell := one.at(length)) is not None]

    return [
        (
            _study(
                f"tokens_per_s_{length}",
                f"Throughput at {length}",
                "tokens/s",
                f"Mean over the models that ran at {length} of each one's useful tokens per second.",
                "higher",
            ),
            lambda group: of.mean(cell.tokens_per_s for cell in of.cells_at(group, length)),
        ),
        (
            _ours(
                f"tokens_per_s_joint_{length}",
                f"Joint throughput at {length}",
                "tokens/s",
                f"Sum of tokens over sum of seconds at {length}: one call of each model.",
                "higher",
            ),
            lambda group: of.ratio_of_sums(
                (of.tokens(cell), of.seconds(cell)) for cell in of.cells_at(group, length)
            ),
        ),
        (
            _study(
                f"success_{length}",
                f"Success Rate at {length}",
                "share",
                f"Models that ran over models with a cell at {length}, whatever stopped the others.",
                "higher",
            ),
            lambda group: _share([cell.ok for cell in cells(group)]),
        ),
        (
            _ours(
                f"success_tried_{length}",
                f"Success of the tried at {length}",
                "share",
                f"Models that ran over those really run at {length}: not those that their configuration or a "
                "prediction excludes.",
                "higher",
            ),
            lambda group: _share([cell.ok for cell in cells(group) if cell.state in TRIED]),
        ),
    ]


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def memory_measures(lengths: Sequence[int]) -> list[Measure]:
    """Table III: memory by length, and how it grows."""
    growth = _growth_measures(lengths[0], lengths[-1]) if len(lengths) > 1 else []
    return [*(_memory_at(length) for length in lengths), *growth]


def _memory_at(length: int) -> Measure:
    column = _study(
        f"memory_{length}",
        f"Memory at {length}",
        "bytes",
        f"Mean peak of a call at {length} above the baseline, over the models that ran there.",
        "lower",
    )
    return column, lambda group: of.mean(of.peak(cell) for cell in of.cells_at(group, length))


def _growth_measures(first: int, last: int) -> list[Measure]:
    def ends(group: Group, figure: of.Figure) -> list[tuple[float | None, float | None]]:
        both = [(one.usable_at(last), one.usable_at(first)) for one in group]
        return [(figure(top), figure(bottom)) for top, bottom in both if top and bottom]

    def steepness(group: Group) -> float | None:
        pairs = [(top, bottom) for top, bottom in ends(group, of.activations) if top and bottom]
        return of.mean(float(np.log(top / bottom) / np.log(last / first)) for top, bottom in pairs)

    return [
        (
            _study(
                "memory_scaling",
                "Scaling Factor",
                "ratio",
                f"Mean of the models' peaks at {last} over {first}, models that ran at both.",
                "lower",
            ),
            lambda group: of.mean_of_ratios(ends(group, of.peak)),
        ),
        (
            _ours(
                "memory_scaling_joint",
                "Joint scaling factor",
                "ratio",
                f"Sum of the peaks at {last} over sum at {first}, models that ran at both.",
                "lower",
            ),
            lambda group: of.ratio_of_sums(ends(group, of.peak)),
        ),
        (
            _ours(
                "activation_exponent",
                "Growth exponent without weights",
                "exponent",
                f"Slope of log(peak less weights) against log length from {first} to {last}, mean of models: "
                "1 is linear, 2 is full attention scores.",
                "lower",
            ),
            steepness,
        ),
        (
            _ours(
                "n_at_both_ends",
                "Models at both ends",
                "models",
                f"Models whose peaks at {first} and {last} the factors rest on.",
            ),
            lambda group: float(len(ends(group, of.peak))),
        ),
    ]


def _per_million(group: Group, length: int) -> float | None:
    """Tokens/s over millions of parameters as the study joins them: ratio of means, of what ran there."""
    return of.ratio_of_sums(
        (cell.tokens_per_s, cell.params / 1e6 if cell.params else None) for cell in of.cells_at(group, length)
    )


def _bytes_per_param_at(group: Group, length: int) -> float | None:
    return of.ratio_of_sums((of.weights(cell), cell.params) for cell in of.cells_at(group, length))


def _overall(group: Group, length: int) -> float | None:
    efficiency, cost = _per_million(group, length), _bytes_per_param_at(group, length)
    return efficiency / cost if efficiency is not None and cost else None


def efficiency_measures(reference: int, machine: BenchMachine) -> list[Measure]:
    """Table IV: efficiency."""
    return [*_study_efficiency(reference), *_own_efficiency(reference, machine)]


def _study_efficiency(reference: int) -> list[Measure]:
    return [
        (_PARAMS, _params),
        (
            _study(
                "study_peak_tokens_per_s",
                "Peak Throughput",
                "tokens/s",
                f"What the study takes for the peak: the mean at {reference} tokens, not the highest.",
                "higher",
            ),
            lambda group: of.mean(cell.tokens_per_s for cell in of.cells_at(group, reference)),
        ),
        (
            _study(
                "study_efficiency",
                "Efficiency",
                "tokens/s/M",
                f"Mean throughput at {reference} over mean millions of parameters, models that ran there.",
                "higher",
            ),
            lambda group: _per_million(group, reference),
        ),
        (
            _study(
                "study_memory_efficiency",
                "Memory Efficiency",
                "bytes",
                "The study's formula, 1000 GB over millions of parameters, is bytes per parameter: a cost, "
                "so lower is better whatever its name says.",
                "lower",
            ),
            lambda group: _bytes_per_param_at(group, reference),
        ),
        (
            _study(
                "study_overall_score",
                "Overall Score",
                "tokens/s/MB",
                "Efficiency over Memory Efficiency. Parameters cancel: it is tokens/s per MB of weights.",
                "higher",
            ),
            lambda group: _overall(group, reference),
        ),
    ]


def _own_efficiency(reference: int, machine: BenchMachine) -> list[Measure]:
    def cost(cell: Cell) -> float | None:
        return None if cell.flop is None else cell.flop / of.tokens(cell) / 1e9

    def roof(cell: Cell) -> float | None:
        return of.roof_seconds(cell, machine)

    at = of.cells_at
    return [
        (
            _ours(
                "peak_tokens_per_s",
                "Highest throughput",
                "tokens/s",
                "Each model's highest over its lengths, mean of the models.",
                "higher",
            ),
            lambda group: of.mean(of.best(one, lambda cell: cell.tokens_per_s) for one in group),
        ),
        (
            _ours(
                "tokens_per_s_per_gflop",
                "Throughput over cost of a token",
                "tokens/s/GFLOP",
                f"Tokens/s over the GFLOP that a token costs, at {reference}, mean of the models' ratios.",
                "higher",
            ),
            lambda group: of.mean_of_ratios((cell.tokens_per_s, cost(cell)) for cell in at(group, reference)),
        ),
        (
            _ours(
                "flop_per_s",
                "Useful rate",
                "FLOP/s",
                f"Useful FLOP over seconds at {reference}, ratio of sums.",
                "higher",
            ),
            lambda group: of.ratio_of_sums((cell.flop, of.seconds(cell)) for cell in at(group, reference)),
        ),
        (
            _ours(
                "roofline_share",
                "Share of the roofline",
                "share",
                "Shortest time that this machine's measured matmul rate (and, for decode, reading the "
                f"weights) allows over the time taken at {reference}, ratio of sums.",
                "higher",
            ),
            lambda group: of.ratio_of_sums((roof(cell), of.seconds(cell)) for cell in at(group, reference)),
        ),
        (
            _ours(
                "joules_per_token",
                "Energy",
                "J/token",
                f"Joules over tokens at {reference}, mean of the models; none where nothing metered it.",
                "lower",
            ),
            lambda group: of.mean(of.joules_per_token(cell) for cell in at(group, reference)),
        ),
    ]
