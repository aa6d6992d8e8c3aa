"""A bench from names to cells: what is asked, what is predicted, what is measured, what is shared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from scalescope.cost.calibration import Calibration
from scalescope.cost.gate import gate
from scalescope.cost.prediction import predict
from scalescope.errors import InputError
from scalescope.executors import Executor
from scalescope.inference.calibrate import calibration_of
from scalescope.inference.cell_results import identity_of, owner_of, without_running
from scalescope.inference.cgroups import free_bytes
from scalescope.inference.distributions import Distribution, read_distribution
from scalescope.inference.driver import Driver, Status
from scalescope.inference.finding_models import doubts_about, find_model
from scalescope.inference.group import Group, passed_over
from scalescope.inference.machine import describe_machine
from scalescope.inference.models import Model
from scalescope.inference.requests import CellRequest, Limits
from scalescope.inference.settings import Settings
from scalescope.inference.wall import WallSearch
from scalescope.inference.weights import default_cache
from scalescope.inference.workloads import obstacle, workloads_for
from scalescope.ledgers import Ledger
from scalescope.points import BenchMachine, Cell, Cells, Finding, Provenance, State, write_json

RESERVE_BYTES = 512 << 20
"""Memory left to the rest of the machine."""
SECONDS_MARGIN = 0.8
"""A call predicted to take more than this share of a cell's time is not tried."""

PREDICTION = "prediction"
"""Title of cells that were not run."""

Watch = Callable[[Status], None]


def expect(settings: Settings, *, calibration: Calibration | None = None) -> Cells:
    """Predict every cell without running any.

    Raises
    ------
    InputError
        If no model is known, or a workload is impossible for all.
    """
    calibration = calibration or calibration_of(settings.threads, settings.device, fresh=settings.recalibrate)
    models, findings = find_models(settings.models)
    texts = _texts(settings)
    requests = [one for model in models for one in requests_of(model, settings, calibration, texts)]
    cells = tuple(_expected_cell(request) for request in requests)
    return _bench(settings, calibration, cells, (*findings, *_told(texts)), title=PREDICTION)


def measure(
    settings: Settings,
    *,
    out: Path,
    executor: Executor,
    watch: Watch = lambda _: None,
    calibration: Calibration | None = None,
) -> Cells:
    """Measure every cell that can be expected to run; the same call goes on where an earlier one stopped.

    Parameters
    ----------
    settings
        What is asked.
    out
        Folder of the bench: ledger and calibration.
    executor
        Where the groups of cells run; one at a time on this machine, or their times disturb each other.
    watch
        Is told how it goes.
    calibration
        Of the machine that measures; made if not given.

    Raises
    ------
    InputError
        If no model is known, or the folder holds something else.
    LedgerError, RunError
        If the folder cannot be used.
    """
    models, findings = find_models(settings.models)
    texts = _texts(settings)
    with Ledger.open(out, kind="bench") as ledger:
        calibration = calibration or _kept_calibration(ledger, settings)
        ledger.claim(_identity(settings, calibration))
        ledger.reset_interrupted()
        asked = {model.name: tuple(requests_of(model, settings, calibration, texts)) for model in models}
        driver = Driver(ledger, executor, watch)
        driver.run(list(_groups(models, asked, settings)), needs=_needs(settings, calibration, asked))
        measured = driver.cells()
        findings += (*_told(texts), *ledger.findings())
    cells = _in_order(models, asked, measured, wall=settings.to_the_wall)
    return _bench(settings, calibration, _gated(cells, models, calibration), findings, title=out.name)


def _texts(settings: Settings) -> Distribution | None:
    return None if settings.distribution is None else read_distribution(settings.distribution)


def _told(texts: Distribution | None) -> tuple[Finding, ...]:
    return () if texts is None else texts.findings


def find_models(names: Iterable[str]) -> tuple[tuple[Model, ...], tuple[Finding, ...]]:
    """Find every model; those that are unknown become findings, so that the rest of a bench goes on.

    Raises
    ------
    InputError
        If none is known.
    """
    found: dict[str, Model] = {}
    findings, last = [], None
    for name in names:
        try:
            model = find_model(name)
        except InputError as error:
            last = error
            findings.append(Finding(code="BEN100", text=f"{error}.".replace("..", "."), hint=error.hint))
        else:
            if found.setdefault(model.name, model) != model:
                findings.append(_namesake(name, model))
    if last is not None and not found:
        raise last
    return tuple(found.values()), (*findings, *_doubts(found.values()))


