"""A fit in a few lines of text."""

from __future__ import annotations

from scalescope.fitting.result import Certificate, Fit, Parabola
from scalescope.laws import get_law
from scalescope.units import format_count, format_flop, format_loss, format_percent, format_significant


def summarise(fit: Fit) -> str:
    """Coefficients with intervals, quality, evidence for the optimum, budgets, findings."""
    law = get_law(fit.law)
    lines = [
        law.formula,
        f"{fit.n_runs} runs by the {fit.method} method (N counts {fit.count})",
        f"{format_percent(fit.level)} intervals from {len(fit.resamples)} resamples",
    ]
    width = max(len(name) for name in fit.coefficients)
    lines += [
        f"  {name:<{width}}  {estimate.text(format_significant)}"
        for name, estimate in fit.coefficients.items()
    ]
    lines += [_parabola(parabola) for parabola in fit.parabolas]
    noise = "unknown, no repeats" if fit.noise_sd is None else format_percent(fit.noise_sd)
    lines.append(
        f"R² {fit.r_squared:.4f} of the log loss, residual sd {format_percent(fit.residual_sd)}, "
        f"seed noise {noise}"
    )
    if fit.certificate is not None:
        lines.append(_evidence(fit.certificate, fit.objective))
    return "\n".join(lines + [str(finding) for finding in fit.findings])


def _parabola(parabola: Parabola) -> str:
    return (
        f"  at {format_flop(parabola.budget)}: N* {parabola.size.text(format_count)}, "
        f"D* {parabola.tokens.text(format_count)}, L* {parabola.loss.text(format_loss)}, "
        f"R² {parabola.r_squared:.3f}"
    )


def _evidence(certificate: Certificate, objective: float) -> str:
    return (
        f"objective {objective:.8g}, reached by {format_percent(certificate.share_at_optimum)} of "
        f"{certificate.n_starts} starts, gradient norm {certificate.gradient_norm:.1e}"
    )
