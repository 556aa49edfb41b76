"""The loop: order, collect, curate, train, judge, until the target is reached, the budget ends or data cannot help.

Decisions come from the journal alone; the work is done by `Hands`. A step that is not in the journal is asked for
again, so hands have to find what they did before they were killed. A step that is in the journal is never asked for
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from roboscale.jobs.campaign_deciding import LAST_HOPE, Ending, Ordering, decide_more, decide_order, ending_of_judging
from roboscale.jobs.campaign_file import Campaign, SourceLine
from roboscale.jobs.campaign_journal import Journal
from roboscale.jobs.campaign_standing import CampaignStanding, RunCounts, campaign_standing
from roboscale.jobs.events import Note, OnEvent, ignore

__all__ = [
    "CameIn",
    "CollectOrder",
    "Curated",
    "Hands",
    "JudgedRecipe",
    "ScenesWanted",
    "WaitingFor",
    "run_campaign_loop",
]


@dataclass(frozen=True, slots=True)
class ScenesWanted:
    """Which scenes an order is for.

    Args:
        cases: ids of cases, the most wanted first; empty where any scene will do.
        why: what they were chosen by, a sentence.
    """

    cases: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOrder:
    """Episodes of one source for one task.

    Args:
        round, item: place in the campaign.
        episodes: to add; `before` are there of this source and task.
        scenes: which of them.
        failures: reason -> how often the last judging of the task failed so.
    """

    round: int
    item: int
    task: str
    line: SourceLine
    episodes: int
    before: int
    scenes: ScenesWanted = field(default_factory=ScenesWanted)
    failures: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CameIn:
    """Episodes that an order brought, and what must be said of them."""

    episodes: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """A person's step that is not done: what, and the page that says how."""

    what: str
    page: Path | None = None


@dataclass(frozen=True, slots=True)
class Curated:
    """What a recipe is trained on.

    Args:
        kept: task -> source -> episodes.
        left_out: a sentence each.
    """

    kept: Mapping[str, Mapping[str, int]]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedRecipe:
    """Counts of each training run by task, and why trials failed: task -> reason -> how often."""

    counts: Mapping[str, RunCounts]
    failures: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Hands(Protocol):
    """Who does a campaign's work. Every method may be asked again for what was done, and then does the rest."""

    def scenes(self, number: int, task: str, source: SourceLine, episodes: int) -> ScenesWanted:
        """Which scenes a round's order is for."""
        ...

    def collect(self, order: CollectOrder) -> CameIn | WaitingFor:
        """Brings the episodes, or says for whom to wait."""
        ...

    def curate(self, number: int, have: Mapping[str, Mapping[str, float]]) -> Curated:
        """Puts together what the round's recipe is trained on."""
        ...

    def train(self, number: int) -> None:
        """Trains the round's recipe, as often as declared."""
        ...

    def judge(self, number: int, trials: Mapping[str, int]) -> JudgedRecipe:
        """Tries every training run: task -> trials of each, counted from the first."""
        ...


def run_campaign_loop(
    campaign: Campaign, journal: Journal, hands: Hands, on_event: OnEvent = ignore, most_rounds: int | None = None
) -> Sequence[WaitingFor]:
    """Goes on until the campaign ends (nothing to wait for) or waits for people, with all that they can do now.

    Args:
        most_rounds: stop before this round is exceeded, though the campaign is not over.
    """
    if not journal.entries:
        journal.append({"is": "opened", "declaration": campaign.digest, "title": campaign.title})
    while True:
        standing = campaign_standing(campaign, journal.entries, journal.path)
        if standing.step == "nothing":
            return ()
        if most_rounds is not None and len(standing.rounds) >= most_rounds and _orders_next(campaign, standing):
            return ()
        waiting = _STEPS[standing.step](campaign, standing, journal, hands, on_event)
        if waiting:
            return tuple(waiting)


def _orders_next(campaign: Campaign, standing: CampaignStanding) -> bool:
    """Whether the next step is another round."""
    if standing.step == "decide":
        return decide_more(campaign, standing) is None
    return standing.step == "order" and (not standing.rounds or ending_of_judging(campaign, standing) is None)


def _order(campaign: Campaign, standing: CampaignStanding, journal: Journal, hands: Hands, on_event: OnEvent) -> None:
    end = ending_of_judging(campaign, standing) if standing.rounds else None
    _write_order(campaign, standing, journal, hands, on_event, end or decide_order(campaign, standing))


def _write_order(
    campaign: Campaign,
    standing: CampaignStanding,
    journal: Journal,
    hands: Hands,
    on_event: OnEvent,
    ordering: Ordering | Ending,
) -> None:
    if isinstance(ordering, Ending):
        journal.append(ordering.entry(len(standing.rounds)))
        on_event(Note(ordering.sentence))
        return
    entry = ordering.entry()
    for item in entry["items"]:
        wanted = hands.scenes(ordering.number, item["task"], campaign.source(item["source"]), item["episodes"])
        item["scenes"] = {"cases": list(wanted.cases), "why": wanted.why}
    journal.append(entry)
    said = ", ".join(f"{count} by {source} of {task}" for task, source, count in ordering.items)
    on_event(Note(f"round {ordering.number}: ordered {said}"))


