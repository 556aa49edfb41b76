"""What a campaign does next, and why not something else: a function of its declaration and its journal.

Ordering weighs, task by task, what every source would cost until the target is reached (`stats.next_order`). Judging
is carried on where the recipe is likely to pass; an end is said in a sentence with the numbers that it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate, derive_seed
from roboscale.core.plain import to_plain
from roboscale.jobs.campaign_file import Campaign, Spent
from roboscale.jobs.campaign_standing import CampaignStanding
from roboscale.stats.covering import CoverFit, fit_cover, shown_interval
from roboscale.stats.next_order import OrderOption, SourceOffer, Weighed, weigh_orders
from roboscale.stats.recipes import recipe_bounds
from roboscale.stats.scaling import fit_curve
from roboscale.stats.scaling_checks import CurveCheck, check_curve
from roboscale.stats.scaling_forms import Point

__all__ = [
    "LAST_HOPE",
    "Ending",
    "Ordering",
    "certainty",
    "decide_more",
    "decide_order",
    "ending_of_judging",
    "fits_of",
]

EndKind = Literal["reached", "data harms", "cannot help", "out of reach", "budget", "rounds"]

NO_HOPE = 0.05
"""Probability below which something is no longer tried."""
LIKELY = 0.5
"""Probability of passing from which judging goes on until it is certain."""
LAST_HOPE = 0.15
"""The same where nothing that could be collected would help, and where every task has what it needs: a failure
is then the luck of so many trials, which more data does not change."""
HELPS = 0.02
"""Rise of success that the most of a source has to bring with a probability of `NO_HOPE` or more, to stay on offer."""
REACHED = 0.7
"""Probability of having reached the aim from which a task gets no data for now."""
HARMS = 0.002
"""Probability of so strong a fall by chance at which data are said to harm: every task is asked in every round."""
LEVEL = 0.9  # of every prediction
_LUCK = 20.0, 80.0, 320.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a campaign is over, and the sentence for people."""

    why: EndKind
    sentence: str

    def entry(self, number: int) -> dict[str, Any]:
        """As the journal has it."""
        return {"is": "ended", "round": number, "why": self.why, "sentence": self.sentence}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordering:
    """One round's order.

    Args:
        items: task, source, episodes to add.
        foretold: task -> what the first judging will show.
        options: task -> the best order of each source, the chosen one first.
        barred: task -> source -> why it is not ordered again.
        learned: what the last judging changed, a sentence each.
    """

    number: int
    items: tuple[tuple[str, str, int], ...]
    cost: Spent
    foretold: Mapping[str, Estimate]
    options: Mapping[str, Sequence[OrderOption]]
    barred: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    learned: tuple[str, ...] = ()

    def entry(self) -> dict[str, Any]:
        """As the journal has it."""
        return {
            "is": "ordered",
            "round": self.number,
            "items": [{"task": task, "source": source, "episodes": count} for task, source, count in self.items],
            "cost": self.cost.to_json(),
            "foretold": {task: predicted.to_json() for task, predicted in self.foretold.items()},
            "options": {task: [to_plain(option) for option in options] for task, options in self.options.items()},
            "barred": {task: dict(why) for task, why in self.barred.items()},
            "learned": list(self.learned),
        }


def fits_of(campaign: Campaign, standing: CampaignStanding) -> dict[str, CoverFit]:
    """What is believed of each task by now."""
    number = len(standing.rounds)
    for task, points in standing.points.items():
        if task not in standing.fits:
            seed = derive_seed("campaign", campaign.seed, number, task)
            standing.fits[task] = fit_cover(points, campaign.beliefs(), seed)
    return standing.fits


def aim_of(campaign: Campaign) -> float:
    """The success that is collected for: a little above the target, or half of those that reach it would fail."""
    return campaign.target.success + 0.3 * (1 - campaign.target.success)


def certainty(campaign: Campaign, attempt: int) -> float:
    """Two-sided level of the bounds of the n-th attempt to claim, counted from 1.

    Half of the error that is left goes to each attempt, so all of them together err with at most 1 - `level`.
    """
    return 1 - 2 * (1 - campaign.target.level) / 2**attempt


