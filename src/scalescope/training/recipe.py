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
  :math:`1 - \sqrt{x}` (Hägele et al. 2024, https://arxiv.org/abs/2405.18392).

What these rules leave over, a slow fall of the best rate with width at the sizes and token counts of a
study, was measured (`benchmarks/recipe.py --part rates`) and is `width_power`. One number, `rate`, multiplies
all learning rates; a study measures it once, on its smallest rung.
"""

from __future__ import annotations

from dataclasses import dataclass

from scalescope.cost import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a rung is trained.  The defaults were measured by `benchmarks/recipe.py`."""

    rate: float = 1.0
    """Multiplies all learning rates."""
    width_power: float = 0.5
    """All rates fall with this power of the width, beyond what their rules above say; 1 at width 32."""
    matrix_rate: float = 0.03
    head_rate: float = 0.016
    """At width 64."""
    embedding_rate: float = 0.11
    norm_rate: float = 0.007
    optimizer: str = "muon"
    """`muon` for the matrices, or `adamw` for everything."""
    matrix_rate_adamw: float = 0.004
    """At width 64, used instead of `matrix_rate` under `adamw`; falls with 1/d."""
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0
    clip: float = 1.0
    batch_tokens: float = 512.0
    """b0: tokens a step at token t0."""
    batch_reference: float = 2e5
    """t0."""
    batch_power: float = 0.4
    warmup_share: float = 0.05
    """Of the first horizon, in tokens, but never more than one token a parameter."""
    warmup_steps: int = 10
    """At least this many steps."""
    cooldown_share: float = 0.25
    """Of each horizon."""
    cooldown_steps: int = 20
    """At least this many steps, but never more than half of the horizon."""

    def rate_at(self, width: int) -> float:
        """Return what multiplies all learning rates at a width."""
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
        """Token at which the cooldown of a horizon begins."""
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
