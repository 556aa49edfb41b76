"""Where a campaign stands by its journal: episodes, counts, costs, and what has to be done next. Pure, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from roboscale.core import Estimate, RoboscaleError
from roboscale.jobs.campaign_file import ROLLOUTS, Campaign, Spent
from roboscale.jobs.campaign_journal import JournalEntry
from roboscale.stats.covering import CoverFit, CoverPoint

__all__ = ["CampaignRound", "CampaignStanding", "Foretold", "NextStep", "RunCounts", "campaign_standing"]

RunCounts = tuple[tuple[int, int], ...]
"""(successes, counted trials) of each training run, on one task."""

Stage = Literal["first", "sure"]

NextStep = Literal["order", "collect", "curate", "train", "judge", "decide", "judge more", "nothing"]
"""What has to be done next; `decide` is whether to judge on until it is certain, or to order again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """A prediction that was written before, and what was then measured: the mean over training runs of their rates."""

    round: int
    task: str
    stage: Stage
    predicted: Estimate
    measured: float | None

    @property
    def held(self) -> bool | None:
        """Whether the interval held what was measured; `None` before that."""
        low, high = self.predicted.low, self.predicted.high
        if self.measured is None or low is None or high is None:
            return None
        return low - 1e-9 <= self.measured <= high + 1e-9


@dataclass(slots=True, kw_only=True)
class CampaignRound:
    """One round as far as it went.

    Args:
        items: what was ordered, in order, as it stands in the journal.
        came: episodes that came for each item; shorter than `items` while some are missing.
        amounts: task -> source -> episodes that its recipe is trained on.
        first, sure: task -> counts, after the first judging and after the one that makes certain.
        more: trials of each task and training run that the second judging adds, once it was decided on.
    """

    number: int
    order: JournalEntry
    amounts: dict[str, dict[str, float]]
    came: list[int] = field(default_factory=list)
    curated: JournalEntry | None = None
    trained: bool = False
    first: dict[str, RunCounts] = field(default_factory=dict)
    sure: dict[str, RunCounts] = field(default_factory=dict)
    more: JournalEntry | None = None
    spent: Spent = field(default_factory=Spent)
    failures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def items(self) -> Sequence[Mapping[str, Any]]:
        return tuple(self.order["items"])

    @property
    def counts(self) -> dict[str, RunCounts]:
        """The newest counts of each task."""
        return {**self.first, **self.sure}

    @property
    def judged(self) -> bool:
        """Whether the first judging is done; a round without one judges all at once."""
        return bool(self.first or self.sure)


@dataclass(slots=True, kw_only=True)
class CampaignStanding:
    """Everything that decisions rest on.

    Args:
        have: task -> source -> episodes there are.
        spent: in all; `by_source` of collecting, `judging` of trials.
        points: task -> training runs with what they were trained on.
        attempts: how often certainty was asked for.
        fits: what is believed of each task by now, kept once it was worked out.
    """

    rounds: list[CampaignRound] = field(default_factory=list)
    have: dict[str, dict[str, float]]
    points: dict[str, list[CoverPoint]]
    spent: Spent = field(default_factory=Spent)
    by_source: dict[str, Spent]
    judging: Spent = field(default_factory=Spent)
    foretold: list[Foretold] = field(default_factory=list)
    attempts: int = 0
    ended: JournalEntry | None = None
    fits: dict[str, CoverFit] = field(default_factory=dict, repr=False)

    @property
    def step(self) -> NextStep:
        """What has to be done next."""
        if self.ended is not None:
            return "nothing"
        if not self.rounds:
            return "order"
        now = self.rounds[-1]
        if len(now.came) < len(now.items):
            return "collect"
        if now.curated is None:
            return "curate"
        if not now.trained:
            return "train"
        if not now.judged:
            return "judge"
        if now.more is None:
            return "decide"
        return "order" if now.sure else "judge more"


def campaign_standing(
    campaign: Campaign, entries: Sequence[JournalEntry], file: object = "journal"
) -> CampaignStanding:
    """Reads a journal from its beginning.

    Raises:
        RoboscaleError: it belongs to another declaration.
    """
    standing = CampaignStanding(
        have={task: {} for task in campaign.tasks},
        points={task: [] for task in campaign.tasks},
        by_source={source.name: Spent() for source in campaign.sources},
    )
    for entry in entries:
        if entry["is"] == "opened" and entry["declaration"] != campaign.digest:
            raise RoboscaleError(
                f"{file} belongs to another declaration (digest {entry['declaration'][:8]}, now {campaign.digest[:8]})"
                ": a campaign's file does not change while it runs; use another --out"
            )
        _READERS.get(entry["is"], _nothing)(campaign, standing, entry)
    return standing


