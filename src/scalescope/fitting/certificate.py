"""Evidence that an optimum is one, and what else would have fitted nearly as well."""

from __future__ import annotations

import numpy as np

from scalescope.fitting.objective import Objective
from scalescope.fitting.result import Alternative, Certificate
from scalescope.fitting.solver import Solution, minimise
from scalescope.laws import LAWS, optimal_size
from scalescope.laws.optimum import search_size
from scalescope.points import Array, Finding
from scalescope.units import format_percent, format_significant

SAME = 1e-6
"""Relative difference of objectives that are one."""
NEAR = 0.01
"""Share by which the objective of a near-equal optimum is higher, at least."""
APART = 0.02
"""Difference of a coordinate from which optima are two: 2% of a scale."""
MOST = 5
"""Near-equal optima that are listed."""
WALK = (-8.0, -4.0, -2.0, -1.0, 1.0, 2.0, 4.0, 8.0)
"""Steps along a flat direction, in units of one that `near_share` allows."""
WALKED = 20_000
"""Runs up to which the valley is walked."""
STEPS = 100
AHEAD = 10.0
"""How far beyond the largest compute decisions are compared."""
DIFFERENT = 0.1
"""Share by which decisions differ that a reader should know of."""
FLOP = 6.0


def certify(
    objective: Objective,
    phi: Array,
    y: Array,
    *,
    starts: Array,
    ends: Solution,
    n_given: int,
    n_rows: int,
    gradient: tuple[float, float],
) -> Certificate:
    """Put the evidence together.

    Parameters
    ----------
    objective
        What was minimised, over all runs.
    phi
        The optimum in fitted coordinates, shape (k,).
    y
        The target on the scale of the residuals, shape (n,).
    starts, ends
        Distinct starts in fitted coordinates, and where each ended.
    n_given
        Starts before equal ones were joined.
    n_rows
        Runs that the starts were tried on.
    gradient
        Norm of the gradient at the optimum, absolute and relative.
    """
    w = np.ones((1, len(y)))
    value = float(objective.total(phi[None], y[None], w)[0])
    # Ends on a sample of the runs are compared among themselves.
    best = value if n_rows == len(y) else float(ends.objective.min())
    reached = ends.objective <= best * (1 + SAME) + 1e-16 * n_rows
    names = tuple(objective.law.coefficients)
    low, high = objective.bounds()
    fixed = low == high
    # Exactly on it: bounds are clipped to, so an optimum close to one is not at it.
    at_bound = ((phi <= low) | (phi >= high)) & ~fixed
    start = starts[ends.best()]
    still = (np.abs(phi - start) <= 1e-12 * (1 + np.abs(start))) & ~fixed & ~at_bound
    return Certificate(
        n_starts=len(starts),
        share_at_optimum=float(reached.mean()),
        gradient_norm=gradient[0],
        at_bound=tuple(name for name, held in zip(names, at_bound, strict=True) if held),
        n_starts_given=n_given,
        n_runs_tried=n_rows,
        relative_gradient=gradient[1],
        unmoved=tuple(name for name, held in zip(names, still, strict=True) if held),
        near_share=near_share(objective, len(y)),
        alternatives=_alternatives(objective, phi, value, y, ends),
        decisions=decisions_of(objective, phi),
    )


def near_share(objective: Objective, n_runs: int) -> float:
    """Share by which an objective may be higher and still not be told from the lowest by these runs.

    Penalties over the noise are minus a log-likelihood, and two log-likelihoods that differ by less than 1.92
    are not told apart at 95% (one coefficient). The noise is the objective a degree of freedom, times up to
    two (`parametric.noise_of`), so the share is 1.92 times two over the degrees of freedom; at least `NEAR`.
    """
    return max(NEAR, 2 * 1.92 / max(n_runs - objective.coordinates.n_free, 1))


def _alternatives(
    objective: Objective, phi: Array, value: float, y: Array, ends: Solution
) -> tuple[Alternative, ...]:
    """Return optima within `near_share`, lowest first.

    They are looked for at the ends of the starts, from the law's own example (what others have found), and
    along the valley that the optimum lies in.
    """
    if value <= 1e-16 * len(y):
        return ()
    share, w = near_share(objective, len(y)), np.ones((1, len(y)))
    tried = [
        _separate(objective, phi, ends, ends.objective.min() * (1 + 3 * share)),
        objective.fitted(objective.law.examples[None]),
    ]
    if len(y) <= WALKED:
        tried.append(_valley(objective, phi, value * share, y))
    starts = np.concatenate(tried)
    solution = minimise(objective, starts, y[None], w, tolerance=1e-12, max_iterations=STEPS, near=True)
    found: list[Alternative] = []
    seen = [phi]
    for index in np.argsort(solution.objective, kind="stable"):
        other, higher = solution.phi[index], float(solution.objective[index] / value - 1)
        if higher > share or len(found) == MOST:
            break
        if solution.converged[index] and all(_apart(objective, other, one) for one in seen):
            seen.append(other)
            theta = objective.natural(other[None])[0].tolist()
            found.append(
                Alternative(
                    coefficients=dict(zip(objective.law.coefficients, theta, strict=True)),
                    objective=float(solution.objective[index]),
                    excess=higher,
                    decisions=decisions_of(objective, other),
                )
            )
    return tuple(found)


