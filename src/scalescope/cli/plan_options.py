"""What `scalescope plan` is asked beside a budget: options that become the tables of a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

from cyclopts import Parameter

from scalescope.cli.options import FitOptions
from scalescope.errors import InputError
from scalescope.units import parse_limit


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """Machine, limits, wishes and prices.

    Parameters
    ----------
    device
        Device of the catalogue: `scalescope devices` lists them.
    devices_file
        TOML file of your own devices.
    count
        Number of devices; the deadline or the cost chooses it if left out. For a table of runs also the
        column that N counts: params, params_nonembedding, params_matmul or params_active.
    deadline
        Longest time from the first step to the last: `60d`.
    size
        Parameters of the model: `70B`; free if left out.
    tokens
        Training tokens: `1.4T`; free if left out.
    unique_tokens
        How much fresh data there is: `300B`.
    epochs
        How often data may be repeated.
    start_tokens
        Tokens that a checkpoint of `--size` has seen already.
    bits
        Of one weight and activation in training.
    serve_prefill
        Tokens that the model will read in its life: `10T`.
    serve_decode
        Tokens that it will write in its life: `1T`.
    serve_device
        Device that serves it.
    serve_batch
        Texts that it serves at once.
    serve_memory
        Most memory for weights and cache when it is served: `80GB`.
    serve_latency
        Longest time for one written token: `30ms`.
    serve_bits
        Of one served weight.
    context
        Tokens of one training sequence.
    batch_tokens
        Tokens of one step: `4M`.
    vocabulary
        Entries of the vocabulary.
    shape
        The config.json of an architecture that is decided already.
    layout
        A layout that is decided already: `fsdp=64,tp=8`.
    precision
        What products are computed in: bf16, fp16, fp8, fp32.
    keeping
        How numbers are kept: fsdp, megatron, zero, scalescope, bf16, fp32.
    optimiser
        adamw, adamw-8bit, muon, lion, adafactor, sgd.
    calibrate
        CSV of measured steps to which the step-time model is fitted.
    price
        Dollars of one device for one hour: `2.50`.
    commitment
        on-demand, reserved, spot or owned.
    pue
        Power usage effectiveness of the building.
    grid
        Country whose electricity it is.
    development
        Compute of experiments over that of the run: 0.5.
    downstream
        Accuracy from loss for what money buys: a fit of accuracy-from-loss or error-from-loss, or a
        published one such as error-from-loss-gadre2024-17-tasks.
    worth_per_nat
        Dollars that a nat less is worth to you: `1M`.
    """

    device: str | None = None
    devices_file: str | None = None
    count: str | None = None
    deadline: str | None = None
    size: str | None = None
    tokens: str | None = None
    unique_tokens: str | None = None
    epochs: float | None = None
    start_tokens: str | None = None
    bits: float | None = None
    serve_prefill: str | None = None
    serve_decode: str | None = None
    serve_device: str | None = None
    serve_batch: int | None = None
    serve_memory: str | None = None
    serve_latency: str | None = None
    serve_bits: float | None = None
    context: int | None = None
    batch_tokens: str | None = None
    vocabulary: int | None = None
    shape: str | None = None
    layout: str | None = None
    precision: str | None = None
    keeping: str | None = None
    optimiser: str | None = None
    calibrate: str | None = None
    price: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    commitment: str | None = None
    pue: Annotated[float | None, Parameter(allow_leading_hyphen=True)] = None
    grid: str | None = None
    development: Annotated[float | None, Parameter(allow_leading_hyphen=True)] = None
    downstream: str | None = None
    worth_per_nat: str | None = None

    @property
    def given(self) -> bool:
        """Whether any of them was."""
        return any(getattr(self, one.name) is not None for one in fields(self))


_PLACES: Mapping[str, str] = {
    "device": "machine.device",
    "devices_file": "machine.devices_file",
    "count": "machine.count",
    "calibrate": "machine.measurements",
    "deadline": "limits.deadline",
    "size": "needs.params",
    "tokens": "needs.tokens",
    "unique_tokens": "needs.tokens_unique",
    "epochs": "needs.max_epochs",
    "start_tokens": "needs.start_tokens",
    "bits": "needs.bits",
    "serve_prefill": "serving.prefill_tokens",
    "serve_decode": "serving.decode_tokens",
    "serve_device": "serving.device",
    "serve_batch": "serving.batch",
    "serve_memory": "serving.memory",
    "serve_latency": "serving.token_s",
    "serve_bits": "serving.bits",
    "context": "recipe.context",
    "batch_tokens": "recipe.batch_tokens",
    "vocabulary": "recipe.vocabulary",
    "shape": "recipe.shape",
    "layout": "recipe.layout",
    "precision": "recipe.precision",
    "keeping": "recipe.keeping",
    "optimiser": "recipe.optimiser",
    "price": "economy.price",
    "commitment": "economy.commitment",
    "pue": "economy.pue",
    "grid": "economy.grid",
    "development": "economy.development",
    "worth_per_nat": "economy.worth_per_nat",
    "downstream": "downstream",
}
"""Option to its place in a scenario: of a table, or beside the tables."""


def told_apart(asked: PlanOptions, options: FitOptions) -> tuple[PlanOptions, FitOptions]:
    """Give `--count` to whom it is meant: a number counts devices, a name is of a column."""
    told = (asked.count or "").strip()
    if not told or told[0] in "+-.0123456789":
        return asked, options
    return replace(asked, count=None), replace(options, count=told)


def tables_of(law: str, budgets: list[str], options: PlanOptions, base: Mapping[str, Any]) -> dict[str, Any]:
    """Put options over the tables of a file, if there was one.

    Raises
    ------
    InputError
        If a budget is none, or two are of one kind.
    """
    plain: dict[str, Any] = {
        key: dict(value) if isinstance(value, Mapping) else value for key, value in base.items()
    }
    if law:
        plain["law"] = law
    told: dict[str, str] = {} if options.deadline is None else {"deadline": options.deadline}
    for text in budgets:
        kind, value = parse_limit(text)
        name: str = "deadline" if kind == "seconds" else kind
        if name in told:
            raise InputError(
                f"{told[name]} and {text} are two limits of one kind, {name.replace('_', '-')}",
                hint="Give one of each kind; kinds may be combined.",
            )
        told[name] = text
        plain.setdefault("limits", {})[name] = value
    for name, place in _PLACES.items():
        value = getattr(options, name)
        if value is not None:
            table, dot, key = place.partition(".")
            (plain.setdefault(table, {}) if dot else plain)[key or place] = value
    return plain