def _doubts(models: Iterable[Model]) -> tuple[Finding, ...]:
    """Say what is not certain about the models, each kind of doubt once."""
    by_code: dict[str, list[Finding]] = {}
    for model in models:
        for finding in doubts_about(model):
            alike = by_code.setdefault(finding.code, [])
            if finding not in alike:
                alike.append(finding)
    return tuple(
        alike[0]
        if len(alike) == 1
        else replace(alike[0], text=f"{alike[0].text} So with {len(alike) - 1} more.")
        for alike in by_code.values()
    )


def _namesake(name: str, model: Model) -> Finding:
    text = f"{name} was left out: another model of this bench is called {model.name}, too."
    return Finding(
        code="BEN101", text=text, hint="Rename its folder or file, or give each a bench of its own."
    )


def requests_of(
    model: Model, settings: Settings, calibration: Calibration, texts: Distribution | None = None
) -> Iterator[CellRequest]:
    """Yield the cells that are asked of a model, each with what is predicted for it."""
    workloads = workloads_for(
        model,
        lengths=settings.lengths,
        kind=settings.kind,
        task=settings.task,
        batches=settings.batches,
        new_tokens=settings.new_tokens,
        distribution=texts,
        batching=settings.batching,
        head=settings.head,
        seed=settings.seed,
    )
    free = _free(settings)
    for workload in workloads:
        for dtype in settings.dtypes:
            for attention in dict.fromkeys(_offered(model, one) for one in settings.attentions):
                request = CellRequest(
                    model=model,
                    workload=workload,
                    dtype=dtype,
                    attention=attention,
                    compiled=settings.compiled,
                    device=settings.device,
                    threads=settings.threads,
                    cache=settings.cache or default_cache(),
                    seed=settings.seed,
                    limits=Limits(memory_bytes=None if free is None else int(free), seconds=settings.seconds),
                    effort=settings.effort,
                    matmul_flop_per_s=calibration.rates.ceiling(dtype),
                    watts=settings.watts,
                    grid=settings.grid,
                )
                expected = predict(
                    model.anatomy,
                    workload,
                    calibration,
                    dtype=dtype,
                    attention=attention,
                    free_bytes=free,
                    seconds_limit=settings.seconds * SECONDS_MARGIN,
                    obstacle=obstacle(model, workload, attention=attention) or "",
                )
                yield replace(request, expected=expected)


def _offered(model: Model, attention: Any) -> Any:
    """Fall back to the plain implementation where a class has no other."""
    kinds = model.anatomy.attention_kinds
    return attention if attention in kinds or attention == "flex" or not kinds else "eager"


def _free(settings: Settings) -> float | None:
    free = free_bytes()
    known = None if free is None else float(free - RESERVE_BYTES)
    if settings.memory_bytes is None:
        return known
    return min(float(settings.memory_bytes), known) if known is not None else float(settings.memory_bytes)


def _groups(
    models: Sequence[Model], asked: dict[str, tuple[CellRequest, ...]], settings: Settings
) -> Iterator[Group]:
    """Yield a group for every architecture: the first model that has it is measured, for all.

    A model with weights of its own is always measured, so that they are read.
    """
    seen: set[str] = set()
    for model in models:
        owners = {owner_of(request) for request in asked[model.name]}
        if owners <= seen:
            continue
        seen |= owners
        yield Group(
            requests=asked[model.name],
            wall=WallSearch() if settings.to_the_wall else None,
            force=settings.force,
            cache_bytes=settings.cache_bytes,
        )


def _needs(
    settings: Settings, calibration: Calibration, asked: dict[str, tuple[CellRequest, ...]]
) -> dict[str, float]:
    """Reserve the share of a GPU that the largest predicted cell takes; nothing for a processor."""
    if not settings.device.startswith("cuda"):
        return {}
    peaks = [
        one.expected.memory_bytes
        for requests in asked.values()
        for one in requests
        if one.expected is not None and one.expected.memory_bytes is not None and one.expected.state == "ok"
    ]
    whole = describe_machine(calibration.rates).device_memory_bytes
    share = max(peaks, default=0.0) / whole if whole else 1.0
    return {"gpus": min(1.0, max(0.01, share))}