def _nothing(campaign: Campaign, standing: CampaignStanding, entry: JournalEntry) -> None:
    """An entry that moves nothing."""


def _ordered(campaign: Campaign, standing: CampaignStanding, entry: JournalEntry) -> None:
    standing.rounds.append(CampaignRound(number=entry["round"], order=entry, amounts={}))
    for task, predicted in entry["foretold"].items():
        standing.foretold.append(_foretold(entry["round"], task, "first", predicted))


def _foretold(number: int, task: str, stage: Stage, predicted: Mapping[str, Any]) -> Foretold:
    return Foretold(round=number, task=task, stage=stage, predicted=Estimate(**predicted), measured=None)


def _collected(campaign: Campaign, standing: CampaignStanding, entry: JournalEntry) -> None:
    now = standing.rounds[-1]
    item = now.items[len(now.came)]
    now.came.append(entry["came"])
    mine = standing.have[item["task"]]
    mine[item["source"]] = mine.get(item["source"], 0.0) + entry["came"]
    cost = Spent(**entry["spent"])
    now.spent, standing.spent = now.spent + cost, standing.spent + cost
    standing.by_source[item["source"]] = standing.by_source[item["source"]] + cost


def _curated(campaign: Campaign, standing: CampaignStanding, entry: JournalEntry) -> None:
    now = standing.rounds[-1]
    now.curated = entry
    now.amounts = {task: dict(kept) for task, kept in entry["kept"].items()}
    for task, kept in now.amounts.items():
        if ROLLOUTS in kept:  # nobody ordered them
            standing.have[task][ROLLOUTS] = float(kept[ROLLOUTS])


def _trained(campaign: Campaign, standing: CampaignStanding, entry: JournalEntry) -> None:
    standing.rounds[-1].trained = True


def _more(campaign: Campaign, standing: CampaignStanding, entry: JournalEntry) -> None:
    standing.rounds[-1].more = entry
    standing.attempts += 1
    for task, predicted in entry["predicted"].items():
        standing.foretold.append(_foretold(entry["round"], task, "sure", predicted))


def _judged(campaign: Campaign, standing: CampaignStanding, entry: JournalEntry) -> None:
    now = standing.rounds[-1]
    counts: dict[str, RunCounts] = {
        task: tuple((int(k), int(n)) for k, n in runs) for task, runs in entry["counts"].items()
    }
    if entry["stage"] == "first":
        now.first = counts
    else:
        now.sure = counts
    now.failures = {**now.failures, **entry.get("failures", {})}
    cost = Spent(**entry["spent"])
    now.spent, standing.spent, standing.judging = now.spent + cost, standing.spent + cost, standing.judging + cost
    for task, runs in counts.items():
        before = now.first.get(task, ()) if entry["stage"] == "sure" else ()
        _score(standing, now.number, task, entry["stage"], _fresh(runs, before))
        if before:
            del standing.points[task][-len(before) :]
        amounts = now.amounts.get(task, {})
        standing.points[task] += [CoverPoint(amounts, k, n) for k, n in runs]


def _fresh(runs: RunCounts, before: RunCounts) -> list[float]:
    """Rate of each training run over the trials that are new."""
    old = before or ((0, 0),) * len(runs)
    return [(k - a) / (n - b) for (k, n), (a, b) in zip(runs, old, strict=True) if n > b]


def _score(standing: CampaignStanding, number: int, task: str, stage: Stage, rates: Sequence[float]) -> None:
    for place, one in enumerate(standing.foretold):
        if (one.round, one.task, one.stage) == (number, task, stage) and rates:
            standing.foretold[place] = Foretold(
                round=number, task=task, stage=stage, predicted=one.predicted, measured=sum(rates) / len(rates)
            )


def _ended(campaign: Campaign, standing: CampaignStanding, entry: JournalEntry) -> None:
    standing.ended = entry


_READERS = {
    "ordered": _ordered,
    "collected": _collected,
    "curated": _curated,
    "trained": _trained,
    "foretold": _more,
    "judged": _judged,
    "ended": _ended,
}