def decide_order(campaign: Campaign, standing: CampaignStanding) -> Ordering | Ending:
    """The next round's order, or why there is none."""
    number = len(standing.rounds) + 1
    fits = fits_of(campaign, standing)
    harmed = _harm(campaign, standing)
    if harmed is not None:
        return harmed
    if number > campaign.budget.rounds:
        return Ending(
            "rounds",
            f"the {campaign.budget.rounds} rounds that were allowed are over; {_best(campaign, fits, standing)}",
        )
    open_tasks = _open_tasks(campaign, standing, fits)
    barred: dict[str, dict[str, str]] = {}
    chosen: dict[str, OrderOption] = {}
    options: dict[str, Sequence[OrderOption]] = {}
    purse = _Purse(campaign, standing)
    for place, task in enumerate(open_tasks):
        barred[task] = _barred(campaign, standing, task, fits[task])
        if len(barred[task]) == len(campaign.sources) and _hope(campaign, standing, task, fits[task]) >= NO_HOPE:
            continue  # nothing more can be done for it, and it may be good enough: the judging will tell
        weighed = _weigh(campaign, standing, task, fits[task], purse, barred[task], len(open_tasks) - place)
        end = _no_way(campaign, standing, task, fits[task], weighed, barred[task])
        if end is not None or weighed.best is None:
            return end or Ending("budget", _budget_sentence(campaign, standing, task, fits[task]))
        chosen[task] = weighed.best
        options[task] = [*weighed.by_source().values()]
        purse.take(weighed.best.amounts)
    if not chosen:
        why = "; ".join(line for by in barred.values() for line in by.values())
        return Ending("cannot help", f"more data cannot help: {why}; {_best(campaign, fits, standing)}")
    items, cost = [], Spent()
    for task, option in chosen.items():
        for source, count in option.amounts.items():
            items.append((task, source, count))
            cost = cost + campaign.source(source).each.times(count)
    foretold = {
        task: shown_interval(
            fits[task].success([_after(standing, task, option)])[0],
            campaign.learn.runs,
            campaign.judge.trials,
            LEVEL,
            derive_seed("foretold", campaign.seed, number, task),
        )
        for task, option in chosen.items()
    }
    return Ordering(
        number=number,
        items=tuple(items),
        cost=cost,
        foretold=foretold,
        options=options,
        barred={task: why for task, why in barred.items() if why},
        learned=tuple(_learned(campaign, standing)),
    )


def decide_more(
    campaign: Campaign, standing: CampaignStanding, least: float = LIKELY
) -> dict[str, Any] | Ending | None:
    """The entry that foretells the judging which makes certain; `None` where more data is the better next step.

    An `Ending` where the recipe would be tried further and the budget does not allow it.

    Args:
        least: probability of passing from which judging goes on.
    """
    fits, now = fits_of(campaign, standing), standing.rounds[-1]
    chance, ready, aim = 1.0, True, aim_of(campaign)
    for task in campaign.tasks:
        rates = fits[task].success([now.amounts.get(task, {})])[0]
        chance *= _pass_chance(campaign, standing, task, rates)
        ready = ready and float(np.mean(rates >= aim)) >= REACHED
    extra = _extra_trials(campaign, standing)
    cost = campaign.judge.each.times(extra)
    affordable = campaign.scalar(standing.spent + cost) <= _limit(campaign) and not _breaks(
        campaign, standing.spent + cost
    )
    if chance < (min(least, LAST_HOPE) if ready else least):
        return None
    if not affordable:
        return Ending(
            "budget",
            f"the recipe of round {now.number} is likely to pass (probability {chance:.2f}), but the {extra} trials "
            f"that would make it certain cost more than is left; {_best(campaign, fits, standing)}",
        )
    predicted = {}
    for task in campaign.tasks:
        done = max((n for _, n in now.first.get(task, ())), default=0)
        rates = fits[task].success([now.amounts.get(task, {})])[0]
        seed = derive_seed("foretold sure", campaign.seed, now.number, task)
        predicted[task] = shown_interval(rates, campaign.learn.runs, campaign.judge.most - done, LEVEL, seed).to_json()
    return {"is": "foretold", "round": now.number, "trials": extra, "chance": round(chance, 4), "predicted": predicted}