def _in_order(
    models: Sequence[Model],
    asked: dict[str, tuple[CellRequest, ...]],
    measured: Sequence[Cell],
    *,
    wall: bool,
) -> tuple[Cell, ...]:
    """Put the cells in the order in which they were asked, shared ones repeated for every model."""
    known = {identity_of(cell): cell for cell in measured}
    out = []
    for model in models:
        keys = dict.fromkeys(identity_of(request) for request in asked[model.name])
        if wall:
            owners = {owner_of(request) for request in asked[model.name]}
            keys |= dict.fromkeys(key for key, cell in known.items() if owner_of(cell) in owners)
        found = [known[key] for key in keys if key in known]
        found += _not_tried(asked[model.name], found)
        order = {identity_of(request): place for place, request in enumerate(asked[model.name])}
        last = len(order)
        found.sort(key=lambda cell: (order.get(identity_of(cell), last), cell.workload.length))
        out += [cell if cell.model == model.name else _shared(cell, model) for cell in found]
    return tuple(out)


def _not_tried(asked: Sequence[CellRequest], measured: Sequence[Cell]) -> list[Cell]:
    """Say of every request without a cell why it was not tried."""
    ended: dict[str, dict[int, State]] = {}
    for cell in measured:
        ended.setdefault(cell.setting, {})[cell.workload.length] = cell.state
    known = {identity_of(cell) for cell in measured}
    missing = [request for request in asked if identity_of(request) not in known]
    return [
        passed_over(request, ended.get(request.setting, {}))
        or without_running(request, "skipped", "not reached: the bench was ended before it")
        for request in missing
    ]


def _shared(cell: Cell, model: Model) -> Cell:
    return replace(cell, model=model.name, category=model.category, shared_from=cell.model, wall_s=None)


def _gated(cells: Sequence[Cell], models: Sequence[Model], calibration: Calibration) -> tuple[Cell, ...]:
    """Mark the cells whose figures cannot be right."""
    machine = describe_machine(calibration.rates)
    launches = {model.architecture: model.anatomy.launches for model in models}
    alike: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        alike.setdefault((cell.model, cell.setting), []).append(cell)
    return tuple(
        _doubted(
            cell, machine, alike[cell.model, cell.setting], launches.get(cell.architecture, 0), calibration
        )
        for cell in cells
    )


def _doubted(
    cell: Cell, machine: BenchMachine, alike: Sequence[Cell], launches: int, calibration: Calibration
) -> Cell:
    if not cell.ok:
        return cell
    seconds = launches * calibration.rates.launch_s
    return replace(cell, doubts=gate(cell, machine, alike, launch_seconds=seconds))


def _expected_cell(request: CellRequest) -> Cell:
    expected = request.expected
    assert expected is not None
    return without_running(request, expected.state, expected.cause)


def _kept_calibration(ledger: Ledger, settings: Settings) -> Calibration:
    """Return what the folder was begun with, so that all its predictions come from one calibration."""
    kept = ledger.meta("calibration")
    if kept is not None and not settings.recalibrate:
        return Calibration.from_dict(kept)
    made = calibration_of(settings.threads, settings.device, fresh=settings.recalibrate)
    ledger.set_meta("calibration", made.to_dict())
    write_json(ledger.folder / "calibration.json", made.to_dict())
    return made


def _identity(settings: Settings, calibration: Calibration) -> dict[str, Any]:
    """What makes the cells of one folder comparable."""
    return {
        "kind": "bench",
        "device": settings.device,
        "threads": settings.threads,
        "processor": calibration.rates.name,
        "libraries": dict(calibration.rates.libraries),
        "effort": msgspec.to_builtins(settings.effort),
        "seed": settings.seed,
    }


def _bench(
    settings: Settings,
    calibration: Calibration,
    cells: tuple[Cell, ...],
    findings: tuple[Finding, ...],
    *,
    title: str,
) -> Cells:
    machine: BenchMachine = describe_machine(calibration.rates)
    return Cells(
        cells=cells,
        machine=machine,
        title=title,
        findings=(*findings, *calibration.findings),
        provenance=Provenance(
            source="scalescope bench",
            seed=settings.seed,
            options={
                "models": len(settings.models),
                "lengths": ",".join(map(str, settings.lengths)),
                "dtypes": ",".join(settings.dtypes),
                "attentions": ",".join(settings.attentions),
                "threads": settings.threads,
                "device": settings.device,
                "seconds": settings.seconds,
            },
        ),
    )
