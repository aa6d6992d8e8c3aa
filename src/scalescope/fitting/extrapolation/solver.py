r"""Fits of several forms to a curve and to its beginnings, all at once, held to how curves go on.

What is minimised, for n points with weights w:

.. math::
    (n - k + 1)\, \log \frac{S + s_0^2}{n - k + 1}
    + \sum_{j=1}^{2} \frac{r_j^2}{\sigma^2 + \gamma^2 r_0^2}, \qquad S = \sum_i w_i (v_i - \hat v_i)^2

The first term is the likelihood of normal residuals of log y with the noise integrated out, so that no noise
has to be known. The second says that **a curve goes on as it ended**: with :math:`\Delta_j` the change of log
y over the j-th step of log x behind the end (a doubling of x, or a quarter of the range if that is less),
:math:`r_j = \log(\Delta_{j+1} / \Delta_j)` is near zero, all the less surely the more the slope changed over
the last steps before the end, :math:`r_0`. Residuals count less the farther they are from the end.

Levenberg and Marquardt's damping; numpy alone. All candidates of all forms step together, in coordinates
padded to the longest form, since at this size a step costs what numpy takes to be called.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from scalescope.fitting.extrapolation.forms import Form
from scalescope.points import Array

PERSISTENCE = 0.3
"""sigma: standard deviation of the log of the ratio of two steps in a row."""
RESTLESSNESS = 0.5
"""gamma: how much of the last change of slope may come again."""
BENDING = 0.5
"""Standard deviation of r_0 itself."""
AHEAD = 2
"""Steps behind the end over which the slope is held."""
MEMORY = 3.0
"""e-foldings of x over which the weight of a residual falls to 1/e."""
LEAST_NOISE = 1e-3
"""s_0, in log y."""
STEEPEST = 0.01
"""Ratio of two steps below which the penalty goes on linearly, through zero to a turn of the curve."""

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginnings:
    """A curve cut at several places; each is one problem for every form."""

    u: Array
    v: Array
    """Shape (n,)."""
    weights: Array
    """Zero behind the cut, shape (cuts, n)."""
    grid: Array
    """Four places around each cut between which steps are compared, shape (cuts, 2 + AHEAD + 1)."""

    @classmethod
    def of(cls, u: Array, v: Array, count: Array, ends: Array) -> Beginnings:
        """Cut behind each of `ends` (values of u)."""
        used = u <= ends[:, None] + 1e-9
        weights = np.where(used, count / count.mean() * np.exp((u - ends[:, None]) / MEMORY), 0.0)
        step = np.minimum(np.log(2.0), (ends - u[0]) / 4)
        return cls(u=u, v=v, weights=weights, grid=ends[:, None] + step[:, None] * np.arange(-2, AHEAD + 1))


@dataclass(slots=True, kw_only=True)
class State:
    """Candidates under way; each belongs to a form and a cut, and they are ordered by form."""

    form: Indices
    cut: Indices
    phi: Array
    """Coordinates, shape (batch, k of the longest form); zeros behind the end of shorter ones."""
    objective: Array
    noise: Array
    """Estimated variance of a point of weight one, shape (batch,)."""
    hessian: Array
    """Gauss-Newton, of half the objective, shape (batch, k, k)."""
    downhill: Array
    """Negative gradient of half the objective, shape (batch, k)."""

    def take(self, rows: Indices) -> State:
        """Return some of the candidates."""
        return State(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    def put(self, rows: Indices, new: State, chosen: npt.NDArray[np.bool_]) -> None:
        """Replace the candidates at `rows` by the chosen ones of `new`."""
        for one in fields(self):
            getattr(self, one.name)[rows] = getattr(new, one.name)[chosen]

    def best(self, form: int, cut: int) -> int:
        """Index of the best candidate of a form and a cut."""
        rows = np.flatnonzero((self.form == form) & (self.cut == cut))
        return int(rows[np.argmin(self.objective[rows])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Several forms through several beginnings of one curve."""

    forms: tuple[Form, ...]
    data: Beginnings

    @property
    def width(self) -> int:
        """Coordinates of the longest form."""
        return max(form.k for form in self.forms)

    def padded(self, phi: Array) -> Array:
        """Fill coordinates, shape (batch, k of their form), up with zeros."""
        return np.pad(phi, ((0, 0), (0, self.width - phi.shape[1])))

    def limits(self) -> tuple[Array, Array]:
        """Lower and upper limits of the coordinates, shape (n_forms, k) each."""
        low, high = np.zeros((2, len(self.forms), self.width))
        for index, form in enumerate(self.forms):
            low[index, : form.k], high[index, : form.k] = form.low, form.high
        return low, high

    def degrees(self) -> Array:
        """Degrees of freedom, one for what is known of the noise, shape (n_forms, n_cuts)."""
        n, k = (self.data.weights > 0).sum(axis=1), np.array([form.k for form in self.forms])
        return np.asarray(np.maximum(n - k[:, None], 1) + 1.0)

    def evaluate(self, form: Indices, cut: Indices, phi: Array) -> State:
        """Objective and derivatives at candidates, which are ordered by form."""
        n, weights = len(self.data.u), self.data.weights[cut]
        with np.errstate(all="ignore"):
            v, slopes = self._curves(form, cut, phi)
            residuals = np.where(weights > 0, self.data.v - v[:, :n], 0.0)
            freedom = self.degrees()[form, cut]
            noise = ((weights * residuals**2).sum(axis=1) + LEAST_NOISE**2) / freedom
            held, held_slopes = _persistence(v[:, n:], slopes[:, :, n:])
            objective = freedom * np.log(noise) + (held**2).sum(axis=1)
            weighted = slopes[:, :, :n] * (weights / noise[:, None])[:, None]
            hessian = weighted @ np.swapaxes(slopes[:, :, :n], 1, 2)
            hessian += held_slopes @ np.swapaxes(held_slopes, 1, 2)
            downhill = (weighted @ residuals[..., None] - held_slopes @ held[..., None])[..., 0]
        objective[~(np.isfinite(objective) & np.isfinite(hessian).all(axis=(1, 2)))] = np.inf
        return State(
            form=form, cut=cut, phi=phi, objective=objective, noise=noise, hessian=hessian, downhill=downhill
        )

    def _curves(self, form: Indices, cut: Indices, phi: Array) -> tuple[Array, Array]:
        """Log y at the points and around the cuts, shape (batch, n + grid), and its slopes."""
        data = self.data
        at = np.concatenate([np.broadcast_to(data.u, (len(cut), len(data.u))), data.grid[cut]], axis=1)
        v, slopes = np.empty_like(at), np.zeros((len(at), self.width, at.shape[1]))
        borders = np.searchsorted(form, np.arange(len(self.forms) + 1))
        for one, first, last in zip(self.forms, borders[:-1], borders[1:], strict=True):
            if first == last:
                continue
            v[first:last], parts = one.curve(phi[first:last, : one.k], at[first:last])
            for index, part in enumerate(parts):
                slopes[first:last, index] = part
        return v, slopes

    def start(self, starts: list[tuple[int, int, Array]], *, keep: int) -> State:
        """Evaluate (form, cut, coordinates) and keep the best few of each form and cut."""
        low, high = self.limits()
        form = np.repeat([one[0] for one in starts], [len(one[2]) for one in starts])
        cut = np.repeat([one[1] for one in starts], [len(one[2]) for one in starts])
        phi = np.concatenate([self.padded(one[2]) for one in starts])
        state = self.evaluate(form, cut, np.clip(phi, low[form], high[form]))
        return self.leading(state, keep=keep)

    def leading(self, state: State, *, keep: int) -> State:
        """Return the best few candidates of each form and cut."""
        order = np.lexsort((state.objective, state.cut, state.form))
        group = state.form[order] * len(self.data.weights) + state.cut[order]
        rank = np.arange(len(order)) - np.searchsorted(group, group)
        return state.take(order[rank < keep])

    def improve(self, state: State, *, steps: int, tolerance: float = 1e-3) -> State:
        """Descend from every candidate until three steps in a row gain less than `tolerance`."""
        every_low, every_high = self.limits()
        damping, slow = np.full(len(state.cut), 1e-2), np.zeros(len(state.cut), dtype=np.int64)
        active = np.flatnonzero(np.isfinite(state.objective))
        for _ in range(steps):
            if not active.size:
                break
            part = state.take(active)
            low, high = every_low[part.form], every_high[part.form]
            step = _step(part, low, high, damping[active])
            new = self.evaluate(part.form, part.cut, np.minimum(np.maximum(part.phi + step, low), high))
            better = new.objective < part.objective
            with np.errstate(invalid="ignore"):
                gain = np.where(better, part.objective - new.objective, 0.0)
            slow[active] = np.where(gain > tolerance, 0, slow[active] + 1)
            state.put(active[better], new, better)
            damping[active] = np.clip(np.where(better, 0.2, 10.0) * damping[active], 1e-4, 1e8)
            active = active[slow[active] < 3]
        return state