def ending_of_judging(campaign: Campaign, standing: CampaignStanding) -> Ending | None:
    """The end where the newest judging shows the target on every task; `None` otherwise."""
    now = standing.rounds[-1]
    if not now.sure:
        return None
    level = certainty(campaign, standing.attempts)
    bounds = {task: recipe_bounds(now.sure[task], level) for task in campaign.tasks}
    if not all(passes(campaign, bound) for bound in bounds.values()):
        return None
    said = "; ".join(f"{task} {_rate(bound)}" for task, bound in bounds.items())
    return Ending(
        "reached",
        f"the target is reached for certain: {said} over {campaign.learn.runs} training runs, lower bounds above "
        f"{campaign.target.at_least:g} at {100 * campaign.target.level:g} % over all attempts",
    )


def passes(campaign: Campaign, bound: Estimate) -> bool:
    """Whether a task's mean and lower bound are those of the target."""
    if bound.value is None or bound.low is None:
        return False
    return bound.value >= campaign.target.success - 1e-9 and bound.low > campaign.target.at_least


class _Purse:
    """What the tasks of a round that were not weighed yet may still spend."""

    def __init__(self, campaign: Campaign, standing: CampaignStanding) -> None:
        self.campaign = campaign
        self.spent, self.by_source = standing.spent, dict(standing.by_source)

    def take(self, amounts: Mapping[str, int]) -> None:
        for source, count in amounts.items():
            cost = self.campaign.source(source).each.times(count)
            self.spent = self.spent + cost
            self.by_source[source] = self.by_source[source] + cost

    def left(self) -> float:
        """Of the whole budget, after the judging that makes certain, as one number."""
        campaign = self.campaign
        sure = campaign.judge.each.times(campaign.judge.most * campaign.learn.runs * len(campaign.tasks))
        return _limit(campaign) - campaign.scalar(self.spent + sure)

    def most(self, source: str, have: float) -> int:
        """Episodes of a source that its own budget, money and minutes allow."""
        line, budget = self.campaign.source(source), self.campaign.budget
        each, spent, most = line.each, self.spent, [float(10**6)]
        if line.episodes is not None:
            most.append(line.episodes - have)
        if line.hours is not None and each.seconds:
            most.append((3600 * line.hours - self.by_source[source].seconds) / each.seconds)
        for limit, gone, one in (
            (budget.money, spent.money, each.money),
            (None if budget.reset_minutes is None else 60 * budget.reset_minutes, spent.reset_s, each.reset_s),
            (None if budget.label_minutes is None else 60 * budget.label_minutes, spent.label_s, each.label_s),
        ):
            if limit is not None and one:
                most.append((limit - gone) / one)
        return max(0, int(min(most) + 1e-9))


def _limit(campaign: Campaign) -> float:
    """The whole budget as one number."""
    return 3600 * campaign.budget.hours


def _breaks(campaign: Campaign, spent: Spent) -> bool:
    """Whether money or minutes would be exceeded."""
    budget = campaign.budget
    limits = (
        (budget.money, spent.money),
        (None if budget.reset_minutes is None else 60 * budget.reset_minutes, spent.reset_s),
        (None if budget.label_minutes is None else 60 * budget.label_minutes, spent.label_s),
    )
    return any(limit is not None and gone > limit + 1e-9 for limit, gone in limits)


