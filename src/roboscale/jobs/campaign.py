"""The loop by itself: a target, a budget and the sources at hand become orders, recipes and judgements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.options import Workers
from roboscale.jobs.request import Argument, Option, Request

if TYPE_CHECKING:
    from roboscale.jobs.campaign_file import Campaign
    from roboscale.jobs.campaign_loop import Hands, WaitingFor
    from roboscale.jobs.campaign_standing import CampaignStanding

__all__ = ["CampaignRun", "MakeHands", "RunCampaign", "foresee_campaign", "run_campaign"]

MakeHands = Callable[["Campaign", Path], "Hands"]
"""(campaign, its folder) -> who does the work, instead of this machine."""

JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCampaign(Request):
    """Asks for a campaign, or to go on with one.

    Args:
        file: see `roboscale.jobs.campaign_file`; it does not change while the campaign runs.
        out: folder of everything; the same one goes on.
    """

    words: ClassVar[tuple[str, ...]] = ("campaign",)

    file: Annotated[Path, Argument("TOML: target, budget, sources.")]
    out: Annotated[
        Path | None,
        Option("Folder of everything; the same one goes on. Default: FILE without its ending.", flag="--out/-o"),
    ] = None
    accept: Annotated[bool, Option("Take what a work order brought, though it is less than was ordered.")] = False
    rounds: Annotated[int | None, Option("Stop after this round, though the campaign is not over.", min=1)] = None
    workers: Workers = None

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return self.out or self.file.with_suffix("")


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRun:
    """Where a campaign stands.

    Args:
        waiting: people's steps that are not done.
        page: where it can be read; `None` where nothing was written.
        notes: what was said on the way.
    """

    campaign: Campaign
    standing: CampaignStanding
    waiting: tuple[WaitingFor, ...] = ()
    page: Path | None = None

    @property
    def sentence(self) -> str:
        """What is so, and what comes next."""
        if self.standing.ended is not None:
            return str(self.standing.ended["sentence"])
        if self.waiting:
            return f"the campaign waits for {'; and for '.join(one.what for one in self.waiting)}"
        step = {"order": "the next order", "collect": "collecting", "curate": "pooling", "train": "training"}
        return f"not over: {step.get(self.standing.step, 'judging')} comes next"

    @property
    def hours(self) -> float:
        """Spent so far, as one number."""
        return self.campaign.scalar(self.standing.spent) / 3600

    @property
    def lines(self) -> list[str]:
        """For a terminal: the answer, where every round stood, costs, and where to read on."""
        from roboscale.jobs.campaign_page import order_words
        from roboscale.stats.recipes import recipe_bounds

        lines = [self.sentence]
        for one in self.standing.rounds:
            amounts: dict[str, dict[str, int]] = {}
            for item in one.items:
                amounts.setdefault(item["task"], {})[item["source"]] = item["episodes"]
            said = "; ".join(f"{task}: {order_words(by)}" for task, by in amounts.items())
            rates = ", ".join(
                f"{task} {bound.value:.2f} [{bound.low:.2f}, {bound.high:.2f}]"
                for task, runs in one.counts.items()
                if (bound := recipe_bounds(runs, 0.9)).value is not None
            )
            lines.append(f"  round {one.number}  {said}{f'  ->  {rates}' if rates else ''}")
        spent = f"{self.hours:.2f} of {self.campaign.budget.hours:g} h"
        lines.append(f"spent: {spent}, of which judging {self.campaign.scalar(self.standing.judging) / 3600:.2f} h")
        lines += [f"work order: {one.page}" for one in self.waiting if one.page is not None]
        return [*lines, *([f"page: {self.page}"] if self.page else [])]

    def to_json(self) -> dict[str, Any]:
        """What the page shows, as JSON."""
        from roboscale.jobs.campaign_page import campaign_data

        waiting = [one.what for one in self.waiting]
        data = campaign_data(self.campaign, self.standing, sentence=self.sentence, waiting=waiting).to_json()
        data.pop("notes", None)
        ended = self.standing.ended
        return {**data, "ended": None if ended is None else ended["why"], "hours": self.hours}


def run_campaign(request: RunCampaign, on_event: OnEvent = ignore, *, hands: MakeHands | None = None) -> CampaignRun:
    """Goes on with a campaign until it ends or waits for people; every finished step is kept.

    >>> done = run_campaign(RunCampaign(file=Path("campaign.toml")))
    >>> done.sentence[:55], done.waiting[0].page.name
    ('the campaign waits for 9 episodes of reach-v3 by person', '01-00-person-reach-v3.html')

    Args:
        hands: who does the work instead of this machine, e.g. a rehearsal.

    Raises:
        BadData: the file or the journal is not understood.
        UnknownName: the world has not one of the tasks; nothing was written.
        RoboscaleError: the folder holds a campaign of another declaration, or a step failed; the same request resumes.
        InfrastructureError: another process works on it.
    """
    from roboscale.jobs.campaign_checks import require_possible
    from roboscale.jobs.campaign_hands import MachineHands
    from roboscale.jobs.campaign_journal import Journal, only_one
    from roboscale.jobs.campaign_loop import run_campaign_loop
    from roboscale.jobs.campaign_page import campaign_data, write_campaign_page

    campaign, folder = _read(request), request.folder
    if hands is None and not (folder / JOURNAL).exists():
        require_possible(campaign, request.file)
    with only_one(folder):
        journal = Journal(folder / JOURNAL)
        worker = (
            MachineHands(
                campaign=campaign,
                folder=folder,
                workers=request.workers,
                accept=request.accept,
                on_event=on_event,
                command=request.command,
            )
            if hands is None
            else hands(campaign, folder)
        )
        waiting = run_campaign_loop(campaign, journal, worker, on_event, request.rounds)
        done = CampaignRun(
            campaign=campaign,
            standing=_standing(campaign, journal),
            waiting=tuple(waiting),
            page=folder / "campaign.html",
        )
        data = campaign_data(
            campaign,
            done.standing,
            sentence=done.sentence,
            waiting=[one.what for one in waiting],
            made_up=getattr(worker, "made_up", ""),
            command=request.command if hands is None else None,
        )
        write_campaign_page(folder / "campaign.html", data)
    on_event(Wrote("page", folder / "campaign.html"))
    return done


def foresee_campaign(request: RunCampaign, on_event: OnEvent = ignore) -> CampaignRun:
    """Where a campaign stands and what it would order next, with its cost; nothing is done or written."""
    from roboscale.jobs.campaign_checks import require_possible
    from roboscale.jobs.campaign_deciding import Ending, decide_order, ending_of_judging
    from roboscale.jobs.campaign_journal import Journal

    campaign = _read(request)
    path = request.folder / JOURNAL
    if not path.exists():
        require_possible(campaign, request.file)
    journal = Journal(path, read_only=True)
    standing = _standing(campaign, journal)
    if standing.step == "order":
        end = ending_of_judging(campaign, standing) if standing.rounds else None
        ordering = end or decide_order(campaign, standing)
        number = len(standing.rounds)
        entry = ordering.entry(number) if isinstance(ordering, Ending) else ordering.entry()
        on_event(Note("nothing was collected: this is what would be ordered"))
        journal.suppose(entry)
        standing = _standing(campaign, journal)
    return CampaignRun(campaign=campaign, standing=standing)


def _read(request: RunCampaign) -> Campaign:
    from roboscale.core.declared import read_declared
    from roboscale.jobs.campaign_file import Campaign

    return read_declared(request.file, Campaign)


def _standing(campaign: Campaign, journal: Any) -> CampaignStanding:
    from roboscale.jobs.campaign_standing import campaign_standing

    return campaign_standing(campaign, journal.entries, journal.path)
