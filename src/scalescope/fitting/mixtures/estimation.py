r"""The best mixture from own runs: a law of mixing for each source, their weighted sum, its lowest point.

The mixture that looks best on some runs looks better than it is, since it was chosen on them. How much is
seen in the resamples: each chooses a mixture of its own, and what it expects there is compared with what the
laws that it was drawn from say. The intervals of the best loss and of its gain over rivals are the basic
bootstrap of that difference, which takes the optimism out (Efron 1983,
https://doi.org/10.1080/01621459.1983.10477973). Where all mixtures are equally good that is not enough, since
the laws then have no optimum to resample around: so the same study is also simulated without any difference
between mixtures, and a gain counts only if few of these show as large a one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from scalescope.errors import InputError, nearest
from scalescope.fitting.checks import check_options
from scalescope.fitting.criterion import Criterion
from scalescope.fitting.estimation import fit
from scalescope.fitting.mixtures.doubts import doubts_of
from scalescope.fitting.mixtures.result import MixtureForecast, Mixtures, Rival, SourceLaw
from scalescope.fitting.mixtures.search import lowest
from scalescope.fitting.result import Fit
from scalescope.points import Array, Estimate, Provenance, Runs, digest_of

CRITERION = Criterion(delta=1e-2)
"""Nearly least squares for noise of a percent: few mixtures determine more than under the usual 1e-3."""
RECIPE, EQUAL, BEST = "the recipe's mixture", "equal shares", "best mixture"


def best_mixture(
    runs: Mapping[str, Runs],
    *,
    recipe: Mapping[str, float],
    target: Mapping[str, float] = MappingProxyType({}),
    resamples: int = 300,
    level: float = 0.9,
    seed: int = 0,
) -> Mixtures:
    """Fit the loss of every source to the shares of all, and find the mixture with the lowest weighted loss.

    Parameters
    ----------
    runs
        For each source a table of the same runs in the same order: `share_1` to `share_k` in the order of
        this mapping, and the held-out loss of that source. Rows that are held out are not used.
    recipe
        Shares that the best mixture is compared with.
    target
        Weight of each source's loss; those of the recipe if empty.
    resamples
        Behind every interval.
    level
        Share of the resamples inside every interval.
    seed
        Of the resamples.

    Raises
    ------
    InputError
        If there are fewer than two sources, too few mixtures, or a name is no source.
    FitError
        If no law can be fitted.
    """
    check_options(resamples, level, seed)
    names = tuple(runs)
    usual, goal = _weights(recipe, names, "recipe"), _weights(target or recipe, names, "target")
    tables = {name: table.fitted() for name, table in runs.items()}
    law = f"data-mixing-{len(names)}"
    fits = tuple(
        fit(table, law, criterion=CRITERION, resamples=resamples, level=level, seed=seed, profiles=False)
        for table in tables.values()
    )
    tried = np.stack([tables[names[0]][f"share_{i + 1}"] for i in range(len(names))], axis=1)
    losses = np.stack([table.loss for table in tables.values()], axis=1)
    chosen = _Chosen.of(fits, goal, tried.min(axis=0))
    spread = _spread(losses @ goal, fits, tried, goal)
    noise, freedom = repeats(losses @ goal, tried)
    flat = _flat(tables, fits, goal, tried.min(axis=0), resamples=resamples, seed=seed)
    rivals = tuple(
        _rival(name, shares, chosen, flat, level)
        for name, shares in (
            (RECIPE, usual),
            (EQUAL, np.full(len(names), 1 / len(names))),
        )
    )
    found = Mixtures(
        laws=tuple(
            SourceLaw(
                name=name,
                fit=fits[i],
                target=float(goal[i]),
                least=float(tried[:, i].min()),
                share=Estimate.from_samples(float(chosen.best[i]), chosen.drawn_best[:, i], level),
            )
            for i, name in enumerate(names)
        ),
        loss=_basic(chosen.loss(chosen.best), chosen.optimism(), level),
        rivals=rivals,
        tried=tuple(map(tuple, tried.tolist())),
        losses=tuple(map(tuple, losses.tolist())),
        noise=noise,
        noise_freedom=freedom,
        spread=spread,
        level=level,
        provenance=_provenance(tried, losses, resamples, level, seed),
    )
    forecasts = (_forecast(BEST, chosen.best, chosen, found, chosen.optimism()),)
    return replace(found, forecasts=forecasts, findings=doubts_of(found))


def forecast_mixture(found: Mixtures, name: str, shares: Array) -> MixtureForecast:
    """Say what one run of another mixture will measure."""
    chosen = _Chosen.of(
        tuple(law.fit for law in found.laws), found.target, np.array([law.least for law in found.laws])
    )
    off = chosen.drawn_loss(shares) - chosen.loss(shares)
    return _forecast(name, shares, chosen, found, off)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """The laws with their resamples, and the mixture that each of them holds best."""

    theta: Array
    """Shape (source, k + 1)."""
    drawn: Array
    """Shape (resample, source, k + 1)."""
    target: Array
    best: Array
    drawn_best: Array

    @classmethod
    def of(cls, fits: tuple[Fit, ...], target: Array, least: Array) -> _Chosen:
        theta = np.stack([one.theta for one in fits])
        n = min(len(one.resamples) for one in fits)
        drawn = np.stack([one.resamples[:n] for one in fits], axis=1)
        return cls(
            theta=theta,
            drawn=drawn,
            target=target,
            best=lowest(target, theta[None, :, 1:], least)[0],
            drawn_best=lowest(target, drawn[:, :, 1:], least),
        )

    def losses(self, shares: Array) -> Array:
        """By the laws, of one mixture on every source."""
        return np.asarray(self.theta[:, 0] + np.exp(self.theta[:, 1:] @ shares))

    def drawn_losses(self, shares: Array) -> Array:
        """By every resample; shares of one mixture, or of one for each."""
        each = np.broadcast_to(shares, (len(self.drawn), len(self.target)))
        return np.asarray(self.drawn[:, :, 0] + np.exp(np.einsum("nij,nj->ni", self.drawn[:, :, 1:], each)))

    def loss(self, shares: Array) -> float:
        return float(self.losses(shares) @ self.target)

    def drawn_loss(self, shares: Array) -> Array:
        return np.asarray(self.drawn_losses(shares) @ self.target)

    def truth_of_best(self) -> Array:
        """What the laws say of the mixture that each resample holds best."""
        above = np.exp(np.einsum("ij,nj->ni", self.theta[:, 1:], self.drawn_best))
        return np.asarray((self.theta[:, 0] + above) @ self.target)

    def optimism(self) -> Array:
        """How far each resample is off where it chooses."""
        return np.asarray(self.drawn_loss(self.drawn_best) - self.truth_of_best())


def _flat(
    tables: Mapping[str, Runs], fits: tuple[Fit, ...], goal: Array, least: Array, *, resamples: int, seed: int
) -> _Chosen:
    """Repeat the study in a world where the loss is the same for every mixture, with noise as it was."""
    found = []
    for table, fitted in zip(tables.values(), fits, strict=True):
        level = np.full(len(table), float(np.median(table.loss)))
        columns = {**table.columns, "loss": level, "loss_stderr": level * fitted.residual_sd}
        criterion = replace(CRITERION, delta=CRITERION.delta / fitted.residual_sd, errors="loss_stderr")
        law, same = fitted.law, replace(table, columns=columns)
        options = {"resamples": resamples, "seed": seed, "profiles": False}
        found.append(fit(same, law, criterion=criterion, bootstrap="noise", **options))  # type: ignore[arg-type]
    return _Chosen.of(tuple(found), goal, least)


def _rival(name: str, shares: Array, chosen: _Chosen, flat: _Chosen, level: float) -> Rival:
    loss, drawn = chosen.loss(shares), chosen.drawn_loss(shares)
    gain = loss - chosen.loss(chosen.best)
    # What a resample hopes to gain where it chooses, less what it would gain there.
    off = (drawn - chosen.drawn_loss(chosen.drawn_best)) - (loss - chosen.truth_of_best())
    by_chance = flat.drawn_loss(shares) - flat.drawn_loss(flat.drawn_best)
    chance = float((by_chance >= gain).mean()) if by_chance.size else float("nan")
    corrected = _basic(gain, off, level)
    return Rival(
        name=name,
        shares=tuple(shares.tolist()),
        loss=_basic(loss, drawn - loss, level),
        gain=corrected,
        chance=chance,
        told_apart=corrected.low > 0 and chance <= (1 - level) / 2,
    )


def _basic(value: float, off: Array, level: float) -> Estimate:
    """Take the middle of the errors out, and turn the rest around."""
    if not off.size:
        return Estimate(value=value, low=float("nan"), high=float("nan"))
    low, middle, high = np.quantile(off, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return Estimate(value=float(value - middle), low=float(value - high), high=float(value - low))


def _forecast(name: str, shares: Array, chosen: _Chosen, found: Mixtures, off: Array) -> MixtureForecast:
    """Forecast a run: what the laws leave open, and what runs scatter around them."""
    draws = np.random.default_rng([found.provenance.seed or 0, len(off)]).standard_normal(len(off))
    each, drawn = chosen.losses(shares), chosen.drawn_losses(shares)
    spreads = [law.fit.residual_sd * value for law, value in zip(found.laws, each, strict=True)]
    return MixtureForecast(
        name=name,
        shares=tuple(np.asarray(shares).tolist()),
        losses=tuple(
            _basic(float(each[i]), drawn[:, i] - each[i] + spreads[i] * draws, found.level)
            for i in range(len(each))
        ),
        loss=_basic(chosen.loss(shares), off + found.spread * draws, found.level),
    )


def repeats(loss: Array, tried: Array) -> tuple[float, int]:
    """Return the pooled standard deviation among runs of one mixture, and how many it rests on."""
    labels = np.unique(tried.round(9), axis=0, return_inverse=True)[1].reshape(-1)
    counts = np.bincount(labels)
    means = np.bincount(labels, weights=loss) / counts
    freedom = int((counts - 1).sum())
    if not freedom:
        return float("nan"), 0
    return float(np.sqrt(((loss - means[labels]) ** 2).sum() / freedom)), freedom


def _spread(loss: Array, fits: tuple[Fit, ...], tried: Array, target: Array) -> float:
    """Standard deviation of the weighted loss around the laws, corrected for what was fitted."""
    given = {f"r{i + 1}": column for i, column in enumerate(tried.T)}
    predicted = np.stack([one.value(**given) for one in fits], axis=1) @ target
    freedom = max(len(loss) - tried.shape[1] - 1, 1)
    return float(np.sqrt(((loss - predicted) ** 2).sum() / freedom))


def _weights(given: Mapping[str, float], names: tuple[str, ...], what: str) -> Array:
    for name in given:
        if name not in names:
            raise InputError(f"{what}: no source is called {name!r}", hint=nearest(name, names))
    found = np.array([given.get(name, 0.0) for name in names])
    if not (found >= 0).all() or not found.sum() > 0:
        raise InputError(f"{what}: weights must not be negative, and not all zero")
    return np.asarray(found / found.sum())


def _provenance(tried: Array, losses: Array, resamples: int, level: float, seed: int) -> Provenance:
    return Provenance(
        digest=digest_of(tried.tobytes(), losses.tobytes()),
        options={"law": "data-mixing", "resamples": resamples, "level": level},
        seed=seed,
    )
