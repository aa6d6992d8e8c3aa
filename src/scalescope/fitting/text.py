"""A fit on one screen of text."""

from __future__ import annotations

from scalescope.fitting.derived import optimum
from scalescope.fitting.result import Certificate, Fit, Parabola
from scalescope.laws import Law, get_law
from scalescope.units import (
    format_count,
    format_factor,
    format_flop,
    format_loss,
    format_percent,
    format_significant,
)

AHEAD = 10.0
"""The derived optimum is shown at this multiple of the largest fitted compute."""


def summarise(fit: Fit) -> str:
    """Law, coefficients with intervals, quality, evidence, hold-out, derived optimum, findings."""
    law = get_law(fit.law)
    lines = [
        f"{law.name}: {law.title}",
        f"  {law.formula}",
        _basis(fit, law),
        "",
        *_coefficients(fit, law),
        "",
        *(_parabola(parabola) for parabola in fit.parabolas),
        _quality(fit),
    ]
    if fit.certificate is not None:
        lines += _evidence(fit.certificate, fit.objective)
    if fit.holdout is not None:
        many = "" if fit.holdout.n_predicted == 1 else "s"
        lines.append(
            f"hold-out     {fit.holdout.n_predicted} dearest run{many}, {format_factor(fit.holdout.ratio)} "
            f"the compute of the others: {format_percent(abs(fit.holdout.log_error))} too "
            f"{'high' if fit.holdout.log_error > 0 else 'low'} in the mean, "
            f"{format_percent(fit.holdout.rms_error)} rms"
        )
    if law.is_surface and "C" in fit.ranges:
        lines.append(_optimum(fit))
    return "\n".join(lines + [str(finding) for finding in fit.findings])


def _basis(fit: Fit, law: Law) -> str:
    counts = f", N counts {fit.count}" if "N" in law.variables else ""
    held = [f"{name} fixed" for name in fit.restraints.fixed]
    held += [" = ".join(group) for group in fit.restraints.tied]
    shown = f"; {', '.join(held)}" if held else ""
    n = len(fit.resamples)
    intervals = f"{format_percent(fit.level)} intervals from {n} resample{'' if n == 1 else 's'}"
    return (
        f"  {fit.n_runs} runs by the {fit.method} method{counts}{shown}; "
        f"{intervals if n else 'no resamples, so no intervals'}"
    )


def _coefficients(fit: Fit, law: Law) -> list[str]:
    texts = {name: one.text(format_significant) for name, one in fit.coefficients.items()}
    name_width, width = max(map(len, texts)), max(map(len, texts.values()))
    return [
        f"  {name:<{name_width}}  {text:<{width}}  {law.coefficients[name].meaning}"
        for name, text in texts.items()
    ]


def _quality(fit: Fit) -> str:
    noise = "unknown, no repeats" if fit.noise_sd is None else format_percent(fit.noise_sd)
    if fit.scale == "raw":
        spread = f"residual sd {format_significant(fit.residual_sd)}"
    else:
        spread = f"residual sd {format_percent(fit.residual_sd)}, seed noise {noise}"
    target = get_law(fit.law).target
    of = f"the logarithm of {target}" if fit.scale == "log" else target
    return f"fit          R² {fit.r_squared:.4f} of {of}, {spread}"


def _parabola(parabola: Parabola) -> str:
    return (
        f"  at {format_flop(parabola.budget)}: N* {parabola.size.text(format_count)}, "
        f"D* {parabola.tokens.text(format_count)}, L* {parabola.loss.text(format_loss)}, "
        f"R² {parabola.r_squared:.3f}"
    )


def _evidence(certificate: Certificate, objective: float) -> list[str]:
    reached = f"{format_percent(certificate.share_at_optimum)} of {certificate.n_starts} starts"
    norm = f"gradient norm {certificate.gradient_norm:.1e}"
    lines = [f"certificate  objective {objective:.10g}, reached by {reached}, {norm}"]
    others = len(certificate.alternatives)
    if others:
        lines.append(
            f"             {others} more {'optimum' if others == 1 else 'optima'} within "
            f"{format_percent(certificate.near_share)} of it:"
        )
        for other in certificate.alternatives[:3]:
            decided = ", ".join(
                f"{name.replace('_', ' ')} {format_significant(value)}"
                for name, value in other.decisions.items()
                if name != "compute"
            )
            lines.append(f"               +{format_percent(other.excess)}: {decided}")
    return lines


def _optimum(fit: Fit) -> str:
    best = optimum(fit, AHEAD * fit.ranges["C"][1])
    return (
        f"best use     of {format_flop(best.compute)}, {format_factor(AHEAD)} the largest run: "
        f"N* {best.size.text(format_count)}, D* {best.tokens.text(format_count)},\n"
        f"             {best.tokens_per_param.text(lambda value: format_significant(value, 2))} tokens per "
        f"parameter, loss {best.loss.text(format_loss)}, "
        f"N* ~ C^{best.exponent.text(lambda value: format_significant(value, 2))}"
    )
