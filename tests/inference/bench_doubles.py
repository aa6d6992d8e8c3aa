"""Stand-ins for tests of the bench: small models, requests, and an executor that follows a script."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import msgspec

from scalescope.cost import Anatomy, Positions
from scalescope.cost.calibration import Calibration
from scalescope.cost.rates import Curve, MatmulTable, Rates
from scalescope.executors import Event
from scalescope.inference.crossing import built
from scalescope.inference.group import Group
from scalescope.inference.models import Model
from scalescope.inference.requests import CellRequest
from scalescope.points import Cell, Timing, Workload

TABLE = MatmulTable(rows=(1, 256), inner=(64, 4096), columns=(64, 4096), flop_per_s=(1e10,) * 4 + (1e11,) * 4)
CALIBRATION = Calibration(
    rates=Rates(
        matmul={"fp32": TABLE, "bf16": TABLE},
        sdpa={"fp32": Curve(sizes=(128.0, 2048.0), rates=(3e10, 6e10))},
        copy=Curve(sizes=(1e5, 1e8), rates=(4e10, 1e10)),
        launch_s=1e-5,
    )
)
"""Of no machine: a bench with it measures nothing beforehand."""


def model(name="lab/small", *, limit=None, architecture="a1"):
    anatomy = Anatomy(
        model_type="gpt2",
        bare_class="GPT2Model",
        head_class="GPT2LMHeadModel",
        params=1000,
        params_with_head=1000,
        hidden=8,
        n_layers=1,
        feed_forward=32,
        vocabulary=99,
        positions=Positions(kind="table" if limit else "rope", limit=limit),
    )
    return Model(name=name, architecture=architecture, model_type="gpt2", anatomy=anatomy, category="lab")


def request(length=128, *, of=None, **changed):
    return CellRequest(
        model=of or model(),
        workload=Workload(kind="prefill", length=length),
        cache=Path("cache"),
        **changed,
    )


def cell_for(asked, state="ok", seconds=0.1):
    return Cell(
        model=asked.model.name,
        category=asked.model.category,
        architecture=asked.model.architecture,
        workload=asked.workload,
        dtype=asked.dtype,
        attention=asked.attention,
        device=asked.device,
        random_weights=asked.model.weights is None,
        state=state,
        timing=Timing(samples=(seconds,)) if state == "ok" else None,
    )


class ScriptedNursery:
    """Answers calls as a script says: `answer(function, request)` gives an outcome, or raises."""

    pid = None
    findings = ()

    def __init__(self, answer):
        self.answer = answer
        self.calls = []

    def warm_up(self):
        pass

    def run(self, function, payload, limits, *, spawn=False):
        asked = built(CellRequest, payload["request"])
        name = function.rpartition(":")[2]
        self.calls.append((name, asked.workload.length, limits))
        return self.answer(name, asked)


class ScriptedExecutor:
    """Runs groups here at once.  `fate(request)` says how a cell ends: a state, or `dies`."""

    slots = 1

    def __init__(self, fate=lambda asked: "ok"):
        self.fate = fate
        self.tasks = []
        self.ran = []
        self._events = deque()

    def submit(self, task):
        self.tasks.append(task)
        group = built(Group, task.payload)
        self._events.append(Event(key=task.key, kind="started"))
        for asked in group.requests:
            self._events.append(Event(key=task.key, kind="message", data={"begun": asked.key}))
            self.ran.append(asked.key)
            end = self.fate(asked)
            if end == "dies":
                self._events.append(Event(key=task.key, kind="lost", data={"cause": "the node went away"}))
                return
            plain = msgspec.to_builtins(cell_for(asked, end))
            self._events.append(Event(key=task.key, kind="message", data={"cell": plain}))
        self._events.append(Event(key=task.key, kind="done", data={}))

    def events(self, timeout):
        while self._events:
            yield self._events.popleft()

    def cancel(self, key):
        self._events.clear()

    def close(self):
        self._events.clear()
