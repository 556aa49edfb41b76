"""A campaign's file: the target, what may be spent, and the sources at hand.

    title = "Two tasks to nine in ten"
    world = "metaworld"
    tasks = ["push-v3", "pick-place-v3"]

    [target]
    success = 0.9               # of every task, as the mean over training runs
    at_least = 0.8              # what its lower bound has to be above

    [budget]
    hours = 6                   # of everybody's time together

    [[sources]]
    name = "person"
    kind = "order"              # people's work: a work order is written, and the campaign waits
    seconds = 60                # what an episode costs

    [[sources]]
    name = "generated"
    kind = "generate"           # in physics, from the episodes of another source
    from = "person"
    needs = 5
    seconds = 2

Costs are what the user declares: nobody measures how long a person took.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

from roboscale.core.declared import Count, Key, Limit, Mistake, Positive, Text
from roboscale.core.plain import Plain
from roboscale.stats.covering import BELIEFS, CoverBelief

__all__ = [
    "ROLLOUTS",
    "Campaign",
    "CampaignBudget",
    "CampaignTarget",
    "JudgingCost",
    "Learner",
    "SourceKind",
    "SourceLine",
    "Spent",
]

ROLLOUTS = "rollouts"
"""What episodes of judging are called beside the sources, where `[learn] rollouts` makes data of them."""

Share = Annotated[float, Limit("a number between 0 and 1", lambda number: 0 < number < 1)]
NotNegative = Annotated[float, Limit("a number of 0 or more", lambda number: number >= 0)]

SourceKind = Literal["order", "record", "generate", "command"]
"""A work order for people, a policy that demonstrates in the campaign's world, episodes made from another source's in
physics, and any command line that leaves a dataset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent(Plain):
    """What something costs: time of people or robots, money, and the minutes of resetting and labelling in it."""

    seconds: float = 0.0
    money: float = 0.0
    reset_s: float = 0.0
    label_s: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            seconds=self.seconds + other.seconds,
            money=self.money + other.money,
            reset_s=self.reset_s + other.reset_s,
            label_s=self.label_s + other.label_s,
        )

    def times(self, count: float) -> Spent:
        """The cost of so many."""
        return Spent(
            seconds=self.seconds * count,
            money=self.money * count,
            reset_s=self.reset_s * count,
            label_s=self.label_s * count,
        )


@dataclass(frozen=True, kw_only=True)
class CampaignTarget:
    """What is to be reached on every task.

    Args:
        success: mean success of the recipe's training runs.
        at_least: what the lower bound of that mean has to exceed.
        level: confidence of that bound, one-sided, over the whole campaign: every attempt to claim has a part of the
            error that is left.
    """

    success: Share = 0.9
    at_least: Share = 0.8
    level: Annotated[float, Limit("a number from 0.5 to 0.999", lambda number: 0.5 <= number <= 0.999)] = 0.95

    def mistakes(self) -> Iterator[Mistake]:
        if self.at_least >= self.success:
            yield "at_least", f"below success, which is {self.success:g}", self.at_least


@dataclass(frozen=True, kw_only=True)
class CampaignBudget:
    """What may be spent in all, judging included.

    Args:
        hours: of people's and robots' time together.
        hour_costs: what such an hour is worth in money, so that hours and money add up.
    """

    hours: Positive
    money: NotNegative | None = None
    reset_minutes: NotNegative | None = None
    label_minutes: NotNegative | None = None
    hour_costs: NotNegative = 0.0
    rounds: Count = 12


@dataclass(frozen=True, kw_only=True)
class Learner:
    """How a recipe is trained: the built-in policy, `runs` times with seeds that differ.

    Args:
        rollouts: `successes`: trials of earlier rounds that succeeded are trained on as well. They cost nothing more
            than the judging did, and every judging has scenes of its own.
    """

    inputs: Literal["state", "images"] = "state"
    steps: Count = 1000
    runs: Annotated[int, Limit("an integer of 2 or more, for claims about a recipe", lambda runs: runs >= 2)] = 5
    rollouts: Literal["none", "successes"] = "none"


@dataclass(frozen=True, kw_only=True)
class JudgingCost:
    """How a recipe is tried, and what a trial costs.

    Args:
        trials: of each task and training run in every round; `most` where the target may have been reached.
    """

    trials: Count = 3
    most: Count = 12
    seconds: NotNegative = 30.0
    money: NotNegative = 0.0
    reset_seconds: NotNegative = 0.0
    label_seconds: NotNegative = 0.0

    def mistakes(self) -> Iterator[Mistake]:
        if self.most < self.trials:
            yield "most", f"at least trials, which is {self.trials}", self.most
        if self.seconds + self.money <= 0:
            yield "seconds", "more than 0, or money more than 0: a trial costs something", self.seconds

    @property
    def each(self) -> Spent:
        """The cost of a trial."""
        return Spent(seconds=self.seconds, money=self.money, reset_s=self.reset_seconds, label_s=self.label_seconds)


