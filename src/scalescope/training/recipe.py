r"""The settings of every rung, as a rule of size and tokens rather than a table.

* **Batch** grows along the run, :math:`b(t) = b_0 (t / t_0)^{p}` tokens at token :math:`t`: the critical
  batch grows as the loss falls, and one trunk that serves many horizons then has at each of
  them about the batch that a run made for that horizon would use.
* **Matrices** take Muon updates, scaled by :math:`\sqrt{\max(1, \text{rows}/\text{columns})}`. An
  orthogonalised update has unit spectral norm whatever the width, which is the condition under which
  learning rates transfer across widths (Yang, Simon & Bernstein 2023, https://arxiv.org/abs/2310.17813).
* **Embedding and norms** take AdamW updates with one rate at every width, the **head** with a rate
  :math:`\propto 1/d`: the rules of muP (Yang & Hu 2021, https://arxiv.org/abs/2011.14522).
* **Schedule**: linear warm-up, constant trunk, and for each horizon a branch that cools down along
  :math:`1 - \sqrt{x}` (Hägele et al. 2024, https://arxiv.org/abs/2405.18392); others are in `schedules`.

What these rules leave over, a slow fall of the best rate with width at the sizes and token counts of a
study, was measured (`benchmarks/recipe.py --part rates`) and is `width_power`. One number, `rate`, multiplies
all learning rates; a study measures it once, on its smallest rung. Every field is a lever: see `levers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from scalescope.cost import Shape
from scalescope.errors import InputError, nearest
from scalescope.training.rates import PEAKS, Optimizer, Parametrisation, Rates

ScheduleName = Literal["wsd", "cosine", "linear", "constant"]
Init = Literal["auto", "zero-out", "normal"]

CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": get_args(Optimizer),
    "parametrisation": get_args(Parametrisation),
    "init": get_args(Init),
    "schedule": get_args(ScheduleName),
}
SHARES = ("warmup_share", "cooldown_share", "floor", "momentum", "beta1", "beta2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a rung is trained.  The defaults were measured by `benchmarks/recipe.py`."""

    optimizer: Optimizer = "muon"
    """`muon` takes the matrices and leaves the rest to AdamW; the others take everything."""
    parametrisation: Parametrisation = "mup"
    """How rates depend on width: by the rules above, or one rate for all widths."""
    init: Init = "auto"
    """What writes into the stream, and the head, start at zero or drawn; auto: at zero under `mup`."""
    rate: float = 1.0
    """Multiplies all learning rates."""
    width_power: float = 0.5
    """Under `mup` all rates fall with this power of the width, beyond what their rules say; 1 at width 32."""
    rates: Rates | None = None
    """Peak learning rates; those of the table in `rates` if None."""
    momentum: float = 0.9
    """Of Muon."""
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0
    """Decoupled, times the learning rate; of matrices and head."""
    decay_all: bool = False
    """Whether embeddings, norms and other vectors decay too."""
    clip: float = 1.0
    """Largest norm of all gradients together; 0 for no limit."""
    z_loss: float = 0.0
    """Weight of the squared log of the softmax's sum (PaLM, https://arxiv.org/abs/2204.02311), which no
    reported loss has."""
    batch_tokens: float = 512.0
    """b0: tokens a step at token t0."""
    batch_reference: float = 2e5
    """t0."""
    batch_power: float = 0.4
    """0 for a constant batch."""
    schedule: ScheduleName = "wsd"
    warmup_share: float = 0.05
    """Of the first horizon, in tokens, but never more than one token a parameter."""
    warmup_steps: int = 10
    """At least this many steps."""
    cooldown_share: float = 0.25
    """Of each horizon, under `wsd`."""
    cooldown_steps: int = 20
    """At least this many steps, but never more than half of the horizon."""
    floor: float = 0.0
    """Share of the peak at which a schedule ends."""

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise InputError(
                    f"recipe: no {name} is called {getattr(self, name)!r}",
                    hint=nearest(str(getattr(self, name)), known),
                )
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"recipe: {name} must lie in 0 to 1, got {getattr(self, name):g}")
        for name in ("rate", "batch_tokens", "batch_reference"):
            if not getattr(self, name) > 0:
                raise InputError(f"recipe: {name} must be above 0, got {getattr(self, name):g}")
        for name in ("clip", "z_loss", "weight_decay", "warmup_steps", "cooldown_steps"):
            if not getattr(self, name) >= 0:
                raise InputError(
                    f"recipe: {name} must not be negative, got {getattr(self, name):g}",
                    hint="Give 0 for none.",
                )

    @property
    def peaks(self) -> Rates:
        """Peak learning rates before `rate` and width."""
        return self.rates or PEAKS[self.optimizer, self.parametrisation]

    @property
    def zero_out(self) -> bool:
        """Whether what writes into the stream starts at zero."""
        return self.init == "zero-out" or (self.init == "auto" and self.parametrisation == "mup")

    @property
    def shares_trunk(self) -> bool:
        """Whether one run serves all horizons; else each is a run of its own."""
        return self.schedule in ("wsd", "constant")

    def rate_at(self, width: int) -> float:
        """Return what multiplies all learning rates at a width."""
        if self.parametrisation == "standard":
            return self.rate
        return float(self.rate * (32 / width) ** self.width_power)

    def batch(self, position: float, context: int) -> int:
        """Sequences of the step that begins at token `position`."""
        growth = (max(position, 1.0) / self.batch_reference) ** self.batch_power
        return max(4, round(float(self.batch_tokens * growth) / context))

    def warmup_tokens(self, shape: Shape, first_horizon: float) -> float:
        """Length of the linear warm-up in tokens."""
        floor = self.warmup_steps * self.batch(1.0, shape.context) * shape.context
        return max(floor, min(self.warmup_share * first_horizon, shape.params_matmul))

    def branch_point(self, horizon: float, context: int) -> float:
        """Token at which the cooldown of a horizon begins, its end where there is none."""
        if self.schedule == "constant":
            return horizon
        floor = self.cooldown_steps * self.batch(horizon, context) * context
        return horizon - min(max(self.cooldown_share * horizon, floor), 0.5 * horizon)


def steps_to(recipe: Recipe, context: int, start: float, stop: float) -> list[int]:
    """Sequences of each step from token `start` until `stop` is reached; the last step is cut to fit."""
    sizes = []
    position = start
    while position + context / 2 < stop:
        size = min(recipe.batch(position, context), max(1, round((stop - position) / context)))
        sizes.append(size)
        position += size * context
    return sizes
