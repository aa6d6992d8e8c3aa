"""Options of `fit` that say what is minimised and what coefficients are held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from scalescope.errors import InputError
from scalescope.units import parse_number

if TYPE_CHECKING:
    from scalescope.fitting import Criterion, Restraints

Words = Annotated[tuple[str, ...], Parameter(negative="", n_tokens=1, show_default=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
@Parameter(name="*")
class CriterionOptions:
    """What a fit minimises.

    Parameters
    ----------
    penalty
        Of each residual.
    delta
        Where the Huber penalty turns linear.
    scale
        Compare logarithms or the values themselves; the law's own choice unless given.
    below
        Share of the penalty for runs below the law: 0.5 is symmetric, 0.95 nearly a lower envelope.
    weights
        Column of weights, such as weight; none are used without it.
    errors
        Column of known standard errors of the target, such as loss_stderr.
    fix
        Coefficients that are given, `E=1.69,alpha=0.34`.
    tie
        Coefficients that are one number, `alpha=beta`.
    prior
        Normal priors, `alpha=0.34~0.05`: of a scale the second number is that of its logarithm.
    bootstrap
        What is drawn again behind every interval; chosen by the design of the table unless given.
    """

    penalty: Literal["huber", "squared", "absolute"] = "huber"
    delta: float = 1e-3
    scale: Literal["log", "raw"] | None = None
    below: float = 0.5
    weights: str | None = None
    errors: str | None = None
    fix: Words = ()
    tie: Words = ()
    prior: Words = ()
    bootstrap: Literal["residual", "wild", "noise", "pairs", "cluster"] | None = None

    def criterion(self) -> Criterion:
        """What is minimised."""
        from scalescope.fitting import Criterion

        return Criterion(
            penalty=self.penalty,
            delta=self.delta,
            scale=self.scale,
            below=self.below,
            weights=self.weights,
            errors=self.errors,
        )

    def restraints(self) -> Restraints:
        """What coefficients are held to.

        Raises
        ------
        InputError
            If a piece is not written as shown, or a coefficient is given twice.
        """
        from scalescope.fitting import Prior, Restraints

        priors = {}
        for name, text in _once(_pairs(self.prior, "alpha=0.34~0.05")).items():
            mean, tilde, sd = text.partition("~")
            if not tilde:
                raise InputError(f"{name}={text} is not a prior", hint="Write alpha=0.34~0.05.")
            priors[name] = Prior(mean=parse_number(mean), sd=parse_number(sd))
        return Restraints(
            fixed={name: parse_number(text) for name, text in _once(_pairs(self.fix, "E=1.69")).items()},
            tied=tuple((one, other) for one, other in _pairs(self.tie, "alpha=beta")),
            priors=priors,
        )


def _pairs(pieces: Sequence[str], example: str) -> list[tuple[str, str]]:
    pairs = []
    for piece in (part for text in pieces for part in text.split(",") if part.strip()):
        name, equals, value = (part.strip() for part in piece.partition("="))
        if not (name and equals and value):
            raise InputError(f"{piece!r} says nothing of a coefficient", hint=f"Write {example}.")
        pairs.append((name, value))
    return pairs


def _once(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Refuse a coefficient that is given twice, of which one would be lost."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise InputError(f"{name} is given both {given[name]} and {value}", hint="Give it once.")
        given[name] = value
    return given
