"""What the present device reaches: products, copies, attention and whole training steps, in a minute.

The rows have the columns of `cost.step_table`, so that `--calibrate` reads them back. The fastest product,
copy and attention stand in for the data sheet that the present device may not have; whole steps of the
project's own model then tell the shares of them that a training reaches.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from scalescope.cost import Shape
from scalescope.cost.step_constants import StepConstants
from scalescope.cost.step_table import COLUMNS
from scalescope.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    import torch

Row = dict[str, str | float | int]

REPEATS = 5
"""Steps of one kind, of which the median counts, where time allows."""
SIZES = (256, 512, 1024, 2048, 4096, 8192)
"""Of square products."""


def _shape(width: int, n_layers: int, context: int, vocabulary: int = 4096) -> Shape:
    return Shape(
        width=width,
        n_layers=n_layers,
        n_heads=max(1, width // 64),
        n_kv_heads=max(1, width // 64),
        feed_forward=4 * width,
        vocabulary=vocabulary,
        context=context,
    )


SHAPES: tuple[tuple[Shape, int], ...] = tuple(
    (_shape(width, layers, context), batch)
    for width, layers, context in (
        (128, 2, 128),
        (256, 4, 128),
        (128, 4, 512),
        (256, 2, 512),
        (512, 4, 256),
        (512, 8, 256),
        (1024, 4, 512),
        (1024, 12, 1024),
        (2048, 16, 1024),
        (4096, 8, 2048),
    )
    for batch in (1, 4)
)
"""Shapes and sequences of a step, the small ones first; those that time does not allow are left out."""


def probe_steps(
    seconds: float = 60.0,
    *,
    device: str | None = None,
    shapes: Sequence[tuple[Shape, int]] = SHAPES,
    sizes: Sequence[int] = SIZES,
) -> list[Row]:
    """Time training steps of the present device.

    Parameters
    ----------
    seconds
        Most wall time, about; what is under way when it ends is finished.
    device
        `cpu` or `cuda`; the accelerator where there is one if None.
    shapes
        Shapes and sequences of one step, in the order in which they are tried.
    sizes
        Of the square products that stand in for the peak.

    Returns
    -------
    list
        One row a shape, at least one.

    Raises
    ------
    InputError
        If there is no such device or no time.
    """
    if not seconds > 0:
        raise InputError(f"a probe needs some seconds, got {seconds:g}", hint="A minute tells most.")
    try:
        import torch
    except ImportError:
        raise MissingExtraError("torch", "train") from None
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        raise InputError(f"there is no device {kind!r} to probe here", hint="Known: cpu, cuda.")
    return _Probe(kind, time.perf_counter() + seconds).rows(shapes, sizes, seconds)


def write_steps(rows: Sequence[Row], path: str | Path) -> None:
    """Write rows as CSV, with those columns that any of them has, in the order of the documentation."""
    used = [name for name in COLUMNS if any(name in row for row in rows)]
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, used, restval="")
        writer.writeheader()
        writer.writerows(rows)


class _Probe:
    """One device, and when to stop."""

    def __init__(self, kind: str, end: float) -> None:
        import torch

        self.kind, self.end = kind, end
        self.precision = "bf16" if kind == "cuda" else "fp32"
        self.dtype: torch.dtype = torch.bfloat16 if kind == "cuda" else torch.float32
        self.name = torch.cuda.get_device_name() if kind == "cuda" else "cpu"

    def rows(self, shapes: Sequence[tuple[Shape, int]], sizes: Sequence[int], seconds: float) -> list[Row]:
        begun = time.perf_counter()
        machine = self.machine(sizes, begun + 0.2 * seconds)
        made: list[Row] = []
        for shape, batch in shapes:
            left = self.end - time.perf_counter()
            if made and (left < 0 or left < 8 * float(made[-1]["seconds"])):
                break
            made.append(self.row(shape, batch, machine))
        return made

    def machine(self, sizes: Sequence[int], end: float) -> Row:
        """Measure what a data sheet would say; links within one device are its memory."""
        flop = self.fastest(sizes, end, self._product, lambda size: 2.0 * size**3)
        moved = self.fastest(sizes, end, self._copy, lambda size: 8.0 * size * size)
        return {
            "device": self.name,
            "precision": self.precision,
            "flop_per_s": flop,
            # the usual share of it is what attention by itself reached here
            "attention_flop_per_s": self.attention() / float(StepConstants().attention),
            "bytes_per_s": moved,
            "near_bytes_per_s": moved,
            "far_bytes_per_s": moved,
            "node": 1,
        }

    def fastest(
        self,
        sizes: Sequence[int],
        end: float,
        make: Callable[[int], Callable[[], object]],
        amount: Callable[[int], float],
    ) -> float:
        """Return the best rate over sizes, from small to large until time is up."""
        best = 0.0
        for size in sizes:
            if best and time.perf_counter() > end:
                break
            best = max(best, amount(size) / self.timed(make(size)))
        return best

    def attention(self, heads: int = 8, context: int = 512, size: int = 64) -> float:
        """Measure the FLOP/s of causal attention forward, of the pairs that are seen."""
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        one = torch.ones(1, heads, context, size, dtype=self.dtype, device=self.kind)
        taken = self.timed(lambda: scaled_dot_product_attention(one, one, one, is_causal=True))
        return 2.0 * heads * size * context**2 / taken

    def _product(self, size: int) -> Callable[[], object]:
        import torch

        left, right = (torch.ones(size, size, dtype=self.dtype, device=self.kind) for _ in range(2))
        return lambda: torch.mm(left, right)

    def _copy(self, size: int) -> Callable[[], object]:
        import torch

        source = torch.ones(size, size, dtype=torch.float32, device=self.kind)
        target = torch.empty_like(source)
        return lambda: target.copy_(source)

    def row(self, shape: Shape, batch: int, machine: Row) -> Row:
        """Time whole steps of one shape."""
        told: Row = {
            name: getattr(shape, name)
            for name in (
                "width",
                "n_layers",
                "n_heads",
                "n_kv_heads",
                "feed_forward",
                "vocabulary",
                "context",
            )
        }
        return {
            "seconds": self.timed(self._step(shape, batch)),
            "layout": f"micro_batch={batch}",
            "global_batch": batch,
            "fused_attention": "yes" if self.kind == "cuda" else "no",
            **told,
            **machine,
        }

    def _step(self, shape: Shape, batch: int) -> Callable[[], object]:
        import torch

        from scalescope.training.optimizers import build_optimizers, set_rate
        from scalescope.training.recipe import Recipe
        from scalescope.training.stacked.transformer import StackedTransformer

        recipe = Recipe(optimizer="adamw")
        model = StackedTransformer(shape).to(self.kind)
        optimizers = build_optimizers(model, recipe)
        set_rate(optimizers, 1.0)
        windows = torch.randint(shape.vocabulary, (batch, shape.context + 1), device=self.kind)

        def step() -> None:
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            with self._autocast():
                loss = model.loss(windows[:, :-1], windows[:, 1:])
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            for optimizer in optimizers:
                optimizer.step()

        return step

    def _autocast(self) -> AbstractContextManager[Any]:
        import torch

        return torch.autocast("cuda", dtype=self.dtype) if self.kind == "cuda" else nullcontext()

    def timed(self, work: Callable[[], object]) -> float:
        """Return the median seconds of some repeats after one that does not count."""
        self._once(work)
        taken: list[float] = []
        while len(taken) < REPEATS and (not taken or time.perf_counter() + taken[-1] < self.end):
            taken.append(self._once(work))
        return median(taken)

    def _once(self, work: Callable[[], object]) -> float:
        import torch

        start = time.perf_counter()
        work()
        if self.kind == "cuda":
            torch.cuda.synchronize()
        return max(time.perf_counter() - start, 1e-9)