def _collect(
    campaign: Campaign, standing: CampaignStanding, journal: Journal, hands: Hands, on_event: OnEvent
) -> list[WaitingFor]:
    now = standing.rounds[-1]
    place = len(now.came)
    order = _collect_order(campaign, standing, place)
    came = hands.collect(order)
    if isinstance(came, WaitingFor):
        return [came, *_other_people(campaign, standing, hands, place + 1)]
    if came.note:
        on_event(Note(came.note))
    spent = order.line.each.times(came.episodes).to_json()
    journal.append(
        {
            "is": "collected",
            "round": now.number,
            "item": place,
            "came": came.episodes,
            "spent": spent,
            "note": came.note,
        }
    )
    return []


def _collect_order(campaign: Campaign, standing: CampaignStanding, place: int) -> CollectOrder:
    now = standing.rounds[-1]
    item = now.items[place]
    scenes = item.get("scenes", {})
    return CollectOrder(
        round=now.number,
        item=place,
        task=item["task"],
        line=campaign.source(item["source"]),
        episodes=item["episodes"],
        before=int(standing.have[item["task"]].get(item["source"], 0)),
        scenes=ScenesWanted(tuple(scenes.get("cases", ())), scenes.get("why", "")),
        failures=_last_failures(standing, item["task"]),
    )


def _other_people(campaign: Campaign, standing: CampaignStanding, hands: Hands, first: int) -> list[WaitingFor]:
    """What else people are ordered to do in this round: they are told all of it at once."""
    told = []
    for place in range(first, len(standing.rounds[-1].items)):
        order = _collect_order(campaign, standing, place)
        if order.line.kind == "order":
            answer = hands.collect(order)
            told += [answer] if isinstance(answer, WaitingFor) else []
    return told


def _last_failures(standing: CampaignStanding, task: str) -> Mapping[str, int]:
    for one in reversed(standing.rounds):
        if task in one.failures:
            found: Mapping[str, int] = one.failures[task]
            return found
    return {}


def _curate(campaign: Campaign, standing: CampaignStanding, journal: Journal, hands: Hands, on_event: OnEvent) -> None:
    number = standing.rounds[-1].number
    made = hands.curate(number, standing.have)
    for line in made.left_out:
        on_event(Note(line))
    kept = {task: dict(by) for task, by in made.kept.items()}
    journal.append({"is": "curated", "round": number, "kept": kept, "left_out": list(made.left_out)})


def _train(campaign: Campaign, standing: CampaignStanding, journal: Journal, hands: Hands, on_event: OnEvent) -> None:
    number = standing.rounds[-1].number
    hands.train(number)
    journal.append({"is": "trained", "round": number, "runs": campaign.learn.runs})


def _judge(campaign: Campaign, standing: CampaignStanding, journal: Journal, hands: Hands, on_event: OnEvent) -> None:
    now = standing.rounds[-1]
    tasks = list(dict.fromkeys(item["task"] for item in now.items))
    _write_judged(campaign, journal, hands, now.number, "first", dict.fromkeys(tasks, campaign.judge.trials), {})


def _judge_more(
    campaign: Campaign, standing: CampaignStanding, journal: Journal, hands: Hands, on_event: OnEvent
) -> None:
    now = standing.rounds[-1]
    trials = dict.fromkeys(campaign.tasks, campaign.judge.most)
    _write_judged(campaign, journal, hands, now.number, "sure", trials, now.first)


def _write_judged(
    campaign: Campaign,
    journal: Journal,
    hands: Hands,
    number: int,
    stage: str,
    trials: Mapping[str, int],
    before: Mapping[str, RunCounts],
) -> None:
    judged = hands.judge(number, trials)
    counts = {task: [list(run) for run in runs] for task, runs in judged.counts.items()}
    new = sum(n for runs in judged.counts.values() for _, n in runs) - sum(
        n for runs in before.values() for _, n in runs
    )
    journal.append(
        {
            "is": "judged",
            "round": number,
            "stage": stage,
            "counts": counts,
            "failures": {task: dict(why) for task, why in judged.failures.items()},
            "spent": campaign.judge.each.times(new).to_json(),
        }
    )


def _decide(campaign: Campaign, standing: CampaignStanding, journal: Journal, hands: Hands, on_event: OnEvent) -> None:
    more = decide_more(campaign, standing)
    if more is None:
        ordering = decide_order(campaign, standing)
        if isinstance(ordering, Ending) and ordering.why in ("cannot help", "out of reach"):
            more = decide_more(campaign, standing, LAST_HOPE)
        if more is None or isinstance(more, Ending):
            return _write_order(campaign, standing, journal, hands, on_event, ordering)
    if isinstance(more, Ending):
        journal.append(more.entry(standing.rounds[-1].number))
        on_event(Note(more.sentence))
    else:
        journal.append(more)


_STEPS: Mapping[str, Any] = {
    "order": _order,
    "collect": _collect,
    "curate": _curate,
    "train": _train,
    "judge": _judge,
    "decide": _decide,
    "judge more": _judge_more,
}