def _weigh(
    campaign: Campaign,
    standing: CampaignStanding,
    task: str,
    fit: CoverFit,
    purse: _Purse,
    barred: Mapping[str, str],
    sharing: int,
) -> Weighed:
    have = standing.have[task]
    offers = [
        SourceOffer(
            source=source.name,
            cost=campaign.scalar(source.each),
            most=purse.most(source.name, have.get(source.name, 0.0)),
            made_from=source.made_from,
            needs=source.needs if source.made_from else 0,
        )
        for source in campaign.sources
        if source.name not in barred
    ]
    judgement = campaign.scalar(campaign.judge.each) * campaign.judge.trials * campaign.learn.runs
    return weigh_orders(
        fit,
        have,
        offers,
        aim=aim_of(campaign),
        goal=campaign.target.success,
        judgement=judgement,
        budget=max(0.0, purse.left()) / sharing,
        shown=campaign.judge.trials * campaign.learn.runs,
        seed=derive_seed("weigh", campaign.seed, len(standing.rounds), task),
    )


def _open_tasks(campaign: Campaign, standing: CampaignStanding, fits: Mapping[str, CoverFit]) -> list[str]:
    """Tasks that need more data, the neediest first; the neediest alone where all may have reached the target."""
    aim = aim_of(campaign)
    chance = {
        task: float(np.mean(fits[task].success([standing.have[task]])[0] >= aim)) if standing.have[task] else 0.0
        for task in campaign.tasks
    }
    found = [task for task in campaign.tasks if chance[task] < REACHED]
    return sorted(found or [min(campaign.tasks, key=lambda task: chance[task])], key=lambda task: chance[task])


def _hope(campaign: Campaign, standing: CampaignStanding, task: str, fit: CoverFit) -> float:
    """Probability that a task has reached the target with what there is."""
    return float(np.mean(fit.success([standing.have[task]])[0] >= campaign.target.success))


def _after(standing: CampaignStanding, task: str, option: OrderOption) -> dict[str, float]:
    have = standing.have[task]
    return {name: have.get(name, 0.0) + option.amounts.get(name, 0) for name in {**have, **option.amounts}}


def _barred(campaign: Campaign, standing: CampaignStanding, task: str, fit: CoverFit) -> dict[str, str]:
    """Sources of which more is not shown to help this task, with the sentence."""
    have, found = standing.have[task], {}
    now = fit.success([have])[0] if have else None
    for source in campaign.sources:
        mine = have.get(source.name, 0.0)
        if now is None or not mine:
            continue
        most = fit.success([{**have, source.name: 10 * mine + 100}])[0]
        gain = most - now
        if float(np.mean(gain >= HELPS)) < NO_HOPE:
            low, high = np.quantile(gain, (0.05, 0.95))
            found[source.name] = (
                f"{source.name} cannot help {task} any further: {10 * mine + 100:.0f} of it instead of {mine:g} would "
                f"bring {100 * float(np.median(gain)):+.0f} points [{100 * low:+.0f}, {100 * high:+.0f}]"
            )
    return found


def _no_way(
    campaign: Campaign,
    standing: CampaignStanding,
    task: str,
    fit: CoverFit,
    weighed: Weighed,
    barred: Mapping[str, str],
) -> Ending | None:
    """The end where nothing that is on offer can lead to the target on this task."""
    goal = f"{100 * campaign.target.success:g} % of {task}"
    if len(barred) == len(campaign.sources):
        return Ending(
            "cannot help", f"more data cannot help: {'; '.join(barred.values())}; {goal} is out of reach with them"
        )
    if weighed.ever < NO_HOPE:
        top = _quantiles(weighed.best_rate)
        said = f"the most that is affordable of all sources would bring {top}"
        return Ending(
            "out of reach",
            f"{goal} is out of reach with the sources at hand: {said} (probability of reaching it with any amount "
            f"{weighed.ever:.2f})",
        )
    if weighed.reachable < NO_HOPE:
        return Ending("budget", _budget_sentence(campaign, standing, task, fit, weighed))
    return None


def _budget_sentence(
    campaign: Campaign, standing: CampaignStanding, task: str, fit: CoverFit, weighed: Weighed | None = None
) -> str:
    left = max(0.0, _limit(campaign) - campaign.scalar(standing.spent)) / 3600
    chance = 0.0 if weighed is None else weighed.reachable
    now = _quantiles(fit.success([standing.have[task]])[0]) if standing.have[task] else "unknown"
    return (
        f"the budget does not suffice: {left:.1f} h are left, the judging that makes certain included, and with them "
        f"{task} reaches the target with probability {chance:.2f}; it stands at {now}"
    )


