r"""How far the parabolas of approach 2 miss on one's own grid, and the optimum without that.

Along a budget the loss is not a parabola in :math:`\ln N`: where size and data fall with different exponents
one side is steeper, and least squares puts the vertex off the minimum, the more the wider the grid and the
farther its centre from the optimum (Open Athena 2025, https://github.com/Open-Athena/scaling-law-analysis).
How far depends on the surface and on where the runs lie, not on their noise. So:

1. a surface :math:`\hat L(N, D)` is fitted to the same runs;
2. its noise-free losses at the runs' own sizes and tokens go through the same parabolas;
3. vertex minus true minimum, in :math:`\ln N` and :math:`\ln D`, is the bias of each budget;
4. it is taken off the vertices of the real losses, and the power laws are drawn again.

The minimum that step 3 compares with is the one along the budget's own relation of tokens to size, so
tables whose compute is not 6 N D are served too. Only the shape of the surface enters, so the correction is
known far better than the optimum itself. In simulated grids (5 budgets, 7 sizes, within 4 to 16 times the
optimum, noise of 0.2%) it left -0.2 to -0.6% of N* in the mean, with a standard error of 0.2 to 0.4%, where
the bias was 1.5 to 30%; its own standard deviation was 0.1 to 0.5%, and 0.4 to 2.5% at a noise of 1%. It is
as right as the form of the surface: on losses that are parabolas indeed it puts in what it should take off.
What noise does to a vertex stays: at 1% and a grid centred 3 times off, N* was 7.6% low (standard error 2.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from scalescope.errors import InputError
from scalescope.fitting.clusters import cluster_labels
from scalescope.fitting.inputs import variables_of
from scalescope.fitting.isoflop import find_valleys, power_line
from scalescope.fitting.objective import Objective
from scalescope.fitting.parametric import find_optimum
from scalescope.fitting.solver import minimise
from scalescope.fitting.valleys import Valley
from scalescope.fitting.vertex_bias import VertexBias, stack_bends, vertex_bias
from scalescope.laws import Law, get_law
from scalescope.points import Array, Estimate, Finding, Provenance, Runs, from_plain, to_plain
from scalescope.units import format_flop, format_percent

WORTH_SAYING = 0.01
"""Relative bias of N* or D* above which a finding is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """One quantity by approach 2: as the parabolas give it, its bias, and without it."""

    raw: Estimate
    bias: Estimate
    """Relative for N* and D* (-0.01 is 1% too low), a difference for exponents."""
    corrected: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoflopBias:
    """What the parabolas' bias is on a grid.  Built by `isoflop_bias`, not by hand."""

    schema: ClassVar[str] = "scalescope.isoflop-bias/1"

    compute: float
    """FLOP at which N* and D* are given."""
    law: str
    """The surface that was fitted to the same runs, or whose coefficients were given."""
    size: Corrected
    """N*."""
    tokens: Corrected
    """D*."""
    tokens_per_param: Corrected
    size_exponent: Corrected
    """a of N* = G C^a."""
    token_exponent: Corrected
    """b of D* = H C^b."""
    budgets: tuple[float, ...]
    """FLOP of every budget used."""
    size_bias: tuple[float, ...]
    """Relative bias of the vertex at each of them."""
    level: float
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """A few lines for a terminal."""
        from scalescope.units import format_count, format_significant

        rows = (
            ("N*", self.size, format_count, format_percent),
            ("D*", self.tokens, format_count, format_percent),
            ("D/N", self.tokens_per_param, format_significant, format_percent),
            ("a", self.size_exponent, format_significant, format_significant),
            ("b", self.token_exponent, format_significant, format_significant),
        )
        lines = [f"Approach 2 at {format_flop(self.compute)}, and its bias on these runs under {self.law}"]
        lines += [
            f"  {name:<3} {one.raw.text(show)}, bias {one.bias.text(off)}, corrected "
            f"{one.corrected.text(show)}"
            for name, one, show, off in rows
        ]
        return "\n".join(lines + [str(finding) for finding in self.findings])

    def frame(self) -> list[dict[str, Any]]:
        """Tidy rows, one for each of N*, D*, D/N, a and b."""
        named = {
            "N*": self.size,
            "D*": self.tokens,
            "D/N": self.tokens_per_param,
            "a": self.size_exponent,
            "b": self.token_exponent,
        }
        return [
            {
                "quantity": name,
                "compute": self.compute,
                "raw": one.raw.value,
                "bias": one.bias.value,
                "corrected": one.corrected.value,
                "low": one.corrected.low,
                "high": one.corrected.high,
                "level": self.level,
            }
            for name, one in named.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` reads them back."""
        return to_plain(self, self.schema)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> IsoflopBias:
        """Read what `to_dict` wrote."""
        return from_plain(cls, data, cls.schema)


def isoflop_bias(
    runs: Runs,
    *,
    compute: float | None = None,
    law: str = "chinchilla",
    surface: Mapping[str, float] | None = None,
    resamples: int = 200,
    level: float = 0.9,
    seed: int = 0,
) -> IsoflopBias:
    """Measure the bias of approach 2 on the grid of the runs, and take it off.

    Intervals are made from losses of the surface plus the noise that the parabolas leave over, with random
    signs, one a training run; surface, vertices and bias are found again from each.

    Parameters
    ----------
    runs
        With three budgets or more; see `fit` with the law `isoflop`.
    compute
        FLOP at which N* and D* are wanted; ten times the dearest budget if not given.
    law
        In N and D; its fit to the same runs gives the surface.
    surface
        Coefficients of that law, if they are known and need no fit.
    resamples
        Behind every interval; 0 gives intervals that are nan.
    level
        Share of the resamples inside every interval.
    seed
        Of the resamples.

    Raises
    ------
    InputError
        If the law is not in N and D, or fewer than three budgets have a bracketed minimum.
    FitError
        If the surface could not be fitted.
    """
    form, free = get_law(law), runs.fitted()
    if set(form.variables) != {"N", "D"}:
        raise InputError(f"{law} is not a surface in N and D", hint="chinchilla is one.")
    valleys, left_out = find_valleys(free)
    at = 10 * max(valley.compute for valley in valleys) if compute is None else compute
    draws = _Draws.make(form, free, valleys, surface, resamples, seed)
    found = _corrected(draws, float(np.log(at)), level)
    return IsoflopBias(
        compute=at,
        law=law,
        size=found["size"],
        tokens=found["tokens"],
        tokens_per_param=found["tokens_per_param"],
        size_exponent=found["size_exponent"],
        token_exponent=found["token_exponent"],
        budgets=tuple(valley.compute for valley in valleys),
        size_bias=tuple(np.expm1(draws.bias.log_size[0]).tolist()),
        level=level,
        findings=(*left_out, *_doubts(at, found["size"], found["tokens"])),
        provenance=Provenance(
            source=runs.provenance.source,
            options={"law": law, "resamples": resamples, "level": level, "compute": at},
            seed=seed,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draws:
    """Vertices and their bias: row 0 from the real losses, a row for each resample after it."""

    log_compute: Array
    log_size: Array
    log_tokens: Array
    variance: Array
    bias: VertexBias

    @classmethod
    def make(
        cls,
        form: Law,
        runs: Runs,
        valleys: tuple[Valley, ...],
        surface: Mapping[str, float] | None,
        resamples: int,
        seed: int,
    ) -> _Draws:
        """Fit surface and parabolas to the losses and to every resample of them."""
        objective = Objective(law=form, x=variables_of(form, runs))
        if surface is not None:
            warm = objective.fitted(np.array([[surface[name] for name in form.coefficients]]))
        else:
            warm = find_optimum(objective, runs.loss).warm
        theta = objective.natural(warm[:1])
        losses = _resampled(runs, valleys, form.value(theta[0], **objective.x), resamples, seed)
        if surface is not None:
            every = np.tile(theta, (len(losses), 1))
        else:
            y = np.log(losses[1:])
            drawn = minimise(
                objective, np.tile(warm[:1], (len(y), 1)), y, np.ones((1, len(runs))), tolerance=1e-7
            )
            every = np.concatenate([theta, objective.natural(drawn.phi)])
        bends = [valley.bend(losses[:, valley.rows]) for valley in valleys]
        return cls(
            log_compute=np.log([valley.compute for valley in valleys]),
            log_size=stack_bends(bends, "log_size"),
            log_tokens=stack_bends(bends, "log_tokens"),
            variance=stack_bends(bends, "size_variance"),
            bias=vertex_bias(form, every, valleys),
        )


def _resampled(runs: Runs, valleys: tuple[Valley, ...], smooth: Array, resamples: int, seed: int) -> Array:
    """Losses, shape (1 + resamples, n_runs): the real ones, then the surface's with resampled noise.

    The noise is what the parabolas leave over, divided by one minus the leverage, times a random sign for
    each training run. Runs of no budget keep their loss.
    """
    labels = cluster_labels(runs)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(resamples, int(labels.max()) + 1))
    losses = np.tile(runs.loss, (1 + resamples, 1))
    for valley in valleys:
        rows = valley.rows
        left = runs.loss[rows] - valley.bend(runs.loss[rows][None]).fitted[0]
        wide = left / np.maximum(1 - valley.leverage, 0.05)
        losses[1:, rows] = np.maximum(smooth[rows] + signs[:, labels[rows]] * wide, 1e-3 * smooth[rows])
    return losses


def _corrected(draws: _Draws, log_C: float, level: float) -> dict[str, Corrected]:
    """Power laws through the vertices and through their biases, with the same weights."""
    finite = np.isfinite(draws.log_size) & np.isfinite(draws.bias.log_size)

    def line(y: Array) -> tuple[Array, Array]:
        start, slope = power_line(draws.log_compute, np.where(finite, y, 0.0), draws.variance, finite)
        return start + slope * log_C, slope

    (size, a), (size_off, a_off) = line(draws.log_size), line(draws.bias.log_size)
    (tokens, b), (tokens_off, b_off) = line(draws.log_tokens), line(draws.bias.log_tokens)
    return {
        "size": _assemble(size, size_off, level, logged=True),
        "tokens": _assemble(tokens, tokens_off, level, logged=True),
        "tokens_per_param": _assemble(tokens - size, tokens_off - size_off, level, logged=True),
        "size_exponent": _assemble(a, a_off, level, logged=False),
        "token_exponent": _assemble(b, b_off, level, logged=False),
    }


def _assemble(raw: Array, bias: Array, level: float, *, logged: bool) -> Corrected:
    """Row 0 is the estimate.

    The resamples are spread around the surface, not around the vertices, so their spread, not their place,
    is what the intervals take from them.
    """

    def estimate(rows: Array, show: Callable[[Array], Array]) -> Estimate:
        moved = rows[1:] - np.nanmedian(rows[1:]) + rows[0] if rows.size > 1 else rows[1:]
        return Estimate.from_samples(float(show(rows[0])), show(moved), level)

    natural: Callable[[Array], Array] = np.exp if logged else np.asarray
    return Corrected(
        raw=estimate(raw, natural),
        bias=estimate(bias, np.expm1 if logged else np.asarray),
        corrected=estimate(raw - bias, natural),
    )


def _doubts(compute: float, size: Corrected, tokens: Corrected) -> tuple[Finding, ...]:
    if max(abs(size.bias.value), abs(tokens.bias.value)) < WORTH_SAYING:
        return ()
    text = (
        f"On this grid parabolas put N* off by {format_percent(size.bias.value)} and D* by "
        f"{format_percent(tokens.bias.value)} at {format_flop(compute)}."
    )
    hint = "Use the corrected optimum, or a narrower grid centred on the minima."
    return (Finding(code="FIT050", text=text, hint=hint),)
