"""Which source of data to collect next for a given budget, and what would change the answer.

Ranks the sources by the success that the budget buys, says how sure the ranking is, what it would take to overturn it,
and, where the data cannot say, which training run would tell. Knows money only as one number per source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlog1py, xlogy

from roboscale.core import Estimate
from roboscale.core.plain import Plain
from roboscale.stats.mixture import MixtureFit

__all__ = ["SURE", "MixtureExperiment", "SourceDecision", "SourceOption", "decide_source"]

SURE = 0.8
"""Probability of being best from which a source is named as the one to collect."""

_METHOD = "success bought by the budget, quantiles over posterior draws of effective data"
_DRAWS = 800


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOption:
    """The whole budget spent on one source.

    Args:
        hours: how much of it the budget buys.
        success: success rate afterwards; `gain` is its rise, `gain_per_cost` that per unit of cost.
        probability_best: that no other source buys more.
    """

    source: str
    hours: float
    success: Estimate
    gain: Estimate
    gain_per_cost: Estimate
    probability_best: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureExperiment:
    """Buying a part of one source first, training on it and trying the policy.

    Args:
        source, hours: what to collect for it, out of the budget.
        trials: rollouts.
        worth: success it adds on average by sending the rest of the budget to a better source.
        sentence: the proposal in words.
    """

    source: str
    hours: float
    trials: int
    worth: float
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDecision(Plain):
    """Where the budget buys most.

    Args:
        options: by expected gain, best first; sources whose effect is unknown come last, without bounds.
        best: the source to collect, or `None` where the data cannot say.
        probability: that the first option is best.
        certainty_worth: success that perfect knowledge of the curves would add on average (EVPI).
        would_change: what would overturn the ranking, one sentence per rival.
        experiments: what would tell, most useful first.
        sentence: the answer in words.
    """

    options: tuple[SourceOption, ...]
    best: str | None
    probability: float | None
    certainty_worth: float | None
    would_change: tuple[str, ...]
    experiments: tuple[MixtureExperiment, ...]
    sentence: str


def decide_source(
    fit: MixtureFit,
    hours: Mapping[str, float],
    costs: Mapping[str, float],
    budget: float,
    trials: int = 50,
    level: float = 0.9,
) -> SourceDecision:
    """Ranks the sources in `costs` by the success that `budget` buys from `hours` on.

    Args:
        hours: what there is now, by source.
        costs: cost of one hour, by source; sources without a cost are not on offer.
        budget: in the unit of the costs.
        trials: rollouts of a proposed experiment.

    Raises:
        ValueError: a cost or budget that is not positive, or no costs.
        UnknownName: a source that was not fitted.

    Source: Raiffa and Schlaifer, Applied Statistical Decision Theory (1961), chapters 4 and 5.
    """
    if budget <= 0 or not costs or any(cost <= 0 for cost in costs.values()):
        raise ValueError("costs and budget must be positive, and there must be a source on offer")
    now = fit.success(hours)
    after = {s: fit.success(_more(hours, s, budget / costs[s])) for s in sorted(costs)}
    unknown = {s: fit.why_not(_more(hours, s, budget / costs[s])) for s in sorted(costs)}
    known = [s for s in after if not unknown[s]]
    if not known:
        options = tuple(_option(fit, s, now, after[s], costs[s], budget, level, 0.0, unknown[s]) for s in after)
        experiments = tuple(_first_experiment(s, hours, costs, budget, trials) for s in after)
        return SourceDecision(
            options=options,
            best=None,
            probability=None,
            certainty_worth=None,
            would_change=(),
            experiments=experiments,
            sentence=experiments[0].sentence,
        )
    table = np.array([after[s] for s in known])
    shares = np.bincount(table.argmax(axis=0), minlength=len(known)) / table.shape[1]
    chance = dict(zip(known, map(float, shares), strict=True))
    ranked = sorted(known, key=lambda s: (-float(after[s].mean()), s)) + [s for s in after if unknown[s]]
    options = tuple(
        _option(fit, s, now, after[s], costs[s], budget, level, chance.get(s, 0.0), unknown[s]) for s in ranked
    )
    worth = float(table.max(axis=0).mean() - table.mean(axis=1).max())
    sure = chance[ranked[0]] >= SURE and len(known) == len(after)
    experiments = _experiments(fit, hours, costs, budget, trials, ranked, unknown)
    rivals = [s for s in ranked[1:] if not unknown[s]]
    return SourceDecision(
        options=options,
        best=ranked[0] if sure else None,
        probability=chance[ranked[0]],
        certainty_worth=worth,
        would_change=tuple(_would_change(fit, hours, costs, budget, ranked[0], s) for s in rivals),
        experiments=experiments,
        sentence=_sentence(options, sure, unknown, experiments, budget),
    )


def _more(hours: Mapping[str, float], source: str, amount: float) -> dict[str, float]:
    return {**hours, source: hours.get(source, 0.0) + amount}


def _option(
    fit: MixtureFit,
    source: str,
    now: NDArray[np.float64],
    after: NDArray[np.float64],
    cost: float,
    budget: float,
    level: float,
    chance: float,
    unknown: str,
) -> SourceOption:
    def quantiles(values: NDArray[np.float64]) -> Estimate:
        if unknown:
            return Estimate(value=None, low=None, high=None, level=level, n=fit.trials, method=unknown)
        low, value, high = map(float, np.quantile(values, ((1 - level) / 2, 0.5, (1 + level) / 2)))
        return Estimate(value=value, low=low, high=high, level=level, n=fit.trials, method=_METHOD)

    gain = after - now
    return SourceOption(
        source=source,
        hours=budget / cost,
        success=quantiles(after),
        gain=quantiles(gain),
        gain_per_cost=quantiles(gain / budget),
        probability_best=chance,
    )


def _would_change(
    fit: MixtureFit, hours: Mapping[str, float], costs: Mapping[str, float], budget: float, best: str, rival: str
) -> str:
    """The cost of the rival at which, on average over the draws, it would buy as much as the best source."""
    target = float(fit.success(_more(hours, best, budget / costs[best])).mean())
    low, high = costs[rival] / 1000, costs[rival]
    if float(fit.success(_more(hours, rival, budget / low)).mean()) < target:
        return f"{rival} would not overtake {best} at a thousandth of its cost"
    for _ in range(30):
        middle = float(np.sqrt(low * high))
        reached = float(fit.success(_more(hours, rival, budget / middle)).mean()) >= target
        low, high = (middle, high) if reached else (low, middle)
    return f"{rival} would overtake {best} below a cost of {low:,.4g} a unit (now {costs[rival]:,.4g})"


def _experiments(
    fit: MixtureFit,
    hours: Mapping[str, float],
    costs: Mapping[str, float],
    budget: float,
    trials: int,
    ranked: list[str],
    unknown: Mapping[str, str],
) -> tuple[MixtureExperiment, ...]:
    """For each source: spend a quarter of the budget on it, measure, then spend the rest where it then seems best."""
    experiments = [_first_experiment(s, hours, costs, budget, trials) for s in ranked if unknown[s]]
    known = [s for s in ranked if not unknown[s]]
    for source in known if len(known) > 1 else ():
        part = budget / 4 / costs[source]
        probe = _more(hours, source, part)
        rest = np.array([fit.success(_more(probe, s, 0.75 * budget / costs[s])) for s in known])
        committed = max(float(fit.success(_more(hours, s, budget / costs[s])).mean()) for s in known)
        worth = _expected_best(fit.success(probe), rest, trials) - committed
        said = f"would add {100 * worth:.1f} points on average" if worth > 0.0005 else "would not pay"
        sentence = (
            f"Collect {part:,.4g} of {source} first, train and try {trials} times before spending the rest: {said}"
        )
        experiments.append(MixtureExperiment(source=source, hours=part, trials=trials, worth=worth, sentence=sentence))
    return tuple(
        sorted(experiments, key=lambda e: (e.source not in unknown or not unknown[e.source], -e.worth, e.source))
    )


def _expected_best(rates: NDArray[np.float64], outcomes: NDArray[np.float64], trials: int) -> float:
    """Mean, over what the trials will show, of the best option's success as then believed.

    Args:
        rates: success of the tried policy by draw; outcomes: success of each option by draw, shape (options, draws).
    """
    step = max(1, len(rates) // _DRAWS)
    rates, outcomes = np.clip(rates[::step], 1e-6, 1 - 1e-6), outcomes[:, ::step]
    k = np.arange(trials + 1)[:, None]
    ways = gammaln(trials + 1) - gammaln(k + 1) - gammaln(trials - k + 1)
    chance = np.exp(ways + xlogy(k, rates) + xlog1py(trials - k, -rates)) / len(rates)
    return float((chance @ outcomes.T).max(axis=1).sum())


def _first_experiment(
    source: str, hours: Mapping[str, float], costs: Mapping[str, float], budget: float, trials: int
) -> MixtureExperiment:
    have = hours.get(source, 0.0)
    part = min(budget / 4 / costs[source], have) if have > 0 else budget / 4 / costs[source]
    sentence = (
        f"The data cannot say what more {source} does: train once with {have + part:,.4g} of it instead of "
        f"{have:,.4g}, all else equal, and try the policy {trials} times"
    )
    return MixtureExperiment(source=source, hours=part, trials=trials, worth=0.0, sentence=sentence)


def _sentence(
    options: tuple[SourceOption, ...],
    sure: bool,
    unknown: Mapping[str, str],
    experiments: tuple[MixtureExperiment, ...],
    budget: float,
) -> str:
    first = options[0]
    gain = first.gain
    assert gain.value is not None and gain.low is not None and gain.high is not None
    what = f"{first.hours:,.4g} more of {first.source} for {budget:,.4g}"
    size = f"{100 * gain.value:+.0f} points of success [{100 * gain.low:+.0f}, {100 * gain.high:+.0f}]"
    if sure:
        return f"Collect {what}: {size}, best with probability {first.probability_best:.2f}"
    why = f"best with probability {first.probability_best:.2f} only"
    if any(unknown.values()):
        why = "; ".join(
            f"{s}: {reason.removeprefix('the data cannot say: ')}" for s, reason in unknown.items() if reason
        )
    tell = f". {experiments[0].sentence}" if experiments else ""
    return f"The data cannot say which source is best. {what[0].upper()}{what[1:]} would bring {size}, {why}{tell}"