def _step(state: State, low: Array, high: Array, damping: Array) -> Array:
    """Damped Gauss-Newton step, at most three in any coordinate; none against a limit."""
    hessian, downhill = state.hessian.copy(), state.downhill
    stuck = ((state.phi <= low) & (downhill < 0)) | ((state.phi >= high) & (downhill > 0))
    size = np.einsum("bkk->bk", state.hessian)
    hessian[stuck[:, :, None] | stuck[:, None, :]] = 0.0
    ridge = damping[:, None] * size + 1e-9 * size.max(axis=1, keepdims=True) + 1e-8
    diagonal = np.arange(low.shape[1])
    hessian[:, diagonal, diagonal] = np.where(stuck, 1.0, size + ridge)
    step = np.linalg.solve(hessian, np.where(stuck, 0.0, downhill)[..., None])[..., 0]
    return np.asarray(np.minimum(np.maximum(step, -3.0), 3.0))


def _persistence(v: Array, slopes: Array) -> tuple[Array, Array]:
    """Normalised log ratios of steps in a row behind the end, and their derivatives."""
    step, step_slopes = v[:, 1:] - v[:, :-1], slopes[:, :, 1:] - slopes[:, :, :-1]
    ratio = step[:, 1:] / step[:, :-1]
    usual = ratio > STEEPEST
    log_ratio = np.where(
        usual, np.log(np.maximum(ratio, STEEPEST)), np.log(STEEPEST) + 20 * (ratio - STEEPEST)
    )
    log_ratio = np.minimum(np.maximum(np.where(np.isfinite(log_ratio), log_ratio, -20.0), -20.0), 20.0)
    share = step_slopes / step[:, None]
    by = np.where(usual[:, None], share[:, :, 1:] - share[:, :, :-1], 0.0)
    before, ahead = log_ratio[:, :1], log_ratio[:, 1:]
    sd = np.sqrt(PERSISTENCE**2 + (RESTLESSNESS * before) ** 2)
    widening = (ahead * RESTLESSNESS**2 * before / sd**3)[:, None]
    # Heavy tails: a bend that the points insist on costs little more than a moderate one.
    bend = before / BENDING
    cost = np.sqrt(np.log1p(bend**2)) * np.sign(bend)
    per_bend = np.where(np.abs(bend) < 1e-4, 1.0, bend / ((1 + bend**2) * np.where(cost == 0, 1.0, cost)))
    held = np.concatenate([cost, ahead / sd], axis=1)
    first = by[:, :, :1] * (per_bend / BENDING)[:, None]
    return held, np.concatenate([first, by[:, :, 1:] / sd[:, None] - widening * by[:, :, :1]], axis=2)
