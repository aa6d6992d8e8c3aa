"""A run that was chosen, and a text that starts it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from scalescope.cost import Shape
from scalescope.cost.layout import Layout
from scalescope.cost.obstacles import way_out
from scalescope.cost.states import KEEPINGS, MOMENTS
from scalescope.errors import InputError, nearest
from scalescope.points import Finding

PRECISIONS = ("bf16", "fp16", "fp8", "fp32")
"""What products are computed in."""

SETTING = "PLN120"
"""A setting of the layout that a target does not have."""
ARCHITECTURE = "PLN121"
"""A part of the architecture that a target does not have, or that must be registered there by hand."""
RECIPE = "PLN122"
"""A precision, optimiser or way of keeping numbers that a target does not have."""
NAMING = "PLN124"
"""A device whose name at a target is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is trained, and how it is spread.

    Raises
    ------
    InputError
        If the shape cannot be spread so, the batch cannot be cut, devices are not whole nodes, or a name is
        unknown.
    """

    shape: Shape
    layout: Layout
    global_batch: int
    """Sequences of one step."""
    steps: int
    device: str = "h100"
    node: int = 8
    """Devices of one node."""
    precision: str = "bf16"
    keeping: str = "fsdp"
    """A key of `cost.states.KEEPINGS`."""
    optimiser: str = "adamw"
    """A key of `cost.states.MOMENTS`."""
    name: str = "scalescope"

    def __post_init__(self) -> None:
        for what, one, known in (
            ("precision", self.precision, PRECISIONS),
            ("way of keeping numbers", self.keeping, KEEPINGS),
            ("optimiser", self.optimiser, MOMENTS),
        ):
            if one not in known:
                raise InputError(f"no {what} is called {one!r}", hint=nearest(one, known))
        if not re.fullmatch(r"[A-Za-z][-_.A-Za-z0-9]*", self.name):
            raise InputError(
                f"a job cannot be called {self.name!r}", hint="Take letters, digits, dashes and points."
            )
        if obstacle := self.layout.obstacle(self.shape):
            near = way_out(self.shape, self.layout)
            hint = f"Nearest: {near}." if near else "Search for one that can be."
            raise InputError(f"layout {self.layout}: {obstacle}", hint=hint)
        if self.steps < 1 or self.node < 1:
            raise InputError(
                f"a run has steps and nodes, got {self.steps} steps and {self.node} devices a node"
            )
        if self.devices > self.node and self.devices % self.node:
            raise InputError(
                f"{self.devices} devices are not whole nodes of {self.node}",
                hint=f"Take a multiple of {self.node} devices.",
            )
        self.layout.micro_batches(self.global_batch)

    @property
    def devices(self) -> int:
        """All of them."""
        return self.layout.devices

    @property
    def nodes(self) -> int:
        """Machines."""
        return max(1, self.devices // self.node)

    @property
    def devices_per_node(self) -> int:
        """Processes that one machine starts."""
        return self.devices // self.nodes

    @property
    def micro_batches(self) -> int:
        """Passes of one step."""
        return self.layout.micro_batches(self.global_batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitted:
    """What starts a run under one program."""

    target: str
    text: str
    """Of a file or a shell command; what is not expressed stands in it as comments."""
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class Notes:
    """What a target cannot say, gathered while its text is written."""

    target: str
    findings: list[Finding] = field(default_factory=list)

    def lack(self, code: str, text: str, hint: str = "") -> None:
        """Note that something is not expressed, and what stands there instead."""
        self.findings.append(Finding(code=code, text=f"{self.target}: {text}", hint=hint))

    def comments(self) -> list[str]:
        """Return the findings as lines of comments."""
        return [f"# {one.code} {one.text} {one.hint}".rstrip() for one in self.findings]

    def emitted(self, lines: Sequence[str]) -> Emitted:
        """Put the comments before the text."""
        text = "\n".join([*self.comments(), *lines]) + "\n"
        return Emitted(target=self.target, text=text, findings=tuple(self.findings))


def head(job: Job) -> str:
    """Say in one comment what the text is for."""
    return (
        f"# {job.name}: {job.shape.params:,} parameters, {job.devices} devices ({job.nodes} nodes), "
        f"layout {job.layout}, {job.global_batch} sequences of {job.shape.context} tokens a step"
    )
