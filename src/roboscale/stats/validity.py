"""The validity card: may this cheap world (simulator, learned model) stand in for the robot when policies are ranked?

Collects every measure of agreement with what it is worth at this number of policies, and says in plain sentences what
may be claimed: that it ranks, only where all of `validity_criteria` hold. Four policies in perfect agreement are one
of 24 orders: that is said, not hidden.

Does not know how alike the policies are: checkpoints of one run are not independent evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate
from roboscale.core.plain import Plain
from roboscale.stats.agreement import (
    PermutationTest,
    correlation,
    drop_one,
    mmrv,
    permutation_test,
    policies_for_correlation,
    top_one_regret,
)
from roboscale.stats.distributions import normal_isf, student_isf
from roboscale.stats.rate_difference import rate_difference
from roboscale.stats.validity_criteria import PEARSON, Criterion, criteria

__all__ = ["Score", "ValidityCard", "validity"]

Score = float | tuple[float, int] | Estimate
"""A mean score in 0 .. 1, (successes, trials), or a mean with its interval."""

_ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidityCard(Plain):
    """Agreement of a cheap world with the real one over k policies.

    Args:
        policies: names, sorted; only those with a score in both worlds.
        pearson, spearman: with Fisher-z intervals; `n` is the number of policies.
        pearson_drop_one, spearman_drop_one: range when one policy is left out.
        permutation: Pearson against chance.
        mmrv: violations weighed by real differences (the paper's orientation); `mmrv_swapped` by cheap ones.
        top_one_regret: real rate lost by deploying the cheap world's favourite.
        optimism: mean of cheap minus real, Student interval; `optimistic` policies score higher in the cheap world.
        calibration: cheap minus real by policy, with Newcombe's interval where counts are known.
        noise_ceiling: largest correlation that the trials' own noise allows; `None` where counts are unknown.
        policies_needed: policies at which a correlation like this would be shown to exceed .7; `None` if never.
        criteria: what must hold before the cheap world may be said to rank policies, and whether it does.
        claims: what may be said, most important first.
        left_out: policies with a score in one world only.
    """

    policies: tuple[str, ...]
    pearson: Estimate
    spearman: Estimate
    pearson_drop_one: tuple[float, float] | None
    spearman_drop_one: tuple[float, float] | None
    permutation: PermutationTest
    mmrv: float | None
    mmrv_swapped: float | None
    top_one_regret: float | None
    optimism: Estimate
    optimistic: int
    calibration: Mapping[str, Estimate]
    noise_ceiling: float | None
    policies_needed: int | None
    criteria: tuple[Criterion, ...]
    claims: tuple[str, ...]
    left_out: tuple[str, ...]

    json_also: ClassVar = ("mmrv_orientation", "disattenuated")

    def __str__(self) -> str:
        return "\n".join((*self.claims, *(f"  {line}" for line in self.measured)))

    @property
    def mmrv_orientation(self) -> str:
        """Which of the two numbers is the paper's."""
        return "mmrv weighs by real differences (real, cheap); mmrv_swapped by cheap ones"

    @property
    def disattenuated(self) -> float | None:
        """Pearson without the noise of the trials: over its ceiling, at most 1 (Spearman 1904). `None` without one."""
        r = self.pearson.value
        return None if r is None or not self.noise_ceiling else float(np.clip(r / self.noise_ceiling, -1, 1))

    @property
    def ranks(self) -> bool:
        """Whether every criterion holds and chance is ruled out."""
        p = self.permutation.p_value
        return p is not None and p <= _ALPHA and bool(self.criteria) and all(c.held for c in self.criteria)

    @property
    def measured(self) -> tuple[str, ...]:
        """Every criterion with its value, interval, k and whether it holds, a line each."""
        return tuple(_criterion_line(criterion) for criterion in self.criteria)


def validity(real: Mapping[str, Score], cheap: Mapping[str, Score], level: float = 0.95) -> ValidityCard:
    """Compares the scores of the same policies in two worlds.

    Args:
        real, cheap: score by policy; policies without trials, or in one world only, are left out.

    Raises:
        ValueError: scores outside 0 .. 1, impossible counts, or a level outside (0, 1).
    """
    rates = [{name: _rate(score) for name, score in world.items()} for world in (real, cheap)]
    names = sorted(name for name in real if rates[0][name] is not None and rates[1].get(name) is not None)
    x, y = (np.array([world[name] for name in names], float) for world in rates)
    pearson = correlation(x, y, "Pearson", level)
    spearman = correlation(x, y, "Spearman", level)
    needed = policies_for_correlation(pearson.value, PEARSON, level) if pearson.value is not None else None
    errors = [_errors([world[name] for name in names]) for world in (real, cheap)]
    noise = None if errors[0] is None or errors[1] is None else (errors[0], errors[1])
    draft = ValidityCard(
        policies=tuple(names),
        pearson=pearson,
        spearman=spearman,
        pearson_drop_one=drop_one(x, y, "Pearson"),
        spearman_drop_one=drop_one(x, y, "Spearman"),
        permutation=permutation_test(x, y),
        mmrv=mmrv(x, y),
        mmrv_swapped=mmrv(y, x),
        top_one_regret=top_one_regret(x, y),
        optimism=_mean_difference(y - x, level),
        optimistic=int((y > x).sum()),
        calibration={name: _difference(real[name], cheap[name], level) for name in names},
        noise_ceiling=_noise_ceiling([real[n] for n in names], [cheap[n] for n in names], x, y),
        policies_needed=needed,
        criteria=criteria(x, y, noise, pearson, spearman),
        claims=(),
        left_out=tuple(sorted((set(real) | set(cheap)) - set(names))),
    )
    return replace(draft, claims=(_verdict(draft), *_details(draft)))


def _verdict(card: ValidityCard) -> str:
    """The one sentence that decides what the card may be used for."""
    k, p = len(card.policies), card.permutation.p_value
    if k < 2:
        return f"The data cannot say: {k} {'policy has' if k == 1 else 'policies have'} scores in both worlds"
    if card.pearson.value is None or p is None:
        return f"The data cannot say: one world gives all {k} policies the same score"
    if card.permutation.floor > _ALPHA:
        return (
            f"{k} policies are too few for any claim: even perfect agreement happens by chance with probability "
            f"{card.permutation.floor:.2f}"
        )
    if p > _ALPHA:
        return f"Agreement is not shown: chance alone agrees as well with probability {p:.2g} ({k} policies)"
    strong = card.criteria[0]
    if card.ranks:
        bounds = " and ".join(f"{c.name} at least {c.value.low:.2f}" for c in card.criteria[:2])
        return f"The cheap world ranks like the real one: {bounds} over {k} policies"
    if strong.held:
        missed = ", ".join(c.name for c in card.criteria if not c.held)
        return (
            f"The cheap world separates weak from strong policies, and no more: Pearson at least "
            f"{strong.value.low:.2f} over {k} policies, but not good enough for an order: {missed}"
        )
    low = strong.value.low
    size = "no interval can be given" if low is None else f"but it may be as low as {low:.2f}"
    more = f"; about {card.policies_needed} policies would show more than {PEARSON:g}" if card.policies_needed else ""
    return f"Better than chance (p {p:.2g}), {size} with {k} policies{more}"


def _criterion_line(criterion: Criterion) -> str:
    value, points = criterion.value, criterion.name == "top-1 regret"
    verdict = {True: "yes", False: "no", None: "the data cannot say"}[criterion.held]

    def shown(number: float | None) -> str:
        return "none" if number is None else f"{100 * number:.1f}" if points else f"{number:.2f}"

    ends = "no interval" if value.low is None else f"{shown(value.low)}, {shown(value.high)}"
    unit = " points" if points else ""
    return f"{criterion.name} {shown(value.value)}{unit} [{ends}], k = {value.n}; asked: {criterion.asked}: {verdict}"


def _details(card: ValidityCard) -> list[str]:
    """Further sentences, each on one measure that is defined."""
    details = []
    if card.pearson_drop_one is not None:
        low, high = card.pearson_drop_one
        details.append(f"Without one policy the correlation lies between {low:.2f} and {high:.2f}")
    if card.permutation.chance is not None:
        details.append(f"An unrelated world reaches {card.permutation.chance:.2f} in one of twenty shuffles")
    if card.optimism.value is not None:
        details.append(_optimism_sentence(card))
    if card.noise_ceiling is not None:
        details.append(
            f"The noise of the trials would hold even a perfect cheap world to about {card.noise_ceiling:.2f}"
        )
    if card.disattenuated is not None:
        details.append(f"Without that noise the correlation would be about {card.disattenuated:.2f}")
    if card.left_out:
        details.append(f"Left out, no score in both worlds: {', '.join(card.left_out)}")
    return details


def _optimism_sentence(card: ValidityCard) -> str:
    gap = card.optimism
    assert gap.value is not None
    sides = f"{card.optimistic} of {len(card.policies)} policies score higher there"
    if gap.low is None or gap.high is None or gap.low <= 0 <= gap.high:
        return f"Whether the cheap world is optimistic cannot be told ({100 * gap.value:+.1f} points; {sides})"
    word = "optimistic" if gap.value > 0 else "pessimistic"
    return f"The cheap world is {word} by {100 * abs(gap.value):.1f} points ({sides})"


def _rate(score: Score) -> float | None:
    if isinstance(score, Estimate):
        return score.value
    if isinstance(score, tuple):
        k, n = score
        if not 0 <= k <= n:
            raise ValueError(f"cannot have {k} successes in {n} trials")
        return k / n if n else None
    if not 0 <= score <= 1:
        raise ValueError(f"a score is in 0 .. 1, not {score}; give counts as (successes, trials)")
    return float(score)


def _difference(real: Score, cheap: Score, level: float) -> Estimate:
    """Cheap minus real for one policy; Newcombe's hybrid score interval, as the two worlds' cases may differ."""
    x, y = _rate(real), _rate(cheap)
    assert x is not None and y is not None
    if not (isinstance(real, tuple) and isinstance(cheap, tuple)):
        errors = _errors([real]), _errors([cheap])
        if errors[0] is None or errors[1] is None:
            n = real[1] if isinstance(real, tuple) else 0
            return Estimate(
                value=y - x,
                low=None,
                high=None,
                level=level,
                n=n,
                method="difference of mean scores, numbers of trials unknown",
            )
        half = float(normal_isf((1 - level) / 2) * np.hypot(errors[0][0], errors[1][0]))
        n = real.n if isinstance(real, Estimate) else 0
        return Estimate(
            value=y - x,
            low=y - x - half,
            high=y - x + half,
            level=level,
            n=n,
            method="difference of mean scores, normal interval",
        )
    return rate_difference((round(real[0]), real[1]), (round(cheap[0]), cheap[1]), level)


def _errors(scores: Sequence[Score]) -> NDArray[np.float64] | None:
    """Standard error of each score; `None` where a number of trials is not known."""
    errors = []
    for score in scores:
        if isinstance(score, tuple):
            k, n = score
            rate = (k + 1) / (n + 2)  # not 0 where every trial ended alike
            errors.append(np.sqrt(rate * (1 - rate) / n))
        elif isinstance(score, Estimate) and score.low is not None and score.high is not None:
            errors.append((score.high - score.low) / (2 * normal_isf((1 - score.level) / 2)))
        else:
            return None
    return np.array(errors, float)


def _mean_difference(gaps: NDArray[np.float64], level: float) -> Estimate:
    method = "mean difference over policies, Student (1908)"
    k = len(gaps)
    if k == 0:
        return Estimate(value=None, low=None, high=None, level=level, n=0, method=method)
    value = float(gaps.mean())
    if k < 3:
        return Estimate(value=value, low=None, high=None, level=level, n=k, method=method)
    half = float(student_isf((1 - level) / 2, k - 1) * gaps.std(ddof=1) / np.sqrt(k))
    return Estimate(value=value, low=value - half, high=value + half, level=level, n=k, method=method)


def _noise_ceiling(
    real: list[Score], cheap: list[Score], x: NDArray[np.float64], y: NDArray[np.float64]
) -> float | None:
    """sqrt(reliability real x reliability cheap): Spearman's attenuation, from the binomial noise of both worlds."""
    if len(real) < 3:
        return None
    product = 1.0
    for scores, rates in ((real, x), (cheap, y)):
        errors = _errors(scores)
        if errors is None or rates.std() == 0:
            return None
        product *= max(0.0, 1 - float((errors**2).mean()) / float(rates.var(ddof=1)))
    return float(np.sqrt(product))