def _separate(objective: Objective, phi: Array, ends: Solution, highest: float) -> Array:
    """Ends up to an objective that are apart from the optimum and from each other, shape (at most 10, k)."""
    kept: list[Array] = []
    for index in np.argsort(ends.objective, kind="stable"):
        if not ends.objective[index] <= highest or len(kept) == 2 * MOST:
            break
        if all(_apart(objective, ends.phi[index], other) for other in (phi, *kept)):
            kept.append(ends.phi[index])
    return np.array(kept).reshape(-1, len(phi))


def _valley(objective: Objective, phi: Array, rise: float, y: Array) -> Array:
    """Points to both sides along the two flattest directions, where the objective rises by 1 to 64 `rise`."""
    coordinates = objective.coordinates
    low, high = coordinates.limits()
    u = np.clip(coordinates.reduced(phi), low, high)
    zone = objective.criterion.delta if objective.criterion.penalty == "huber" else np.inf
    if objective.criterion.penalty == "absolute":
        zone = float(np.abs(objective.residuals(phi[None], y)).mean())
    one = np.ones((1, 1))
    curvature = objective.local(u[None], y[None], np.ones((1, len(y))), one, zone).curvature[0]
    free = np.flatnonzero((low < high) & (np.diag(curvature) > 0))
    if not free.size or not np.isfinite(curvature).all():
        return np.zeros((0, len(phi)))
    scale = 1 / np.sqrt(np.diag(curvature)[free])
    sizes, directions = np.linalg.eigh(curvature[np.ix_(free, free)] * scale[:, None] * scale[None, :])
    points = []
    for size, direction in list(zip(sizes, directions.T, strict=True))[:2]:
        step = np.zeros_like(u)
        step[free] = scale * direction * np.sqrt(2 * rise / max(size, 1e-12))
        points += [u + share * step for share in WALK]
    return coordinates.expanded(np.clip(np.array(points), low, high))


def _apart(objective: Objective, one: Array, other: Array) -> bool:
    unit = np.where(
        objective.coordinates.logged, 1.0, np.maximum(np.maximum(np.abs(one), np.abs(other)), 1e-12)
    )
    return bool((np.abs(one - other) > APART * unit).any())


def decisions_of(objective: Objective, phi: Array) -> dict[str, float]:
    """What a reader would do with these coefficients, shape (k,), far from the runs.

    For a loss that weighs size against data or compute: `exponent`, by which the best size grows with
    compute, and at ten times the largest compute the best `size` and `tokens_per_param`. For any other law
    its `prediction` at the corner where every variable is the largest of the runs, ten times that where it is
    logarithmic.
    """
    law, x = objective.law, objective.x
    theta = objective.natural(phi[None])[0]
    with np.errstate(all="ignore"):
        if law.is_surface:
            compute = AHEAD * float((x["C"] if "C" in x else FLOP * x["N"] * x["D"]).max())
            steps = compute * np.array([1.0, 1.1])
            known = LAWS.get(law.name) is law
            size = (
                optimal_size(law.name, theta[:, None], steps)
                if known
                else search_size(law, theta[:, None], steps)
            )
            return {
                "compute": compute,
                "exponent": float(np.log(size[1] / size[0]) / np.log(1.1)),
                "size": float(size[0]),
                "tokens_per_param": float(compute / FLOP / size[0] ** 2),
            }
        corner = {
            name: np.array([column.max() * (AHEAD if law.variables[name].logarithmic else 1.0)])
            for name, column in x.items()
        }
        return {"prediction": float(law.value(theta, **corner)[0])}


def doubts_about_certificate(certificate: Certificate) -> list[Finding]:
    """Return what a certificate leaves in doubt."""
    findings = []
    if certificate.unmoved:
        text = f"Never moved from where they started: {', '.join(certificate.unmoved)}."
        hint = "The runs say nothing about them; fix them, or choose a law without."
        findings.append(Finding(code="FIT021", text=text, hint=hint))
    worst = _widest(certificate)
    if worst is not None:
        name, here, there, higher = worst
        text = (
            f"An optimum whose objective is {format_percent(higher)} higher decides otherwise: {name} "
            f"{format_significant(there)} instead of {format_significant(here)}."
        )
        hint = "These runs cannot tell the two apart; read the decision as open between them."
        findings.append(Finding(code="FIT020", text=text, hint=hint))
    return findings


def _widest(certificate: Certificate) -> tuple[str, float, float, float] | None:
    """Return the decision that differs most between near-equal optima, where it does so by `DIFFERENT`."""
    found, most = None, np.log1p(DIFFERENT)
    for other in certificate.alternatives:
        for name, here in certificate.decisions.items():
            there = other.decisions.get(name, np.nan)
            if 0 < here < np.inf and 0 < there < np.inf and abs(np.log(there) - np.log(here)) > most:
                most = abs(np.log(there / here))
                found = (name.replace("_", " "), here, there, other.excess)
    return found