@dataclass(frozen=True, kw_only=True)
class SourceLine:
    """One source at hand.

    Args:
        seconds, money, reset_seconds, label_seconds: what a successful episode costs.
        hours: most time of this source.
        episodes: most episodes of it for each task.
        policy: `record`: who demonstrates.
        made_from, needs: `generate` and `command`: from which source's episodes, and how many it takes of a task.
        command: `command`: what is run, with {out}, {from}, {task}, {episodes} and {seed} in it.
        belief: what is believed of it before it is tried: `demonstrated` (may cover everything) or `made` (may cover
            less); by default the second where it is made from another source.
        how: `order`: what people are told to do, with {out}, {task} and {episodes} in it.
    """

    name: Annotated[
        str,
        Limit(
            "a word of letters, digits, - and _",
            lambda name: bool(name) and name.replace("-", "").replace("_", "").isalnum(),
        ),
    ]
    kind: SourceKind
    seconds: NotNegative = 0.0
    money: NotNegative = 0.0
    reset_seconds: NotNegative = 0.0
    label_seconds: NotNegative = 0.0
    hours: Positive | None = None
    episodes: Count | None = None
    policy: Text = "expert"
    made_from: Annotated[str, Key("from")] = ""
    needs: Count = 5
    command: str = ""
    belief: Literal["demonstrated", "made", ""] = ""
    how: str = ""

    def mistakes(self) -> Iterator[Mistake]:
        if self.seconds + self.money <= 0:
            yield "seconds", "more than 0, or money more than 0: what costs nothing cannot be weighed", self.seconds
        if self.kind == "generate" and not self.made_from:
            yield "from", "the name of the source whose episodes it is made from", "nothing"
        if self.kind in ("order", "record") and self.made_from:
            yield "from", f"nothing: kind {self.kind} is made from no other source", self.made_from
        if self.kind == "command" and "{out}" not in self.command:
            yield "command", "a command line with {out} in it, where it leaves a dataset", self.command

    @property
    def each(self) -> Spent:
        """The cost of an episode."""
        return Spent(seconds=self.seconds, money=self.money, reset_s=self.reset_seconds, label_s=self.label_seconds)

    @property
    def prior(self) -> CoverBelief:
        """What is believed of it before it is tried."""
        return BELIEFS[self.belief or ("made" if self.made_from else "demonstrated")]


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """The whole file; see the module's docstring for an example."""

    title: Text
    tasks: Annotated[
        tuple[Text, ...], Limit("at least one task, none twice", lambda tasks: 0 < len(tasks) == len(set(tasks)))
    ]
    budget: CampaignBudget
    sources: Annotated[tuple[SourceLine, ...], Limit("at least one source", lambda sources: len(sources) > 0)]
    world: Text = "metaworld"
    target: CampaignTarget = field(default_factory=CampaignTarget)
    learn: Learner = field(default_factory=Learner)
    judge: JudgingCost = field(default_factory=JudgingCost)
    seed: int = 0

    def mistakes(self) -> Iterator[Mistake]:
        names = [source.name for source in self.sources]
        for place, source in enumerate(self.sources):
            if names.index(source.name) != place:
                yield f"sources[{place}].name", "a name that no other source has", source.name
            made_from = source.made_from
            if made_from and (made_from not in names or made_from == source.name):
                yield (
                    f"sources[{place}].from",
                    f"another source: {', '.join(n for n in names if n != source.name) or 'there is none'}",
                    made_from,
                )
            elif made_from and self.source(made_from).made_from:
                yield f"sources[{place}].from", "a source that is not made from another one", made_from
        if self.learn.rollouts != "none" and ROLLOUTS in names:
            yield f"sources[{names.index(ROLLOUTS)}].name", "another name: episodes of judging are called so", ROLLOUTS
        if self.priced_in_money and not self.budget.hour_costs:
            yield "budget.hour_costs", "what an hour is worth in money, as something here costs money", "nothing"

    def source(self, name: str) -> SourceLine:
        """The source of this name, which is one of them."""
        return next(source for source in self.sources if source.name == name)

    @property
    def priced_in_money(self) -> bool:
        """Whether money is spent at all."""
        return self.judge.money > 0 or any(source.money for source in self.sources)

    def scalar(self, spent: Spent) -> float:
        """A cost as one number, seconds: resetting and labelling count, and money at what an hour is worth."""
        money = 3600 * spent.money / self.budget.hour_costs if self.budget.hour_costs else 0.0
        return spent.seconds + spent.reset_s + spent.label_s + money

    @property
    def digest(self) -> str:
        """Of everything in the file: a journal belongs to one declaration."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def beliefs(self) -> Mapping[str, CoverBelief]:
        """By source; what is made of judging may cover less than what is demonstrated."""
        kept = {ROLLOUTS: BELIEFS["made"]} if self.learn.rollouts != "none" else {}
        return {source.name: source.prior for source in self.sources} | kept