def _harm(campaign: Campaign, standing: CampaignStanding) -> Ending | None:
    """The end where success on a task falls as data are added, beyond what retraining and luck explain."""
    for task in campaign.tasks:
        points = [Point(sum(p.amounts.values()), p.k, p.n) for p in standing.points[task] if sum(p.amounts.values())]
        check = check_harm(points)
        if check is not None and check.falls is not None and check.falls <= HARMS:
            by_amount: dict[float, tuple[float, int]] = {}
            for p in points:
                k, n = by_amount.get(p.n, (0.0, 0))
                by_amount[p.n] = (k + p.k, n + p.trials)
            shown = ", ".join(f"{k / n:.2f} with {amount:g}" for amount, (k, n) in sorted(by_amount.items()))
            return Ending(
                "data harms",
                f"more data harms {task}: success falls, {shown} episodes (so strong a fall by chance: "
                f"{'below 0.001' if (check.falls or 0) < 0.001 else f'{check.falls:.2g}'}); nothing more is ordered, "
                "look for what else changed with these episodes",
            )
    return None


def check_harm(points: Sequence[Point]) -> CurveCheck | None:
    """The curve's own check; `None` below two amounts."""
    if len({p.n for p in points}) < 2:
        return None
    return check_curve(fit_curve(points))


def _pass_chance(campaign: Campaign, standing: CampaignStanding, task: str, rates: Floats) -> float:
    """Probability that a task passes when every training run has `most` trials, given what it showed so far."""
    now, judge, runs = standing.rounds[-1], campaign.judge, campaign.learn.runs
    shown = now.first.get(task, ((0, 0),) * runs)
    rng = np.random.default_rng(derive_seed("pass", campaign.seed, now.number, task))
    spread = rng.choice(_LUCK, len(rates))[:, None]
    middle = np.clip(rates, 1e-4, 1 - 1e-4)[:, None]
    won, tried = (np.array([run[i] for run in shown]) for i in (0, 1))
    each = rng.beta(middle * spread + won, (1 - middle) * spread + tried - won)
    k = won + rng.binomial(np.maximum(judge.most - tried, 0), each)
    level = certainty(campaign, standing.attempts + 1)
    passed = [passes(campaign, recipe_bounds([(int(one), judge.most) for one in row], level)) for row in k]
    return float(np.mean(passed))


def _extra_trials(campaign: Campaign, standing: CampaignStanding) -> int:
    """Trials of the judging that makes certain, beyond those of the first."""
    now = standing.rounds[-1]
    done = sum(n for runs in now.first.values() for _, n in runs)
    return campaign.judge.most * campaign.learn.runs * len(campaign.tasks) - done


def _learned(campaign: Campaign, standing: CampaignStanding) -> list[str]:
    """What the last round's judging said beside what was foretold."""
    if not standing.rounds:
        return []
    said = []
    for one in standing.foretold:
        if one.round == len(standing.rounds) and one.measured is not None:
            low, high = one.predicted.low or 0.0, one.predicted.high or 0.0
            where = (
                "as foretold"
                if one.held
                else "above what was foretold"
                if one.measured > high
                else "below what was foretold"
            )
            more = " (to be certain)" if one.stage == "sure" else ""
            said.append(f"{one.task}: {one.measured:.2f}{more}, {where} [{low:.2f}, {high:.2f}]")
    return said


def _best(campaign: Campaign, fits: Mapping[str, CoverFit], standing: CampaignStanding) -> str:
    """Where every task stands."""
    said = [
        f"{task} stands at {_quantiles(fits[task].success([standing.have[task]])[0])}"
        for task in campaign.tasks
        if standing.have[task]
    ]
    return "; ".join(said) or "nothing was tried"


def _quantiles(rates: Floats) -> str:
    low, value, high = np.quantile(rates, (0.05, 0.5, 0.95))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _rate(bound: Estimate) -> str:
    return f"{bound.value:.2f} [{bound.low:.2f}, {bound.high:.2f}] (n = {bound.n})"
